"""How work is cut into pieces that can be rerun alone."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg


def exchange_partitions(exchanges: Sequence[str]) -> dg.StaticPartitionsDefinition:
    """One partition per configured exchange."""
    return dg.StaticPartitionsDefinition(list(exchanges))
