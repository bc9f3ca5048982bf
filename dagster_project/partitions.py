"""How work is cut into pieces that can be rerun alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
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
