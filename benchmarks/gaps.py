"""Gap detection beside a window function: a year of 20 pairs, and the last two hours of ten series.

    window function : lag(window_start) over every candle of a series, hot and cold
    find_candle_gaps: steps along the index, four days at a time; only incomplete half days window by window

The candles lie as tiering leaves them (a week hot, the rest cold), with a hole a month in every pair. Both kinds get as
many connections as there are cores to count on, and must find the same gaps. The last two hours are one statement on
one connection, of ten complete series and of ten of which one has a hole.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg

from benchmarks.stage import Stage, median, stage

_PAIRS = 20
_DAYS = 365
_CONNECTIONS = min(2, os.cpu_count() or 1)
_BUDGET = 10_000_000
_RECENT_BUDGET_MS = 1.0
_FILL = """
INSERT INTO {relation} (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,
                        trade_count, closed, source)
SELECT minute, minute + interval '1 minute', 'binance', pair, '1m', 100.5, 102, 99.5, 101, 3.25, 10, true, 'rest'
FROM generate_series(%(since)s::timestamptz, %(until)s::timestamptz - interval '1 minute', interval '1 minute')
         AS minutes (minute),
     unnest(%(pairs)s::text[]) AS pairs (pair)
"""
_INDEXES = """
SELECT format('%I.%I', schemaname, indexname), indexdef FROM pg_indexes
WHERE tablename = 'candles' AND schemaname IN ('public', 'cold_storage') AND indexdef NOT LIKE 'CREATE UNIQUE%'
"""
_WINDOW = """
SELECT following, window_start
FROM (
    SELECT window_start, lag(window_start + interval '1 minute', 1, %(since)s) OVER (ORDER BY window_start) AS following
    FROM (
        SELECT window_start FROM all_candles
        WHERE exchange = 'binance' AND symbol = %(pair)s AND timeframe = '1m'
          AND window_start >= %(since)s AND window_start < %(until)s
        UNION ALL SELECT %(until)s
    ) AS candles
) AS steps
WHERE window_start > following
ORDER BY following
"""
_FIND = "SELECT gap_start, gap_end FROM find_candle_gaps('binance', %(pair)s, '1m', %(since)s, %(until)s)"
_RECENT = """
SELECT symbol, gap_start, gap_end
FROM find_candle_gaps(%(exchanges)s::text[], %(pairs)s::text[], %(timeframes)s::text[], %(since)s, %(until)s)
"""


def fill(one: Stage, pairs: Sequence[str], since: datetime, until: datetime) -> int:
    """A year of minutes with holes; returns how many candles there are."""
    with one.connect() as connection:
        connection.execute("UPDATE tiering_policy SET cold_age = NULL")
        indexes = [definition for _name, definition in connection.execute(_INDEXES)]
        for name, _definition in connection.execute(_INDEXES).fetchall():
            connection.execute(f"DROP INDEX {name}")  # type: ignore[arg-type]
        for number in range(_DAYS // 73 + 1):
            first = since + timedelta(days=73 * number)
            _filled(connection, "cold_storage.candles", pairs, first, min(first + timedelta(days=73), until - _HOT))
        _filled(connection, "candles", pairs, until - _HOT, until)
        for relation in ("cold_storage.candles", "candles"):
            connection.execute(
                f"DELETE FROM {relation} WHERE extract(day FROM window_start) = 5"  # type: ignore[arg-type]
                " AND window_start < date_trunc('day', window_start) + substr(symbol, 2, 2)::int * interval '1 minute'"
            )
        for definition in indexes:
            connection.execute(definition)  # type: ignore[arg-type]
        connection.execute("VACUUM ANALYZE cold_storage.candles")
        connection.execute("VACUUM ANALYZE candles")
        [(count,)] = connection.execute("SELECT count(*) FROM all_candles").fetchall()
    assert isinstance(count, int)
    return count


_HOT = timedelta(days=7)


def _filled(
    connection: psycopg.Connection[tuple[object, ...]],
    relation: str,
    pairs: Sequence[str],
    since: datetime,
    until: datetime,
) -> None:
    if since < until:
        asked = {"pairs": list(pairs), "since": since, "until": until}
        connection.execute(_FILL.format(relation=relation), asked)  # type: ignore[arg-type]


def every_pair(
    connections: Sequence[psycopg.Connection[tuple[object, ...]]],
    statement: str,
    pairs: Sequence[str],
    since: datetime,
    until: datetime,
) -> dict[str, list[tuple[object, ...]]]:
    """The gaps of every pair by one statement each, the connections taking turns."""

    def some(number: int) -> dict[str, list[tuple[object, ...]]]:
        return {
            pair: connections[number]
            .execute(statement, {"pair": pair, "since": since, "until": until})  # type: ignore[arg-type]
            .fetchall()
            for pair in pairs[number :: len(connections)]
        }

    with ThreadPoolExecutor(len(connections)) as pool:
        return {pair: gaps for part in pool.map(some, range(len(connections))) for pair, gaps in part.items()}


def clock(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measure(pairs: int, runs: int) -> bool:
    """Run both kinds `runs` times in turn and print a table; whether the budgets are kept."""
    names = [f"P{number:02}/USDT" for number in range(pairs)]
    until = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    since = until.replace(hour=0, minute=0) - timedelta(days=_DAYS)
    with stage(kafka=False) as one:
        count = fill(one, names, since, until)
        connections = [one.connect() for _ in range(_CONNECTIONS)]
        kinds = {"window function": _WINDOW, "find_candle_gaps": _FIND}
        found = {kind: every_pair(connections, statement, names, since, until) for kind, statement in kinds.items()}
        gaps = found["find_candle_gaps"]
        assert gaps == found["window function"], "the two found different gaps"
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(runs):
            for kind, statement in kinds.items():
                seconds[kind].append(clock(lambda it=statement: every_pair(connections, it, names, since, until)))
        rates = {kind: count / median(values) for kind, values in seconds.items()}
        print(f"{count} candles of {pairs} pairs, {sum(map(len, gaps.values()))} gaps, {_CONNECTIONS} connections")
        for kind, rate in rates.items():
            print(f"{kind:>18} {rate:>12,.0f} candles/s {rate / rates['window function']:>6.1f} x")
        complete, broken = _recent(one, connections[0], names[:10], until)
        print(f"last two hours of ten series: {complete:.2f} ms complete, {broken:.2f} ms with a hole")
        for connection in connections:
            connection.close()
    kept = rates["find_candle_gaps"] >= _BUDGET and complete <= _RECENT_BUDGET_MS
    told = "kept" if kept else "MISSED"
    print(f"budget: >= {_BUDGET:,} candles/s, last two hours <= {_RECENT_BUDGET_MS:.0f} ms: {told}")
    return kept


def _recent(
    one: Stage, connection: psycopg.Connection[tuple[object, ...]], pairs: Sequence[str], until: datetime
) -> tuple[float, float]:
    asked = {
        "exchanges": ["binance"] * len(pairs),
        "pairs": list(pairs),
        "timeframes": ["1m"] * len(pairs),
        "since": until - timedelta(hours=2),
        "until": until,
    }

    def milliseconds() -> float:
        for _ in range(20):
            connection.execute(_RECENT, asked).fetchall()
        return median([clock(lambda: connection.execute(_RECENT, asked).fetchall()) * 1000 for _ in range(200)])

    assert connection.execute(_RECENT, asked).fetchall() == []
    complete = milliseconds()
    with one.connect() as other:
        hole = until - timedelta(minutes=30)
        other.execute("DELETE FROM candles WHERE symbol = %s AND window_start = %s", [pairs[0], hole])
    assert connection.execute(_RECENT, asked).fetchall() == [(pairs[0], hole, hole + timedelta(minutes=1))]
    return complete, milliseconds()


def main() -> int:
    """Parse the command line and measure; 0 when the budgets are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=_PAIRS)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    return 0 if measure(arguments.pairs, arguments.runs) else 1


if __name__ == "__main__":
    raise SystemExit(main())
