"""What can be asked of an exchange about the past. Whoever answers obeys its limits, retries and pages by himself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptoviz.pairs import Timeframe
from cryptoviz.records import Candle, Trade

Span = tuple[datetime, datetime]
"""From its first instant up to but without its last."""


@dataclass(frozen=True)
class Answer:
    """The closed candles that an exchange has of a range, in the order of their windows.

    `complete`: it answered for the whole range, so that it has no other candles there. `silent`: where it gives no
    candle but says that there were no trades, such as an exchange that leaves empty minutes out.
    """

    rows: Sequence[Candle]
    complete: bool
    silent: Sequence[Span] = ()


@dataclass(frozen=True)
class TradesAnswer:
    """The trades that an exchange has of a range of ids. `complete`: it has no others there."""

    rows: Sequence[Trade]
    complete: bool


class CandleHistory(Protocol):
    """Candles of the past."""

    def closed_candles(
        self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime
    ) -> Answer:
        """The closed candles whose windows start in the range from `since` up to but without `until`.

        An empty window that the exchange lists is a row with volume 0.

        Raises:
            ExchangeUnavailableError: no answer now; try again later.
            ExchangeRefusedError: asking again will not help.
        """


class TradeHistory(Protocol):
    """Trades of the past."""

    def trades(
        self, exchange: str, pair: str, first_id: int, last_id: int, *, since: datetime, until: datetime
    ) -> TradesAnswer:
        """The trades with the ids `first_id` to `last_id`, which were made between `since` and `until`.

        Raises:
            ExchangeUnavailableError: no answer now; try again later.
            ExchangeRefusedError: asking again will not help.
        """
