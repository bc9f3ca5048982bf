"""The fear and greed index as alternative.me serves it: a pure function of seed and day."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

FIRST_DAY: Final = date(2018, 2, 1)
MISSING: Final = frozenset({date(2018, 4, 14), date(2018, 4, 15), date(2018, 4, 16)})
"""The days that the real index lacks."""

_DATE_FORMATS: Final = {"us": "%m-%d-%Y", "cn": "%Y-%m-%d", "kr": "%Y-%m-%d", "world": "%d-%m-%Y"}
_DAY_S: Final = 86_400


def index(now: datetime, limit: int, date_format: str, seed: int) -> dict[str, Any]:
    """The body of ``/fng/``: newest day first, `limit` 0 for all; every number is a string."""
    days = list(_days(now.date(), limit))
    rows = [_row(day, date_format, seed) for day in days]
    rows[0]["time_until_update"] = str(_DAY_S - int(now.timestamp()) % _DAY_S)
    return {"name": "Fear and Greed Index", "data": rows, "metadata": {"error": None}}


def refusal(message: str) -> dict[str, Any]:
    """Its error, which comes with status 200."""
    return {"name": "Fear and Greed Index", "data": [], "metadata": {"error": message}}


def odd(body: dict[str, Any]) -> dict[str, Any]:
    """The same with everything that was ever odd about a day."""
    first, *others = body["data"]
    nonsense = [
        first | {"value": "101"},
        first | {"value": "high"},
        {"value": "50", "value_classification": "Neutral"},
        "not an object",
    ]
    return body | {"data": [first, *nonsense, *others]}


def _days(today: date, limit: int) -> list[date]:
    known = (today - timedelta(days=back) for back in range((today - FIRST_DAY).days + 1))
    days = [day for day in known if day not in MISSING]
    return days if limit <= 0 else days[:limit]


def _row(day: date, date_format: str, seed: int) -> dict[str, str]:
    value = level(day, seed)
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    written = at.strftime(_DATE_FORMATS[date_format]) if date_format in _DATE_FORMATS else str(int(at.timestamp()))
    return {"value": str(value), "value_classification": classification(value), "timestamp": written}


def level(day: date, seed: int) -> int:
    """The index of a day, 5 to 95."""
    number = day.toordinal()
    noise = random.Random(f"{seed}|mood|{number}").uniform(-7, 7)  # noqa: S311 - a reproducible market, not a secret
    wave = 24 * math.sin(number / 37 + seed) + 12 * math.sin(number / 9.3 + 2 * seed)
    return round(min(max(50 + wave + noise, 5), 95))


def classification(value: int) -> str:
    """The word of the index."""
    bounds = ((25, "Extreme Fear"), (46, "Fear"), (54, "Neutral"), (75, "Greed"))
    return next((word for bound, word in bounds if value <= bound), "Extreme Greed")
