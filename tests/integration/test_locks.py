"""The stream never waits for more than one small piece of batch work, and what is killed between two pieces goes on."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from cryptoviz.backfill import publish as publishing
from cryptoviz.backfill.publish import Batch, publish, resume_left, stage
from cryptoviz.candles import settle
from cryptoviz.candles.indicators import refresh
from cryptoviz.candles.rebuild import rebuild
from cryptoviz.candles.settle import settle_day, update_coverage
from cryptoviz.gaps.healing import heal_candles
from cryptoviz.gaps.healing_run import HealingRun
from cryptoviz.gaps.tables import record_candle_gaps
from cryptoviz.imports.files import files
from cryptoviz.imports.layouts import Kind
from cryptoviz.imports.run import ImportOutcome, ImportRequest, ImportResult, import_file
from cryptoviz.pairs import Series, Timeframe, floor
from cryptoviz.quarantine import release
from cryptoviz.records import Candle
from cryptoviz.retention.tiering import tier
from cryptoviz.settings import Role, Settings
from cryptoviz.storage import pieces
from cryptoviz.storage.database import connect
from tests.integration.simulated_history import SimulatedHistory

pytestmark = pytest.mark.services

Connection = psycopg.Connection[Any]
NOW = datetime.now(UTC)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PIECE = pieces.LEAST
"""On a machine as slow as these tests say theirs is no piece has more rows,"""
FIRST = pieces.Pace().rows
"""but for the first: nobody knows yet how slow it is."""


@pytest.fixture
def database(module_database: Settings) -> Settings:
    """One database for all tests of this file: each has a series of its own."""
    return module_database


@pytest.fixture
def other(database: Settings) -> Iterator[Connection]:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        yield connection


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine so slow that a piece is as small as it may be."""
    monkeypatch.setattr(pieces, "HELD_S", 1e-9)


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def made(pair: str, timeframe: Timeframe = Timeframe.M1) -> tuple[Series, SimulatedHistory]:
    return Series("binance", pair, timeframe), SimulatedHistory("binance", [pair], rate=0.05)


def staged(connection: Connection, batch: Batch, since: datetime, until: datetime) -> list[Candle]:
    rows = SimulatedHistory("binance", [batch.series.pair], rate=0.05).candles(batch.series, since, until)
    stage(connection, batch, rows)
    return rows


def value(connection: Connection, statement: str, *values: Any) -> Any:
    [(found,)] = connection.execute(statement, values).fetchall()  # type: ignore[arg-type]
    return found


def together(connection: Connection, series: Series, table: str = "candles") -> int:
    """The most rows of a series that one transaction wrote."""
    return int(value(
        connection,
        f"select max(rows) from (select count(*) as rows from {table} where symbol = %s and timeframe = %s"
        " group by xmin::text) as transactions",
        series.pair, series.timeframe,
    ))  # fmt: skip


def stored(connection: Connection, series: Series) -> list[datetime]:
    found = connection.execute(
        "select window_start from all_candles where symbol = %s and timeframe = %s and source = 'rest' order by 1",
        [series.pair, series.timeframe],
    )
    return [start for (start,) in found]


def free(connection: Connection) -> bool:
    """Whether the stream could write candles at this moment."""
    with connection.transaction():
        return bool(value(
            connection, "select pg_try_advisory_xact_lock_shared(hashtextextended('cryptoviz:candles', 0))"
        ))  # fmt: skip


def until_it_waits(connection: Connection, work: Future[Any]) -> None:
    """Wait until somebody else waits for an advisory lock."""
    waits = (
        "select exists (select from pg_stat_activity where datname = current_database() and wait_event = 'advisory')"
    )
    while not value(connection, waits):
        assert not work.done(), work.result()


@contextmanager
def holding(connection: Connection, statement: str, *values: Any) -> Iterator[None]:
    """Hold a lock in the block."""
    with connection.transaction():
        connection.execute(statement, values)  # type: ignore[arg-type]
        yield


def test_a_batch_is_published_in_pieces_and_the_stream_writes_between_them(
    database: Settings, writer: Connection, other: Connection, background: ThreadPoolExecutor
) -> None:
    series, _ = made("BTC/USDT")
    batch, done, seen = Batch("test", series), threading.Event(), list[int]()
    rows = staged(writer, batch, MIDNIGHT, MIDNIGHT + 15 * HOUR)

    def streaming() -> None:
        while not done.is_set():
            with other.transaction():
                other.execute("select lock_series(array['binance'], array['ETH/USDT'])")
                seen.append(value(other, "select count(*) from candles where symbol = 'BTC/USDT' and timeframe = '1m'"))

    stream = background.submit(streaming)
    try:
        published = publish(writer, batch, "run", "asset")
    finally:
        done.set()
    stream.result()
    assert published.changed["1m"] == len(rows)
    assert stored(writer, series) == [row.window_start for row in rows]
    sizes = [later - earlier for earlier, later in itertools.pairwise(seen) if later > earlier]
    assert max(sizes[1:]) <= PIECE, "no transaction of the stream waited for two pieces"
    assert len(sizes) >= (len(rows) - FIRST) // PIECE
    assert together(writer, series) <= FIRST


def test_of_hours_only_the_hours_come_back_from_the_cold_table(writer: Connection) -> None:
    minutes, _ = made("SOL/USDT")
    old = MIDNIGHT - 200 * DAY
    rows = staged(writer, Batch("test", minutes), old, old + DAY)
    publish(writer, Batch("test", minutes), "run", "asset")
    moved = sum(one.rows for one in tier(writer, batch=500))
    cold = "select count(*) from cold_storage.candles where symbol = 'SOL/USDT' and timeframe = %s"
    assert moved >= len(rows) + 288 + 96 + 24
    assert together(writer, minutes, "cold_storage.candles") <= 500
    hours, _ = made("SOL/USDT", Timeframe.H1)
    staged(writer, Batch("test", hours), old, old + 12 * HOUR)
    changed = publish(writer, Batch("test", hours), "run", "asset").changed
    assert changed == {"1h": 12}
    assert [value(writer, cold, timeframe) for timeframe in ("1m", "5m", "15m", "1h")] == [1440, 288, 96, 12]
    assert value(writer, "select count(*) from all_candles where symbol = 'SOL/USDT' and timeframe = '1h'") == 24


@pytest.mark.parametrize(
    ("lock", "pair"),
    [
        ("select lock_gaps('binance', 'ADA/USDT', '1m')", "ADA/USDT"),
        ("select lock_tiering(false)", "DOT/USDT"),
        ("select pg_advisory_xact_lock(hashtextextended('cryptoviz:batch', 0))", "XRP/USDT"),
    ],
)
def test_whoever_waits_for_another_batch_work_keeps_nothing_that_the_stream_wants(
    database: Settings, writer: Connection, other: Connection, background: ThreadPoolExecutor, lock: str, pair: str
) -> None:
    series, source = made(pair)
    rows = staged(writer, Batch("test", series), MIDNIGHT, MIDNIGHT + HOUR)
    with connect(Role.WRITER, database, autocommit=True) as third:
        with holding(other, lock):
            work = background.submit(publish, writer, Batch("test", series), "run", "asset")
            until_it_waits(third, work)
            assert free(third)
        work.result()
        assert stored(third, series) == [row.window_start for row in rows]
        third.execute("delete from candles where symbol = %s and window_start > %s", [pair, MIDNIGHT + 30 * MINUTE])
        record_candle_gaps(third, series, MIDNIGHT, MIDNIGHT + HOUR)
        with holding(other, lock):
            healed = background.submit(lambda: list(heal_candles(HealingRun(writer, source), ["binance"])))
            until_it_waits(third, healed)
            assert free(third)
        healed.result()


def test_who_wants_the_tiers_alone_lets_others_pass_while_he_waits(
    database: Settings, writer: Connection, other: Connection, background: ThreadPoolExecutor
) -> None:
    with connect(Role.WRITER, database, autocommit=True) as third:
        with holding(other, "select lock_tiering(true)"):
            moving = background.submit(lambda: list(tier(writer)))
            until_it_waits(third, moving)
            for _ in range(20):
                with third.transaction():
                    third.execute("set local lock_timeout = '1s'")
                    third.execute("select lock_tiering(true)")
            assert not moving.done()
        moving.result()


def killed_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """The process dies after so many pieces."""
    whole, done = pieces.Pace.took, list[float]()

    def took(pace: pieces.Pace, seconds: float) -> None:
        done.append(seconds)
        if len(done) == count:
            raise KeyboardInterrupt
        whole(pace, seconds)

    monkeypatch.setattr(pieces.Pace, "took", took)


def test_killed_between_two_pieces_a_batch_is_finished_and_judged_once(
    writer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    series, _ = made("LTC/USDT")
    batch, settled = Batch("test", series), list[publishing.Published]()
    rows = staged(writer, batch, MIDNIGHT, MIDNIGHT + DAY)
    with monkeypatch.context() as patch:
        killed_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            publish(writer, batch, "killed", "asset LTC", on_published=settled.append)
    assert 0 < len(stored(writer, series)) < len(rows)
    assert settled == []
    more = staged(writer, batch, MIDNIGHT + DAY, MIDNIGHT + DAY + HOUR)
    published = publish(writer, batch, "next", "asset LTC", on_published=settled.append)
    assert published.report is not None
    assert published.report.counts.staged == len(more)
    assert stored(writer, series) == [row.window_start for row in [*rows, *more]]
    assert len(settled) == 1
    assert value(writer, "select count(*) from staged_candles where symbol = 'LTC/USDT'") == 0
    judged = "select array_agg(distinct run order by run) from quality_results where asset = 'asset LTC'"
    assert value(writer, judged) == ["killed", "next"]


def test_what_nobody_goes_on_with_is_published_after_a_while(
    writer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    series, _ = made("UNI/USDT")
    batch = Batch("import of a file", series)
    rows = staged(writer, batch, MIDNIGHT, MIDNIGHT + DAY)
    with monkeypatch.context() as patch:
        killed_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            publish(writer, batch, "killed", "asset")
    assert resume_left(writer, datetime.now(UTC)) == 0, "somebody may be at it"
    assert resume_left(writer, datetime.now(UTC) + HOUR) == 1
    assert stored(writer, series) == [row.window_start for row in rows]
    assert resume_left(writer, datetime.now(UTC) + HOUR) == 0


def imported(settings: Settings, path: Path, asked: ImportRequest) -> ImportResult:
    [file] = files([str(path)])
    return import_file(file, asked, partial(connect, Role.WRITER, settings, autocommit=True), lambda *_: None)


def test_an_import_of_candles_killed_between_two_pieces_counts_every_row_once(
    database: Settings, writer: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series, _ = made("BNB/USDT")
    first = int(MIDNIGHT.timestamp() * 1000)
    path = tmp_path / "BNBUSDT-1m-2024-01-01.csv"
    path.write_text("".join(
        f"{first + n * 60_000},10.5,11.5,9.5,10.{n % 10},1.{n % 7},{first + n * 60_000 + 59_999},1.0,1,1.0,1.0,0\n"
        for n in range(1440)
    ))  # fmt: skip
    asked = ImportRequest(Kind.CANDLES, "binance", series.pair, Timeframe.M1)
    with monkeypatch.context() as patch:
        killed_after(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            imported(database, path, asked)
    assert 0 < len(stored(writer, series)) < 1440
    assert imported(database, path, asked).became is ImportOutcome.IMPORTED
    assert len(stored(writer, series)) == 1440
    counts = "select rows_stored, rows_known, rows_quarantined, status from import_progress where symbol = 'BNB/USDT'"
    assert writer.execute(counts).fetchall() == [(1440, 0, 0, "completed")]
    assert value(writer, "select count(*) from staged_candles where symbol = 'BNB/USDT'") == 0


def test_candles_of_trades_are_made_anew_in_pieces_however_thin_the_market(
    database: Settings, writer: Connection, tmp_path: Path
) -> None:
    first = MIDNIGHT - 40 * DAY
    lines = [
        f"{n},{100 + n % 7}.00,0.001,1,{int((first + n * HOUR).timestamp() * 1_000_000)},{n % 3 == 0},True"
        for n in range(240)
    ]
    path = tmp_path / "ATOMUSDT-trades-2024-01-01.csv"
    path.write_text("\n".join(lines) + "\n")
    assert imported(database, path, ImportRequest(Kind.TRADES, "binance", "ATOM/USDT")).became is ImportOutcome.IMPORTED
    series = Series("binance", "ATOM/USDT", Timeframe.M1)
    count = "select count(*), count(distinct xmin::text) from candles where symbol = 'ATOM/USDT' and timeframe = '1m'"
    [(minutes, transactions)] = writer.execute(count).fetchall()
    assert (minutes, together(writer, series)) == (240, 24)
    assert transactions > 200, "of one day at most, and once the machine is known to be slow, a minute"
    writer.execute("delete from candles where symbol = 'ATOM/USDT'")
    steps = list(rebuild(writer, "binance", ["ATOM/USDT"], first, first + 240 * HOUR))
    assert sum(step.changed["1m"] for step in steps) == 240
    assert all(step.since < step.until <= first + 240 * HOUR for step in steps)
    assert together(writer, series) == 24


def test_rows_in_quarantine_are_released_by_a_transaction_each(writer: Connection) -> None:
    series, source = made("TRX/USDT")
    rows = source.candles(series, MIDNIGHT, MIDNIGHT + 5 * MINUTE)
    ids = [
        value(
            writer,
            "insert into quarantine (subject, key, series, payload, origin, reason, expectation, run)"
            " values ('candles_rest', %s, %s, %s, '{}', 'a test', 'a test', 'run') returning id",
            f"TRX {row.window_start}", f"TRX {row.window_start}", Jsonb(payload(row)),
        )
        for row in rows
    ]  # fmt: skip
    assert [one.done for one in release(writer, ids, "somebody")] == [True] * 5
    assert stored(writer, series) == [row.window_start for row in rows]
    assert together(writer, series) == 1


def payload(row: Candle) -> dict[str, Any]:
    instants = {name: getattr(row, name).isoformat() for name in ("window_start", "window_end", "received_at")}
    numbers = {name: str(getattr(row, name)) for name in ("open", "high", "low", "close", "volume")}
    names = {"exchange": row.exchange, "symbol": row.symbol, "timeframe": row.timeframe.value}
    return {**instants, **numbers, **names, "trade_count": row.trade_count}


def minutes_of_a_day(connection: Connection, pair: str, *, closed: bool) -> None:
    """A day of minutes that were made of trades, all of which are stored."""
    connection.execute(
        """
        insert into candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,
                             trade_count, closed, source)
        select start, start + interval '1 minute', 'binance', %s, '1m', 1, 2, 1, 2, 1, 1, %s, 'stream'
        from generate_series(%s::timestamptz, %s::timestamptz - interval '1 minute', interval '1 minute') start""",
        [pair, closed, MIDNIGHT, MIDNIGHT + DAY],
    )
    connection.execute(
        "insert into trade_coverage (exchange, pair, since, until) values ('binance', %s, %s, %s)",
        [pair, MIDNIGHT - MINUTE, MIDNIGHT + DAY + MINUTE],
    )


def test_a_day_is_looked_over_in_pieces_and_goes_on_after_a_kill(
    writer: Connection, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    series, found = made("NEO/USDT")[0], Counter[str]()
    minutes_of_a_day(writer, series.pair, closed=False)
    with monkeypatch.context() as patch:
        killed_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            settle_day(writer, "binance", series.pair, MIDNIGHT, within=found.update)
    left = "select count(*) from candles where symbol = 'NEO/USDT' and not closed"
    assert value(other, left) == 1440 - found["closed"] > 0
    settle_day(writer, "binance", series.pair, MIDNIGHT, within=found.update)
    assert found == {"closed": 1440, "made": 288 + 96 + 24 + 1, "corrected": 0, "reopened": 0, "differing": 0}
    assert together(writer, series) <= FIRST
    assert together(writer, made(series.pair, Timeframe.M5)[0]) <= FIRST // 5


def test_where_nothing_differs_the_look_over_a_day_waits_for_nobody(writer: Connection, other: Connection) -> None:
    minutes_of_a_day(writer, "VET/USDT", closed=True)
    settle_day(writer, "binance", "VET/USDT", MIDNIGHT)
    with holding(other, "select lock_candles()"):
        writer.execute("set lock_timeout = '1s'")
        assert settle_day(writer, "binance", "VET/USDT", MIDNIGHT).total() == 0
    writer.execute("update candles set closed = false where symbol = 'VET/USDT' and timeframe = '1h'")
    assert settle_day(writer, "binance", "VET/USDT", MIDNIGHT) == Counter(closed=24)


def test_the_ids_of_a_busy_hour_are_looked_at_in_pieces(writer: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.execute(
        """
        insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)
        select %s::timestamptz + number / 4 * interval '1 second', 'binance', 'IOTA/USDT', number, 1, 1, 'buy'
        from generate_series(0, 9999) number""",
        [MIDNIGHT],
    )
    monkeypatch.setattr(settle, "_TRADES", 2_000)
    done, took = list[float](), pieces.Pace.took
    monkeypatch.setattr(pieces.Pace, "took", lambda pace, seconds: (done.append(seconds), took(pace, seconds)))
    update_coverage(writer, "binance", "IOTA/USDT", MIDNIGHT, MIDNIGHT + HOUR)
    assert len(done) >= (10_000 - 2_000) // 1_000, "2,000 trades, and once the machine is known to be slow, 1,000"
    covered = "select since, until from trade_coverage where pair = 'IOTA/USDT'"
    assert writer.execute(covered).fetchall() == [(MIDNIGHT, MIDNIGHT + timedelta(seconds=2499))]


def test_candles_that_somebody_writes_are_closed_the_next_time(writer: Connection, other: Connection) -> None:
    insert = """
        insert into candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,
                             trade_count, closed, source)
        values (%s, %s, 'binance', 'XLM/USDT', '1m', 1, 1, 1, 1, 1, 1, false, 'stream')"""
    first = NOW.replace(second=0, microsecond=0) - 5 * MINUTE
    for number in range(2):
        writer.execute(insert, [first + number * MINUTE, first + (number + 1) * MINUTE])
    writer.execute(
        "insert into trade_coverage (exchange, pair, since, until) values ('binance', 'XLM/USDT', %s, %s)",
        [first - MINUTE, first + 3 * MINUTE],
    )
    closed = "select array_agg(window_start order by 1) from close_candles() where symbol = 'XLM/USDT'"
    with holding(other, "update candles set volume = 2 where symbol = 'XLM/USDT' and window_start = %s", first):
        writer.execute("set lock_timeout = '5s'")
        assert value(writer, closed) == [first + MINUTE]
    assert value(writer, closed) == [first]


def test_a_chunk_that_is_being_read_is_dropped_later_and_nobody_waits_behind_that(
    database: Settings, writer: Connection, other: Connection, background: ThreadPoolExecutor
) -> None:
    if value(writer, "select edition()") == "plain":
        pytest.skip("one table, no chunks")
    old = NOW - 400 * DAY
    trade = """
        insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)
        values (%s, 'binance', 'EOS/USDT', %s, 1, 1, 'buy')"""
    writer.execute(trade, [old, 1])
    writer.execute("delete from trade_data where pair = 'EOS/USDT'")
    dropping = "select drop_empty_chunks('trade_data', %s)"
    with connect(Role.WRITER, database, autocommit=True) as third:
        with holding(other, "select count(*) from trade_data where timestamp < %s", old + DAY):
            work = background.submit(value, writer, dropping, old + 30 * DAY)
            waits = "select exists (select from pg_stat_activity where query like %s and wait_event is not null)"
            while not value(third, waits, "select drop_empty_chunks%"):
                assert not work.done(), work.result()
            for number in range(20):
                with third.transaction():
                    third.execute("set local lock_timeout = '1s'")
                    third.execute("select count(*) from trade_data where pair = 'EOS/USDT'")
                    third.execute(trade, [NOW, 10 + number])
            assert not work.done()
        assert work.result() == 1


def test_everything_at_once_ends_without_a_deadlock(
    database: Settings, writer: Connection, other: Connection, background: ThreadPoolExecutor
) -> None:
    """Two that publish, tiers, indicators and the stream, on the same series."""
    old = NOW - 8 * DAY
    start = floor(old, Timeframe.D1)
    batches = [
        Batch(f"test {number}", made("DASH/USDT", frame)[0])
        for number, frame in enumerate((Timeframe.M1, Timeframe.H1))
    ]
    rows = [staged(writer, batch, start, start + DAY) for batch in batches]
    deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
    before, done = value(writer, deadlocks), threading.Event()

    def publishing_(batch: Batch) -> None:
        with connect(Role.WRITER, database, autocommit=True) as connection:
            publish(connection, batch, "run", "asset")

    def keeping() -> None:
        while not done.is_set():
            list(tier(other, batch=200))
            refresh(other, 5)

    with ThreadPoolExecutor(4) as pool:
        keeper = pool.submit(keeping)
        work = [pool.submit(publishing_, batch) for batch in batches]
        minutes = [start + number * HOUR for number in range(24)]
        late = "select count(*) from refresh_candles(%s, %s, %s::timestamptz[])"
        try:
            while not all(one.done() for one in work):
                with writer.transaction():
                    writer.execute(late, [["binance"] * 24, ["DASH/USDT"] * 24, minutes])
        finally:
            done.set()
        for one in (*work, keeper):
            one.result()
    assert value(writer, deadlocks) == before
    for batch, expected in zip(batches, rows, strict=True):
        assert stored(writer, batch.series) == [row.window_start for row in expected]
    twice = """
        select count(*) from (
            select from all_candles where symbol = 'DASH/USDT' group by timeframe, window_start having count(*) > 1
        ) doubled"""
    assert value(writer, twice) == 0
