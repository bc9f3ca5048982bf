"""How much history is kept complete, as people write it: ``1m:90d,1h:365d,1d:all``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from cryptoviz.pairs import Timeframe

Ages = Mapping[Timeframe, timedelta | None]
"""How far back each fetched timeframe goes; None: to the exchange's first candle. The others are not fetched."""

FETCHED: Final = (Timeframe.M1, Timeframe.H1, Timeframe.D1)
"""The timeframes that are fetched; 5m and 15m follow from the minutes."""

_ALL: Final = "all"
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_AGE: Final = re.compile(r"(\d{1,7})([mhd])")
_MOST: Final = timedelta(days=36_500)


def parse(text: str) -> dict[Timeframe, timedelta | None]:
    """The ages of each timeframe.

    Raises:
        ValueError: the text makes no sense; the message says what would.
    """
    found: dict[Timeframe, timedelta | None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, age = (piece.strip() for piece in part.partition(":"))
        timeframe = next((fetched for fetched in FETCHED if fetched == name), None)
        if timeframe is None:
            follows = name in tuple(Timeframe)
            why = "follows from 1m" if follows else "is no timeframe"
            raise ValueError(f"{name!r} {why}; write ages of {', '.join(FETCHED)}, as in 1m:90d,1h:365d,1d:all")
        if timeframe in found:
            raise ValueError(f"{name} is listed twice; list each timeframe once")
        found[timeframe] = _age(timeframe, age)
    return found


def _age(timeframe: Timeframe, text: str) -> timedelta | None:
    if text == _ALL:
        return None
    match = _AGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no age; write a number of minutes, hours or days as in 720m, 48h, 90d, or all")
    age = int(match[1]) * _UNITS[match[2]]
    if age < timeframe.length:
        raise ValueError(f"{timeframe}:{text} is less than one candle; write at least {timeframe}")
    if age > _MOST:
        raise ValueError(f"{timeframe}:{text} is more than a hundred years; write {timeframe}:all")
    return age
