"""`close_candles` looks at what is new only, and closes what became known by it, whatever else that rests on."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from cryptoviz.candles.repair import begin_again, repair
from cryptoviz.candles.settle import settle, settle_open
from cryptoviz.pairs import Timeframe, floor
from cryptoviz.storage.queries import query

pytestmark = pytest.mark.services

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NOW = datetime.now(UTC)
OPEN = "select timeframe, window_start from candles where not closed and window_end <= now() and timeframe = any (%s)"


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own moment: the files before it may take longer than the minutes it looks back."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", datetime.now(UTC))


def trade(connection: psycopg.Connection, number: int, at: datetime, exchange: str = "kraken") -> datetime:
    connection.execute(
        "insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)"
        " values (%s, %s, 'ADA/USD', %s, 100, 1, 'buy')", [at, exchange, number],
    )  # fmt: skip
    return at


def refresh(connection: psycopg.Connection, instants: Iterable[datetime], exchange: str = "kraken") -> None:
    at = list(instants)
    connection.execute(
        "select count(*) from refresh_candles(array_fill(%s::text, array[%s]),"
        " array_fill('ADA/USD'::text, array[%s]), %s)",
        [exchange, len(at), len(at), at],
    )


def candle(
    connection: psycopg.Connection, start: datetime, timeframe: Timeframe, figures: tuple, *, closed: bool, source: str
) -> None:
    connection.execute(
        "insert into candles (exchange, symbol, window_start, window_end, timeframe, open, high, low, close, volume,"
        " trade_count, closed, source) values ('kraken', 'ADA/USD', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [start, start + timeframe.length, timeframe.value, *figures, closed, source],
    )


def fetch(connection: psycopg.Connection, start: datetime, *figures: float) -> None:
    """The exchange gives a minute and counts no trades: open, high, low, close and volume."""
    connection.execute(
        "select count(*) from store_fetched_candles('kraken', 'ADA/USD', '1m', array[%s::timestamptz],"
        " array[%s::numeric],"
        " array[%s::numeric], array[%s::numeric], array[%s::numeric], array[%s::numeric], array[0::bigint])",
        [start, *figures],
    )


def test_a_hole_in_the_ids_is_looked_at_once_and_not_with_all_that_was_before(writer: psycopg.Connection) -> None:
    # A trade each 4 seconds for 23 hours; of three hours ago five are missing, and so is one of 20 minutes ago.
    writer.execute(
        "insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side, received_at)"
        " select %(now)s - n * interval '4 seconds', 'kraken', 'ADA/USD', 30000 - n, 100, 1, 'buy',"
        " %(now)s - n * interval '4 seconds' from generate_series(1, 20700) n"
        " where n not between 2700 and 2704 and n <> 300", {"now": NOW},
    )  # fmt: skip
    writer.execute("select cover_trades('kraken', 'ADA/USD', %s, %s)", [NOW - 24 * HOUR, NOW - MINUTE])
    writer.execute("update trade_coverage set received_at = until")
    candle(
        writer,
        NOW - 24 * HOUR - 3 * MINUTE,
        Timeframe.D1,
        (100, 100, 100, 100, 1, 1),
        closed=False,
        source="stream",
    )
    # Whoever has nothing new to look at still looks between the last trades.
    assert rows_read(writer) < 1000
    assert writer.execute("select count(*) from trade_coverage").fetchone() == (3,)
    assert rows_read(writer) < 1000

    trade(writer, 30000 - 300, NOW - 1200 * SECOND)
    rows_read(writer)
    assert writer.execute("select count(*) from trade_coverage").fetchone() == (2,)


def rows_read(connection: psycopg.Connection) -> int:
    """How many rows a call of `close_candles` reads."""
    with connection.transaction():
        counted = "select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) from pg_stat_xact_user_tables"
        before = connection.execute(counted).fetchone()
        connection.execute("select count(*) from close_candles()")
        after = connection.execute(counted).fetchone()
    assert before is not None
    assert after is not None
    return int(after[0] - before[0])


def test_a_window_of_fetched_minutes_and_trades_is_closed_when_it_is_known(writer: psycopg.Connection) -> None:
    end = floor(datetime.now(UTC), Timeframe.M5)
    for number in range(2):
        fetch(writer, end - (5 - number) * MINUTE, 101, 102, 100, 101, 3)
    # The third minute is fetched, too: collecting began within it.
    fetch(writer, end - 3 * MINUTE, 101, 102, 100, 101, 3)
    at = end - 2 * MINUTE - 30 * SECOND
    live = [trade(writer, number, at + number * 10 * SECOND) for number in range(17)]
    refresh(writer, live)
    writer.execute("select count(*) from close_candles()")
    whole = "select closed, volume, close from candles where timeframe = '5m' and window_start = %s"
    assert writer.execute(whole, [end - 5 * MINUTE]).fetchone() == (True, 9 + 12, 100)


def test_late_trades_close_windows_of_fetched_minutes_too(writer: psycopg.Connection) -> None:
    start = floor(NOW - 3 * HOUR, Timeframe.H1)
    for number in range(22):
        fetch(writer, start + number * MINUTE, 101, 102, 100, 101, 3)
    at = start + 21 * MINUTE + 30 * SECOND
    refresh(writer, [trade(writer, number, at + number * 10 * SECOND) for number in range(300)])
    writer.execute("select count(*) from close_candles()")
    kept = writer.execute(OPEN, [["5m", "15m", "1h"]]).fetchall()
    # Of the last minute nobody knows yet what is behind its last trade.
    last = at + 299 * 10 * SECOND
    assert {(timeframe, start) for timeframe, start in kept} == {
        (timeframe.value, floor(last, timeframe)) for timeframe in (Timeframe.M5, Timeframe.M15, Timeframe.H1)
    }


def test_a_thin_pairs_windows_are_closed_by_its_next_trade(writer: psycopg.Connection) -> None:
    for number, ago in enumerate((195, 130, 65)):
        trade(writer, number, NOW - ago * MINUTE)
    # So it was when the second had come.
    writer.execute("select cover_trades('kraken', 'ADA/USD', %s, %s)", [NOW - 195 * MINUTE, NOW - 131 * MINUTE])
    writer.execute("update trade_coverage set until = %s", [NOW - 130 * MINUTE])
    traded = floor(NOW - 130 * MINUTE, Timeframe.M1)
    candle(writer, traded, Timeframe.M1, (100, 100, 100, 100, 1, 1), closed=False, source="stream")
    # Its minute has ended, so that the pair waits.
    newest = floor(NOW, Timeframe.M1) - MINUTE
    refresh(writer, [trade(writer, 3, newest)])
    writer.execute("select count(*) from close_candles()")
    assert writer.execute("select closed from candles where window_start = %s", [traded]).fetchone() == (True,)


def whole(connection: psycopg.Connection) -> tuple | None:
    return connection.execute(
        "select open, high, low, close, volume, trade_count, closed from candles where timeframe = '5m'"
    ).fetchone()


@pytest.mark.parametrize("archived", [False, True])
def test_what_comes_when_the_minutes_have_left_replaces_no_closed_candle(
    writer: psycopg.Connection, *, archived: bool
) -> None:
    start, figures = floor(NOW - 5 * HOUR, Timeframe.M5), (100, 120, 90, 110, 50, 0)
    candle(writer, start, Timeframe.M5, figures, closed=True, source="stream")
    if archived:
        # Then it may rest on trades that were all stored once.
        writer.execute(
            "insert into trade_coverage (exchange, pair, since, until) values ('kraken', 'ADA/USD', %s, %s)",
            [start - HOUR, start + HOUR],
        )
        writer.execute(
            "insert into archive_files (subject, exchange, symbol, timeframe, since, until, path, rows,"
            " first_at, last_at,"
            " bytes, sha256, schema_version) values"
            " ('candles', 'kraken', 'ADA/USD', '1m', %s, %s, 'a', 5, %s, %s, 1,"
            " repeat('0', 64), 1)",
            [start - HOUR, start + HOUR, start, start + 4 * MINUTE],
        )
    fetch(writer, start + MINUTE, 101, 102, 100, 101, 3)
    assert whole(writer) == (*figures, True)
    refresh(writer, [trade(writer, 77, start + 2 * MINUTE)])
    assert whole(writer) == (*figures, True)
    for reopen in (False, True):
        settle(writer, "kraken", "ADA/USD", start, start + HOUR, reopen=reopen)
        assert whole(writer) == (*figures, True)


def test_what_is_known_whole_replaces_a_closed_candle_of_more(writer: psycopg.Connection) -> None:
    start = floor(NOW - 5 * HOUR, Timeframe.M5)
    candle(writer, start, Timeframe.M5, (100, 120, 90, 110, 50, 9), closed=True, source="stream")
    for number in range(5):
        fetch(writer, start + number * MINUTE, 101, 102, 100, 101, 3)
    assert whole(writer) == (101, 102, 100, 101, 15, 0, True)


def test_the_check_fails_when_nobody_closes_candles(writer: psycopg.Connection) -> None:
    at = NOW - 9 * MINUTE
    refresh(writer, [trade(writer, number, at + number * 10 * SECOND) for number in range(50)])
    checked = "select unclosed > 0 from checked"
    check = f"with checked as ({query('check_closed_candles')}) {checked}"
    assert writer.execute(check).fetchone() == (True,)
    writer.execute("select count(*) from close_candles()")
    assert writer.execute(check).fetchone() == (False,)


@pytest.mark.parametrize("nightly", [False, True])
def test_hours_whose_writer_was_killed_become_a_day(writer: psycopg.Connection, *, nightly: bool) -> None:
    day = floor(NOW - 5 * 24 * HOUR, Timeframe.D1)
    for number in range(24):
        candle(writer, day + number * HOUR, Timeframe.H1, (1, 1, 1, 1, 1, 1), closed=True, source="rest")
    if nightly:
        assert settle_open(writer)["made"] == 1
        assert settle_open(writer).total() == 0
    else:
        begin_again(writer)
        assert sum(done.found["made"] for done in repair(writer)) == 1
    made = "select closed, volume from candles where timeframe = '1d'"
    assert writer.execute(made).fetchone() == (True, 24)
