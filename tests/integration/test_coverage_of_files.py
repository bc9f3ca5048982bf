"""Where the ids of an exchange leave numbers out, what is known of its trades is what the imported files reach over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest

from cryptoviz.candles.settle import settle_open
from cryptoviz.imports.files import files
from cryptoviz.imports.layouts import Kind
from cryptoviz.imports.run import ImportRequest, import_file
from cryptoviz.quarantine import discard, open_ids
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query

pytestmark = pytest.mark.services

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TRADES = ImportRequest(Kind.TRADES, "bitstamp", "BTC/USD")


def imported(
    settings: Settings, path: Path, seconds: Iterable[int], *, wrong: int | None = None, ids: bool = True
) -> None:
    """A file of trades so many seconds after noon, with every third id; the one of second `wrong` has no volume."""
    rows = ["timestamp,trade_id,price,volume,side" if ids else "timestamp,price,volume"]
    for second in seconds:
        at, volume = int((NOON + second * SECOND).timestamp()), 0 if second == wrong else 1
        rows.append(f"{at},{1003 + 3 * second},100,{volume},buy" if ids else f"{at},100,{volume}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    writer = partial(connect, Role.WRITER, settings, autocommit=True)
    for file in files([str(path)]):
        outcome = import_file(file, TRADES, writer, lambda _count, _share: None)
        assert not outcome.became.failed, outcome.reason


def closed(connection: psycopg.Connection, timeframe: str) -> list[datetime]:
    found = connection.execute(
        "select window_start from candles where timeframe = %s and closed order by 1", [timeframe]
    )
    return [start for (start,) in found]


def coverage(connection: psycopg.Connection) -> list[tuple[datetime, datetime]]:
    return connection.execute("select since, until from trade_coverage order by 1").fetchall()


def test_a_file_is_known_between_its_first_and_its_last_trade(
    database: Settings, writer: psycopg.Connection, tmp_path: Path
) -> None:
    # A file begins and ends in the middle of a minute; of 12:30 there are no trades for five minutes.
    imported(database, tmp_path / "january.csv", [n for n in range(-30, 7_230) if not 1_800 <= n < 2_100])
    assert coverage(writer) == [(NOON - 30 * SECOND, NOON + 7_229 * SECOND)]
    traded = [NOON + n * MINUTE for n in range(120) if not 30 <= n < 35]
    assert closed(writer, "1m") == traded, "the minutes at both ends may have begun before or gone on after"
    assert closed(writer, "5m") == traded[::5]
    assert closed(writer, "15m") == [NOON + n * 15 * MINUTE for n in range(8)]
    assert closed(writer, "1h") == [NOON, NOON + HOUR]
    assert closed(writer, "1d") == []
    before = writer.execute("select xmin, ctid from candles order by 2").fetchall()
    assert settle_open(writer).total() == 0
    assert writer.execute("select xmin, ctid from candles order by 2").fetchall() == before

    month = int(31 * DAY / SECOND)
    imported(database, tmp_path / "february.csv", range(month, month + 150))
    assert coverage(writer)[1:] == [(NOON + month * SECOND, NOON + (month + 149) * SECOND)]
    assert closed(writer, "1m") == [*traded, NOON + month * SECOND + MINUTE]
    assert writer.execute(
        "select count(*) from known_windows('bitstamp', 'BTC/USD', '1d', %s, %s) where known_minutes > 120",
        [NOON, NOON + 31 * DAY],
    ).fetchone() == (0,)


def test_a_file_with_an_undecided_row_is_not_known(
    database: Settings, writer: psycopg.Connection, tmp_path: Path
) -> None:
    imported(database, tmp_path / "january.csv", range(600), wrong=200)
    assert coverage(writer) == []
    assert settle_open(writer).total() == 0
    assert closed(writer, "1m") == []
    discard(writer, open_ids(writer, "trades_import"), "ada")
    settle_open(writer)
    assert coverage(writer) == [(NOON, NOON + 599 * SECOND)]
    assert closed(writer, "1m") == [NOON + n * MINUTE for n in range(1, 9)]


def test_a_file_that_became_candles_says_nothing_of_trades(
    database: Settings, writer: psycopg.Connection, tmp_path: Path
) -> None:
    imported(database, tmp_path / "candles.csv", range(600), ids=False)
    writer.execute("select settle_coverage('bitstamp', 'BTC/USD', %s, %s, 1000)", [NOON, NOON + HOUR])
    assert coverage(writer) == []


def test_the_stream_looks_at_no_ids_that_leave_numbers_out(writer: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    for exchange in ("kraken", "bitstamp"):
        writer.execute(
            "insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)"
            " select %s - n * interval '1 second', %s, 'BTC/USD', 1000 - n, 100, 1, 'buy'"
            " from generate_series(1, 300) n", [now, exchange],
        )  # fmt: skip
        writer.execute("select count(*) from look_at_trades(%s, 'BTC/USD', %s)", [exchange, now - 10 * MINUTE])
    assert writer.execute("select distinct exchange from trade_coverage").fetchall() == [("kraken",)]
    # Minutes that nobody looks at are open for a good reason: they are no fault of whoever closes candles.
    writer.execute("delete from trade_coverage")
    for exchange in ("kraken", "bitstamp"):
        writer.execute(
            "select count(*) from refresh_candles(array_fill(%s::text, array[5]),"
            " array_fill('BTC/USD'::text, array[5]), %s)",
            [exchange, [now - n * MINUTE for n in range(1, 6)]],
        )
    writer.execute("delete from trade_coverage")
    unclosed = {row[0]: row[4] for row in writer.execute(query("check_closed_candles"))}
    assert unclosed["kraken"] > 0
    assert unclosed["bitstamp"] == 0
