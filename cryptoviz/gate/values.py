"""Values of fetched rows, read without trust: what cannot be read is None."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any


def instant(value: object) -> datetime | None:
    """An instant, or its ISO 8601 text, in UTC; None for anything else."""
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):  # in UTC it may be before the year 1
        return None


def number(value: object) -> float | None:
    """A number, or its text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def stripped_text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def numbers_of(payload: Mapping[str, Any], *names: str) -> Iterable[float]:
    return [found for name in names if (found := number(payload.get(name))) is not None]


def seconds_between(later: Any, earlier: Any) -> float | None:
    after, before = instant(later), instant(earlier)
    return (after - before).total_seconds() if after is not None and before is not None else None


def count_lacking(payload: Mapping[str, Any], times: Iterable[str], numbers: Iterable[str]) -> int:
    """How many of a row's times and numbers are missing, or are none."""
    return sum(instant(payload.get(name)) is None for name in times) + sum(
        number(payload.get(name)) is None for name in numbers
    )


def names_without_number(payload: Mapping[str, Any], *names: str) -> str | None:
    """The fields that say something, but no number; None: there is no such field."""
    wrong = [name for name in names if payload.get(name) is not None and number(payload[name]) is None]
    return ", ".join(wrong) or None


def ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def difference(value: Any, base: Any) -> float | None:
    left, right = number(value), number(base)
    return left - right if left is not None and right is not None else None


def is_above_zero(payload: Mapping[str, Any], name: str) -> bool | None:
    found = number(payload.get(name))
    return None if found is None else found > 0


def series_of(payload: Mapping[str, Any], name: str) -> tuple[str, str]:
    return str(payload.get("exchange")), str(payload.get(name))
