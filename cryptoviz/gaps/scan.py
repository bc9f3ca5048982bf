"""Looks for gaps: in every series, over any range, with as many connections as one likes.

series x range -> record_candle_gaps -> candle_gaps, completeness
pairs x range  -> record_trade_gaps  -> trade_gaps
what is due    -> a healing run
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gaps.differences import SETTLED
from cryptoviz.gaps.healing import SILENT, Outcome, record, record_trades
from cryptoviz.pairs import Series, Timeframe, is_pair
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.settings import Settings

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before any history."""

GRACE: Final = timedelta(minutes=2)
"""What ended less than this ago is not missed: it may still be under way, or the collector may be fetching it."""


def collected(settings: Settings) -> list[Series]:
    """The series that the collectors keep current: every timeframe of the pairs of the settings."""
    pairs = [(name, pair) for name in settings.exchanges for pair in settings.pairs(name)]
    return [Series(exchange, pair, timeframe) for exchange, pair in pairs for timeframe in Timeframe]


def configured(connection: Connection[Any], settings: Settings) -> list[Series]:
    """The series whose history is kept: those that are collected, and the pairs of `crypto_configuration`.

    An exchange that the settings do not name is asked by nobody: its pairs are left out.
    """
    pairs = dict.fromkeys((one.exchange, one.pair) for one in collected(settings))
    chosen = connection.execute(query("history_pairs")).fetchall()
    pairs |= dict.fromkeys(
        (exchange, pair) for exchange, pair in chosen if exchange in settings.exchanges and is_pair(pair)
    )
    return [Series(exchange, pair, timeframe) for exchange, pair in pairs for timeframe in Timeframe]


def scan(
    connect: Callable[[], AbstractContextManager[Connection[Any]]],
    series: Iterable[Series],
    since: datetime,
    until: datetime,
    *,
    connections: int = 1,
) -> dict[Series, Counter[Outcome]]:
    """Bring candle_gaps and completeness in line with the candles of every series, each in a transaction of its own.

    Returns the windows that changed, by what they are now. Several connections share the work: counting is all the
    database does, and it counts each series on one core.
    """
    waiting: SimpleQueue[Series] = SimpleQueue()
    for one in series:
        waiting.put(one)
    found: dict[Series, Counter[Outcome]] = {}

    def work() -> None:
        with connect() as connection:
            while True:
                try:
                    one = waiting.get_nowait()
                except Empty:
                    return
                found[one] = record(connection, one, since, until)

    with ThreadPoolExecutor(connections) as pool:
        for done in [pool.submit(work) for _ in range(connections)]:
            done.result()
    return found


@dataclass(frozen=True)
class Due:
    """What waits: gaps that an exchange should be asked about, or differences without a cause.

    `missing`: the candles, trades or minutes they are about. `since`: when the first of them fell due.
    """

    gaps: int
    missing: int
    since: datetime | None


def due(connection: Connection[Any], exchanges: Iterable[str], at: datetime) -> dict[str, Due]:
    """What waits, for `candles`, `trades` and `differences`; what others are at work on is left out."""
    asked = {
        "exchanges": list(exchanges),
        "now": at,
        "silent_since": at - SILENT,
        "ended_before": at - GRACE,
        "found_before": at - SETTLED,
    }
    return {kind: Due(*counts) for kind, *counts in connection.execute(query("gaps_due"), asked)}


def look(connection: Connection[Any], series: Iterable[Series], since: datetime, until: datetime) -> Counter[Outcome]:
    """Look for gaps in the candles of many series over the same range; the windows that changed."""
    found: Counter[Outcome] = Counter()
    for one in series:
        found += record(connection, one, since, until)
    return found


def look_at_trades(
    connection: Connection[Any], exchange: str, pairs: Iterable[str], since: datetime, until: datetime
) -> Counter[Outcome]:
    """Look for gaps in the trade ids of an exchange, but not before its first stored trade; the ids that changed."""
    found: Counter[Outcome] = Counter()
    row = connection.execute(query("oldest_trade"), {"exchange": exchange}).fetchone()
    if row is not None and row[0] < until:
        for pair in pairs:
            found += record_trades(connection, exchange, pair, max(since, row[0]), until)
    return found


def pairs_of(series: Iterable[Series]) -> dict[str, list[str]]:
    """Exchange -> its pairs."""
    found: dict[str, dict[str, None]] = {}
    for one in series:
        found.setdefault(one.exchange, {})[one.pair] = None
    return {exchange: list(pairs) for exchange, pairs in found.items()}


def look_everywhere(
    connect: Callable[[], AbstractContextManager[Connection[Any]]], current: Iterable[Series], until: datetime
) -> tuple[int, Counter[Outcome]]:
    """Look over the whole history of every series: how many there are, and the windows that changed.

    A series that is stored but not kept `current` by a collector is looked at up to its newest candle.
    """
    wanted = list(current)
    found = sum(scan(connect, wanted, EVER, until).values(), Counter[Outcome]())
    with connect() as connection:
        stored = {
            Series.of(exchange, pair, timeframe): end
            for exchange, pair, timeframe, end in connection.execute(query("history_series"))
        }
        others = stored.keys() - set(wanted)
        for one in others:
            found += record(connection, one, EVER, min(stored[one], until))
    return len(wanted) + len(others), found
