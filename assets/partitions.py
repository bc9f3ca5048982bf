"""How work is cut into pieces that can be rerun alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg

TRADES_KEPT: Final = timedelta(days=31)
"""How long trades are stored, and a day of grace."""


def exchange_partitions(exchanges: Sequence[str]) -> dg.StaticPartitionsDefinition:
    """One partition per configured exchange."""
    return dg.StaticPartitionsDefinition(list(exchanges))


def days_with_trades(today: date) -> dg.DailyPartitionsDefinition:
    """One partition per UTC day, for the months whose trades can still be stored.

    The first day is always that of a month, so that it moves seldom.
    """
    first = (today - TRADES_KEPT).replace(day=1)
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), timezone="UTC")


SERIES: Final = dg.DynamicPartitionsDefinition(name="exchange_pair")
"""One partition per configured exchange and pair, such as ``binance:BTC/USDT``; the sensor `history_due` adds them."""

HISTORY_BEGINS: Final = date(2013, 1, 1)
"""The first month that candles can be fetched of: no spot exchange of today has older ones."""


def history_partitions() -> dg.MultiPartitionsDefinition:
    """One partition per month (UTC) and series, the current month included."""
    months = dg.MonthlyPartitionsDefinition(start_date=HISTORY_BEGINS.isoformat(), timezone="UTC", end_offset=1)
    return dg.MultiPartitionsDefinition({"month": months, "series": SERIES})


def month_of(at: datetime) -> str:
    """The key of the month (UTC) that an instant lies in."""
    return at.astimezone(UTC).strftime("%Y-%m-01")


def month_bounds(key: str) -> tuple[datetime, datetime]:
    """The first instant (UTC) of the month of a key, and that of the next month."""
    begin = datetime.fromisoformat(key).replace(tzinfo=UTC)
    return begin, (begin + timedelta(days=32)).replace(day=1)
