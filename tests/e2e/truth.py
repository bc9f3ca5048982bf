"""What the simulated exchanges sent, beside what the tables hold.

/control/expected (a pure function of pair and time) == trade_data -> candles of every timeframe
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from cryptoviz.pairs import Timeframe
from cryptoviz.settings import Role
from cryptoviz.storage.database import connect
from tests.e2e.platform import Platform

EXCHANGES = ("kraken", "binance")
FAULTS: list[dict[str, Any]] = [
    {"kind": "skip", "probability": 0.003},
    {"kind": "duplicate", "probability": 0.01},
    {"kind": "reorder", "probability": 0.05},
    {"kind": "malformed", "probability": 0.0005},
]
MESSAGES_PER_TRADE = 2.9
"""A unit of `simulator_rate` in messages: a trade at each exchange, and at Kraken nearly always a ticker with it."""

LastIds = Mapping[str, Mapping[str, int]]


class Wrong(StrEnum):
    """How a stored trade differs from the one that happened."""

    LOST = "lost"
    DOUBLED = "doubled"
    UNEQUAL = "unequal"
    INVENTED = "invented"


@dataclass(frozen=True)
class Difference:
    """One trade that is not stored as it happened; `at` in seconds since the epoch."""

    wrong: Wrong
    exchange: str
    pair: str
    trade_id: int
    at: float


def rows(platform: Platform, statement: str, *parameters: Any) -> list[Any]:
    with connect(Role.READER, platform.settings) as connection:
        return connection.execute(statement, parameters).fetchall()


def disturb(platform: Platform) -> None:
    """Let both exchanges skip, repeat, swap and break messages from now on."""
    for exchange, fault in itertools.product(EXCHANGES, FAULTS):
        platform.control("fault", {"exchange": exchange, **fault})


def calm(platform: Platform) -> None:
    """End all faults, and wait until each pair has had a trade since: a skipped trade shows by the next one only."""
    for exchange in EXCHANGES:
        platform.control(f"fault?exchange={exchange}", method="DELETE")
    before = _last_ids(platform)
    platform.wait(
        "each pair is traded once more",
        lambda: all(last > before[pair] for pair, last in _last_ids(platform).items()),
        60,
    )


def _last_ids(platform: Platform) -> dict[tuple[str, str], int]:
    counters = platform.control("counters")
    return {
        (exchange, pair): counted["last_id"] or 0
        for exchange in EXCHANGES
        for pair, counted in counters[exchange].items()
    }


def tickers_sent(platform: Platform) -> dict[str, int]:
    counters = platform.control("counters")
    return {exchange: sum(pair["tickers"] for pair in counters[exchange].values()) for exchange in EXCHANGES}


def tickers_stored(platform: Platform) -> dict[str, int]:
    return dict(rows(platform, "SELECT exchange, count(*) FROM ticker_data GROUP BY exchange"))


def wait_until_settled(platform: Platform, last_ids: LastIds, within: float) -> None:
    """Wait until every trade up to these ids is stored and every gap is closed."""
    newest = {(exchange, pair): last for exchange, pairs in last_ids.items() for pair, last in pairs.items()}

    def settled() -> bool:
        stored = {
            (exchange, pair): (count, first, last)
            for exchange, pair, count, first, last in rows(
                platform,
                "SELECT exchange, pair, count(*), min(trade_id), max(trade_id) FROM trade_data GROUP BY exchange, pair",
            )
        }
        open_gaps = rows(platform, "SELECT count(*) FROM trade_gaps WHERE status NOT IN ('healed', 'explained')")[0][0]
        whole = all(
            key in stored and stored[key][2] == last and stored[key][0] == last - stored[key][1] + 1
            for key, last in newest.items()
        )
        return whole and not open_gaps

    platform.wait("every trade is stored and every gap closed", settled, within)


def trade_differences(platform: Platform, last_ids: LastIds) -> Iterator[Difference]:
    """Every trade since the first stored one, and not later than the first sent, that is not stored once and equal."""
    counters = platform.control("counters")
    for exchange, pairs in last_ids.items():
        for pair, last in pairs.items():
            stored = _stored(platform, exchange, pair)
            first = min(stored)
            assert first <= counters[exchange][pair]["first_id"], f"{exchange} {pair} begins too late"
            for truth in _expected(platform, exchange, pair, first, last):
                for wrong in _judge(stored.pop(truth["trade_id"], []), truth):
                    yield Difference(wrong, exchange, pair, truth["trade_id"], truth["time_ns"] / 1e9)
            for trade_id, copies in stored.items():
                yield Difference(Wrong.INVENTED, exchange, pair, trade_id, copies[0][0].timestamp())


def _stored(platform: Platform, exchange: str, pair: str) -> dict[int, list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for trade_id, *values in rows(
        platform,
        "SELECT trade_id, timestamp, price, volume, side FROM trade_data WHERE exchange = %s AND pair = %s",
        exchange,
        pair,
    ):
        found[trade_id].append(values)
    return found


def _expected(platform: Platform, exchange: str, pair: str, first: int, last: int) -> Iterator[dict[str, Any]]:
    while first <= last:
        page = platform.control(f"expected?exchange={exchange}&pair={pair}&from_id={first}&to_id={last}")
        assert page, f"{exchange} {pair} has no trade {first}"
        yield from page
        first = page[-1]["trade_id"] + 1


def _judge(copies: list[Any], truth: Mapping[str, Any]) -> Iterator[Wrong]:
    if not copies:
        yield Wrong.LOST
    for _ in copies[1:]:
        yield Wrong.DOUBLED
    for timestamp, price, volume, side in copies:
        same = (price, volume, side) == (Decimal(truth["price"]), Decimal(truth["volume"]), truth["side"])
        if not same or abs(timestamp.timestamp() - truth["time_ns"] / 1e9) >= 0.0011:  # Binance tells milliseconds
            yield Wrong.UNEQUAL


def assert_candles_equal_trades(platform: Platform) -> None:
    """Of what was fetched only the minutes are compared that we have all trades of: collecting begins within one."""
    wrong = rows(
        platform,
        """
        SELECT * FROM (
            SELECT exchange, pair AS symbol, date_trunc('minute', timestamp) AS window_start,
                   (array_agg(price ORDER BY timestamp, trade_id))[1] AS open, max(price) AS high, min(price) AS low,
                   (array_agg(price ORDER BY timestamp DESC, trade_id DESC))[1] AS close, sum(volume) AS volume,
                   count(*) AS trade_count,
                   row_number() OVER (PARTITION BY exchange, pair ORDER BY min(timestamp)) AS number
            FROM trade_data GROUP BY 1, 2, 3
        ) truth
        FULL JOIN (SELECT * FROM candles WHERE timeframe = '1m') stored USING (exchange, symbol, window_start)
        WHERE (truth.open, truth.high, truth.low, truth.close, truth.volume, truth.trade_count) IS DISTINCT FROM
              (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count)
          AND NOT (stored.source IS NOT DISTINCT FROM 'rest' AND coalesce(truth.number, 1) = 1)
        """,
    )
    assert wrong == []
    for part, whole in itertools.pairwise(Timeframe):
        wrong = rows(
            platform,
            """
            SELECT * FROM (
                SELECT exchange, symbol, date_bin(%s, window_start, 'epoch') AS window_start,
                       max(high) AS high, min(low) AS low, sum(volume) AS volume,
                       sum(trade_count)::bigint AS trade_count, bool_or(source = 'rest') AS fetched
                FROM candles WHERE timeframe = %s GROUP BY 1, 2, 3
            ) truth
            FULL JOIN (SELECT * FROM candles WHERE timeframe = %s) stored USING (exchange, symbol, window_start)
            WHERE (truth.high, truth.low, truth.volume, truth.trade_count) IS DISTINCT FROM
                  (stored.high, stored.low, stored.volume, stored.trade_count)
              AND fetched IS NOT TRUE AND stored.source IS DISTINCT FROM 'rest'
            """,
            whole.length,
            part,
            whole,
        )
        assert wrong == [], whole
