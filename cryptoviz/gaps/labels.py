"""The words for what is missing in trades and candles: why, and how far we are with it."""

from __future__ import annotations

from enum import StrEnum


class GapLabel(StrEnum):
    """Why trades are missing: `lost_by_us` (the exchange has them), `source_missing` (it has not), `no_trades`."""

    NO_TRADES = "no_trades"
    SOURCE_MISSING = "source_missing"
    LOST_BY_US = "lost_by_us"


class GapStatus(StrEnum):
    """How far a gap is: `healed` and `explained` (the exchange has it not, either) are final; `failed` wants a look."""

    TENTATIVE = "tentative"
    OPEN = "open"
    HEALING = "healing"
    HEALED = "healed"
    EXPLAINED = "explained"
    FAILED = "failed"
