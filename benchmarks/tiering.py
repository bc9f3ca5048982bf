"""Old rows: moved to the cold tables, and a year of minutes stored plain, in the columnstore, in Parquet.

    two statements   : INSERT ... SELECT, then DELETE, of the same range in one transaction
    fetch and insert : the rows through Python, in batches of 10,000, then DELETE
    tier_old_candles : one statement

Each moves 100,000 candles of 20 pairs at a time, in turn. The year is a random walk with prices in the exchange's
steps, uneven volumes of eight decimals and every row's own time of receipt; it is archived by the archive's own code,
read back and compared. The columnstore needs TimescaleDB's community edition (CRYPTOVIZ_TEST_COMMUNITY_URL, which is
cleared).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.stage import median, stage
from cryptoviz.archive.export import archive
from cryptoviz.archive.store import Folder
from cryptoviz.archive.subjects import SUBJECTS
from cryptoviz.retention.tiering import compress
from cryptoviz.settings import Settings, load
from cryptoviz.storage.migrations import migrate

_BATCH = 100_000
_BUDGET = 100_000
_SAVED_PERCENT = 90.0
_MINUTES = timedelta(minutes=_BATCH // 20)
_WALK = """
WITH steps AS (
    SELECT pair, minute, (random() + random() + random() - 1.5) * 0.0006 AS step, random() AS up, random() AS down,
           exp(1.5 * (random() + random() + random() - 1.5)) AS busy, random() AS late
    FROM generate_series(1, %(pairs)s) AS pairs (pair),
         generate_series(%(since)s::timestamptz, %(until)s::timestamptz - interval '1 minute', interval '1 minute')
             AS minutes (minute)
), walk AS (
    SELECT *, (60000.0 / (pair * pair)) * exp(sum(step) OVER (PARTITION BY pair ORDER BY minute)) AS price
    FROM steps
), priced AS (
    SELECT pair, minute, busy, late, up, down, round(price::numeric, CASE WHEN pair < 3 THEN 1 ELSE 4 END) AS close,
           round((price * exp(-step))::numeric, CASE WHEN pair < 3 THEN 1 ELSE 4 END) AS open
    FROM walk
)
INSERT INTO {relation} (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,
                        trade_count, closed, source, received_at)
SELECT minute, minute + interval '1 minute', 'kraken', 'P' || to_char(pair, 'FM00') || '/USD', '1m', open,
       round(greatest(open, close) * (1 + (up * 0.0004))::numeric, scale(close)),
       round(least(open, close) * (1 - (down * 0.0004))::numeric, scale(close)), close,
       round((busy * pair * 2)::numeric, 8), 1 + (busy * 40)::bigint, true, 'stream',
       minute + interval '1 minute' + late * interval '1 second'
FROM priced
ORDER BY minute, pair
"""


def walk(connection: psycopg.Connection[Any], relation: str, pairs: int, since: datetime, until: datetime) -> None:
    """Random candles of a minute each."""
    asked = {"pairs": pairs, "since": since, "until": until}
    connection.execute(_WALK.format(relation=relation), asked)  # type: ignore[arg-type]


def two_statements(connection: psycopg.Connection[Any]) -> int:
    """Insert, then delete."""
    with connection.transaction():
        bounds = {"until": _oldest(connection) + _MINUTES}
        connection.execute(
            "INSERT INTO cold_storage.candles SELECT * FROM candles WHERE window_start < %(until)s", bounds
        )
        return connection.execute("DELETE FROM candles WHERE window_start < %(until)s", bounds).rowcount


def fetch_and_insert(connection: psycopg.Connection[Any]) -> int:
    """Through Python."""
    with connection.transaction():
        bounds = {"until": _oldest(connection) + _MINUTES}
        with connection.cursor("old") as cursor:
            cursor.execute("SELECT * FROM candles WHERE window_start < %(until)s", bounds)
            marks = ", ".join(["%s"] * len(cursor.description or ()))
            while rows := cursor.fetchmany(10_000):
                statement = f"INSERT INTO cold_storage.candles VALUES ({marks})"
                connection.cursor().executemany(statement, rows)  # type: ignore[arg-type]
        return connection.execute("DELETE FROM candles WHERE window_start < %(until)s", bounds).rowcount


def one_statement(connection: psycopg.Connection[Any]) -> int:
    """As the platform does it."""
    [(moved,)] = connection.execute("SELECT tier_old_candles(%s)", [_BATCH]).fetchall()
    return int(moved)


def _oldest(connection: psycopg.Connection[Any]) -> datetime:
    [(oldest,)] = connection.execute("SELECT min(window_start) FROM candles").fetchall()
    assert isinstance(oldest, datetime)
    return oldest


def move(connection: psycopg.Connection[Any], runs: int) -> bool:
    """Rows a second of each kind; whether the budget is kept."""
    kinds: dict[str, Callable[[psycopg.Connection[Any]], int]] = {
        "two statements": two_statements,
        "fetch and insert": fetch_and_insert,
        "tier_old_candles": one_statement,
    }
    until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=8)
    walk(connection, "candles", 20, until - _MINUTES * len(kinds) * runs, until)
    connection.execute("VACUUM ANALYZE candles")
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind, action in kinds.items():
            began = time.perf_counter()
            moved = action(connection)
            seconds[kind].append(time.perf_counter() - began)
            assert moved == _BATCH, f"{kind} moved {moved}"
    rates = {kind: _BATCH / median(values) for kind, values in seconds.items()}
    print(f"{_BATCH:,} candles of 20 pairs to the cold table, median of {runs}")
    for kind, rate in rates.items():
        print(f"{kind:>18} {rate:>10,.0f} rows/s {rate / rates['two statements']:>6.2f} x")
    return rates["tier_old_candles"] >= _BUDGET


def keep(connection: psycopg.Connection[Any], community: Settings | None, pairs: int) -> bool:
    """Bytes of a year in each way; whether enough is saved."""
    until = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    since = until - timedelta(days=365)
    connection.execute("TRUNCATE cold_storage.candles")
    walk(connection, "cold_storage.candles", pairs, since, until)
    plain = _bytes(connection)
    [(rows,)] = connection.execute("SELECT count(*) FROM cold_storage.candles").fetchall()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="cryptoviz-bench-") as folder:
        left = list(archive(connection, Folder(Path(folder)), [SUBJECTS["candles"]], until + timedelta(days=365)))
    seconds = time.perf_counter() - began
    assert sum(one.rows for one in left) == rows
    parquet = sum(one.bytes for one in left)
    print(f"a year of {pairs} pairs, {rows:,} candles of 1m")
    print(f"{'plain table':>18} {plain / 1e6:>10,.1f} MB {plain / rows:>7.1f} bytes a row")
    saved = [_told("Parquet", parquet, plain, rows)]
    print(f"{'':>18} archived, read back, compared and deleted at {rows / seconds:,.0f} rows/s, {len(left)} files")
    if community is None:
        print(f"{'columnstore':>18} not measured: it needs CRYPTOVIZ_TEST_COMMUNITY_URL")
    else:
        saved.append(_told("columnstore", _columnar(community, pairs, since, until), plain, rows))
    return min(saved) >= _SAVED_PERCENT


def _told(kind: str, size: int, plain: int, rows: int) -> float:
    saved = 100 * (1 - size / plain)
    print(f"{kind:>18} {size / 1e6:>10,.1f} MB {size / rows:>7.1f} bytes a row, {saved:.1f} % less")
    return saved


def _columnar(community: Settings, pairs: int, since: datetime, until: datetime) -> int:
    url = community.test_community_url
    assert url is not None
    with psycopg.connect(url.get_secret_value(), autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute("DROP EXTENSION IF EXISTS timescaledb CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS cold_storage CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS public CASCADE")
        connection.execute("CREATE SCHEMA public")
    with psycopg.connect(url.get_secret_value(), autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute("CREATE EXTENSION timescaledb")
        migrate(load(database_url=url.get_secret_value()))
        walk(connection, "cold_storage.candles", pairs, since, until)
        compress(connection)
        [(size,)] = connection.execute("SELECT hypertable_size('cold_storage.candles')").fetchall()
    return int(size)


def _bytes(connection: psycopg.Connection[Any]) -> int:
    [(size,)] = connection.execute(
        "SELECT sum(pg_total_relation_size(part))::bigint FROM (SELECT 'cold_storage.candles'::regclass UNION ALL "
        "SELECT inhrelid FROM pg_inherits WHERE inhparent = 'cold_storage.candles'::regclass) AS parts (part)"
    ).fetchall()
    return int(size)


def main() -> int:
    """Parse the command line and measure; 0 when the budgets are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4, help="pairs of the year; 20 take some minutes")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    settings = load()
    with stage(kafka=False) as one, one.connect() as connection:
        moved = move(connection, arguments.runs)
        kept = keep(connection, settings if settings.test_community_url else None, arguments.pairs)
    print(f"budget: >= {_BUDGET:,} rows/s, >= {_SAVED_PERCENT:.0f} % less: {'kept' if moved and kept else 'MISSED'}")
    return 0 if moved and kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
