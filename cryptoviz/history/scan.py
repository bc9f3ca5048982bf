"""Looks for gaps: in every series, over any range, with as many connections as one likes.

series x range -> record_candle_gaps -> candle_gaps, completeness
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.history.gaps import Series
from cryptoviz.history.heal import Outcome, record
from cryptoviz.pairs import Timeframe, is_pair
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.settings import Settings

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before any history."""


def configured(connection: Connection[Any], settings: Settings) -> list[Series]:
    """The series that are collected: every timeframe of the pairs of the settings and of `crypto_configuration`."""
    pairs = dict.fromkeys((name, pair) for name in settings.exchanges for pair in settings.pairs(name))
    chosen = connection.execute(query("history_pairs")).fetchall()
    pairs |= dict.fromkeys((exchange, pair) for exchange, pair in chosen if is_pair(pair))
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
