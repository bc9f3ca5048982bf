"""How work is cut into pieces that can be rerun alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import dagster as dg

DATE: Final = "date"
EXCHANGE: Final = "exchange"
TRADES_KEPT: Final = timedelta(days=31)
"""How long trades are stored, and a day of grace."""


def exchange_partitions(exchanges: Sequence[str]) -> dg.StaticPartitionsDefinition:
    """One partition per configured exchange."""
    return dg.StaticPartitionsDefinition(list(exchanges))


def daily_by_exchange(exchanges: Sequence[str], today: date) -> dg.MultiPartitionsDefinition:
    """One partition per UTC day and configured exchange, for the months whose trades can still be stored.

    The first day is always that of a month, so that it moves seldom.
    """
    first = (today - TRADES_KEPT).replace(day=1)
    days = dg.DailyPartitionsDefinition(start_date=first.isoformat(), timezone="UTC")
    return dg.MultiPartitionsDefinition({DATE: days, EXCHANGE: exchange_partitions(exchanges)})
