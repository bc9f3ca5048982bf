"""Looks for gaps: in every series, over any range.

series x range -> record_candle_gaps -> candle_gaps, completeness
pairs x range  -> record_trade_gaps  -> trade_gaps
what is due    -> a healing run
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gaps.differences import TRADES_ARRIVE_WITHIN
from cryptoviz.gaps.tables import CLAIM_TIMEOUT, GapOutcome, record_candle_gaps, record_trade_gaps
from cryptoviz.pairs import Series, Timeframe, is_pair
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.settings import Settings

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before any history."""

GRACE: Final = timedelta(minutes=2)
"""What ended less than this ago is not missed: it may still be on its way, or the collector may be fetching it."""


def collected_series(settings: Settings) -> list[Series]:
    """The series that the collectors keep current: every timeframe of the pairs of the settings."""
    pairs = [(exchange, pair) for exchange in settings.exchanges for pair in settings.pairs(exchange)]
    return [Series(exchange, pair, timeframe) for exchange, pair in pairs for timeframe in Timeframe]


def configured_series(connection: Connection[Any], settings: Settings) -> list[Series]:
    """The series whose history is kept: those that are collected, and the pairs of `crypto_configuration`.

    Pairs of an exchange that the settings do not name are left out: nothing asks that exchange.
    """
    pairs = dict.fromkeys((series.exchange, series.pair) for series in collected_series(settings))
    chosen = connection.execute(query("history_pairs")).fetchall()
    pairs |= dict.fromkeys(
        (exchange, pair) for exchange, pair in chosen if exchange in settings.exchanges and is_pair(pair)
    )
    return [Series(exchange, pair, timeframe) for exchange, pair in pairs for timeframe in Timeframe]


def pairs_of(wanted: Iterable[Series]) -> dict[str, list[str]]:
    """Exchange -> the pairs of its series."""
    found: dict[str, dict[str, None]] = {}
    for series in wanted:
        found.setdefault(series.exchange, {})[series.pair] = None
    return {exchange: list(pairs) for exchange, pairs in found.items()}


def scan(
    connection: Connection[Any], wanted: Iterable[Series], since: datetime, until: datetime
) -> Counter[GapOutcome]:
    """Look for gaps in the candles of many series over the same range; the windows that changed.

    With a connection in autocommit mode each series is a transaction of its own.
    """
    changed: Counter[GapOutcome] = Counter()
    for series in wanted:
        changed += record_candle_gaps(connection, series, since, until)
    return changed


def scan_trades(
    connection: Connection[Any], exchange: str, pairs: Iterable[str], since: datetime, until: datetime
) -> Counter[GapOutcome]:
    """Look for gaps in the trade ids of an exchange, but not before its first stored trade; the ids that changed."""
    changed: Counter[GapOutcome] = Counter()
    row = connection.execute(query("oldest_trade"), {"exchange": exchange}).fetchone()
    if row is not None and row[0] < until:
        for pair in pairs:
            changed += record_trade_gaps(connection, exchange, pair, max(since, row[0]), until)
    return changed


def scan_everything(
    connection: Connection[Any], current: Iterable[Series], until: datetime
) -> tuple[int, Counter[GapOutcome]]:
    """Look over the whole history of every series: how many series there are, and the windows that changed.

    A series that is stored but not kept `current` by a collector is looked over up to its newest candle.
    """
    wanted = list(current)
    changed = scan(connection, wanted, EVER, until)
    ends = {
        Series.of(exchange, pair, timeframe): end
        for exchange, pair, timeframe, end in connection.execute(query("history_series"))
    }
    no_longer_current = ends.keys() - set(wanted)
    for series in no_longer_current:
        changed += record_candle_gaps(connection, series, EVER, min(ends[series], until))
    return len(wanted) + len(no_longer_current), changed


@dataclass(frozen=True)
class WaitingWork:
    """What waits: gaps that an exchange should be asked about, or differences without a cause.

    `missing`: the candles, trades or minutes they are about. `since`: when the first of them fell due.
    """

    gaps: int
    missing: int
    since: datetime | None


def due(connection: Connection[Any], exchanges: Iterable[str], now: datetime) -> dict[str, WaitingWork]:
    """What waits, for `candles`, `trades` and `differences`; what a run has claimed is left out."""
    parameters = {
        "exchanges": list(exchanges),
        "now": now,
        "silent_since": now - CLAIM_TIMEOUT,
        "ended_before": now - GRACE,
        "found_before": now - TRADES_ARRIVE_WITHIN,
    }
    return {kind: WaitingWork(*counts) for kind, *counts in connection.execute(query("gaps_due"), parameters)}
