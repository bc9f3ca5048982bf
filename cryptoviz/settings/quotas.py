"""How often a source may be asked: quotas a minute, a day and a month.

A long quota is spread over its period: by now no more is allowed than the part of it that has passed, and a little to
begin with. So a month's requests last a month, and a minute's are there at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

_AHEAD: Final = 0.01
"""The part of a day's or a month's quota that is there at its beginning."""


class Period(StrEnum):
    """What a quota is for: the minutes, days and months of UTC's calendar."""

    MINUTE = "minute"
    DAY = "day"
    MONTH = "month"

    def begin(self, now: datetime) -> datetime:
        """The beginning of the period that `now` lies in."""
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        if self is Period.MINUTE:
            return minute
        day = minute.replace(hour=0, minute=0)
        return day if self is Period.DAY else day.replace(day=1)

    def end(self, now: datetime) -> datetime:
        """The beginning of the next."""
        begin = self.begin(now)
        if self is Period.MONTH:
            return (begin + timedelta(days=32)).replace(day=1)
        return begin + (timedelta(minutes=1) if self is Period.MINUTE else timedelta(days=1))

    def allowed(self, limit: int, now: datetime) -> int:
        """How much of the limit may be used by now."""
        if self is Period.MINUTE:
            return limit
        begin, end = self.begin(now), self.end(now)
        passed = (now - begin) / (end - begin)
        return min(limit, max(1, math.ceil(limit * (passed + _AHEAD))))


Quotas = Mapping[Period, int]


def parse(text: str) -> dict[Period, int]:
    """The quotas in a text such as ``30/minute,10000/month``.

    Raises:
        ValueError: it is not of that form.
    """
    quotas: dict[Period, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        number, _, period = part.partition("/")
        if not number.strip().isdecimal() or int(number) < 1 or period.strip() not in set(Period):
            raise ValueError(f"{part!r} is no quota; write one as 30/minute, 500/day or 10000/month")
        quotas[Period(period.strip())] = int(number)
    return quotas
