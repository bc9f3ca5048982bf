"""Archives come in exactly once, whatever is killed, doubled, wrong or there already."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import pyarrow as pa
import pytest

from cryptoviz import cli
from cryptoviz.backfill import publish
from cryptoviz.candles.fetched import store
from cryptoviz.candles.settle import settle_open
from cryptoviz.exchanges.candles import build
from cryptoviz.gate import engine, suites
from cryptoviz.imports import chunks as pieces
from cryptoviz.imports import held, windows
from cryptoviz.imports.files import files
from cryptoviz.imports.gate import Judge
from cryptoviz.imports.layouts import Kind
from cryptoviz.imports.progress import ImportProgress
from cryptoviz.imports.run import ImportOutcome, ImportRequest, ImportResult, import_file
from cryptoviz.imports.trades import TradesImport
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.quarantine import discard, open_ids, release
from cryptoviz.records import Candle
from cryptoviz.settings import PREFIX, Role, Settings
from cryptoviz.storage import pieces as storage_pieces
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query

pytestmark = pytest.mark.services

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
TRADES = ImportRequest(Kind.TRADES, "binance", "BTC/USDT")


def nothing(count: int, share: float) -> None:
    """Told of every part, for nobody."""


def run(settings: Settings, path: Path, asked: ImportRequest = TRADES) -> list[ImportResult]:
    writer = partial(connect, Role.WRITER, settings, autocommit=True)
    return [import_file(file, asked, writer, nothing) for file in files([str(path)])]


def lines(count: int, *, first: int = 1, step: float = 0.5) -> list[str]:
    """Trades of Binance's archive, `step` seconds apart, from noon on."""
    return [
        f"{number},{100 + number % 7}.{number % 10}0,0.00{number % 9 + 1},1,"
        f"{int((NOON + number * timedelta(seconds=step)).timestamp() * 1_000_000)},{number % 3 == 0},True"
        for number in range(first, first + count)
    ]


def written(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def ask(database: Settings) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        yield lambda statement, *values: connection.execute(statement, values).fetchall()


STORED = 'SELECT trade_id, "timestamp", price::text, volume::text, side FROM trade_data ORDER BY trade_id'
CANDLES = """
SELECT timeframe, window_start, open, high, low, close, volume, trade_count, closed, source
FROM candles ORDER BY timeframe, window_start
"""


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "BLOCK_BYTES", 20_000)


def test_trades_are_stored_exactly_with_their_candles(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, small_parts: None
) -> None:
    path = written(tmp_path / "BTCUSDT-trades-2024-01-01.csv", lines(3_000))
    [done] = run(database, path)
    assert (done.became, done.rows.rows, done.rows.stored, done.rows.quarantined) == (
        ImportOutcome.IMPORTED,
        3_000,
        3_000,
        0,
    )
    stored = ask(STORED)
    assert len(stored) == 3_000
    assert stored[0] == (1, NOON + timedelta(seconds=0.5), "101.10", "0.002", "buy")
    assert stored[2][-1] == "sell", "the buyer made the offer"
    candles = ask(CANDLES)
    assert {(row[0], row[-1]) for row in candles} == {(t, "stream") for t in ("1m", "5m", "15m", "1h", "1d")}
    # Whether the file has all trades of its first and last minute nobody can say.
    minutes = [row[1] for row in candles if row[0] == "1m"]
    assert [row[1] for row in candles if row[0] == "1m" and not row[-2]] == [minutes[0], minutes[-1]]
    assert not any(row[-2] for row in candles if row[0] in ("1h", "1d"))
    for timeframe in ("1m", "1d"):
        some = [row for row in candles if row[0] == timeframe]
        assert sum(row[7] for row in some) == 3_000
        assert sum(row[6] for row in some) == sum(Decimal(row[3]) for row in stored)
    minute = [row for row in stored if NOON <= row[1] < NOON + timedelta(minutes=1)]
    prices = [Decimal(row[2]) for row in minute]
    assert next(row[2:6] for row in candles if row[:2] == ("1m", NOON)) == (
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
    )

    [again] = run(database, path)
    assert (again.became, again.rows.rows) == (ImportOutcome.COMPLETE, 0)
    path.write_text(path.read_text() + "\n".join(lines(10, first=3_001)) + "\n")
    [longer] = run(database, path)
    assert (longer.rows.rows, longer.rows.known, longer.rows.stored) == (3_010, 3_000, 10)
    assert sum(row[7] for row in ask(CANDLES) if row[0] == "1d") == 3_010


def test_what_fails_the_gate_is_kept_back_with_its_place_and_the_rest_goes_on(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    rows = lines(200)
    ahead = int((datetime.now(UTC) + timedelta(days=1)).timestamp() * 1000)
    rows[10] = rows[10].replace(",100", ",-100").replace(",10", ",-10", 1)
    rows[20] = f"21,100.0,0,1,{ahead},True,True"
    rows[30] = "31,abc,1,1,1704110400000,True,True"
    rows[40] = "41,1"
    rows[50] = "51,100.0,0,1,1704110400000,True,True"
    rows[60] = rows[59]
    rows[70] = rows[69].replace(",0.00", ",0.01")
    [done] = run(database, written(tmp_path / "t.csv", rows))
    assert (done.became, done.rows.stored, done.rows.known, done.rows.quarantined) == (
        ImportOutcome.IMPORTED,
        193,
        1,
        6,
    )
    held = ask("SELECT origin ->> 'row', expectation, origin ->> 'file', subject, reason FROM quarantine ORDER BY id")
    assert {int(row): name for row, name, *_ in held} == {
        11: "price_above_zero",
        21: "volume_above_zero",
        31: "readable",
        41: "readable",
        51: "volume_above_zero",
        71: "agrees_with_stored",
    }
    assert {(file, subject) for _, _, file, subject, _ in held} == {("t.csv", "trades_import")}
    reasons = {int(row): reason for row, _, _, _, reason in held}
    assert reasons[31] == "price abc is no number."
    assert "made before it was read" in reasons[21], "every reason is told"
    assert "trade 70 is in the file before" in reasons[71]
    failing = ask("SELECT expectation, unexpected_count FROM quality_results WHERE NOT success")
    assert dict(failing) == {
        "price_above_zero": 1,
        "volume_above_zero": 2,
        "made_already": 1,
        "readable": 2,
        "agrees_with_stored": 1,
    }


def test_what_is_stored_wins_and_the_same_trade_in_milliseconds_is_the_same(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        connection.cursor().executemany(
            'INSERT INTO trade_data ("timestamp", exchange, pair, trade_id, price, volume, side)'
            " VALUES (%s, 'binance', 'BTC/USDT', %s, %s, %s, %s)",
            [
                (NOON + timedelta(milliseconds=500), 1, "101.1", "0.002", "buy"),
                (NOON + timedelta(seconds=1), 2, "999", "0.003", "buy"),
            ],
        )
    rows = lines(100)
    rows[0] = rows[0].replace("500000,", "500789,")
    [done] = run(database, written(tmp_path / "t.csv", rows))
    assert (done.rows.stored, done.rows.known, done.rows.quarantined) == (98, 1, 1)
    assert [row[2] for row in ask(STORED)[:2]] == ["101.1", "999"]
    assert "trade 2 is stored: buy 0.003 at 999" in ask("SELECT reason FROM quarantine")[0][0]


def test_fetched_candles_stay(database: Settings, ask: Callable[..., Any], tmp_path: Path) -> None:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,"
            " volume, closed, source)"
            " VALUES (%(at)s, %(at)s + interval '1 minute', 'binance', 'BTC/USDT', '1m', 1, 2, 1, 2, 3, true, 'rest')",
            {"at": NOON},
        )
    run(database, written(tmp_path / "t.csv", lines(300)))
    minutes = [row for row in ask(CANDLES) if row[0] == "1m"]
    assert [row[-1] for row in minutes] == ["rest", "stream", "stream"]
    assert minutes[0][6] == 3


def test_a_file_that_is_not_what_it_claims_is_refused_and_nothing_of_it_stored(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    wrong = [row.replace(",10", ",-10", 1) for row in lines(100)]
    [done] = run(database, written(tmp_path / "t.csv", wrong))
    assert done.became is ImportOutcome.REFUSED
    assert "100 of 100 rows are at fault; row 1: A price is above zero" in done.reason
    assert ask(STORED) == []
    assert ask("SELECT status, rows_read, error_message FROM import_progress") == [("failed", 0, done.reason)]
    [other] = run(database, written(tmp_path / "ETHUSDT-trades-2024-01.csv", lines(10)))
    assert other.became is ImportOutcome.REFUSED
    assert "its name says ETHUSDT-trades-2024-01, not BTC/USDT" in other.reason
    assert ask(STORED) == []


def test_the_times_that_were_touched_are_looked_at_for_gaps(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    rows = [
        f"{n},100,1,1,{int((today + timedelta(minutes=n)).timestamp() * 1000)},True,True"
        for n in range(300)
        if n not in (100, 101)
    ]
    run(database, written(tmp_path / "t.csv", rows))
    assert ask("SELECT gap_start, missing, label, status FROM candle_gaps WHERE timeframe = '1m'") == [
        (today + timedelta(minutes=100), 2, None, "open")
    ]
    assert ask("SELECT stored, unexplained FROM completeness WHERE timeframe = '1m'") == [(297, 2)]


def environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        f"{PREFIX}DATABASE_URL": settings.database(Role.OWNER),
        f"{PREFIX}DATABASE_WRITER_URL": settings.database(Role.WRITER),
    }


_SLOWLY = """
import sys
from cryptoviz import cli
from cryptoviz.imports import chunks
chunks.BLOCK_BYTES = 100_000
sys.exit(cli.run(sys.argv[1:]))
"""


@pytest.mark.slow
def test_killed_again_and_again_the_end_is_the_same(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    path = written(tmp_path / "BTCUSDT-trades.csv", lines(60_000, step=0.05))
    command = [
        sys.executable,
        "-c",
        _SLOWLY,
        "import",
        "trades",
        "--exchange",
        "binance",
        "--pair",
        "BTC/USDT",
        "--json",
    ]
    for kills in range(1, 4):
        process = subprocess.Popen([*command, str(path)], env=environment(database), stdout=subprocess.DEVNULL)
        while process.poll() is None:
            [(read,)] = ask("SELECT coalesce(max(rows_read), 0) FROM import_progress")
            if read >= kills * 12_000:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        assert process.wait() == -signal.SIGKILL, "it was killed in the middle"
    rows = ask("SELECT count(*) FROM trade_data")[0][0]
    assert rows < 60_000, "or nothing is proved"
    done = subprocess.run([*command, str(path)], env=environment(database), check=True, capture_output=True)
    told = json.loads(done.stdout)
    assert told["files"][0]["became"] == "imported"
    assert told["rows"] == told["stored"] == 60_000 - rows
    assert [(row[0], row[2], row[3]) for row in ask(STORED)] == [
        (int(cells[0]), cells[1], cells[2]) for cells in (line.split(",") for line in path.read_text().split())
    ]
    minutes = [row for row in ask(CANDLES) if row[0] == "1m"]
    assert len(minutes) == 51
    assert sum(row[7] for row in minutes) == 60_000
    assert ask("SELECT status, candles_from FROM import_progress") == [("completed", None)]


def test_candles_that_are_due_are_not_forgotten_by_who_makes_others(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "BTCUSDT-trades.csv", lines(800))
    stored, written_down = threading.Barrier(2, timeout=30), threading.Event()
    publish, make, write = TradesImport._publish, TradesImport._make_candles, ImportProgress.candles_due
    parts = iter(range(9))

    def published(*asked: Any) -> Any:
        number, became = next(parts), publish(*asked)
        if number == 1:
            stored.wait()
            assert written_down.wait(30)
            raise RuntimeError("killed")
        return became

    def made(*asked: Any) -> None:
        stored.wait()
        make(*asked)

    def due(*asked: Any) -> None:
        write(*asked)
        written_down.set()

    with monkeypatch.context() as patched:
        patched.setattr(TradesImport, "_publish", published)
        patched.setattr(TradesImport, "_make_candles", made)
        patched.setattr(ImportProgress, "candles_due", due)
        with pytest.raises(RuntimeError, match="killed"):
            run(database, path)
    assert 0 < sum(row[7] for row in ask(CANDLES) if row[0] == "1m") < len(ask(STORED)), "killed in between"
    run(database, path)
    assert sum(row[7] for row in ask(CANDLES) if row[0] == "1m") == len(ask(STORED)) == 800


def test_a_file_of_which_everything_went_to_quarantine_has_failed_and_says_so(
    database: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(database).items():
        if name.startswith(PREFIX):
            monkeypatch.setenv(name, value)
    header = "date,open,high,low,close,volume"
    rows = [f"{NOON + n * timedelta(minutes=1):%Y-%m-%d %H:%M:%S},1,2,1,2,3" for n in range(20)]
    others = [row.replace(",3", ",4") for row in rows]
    candles = ["import", "candles", "--exchange", "kraken", "--pair", "BTC/USD"]
    assert cli.run([*candles, "--json", str(written(tmp_path / "BTC_USD-1m.csv", [header, *rows]))]) == 0
    [known] = json.loads(capsys.readouterr().out)["files"]
    assert (known["became"], known["stored"], known["note"]) == ("imported", 20, "")
    for _again in range(2):
        assert cli.run([*candles, "--json", str(written(tmp_path / "trades.csv", [header, *others]))]) == 1
        [held] = json.loads(capsys.readouterr().out)["files"]
        assert (held["became"], held["stored"]) == ("quarantined", 0)
        assert "nothing of it was stored: all of its rows, 20, went to quarantine" in held["reason"]
        assert held["note"] == "neither its name nor its folder says BTC/USD: taken as BTC/USD because you named it"
    assert cli.run([*candles, str(tmp_path / "trades.csv")]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "trades.csv: neither its name nor its folder says BTC/USD: taken as BTC/USD because you named it" in out
    with connect(Role.WRITER, database, autocommit=True) as connection:
        discard(connection, open_ids(connection, "candles_import"), "ann")
    assert cli.run([*candles, str(tmp_path / "trades.csv")]) == 0, "it is decided"
    assert cli.run([*candles, str(written(tmp_path / "BTC_USD-1m-2.csv", [header, *rows[:5], *others[5:]]))]) == 0


def test_the_command_says_what_became_of_each_file_and_fails_if_one_was_refused(
    database: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(database).items():
        if name.startswith(PREFIX):
            monkeypatch.setenv(name, value)
    written(tmp_path / "BTCUSDT-trades.csv", lines(20))
    for name in ("ETHUSDT-trades.csv", "BTCARS-trades.csv", "a.csv", "MATIC_USDT-trades.csv"):
        written(tmp_path / name, lines(20))
    common = ["import", "trades", "--exchange", "Binance", "--pair", "btc-usdt"]
    assert cli.run([*common, "--json", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in told["files"] if one["became"] == "imported"] == ["BTCUSDT-trades.csv"]
    assert {one["file"]: one["reason"] for one in told["files"] if one["became"] == "skipped"} == {
        "BTCARS-trades.csv": "BTCARS-trades.csv: its name says BTCARS-trades, not BTC/USDT",
        "ETHUSDT-trades.csv": "ETHUSDT-trades.csv: its name says ETHUSDT-trades, not BTC/USDT",
        "MATIC_USDT-trades.csv": "MATIC_USDT-trades.csv: its name says MATIC_USDT-trades, not BTC/USDT",
        "a.csv": "a.csv: neither its name nor its folder says BTC/USDT; if it is BTC/USDT, name it by hand",
    }
    assert (told["rows"], told["stored"]) == (20, 20)
    written(tmp_path / "BTCUSDT-2.csv", ["what", "is this"])
    assert cli.run([*common, str(tmp_path), str(tmp_path / "BTCUSDT-2.csv")]) == 1
    out = capsys.readouterr().out
    assert "complete already" in out
    assert "left out: 4 files\n  a.csv: neither its name nor its folder says BTC/USDT; if it is BTC/USDT" in out
    assert "  3 whose names say another pair or exchange: BTCARS-trades.csv, ETHUSDT-trades.csv, MATIC_USDT" in out
    assert "BTCUSDT-2.csv has no column for time, price, volume" in out
    assert cli.run([*common, str(tmp_path / "ETH*.csv")]) == 1, "nothing of what was asked for is among them"
    assert "no file is trades of BTC/USDT" in capsys.readouterr().err
    assert cli.run([*common, str(tmp_path / "ETHUSDT-trades.csv")]) == 1
    assert "if it is BTC/USDT of binance all the same, say --pair-anyway" in capsys.readouterr().out
    assert cli.run([*common, "--pair-anyway", "--json", str(tmp_path / "ETHUSDT-trades.csv")]) == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["became"] == "complete already", "it has the same content"
    for wrong, said in ((["--pair", "x"], "BASE/QUOTE"), (["--format", "xls"], "no format"), ([], "there is no file")):
        assert cli.run([*common, *wrong, str(tmp_path / "nothing.csv")]) == 1
        assert said in capsys.readouterr().err


def test_a_file_is_imported_by_one_at_a_time(database: Settings, tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", lines(10))
    [file] = files([str(path)])
    with psycopg.connect(database.database(Role.WRITER), autocommit=True) as other:
        key = f"{file.fingerprint()}|trades|binance|BTC/USDT"
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"import:{key}"])
        [done] = run(database, path)
        assert (done.became, "another process" in done.reason) == (ImportOutcome.REFUSED, True)
    [done] = run(database, path, replace(TRADES, exchange="binance"))
    assert done.rows.stored == 10


CANDLES_OF = ImportRequest(Kind.CANDLES, "kraken", "BTC/USD")
KRAKEN_TRADES = ImportRequest(Kind.TRADES, "kraken", "BTC/USD")


def bars(minutes: Sequence[int], *, length: int = 60) -> list[str]:
    """Candles as Kraken writes them: seconds, open, high, low, close, volume, trades."""
    return [
        f"{int(NOON.timestamp()) + n * length},{100 + n}.5,{102 + n},{99 + n},{101 + n},0.{n + 1}0,{n + 2}"
        for n in minutes
    ]


def test_an_archive_of_many_pairs_and_lengths_gives_what_was_asked_for(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "Kraken_OHLCVT.zip", "w") as archive:
        archive.writestr("XBTUSD_1.csv", "\n".join(bars(range(20))))
        archive.writestr("XBTUSD_60.csv", "\n".join(bars(range(5), length=3_600)))
        archive.writestr("XBTUSD_720.csv", "\n".join(bars(range(5), length=43_200)))
        for other in ("ADAUSD_1", "TUSD_1", "XBTAED_1", "XBTEUR_1", "ETH2.SUSD_1", "SUSD_1"):
            archive.writestr(f"{other}.csv", f"{int(NOON.timestamp())},0.029,0.029,0.029,0.029,1,1\n")
        archive.writestr("futures/XBTUSD_1.csv", f"{int(NOON.timestamp())},44,44,44,44,1,1\n")
    found = run(database, tmp_path / "Kraken_OHLCVT.zip", CANDLES_OF)
    assert {one.file.member.removesuffix(".csv"): one.became for one in found if one.file.member} == {
        **dict.fromkeys(("ADAUSD_1", "TUSD_1", "XBTAED_1", "XBTEUR_1", "ETH2.SUSD_1", "SUSD_1"), ImportOutcome.SKIPPED),
        "futures/XBTUSD_1": ImportOutcome.SKIPPED,
        "XBTUSD_1": ImportOutcome.IMPORTED,
        "XBTUSD_60": ImportOutcome.IMPORTED,
        "XBTUSD_720": ImportOutcome.SKIPPED,
    }
    rows = ask(CANDLES)
    assert len([row for row in rows if row[0] == "1m" and row[-1] == "rest"]) == 20
    assert [row[2:8] for row in rows if row[0] == "1h" and row[-1] == "rest"] == [
        (Decimal(f"{100 + n}.5"), 102 + n, 99 + n, 101 + n, Decimal(f"0.{n + 1}0"), n + 2) for n in range(5)
    ]
    assert {row[-1] for row in rows if row[0] in {"5m", "15m"}} == {"stream"}, "longer ones that nobody gave follow"


def test_minutes_that_kraken_leaves_out_had_no_trades_but_not_where_a_row_is_unreadable(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    rows = bars([0, 1, 5, 6, 9])
    rows.insert(4, "what,is,this,1,2,3,4")
    [done] = run(database, written(tmp_path / "XBTUSD_1.csv", rows), CANDLES_OF)
    assert (done.rows.rows, done.rows.quarantined) == (6, 1)
    minutes = [row for row in ask(CANDLES) if row[0] == "1m"]
    assert [(row[1] - NOON).seconds // 60 for row in minutes] == [0, 1, 2, 3, 4, 5, 6, 9]
    assert [row[2:8] for row in minutes[2:5]] == [(102, 102, 102, 102, 0, 0)] * 3
    held = ask("SELECT origin ->> 'row', origin ->> 'file', expectation, reason FROM quarantine")
    assert held == [("5", "XBTUSD_1.csv", "readable", "time what is no time.")]


def test_candles_that_are_wrong_are_kept_back_with_their_place(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    rows = bars(range(60))
    rows[10] = rows[10].replace(",112,", ",90,")
    rows[20] = rows[20].replace(",119,", ",0,")
    rows[30] = f"{int(NOON.timestamp()) + 30 * 60 + 7},1,1,1,1,1,1"
    rows[40] = rows[39].replace(",140,", ",139.9,")
    rows[50] = rows[49]
    start = (datetime.now(UTC) + timedelta(hours=1)).replace(second=0, microsecond=0)
    rows[59] = f"{int(start.timestamp())},159.5,161,158,160,1,1"
    [done] = run(
        database, written(tmp_path / "kraken.csv", ["time,open,high,low,close,volume,trades", *rows]), CANDLES_OF
    )
    assert not done.reason
    assert (done.became, done.rows.stored, done.rows.known, done.rows.quarantined) == (ImportOutcome.IMPORTED, 54, 1, 5)
    held = ask(
        "SELECT (origin ->> 'row')::int, expectation FROM quarantine WHERE origin ->> 'file' = 'kraken.csv' ORDER BY 1"
    )
    assert dict(held) == {
        11: "high_is_highest",
        21: "price_above_zero",
        31: "window_on_grid",
        41: "agrees_with_stored",
        60: "window_over",
    }


def test_a_fetched_candle_stays_and_a_streamed_one_gives_way(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        for minute, source, low in ((0, "rest", "99.00"), (1, "rest", "77"), (2, "stream", "78")):
            connection.execute(
                "INSERT INTO candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,"
                " volume, trade_count, closed, source)"
                " VALUES (%s, %s, 'kraken', 'BTC/USD', '1m', %s, %s, %s, %s, %s, 2, true, %s)",
                (
                    NOON + timedelta(minutes=minute),
                    NOON + timedelta(minutes=minute + 1),
                    Decimal(f"{100 + minute}.5"),
                    *(102 + minute, Decimal(low), 101 + minute, Decimal(f"0.{minute + 1}")),
                    source,
                ),
            )
    [done] = run(database, written(tmp_path / "XBTUSD_1.csv", bars(range(4))), CANDLES_OF)
    assert (done.rows.stored, done.rows.known, done.rows.quarantined) == (2, 1, 1)
    minutes = [row for row in ask(CANDLES) if row[0] == "1m"]
    assert [(row[4], row[-1]) for row in minutes] == [(99, "rest"), (77, "rest"), (101, "rest"), (102, "rest")]
    assert ask("SELECT window_start, stream_low, rest_low FROM candle_differences") == [
        (NOON + timedelta(minutes=2), 78, 101)
    ]
    [(row, reason)] = ask("SELECT origin ->> 'row', reason FROM quarantine")
    assert (row, "is stored: 101.5, 103, 77" in reason) == ("2", True)


def kraken_trades(count: int) -> list[str]:
    """Trades as Kraken publishes them: seconds, price, volume. Now and then nobody trades for some minutes."""
    return [
        f"{int(NOON.timestamp()) + n * 7 + n // 100 * 250},{100 + n % 13}.{n % 10},0.{n % 9 + 1}0" for n in range(count)
    ]


def test_trades_without_ids_make_candles_only_whenever_it_is_interrupted(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "BLOCK_BYTES", 56_000)
    rows = kraken_trades(2_000)
    path = written(tmp_path / "XBTUSD.csv", rows)

    class KilledError(Exception):
        pass

    def kill(_count: int, share: float) -> None:
        raise KilledError

    writer = partial(connect, Role.WRITER, database, autocommit=True)
    [file] = files([str(path)])
    for _ in range(2):
        with pytest.raises(KilledError):
            import_file(file, KRAKEN_TRADES, writer, kill)
    assert 300 < ask("SELECT rows_read FROM import_progress")[0][0] < 1_500
    [done] = run(database, path, KRAKEN_TRADES)
    assert "no trades stored" in done.reason
    assert ask(STORED) == []
    minutes = {row[1]: row[2:8] for row in ask(CANDLES) if row[0] == "1m"}
    expected: dict[datetime, list[tuple[Decimal, Decimal]]] = {}
    for seconds, price, volume in (row.split(",") for row in rows):
        minute = datetime.fromtimestamp(int(seconds) // 60 * 60, UTC)
        expected.setdefault(minute, []).append((Decimal(price), Decimal(volume)))
    at, close = min(expected), Decimal(0)
    while at <= max(expected):
        if trades := expected.get(at):
            prices = [price for price, _ in trades]
            close = prices[-1]
            made = (prices[0], max(prices), min(prices), close, sum(volume for _, volume in trades), len(trades))
        else:
            made = (close, close, close, close, Decimal(0), 0)
        assert minutes.pop(at) == made, f"{at}"
        at += timedelta(minutes=1)
    assert not minutes
    assert {row[-1] for row in ask(CANDLES) if row[0] == "1m"} == {"rest"}


def test_a_connection_outlives_what_judged_over_it(database: Settings) -> None:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE judged (row_number bigint, unreadable text)")
        connection.execute("INSERT INTO judged VALUES (1, NULL)")
        suite = replace(suites.read("trades_import"), expectations=suites.read("trades_import").expectations[:2])
        with engine.SqlTable(connection, "judged", "row_number") as table:
            assert all(one.outcome.success for one in table.evaluate(suite, 1))
        del table
        gc.collect()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_long_silence_is_stored_in_pieces_and_gone_on_with_in_its_middle(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three days here, years in life: killed after every second piece, and never more of it in memory than a piece."""
    monkeypatch.setattr(windows, "AT_ONCE", 500)
    later = NOON + timedelta(days=3)
    rows = [*kraken_trades(60), *(f"{int(later.timestamp()) + n * 7},90.5,1" for n in range(30))]
    rows.insert(70, f"{int(later.timestamp()) + 70},abc,1")
    [file] = files([str(written(tmp_path / "XBTUSD.csv", rows))])
    writer = partial(connect, Role.WRITER, database, autocommit=True)
    sizes, publish_staged = [], publish.publish

    def counted(*batch: Any, **settings: Any) -> Any:
        sizes.extend(ask("SELECT count(*) FROM staged_candles")[0])
        return publish_staged(*batch, **settings)

    class KilledError(Exception):
        pass

    def kill(_count: int, share: float) -> None:
        shares.append(share)
        if len(shares) % 2 == 0:
            raise KilledError

    monkeypatch.setattr(publish, "publish", counted)
    shares: list[float] = []
    stored = [0]
    while not ask("SELECT FROM import_progress WHERE status = 'completed'"):
        with suppress(KilledError):
            import_file(file, KRAKEN_TRADES, writer, kill)
        stored += ask("SELECT count(*)::int FROM candles WHERE timeframe = '1m'")[0]
    at = [NOON + n * timedelta(minutes=1) for n in range(timedelta(days=3) // timedelta(minutes=1) + 4)]
    del at[-3]  # the minute of the row that cannot be read
    expected = len(at)
    assert stored[:4] == [0, 1_000, 2_000, 3_000], "it goes on where it was"
    assert (stored[-1], max(sizes), sum(sizes)) == (expected, 500, expected), "nothing is made twice"
    minutes = [row for row in ask(CANDLES) if row[0] == "1m"]
    assert [row[1] for row in minutes] == at
    assert len(engine._context().data_sources.all()) <= 1, "nothing is kept of what was judged"
    close = minutes[6][5]
    assert {row[2:8] for row in minutes[7:-3]} == {(close, close, close, close, 0, 0)}
    [progress] = ask("SELECT rows_read, rows_stored, rows_quarantined FROM import_progress")
    assert progress == (len(rows), expected, 1)
    assert ask("SELECT occurrences FROM quarantine") == [(1,)]


def test_real_trades_of_kraken_make_the_candles_that_kraken_makes(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, shared_data: Path
) -> None:
    trades = json.loads((shared_data / "kraken/http_trades.json").read_text(), parse_float=Decimal)["result"]["XBTUSDT"]
    theirs = json.loads((shared_data / "kraken/http_ohlc.json").read_text())["result"]["XBTUSDT"]
    path = written(tmp_path / "XBTUSDT.csv", [f"{int(row[2])},{row[0]},{row[1]}" for row in trades])
    run(database, path, replace(KRAKEN_TRADES, pair="BTC/USDT"))
    ours = {int(row[1].timestamp()): row[2:8] for row in ask(CANDLES) if row[0] == "1m"}
    first, last = int(trades[0][2]) // 60 * 60, int(trades[-1][2]) // 60 * 60
    compared = [row for row in theirs if first < row[0] < last]
    assert len(compared) == len(ours) - 2
    assert sum(row[7] == 0 for row in compared) > 100, "minutes without trades among them"
    for start, *prices, _vwap, volume, count in compared:
        assert ours[start] == (*map(Decimal, prices), Decimal(volume), count)


def test_aggregated_trades_make_candles_that_count_every_trade(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [
        f"{n},{100 + n % 5}.10,0.5,{n * 3},{n * 3 + 2},{int(NOON.timestamp() + n) * 1000},True,True" for n in range(120)
    ]
    [done] = run(database, written(tmp_path / "BTCUSDT-aggTrades-2024-01-01.csv", rows), TRADES)
    assert (done.format, ask(STORED)) == ("binance", [])
    assert [(row[6], row[7]) for row in ask(CANDLES) if row[0] == "1m"] == [(30, 180), (30, 180)]


def test_a_file_that_may_begin_within_a_minute_makes_no_half_candles(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [f"{NOON + timedelta(seconds=30 + n)},100,1" for n in range(180)]
    run(database, written(tmp_path / "t.csv", ["time,price,amount", *rows]), TRADES)
    assert [row[1] for row in ask(CANDLES) if row[0] == "1m"] == [NOON + timedelta(minutes=n) for n in (1, 2)]
    [mixed] = run(database, written(tmp_path / "u.csv", ["time,price,amount", *reversed(rows)]), TRADES)
    assert (mixed.became, "not in the order of their times" in mixed.reason) == (ImportOutcome.REFUSED, True)


@pytest.mark.parametrize(
    ("name", "stored", "quarantined", "timeframe"),
    [
        ("ADABTC-1m-2021-11-27.csv", 10, 0, "1m"),
        ("ADA_BTC-5m.feather", 5_720, 0, "5m"),
    ],
)
def test_real_files_of_candles(
    database: Settings,
    ask: Callable[..., Any],
    shared_data: Path,
    *,
    name: str,
    stored: int,
    quarantined: int,
    timeframe: str,
) -> None:
    asked = ImportRequest(Kind.CANDLES, "binance", "ADA/BTC")
    [done] = run(database, shared_data / "candles" / name, asked)
    assert (done.became, done.rows.stored, done.rows.quarantined) == (ImportOutcome.IMPORTED, stored, quarantined)
    assert ask("SELECT count(*) FROM candles WHERE timeframe = %s AND source = 'rest'", timeframe) == [(stored,)]
    if timeframe == "5m":
        gaps = "SELECT count(*), sum(missing)::int FROM find_candle_gaps('binance', 'ADA/BTC', '5m', %s, %s)"
        assert ask(gaps, done.rows.first, done.rows.last) == [(5, 40)]
        [wrong] = run(database, shared_data / "candles" / name, replace(asked, timeframe=Timeframe.M1))
        assert "its name says 5m, not 1m" in wrong.reason


LISTING = "0.0010,0.3060,0.0010,0.2900"
CRASH = ("46.0,46.0,1.0,1.2", "1.25,1.25,0.000001,0.00001", "0.00001,0.0011,0.000001,0.0002")


@pytest.mark.parametrize(("days", "extreme"), [(13, CRASH), (60, (LISTING,))], ids=["crash", "listing"])
def test_days_that_are_extreme_and_true_are_imported_with_a_warning(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, days: int, extreme: Sequence[str]
) -> None:
    rows = [
        f"{int(NOON.timestamp()) // 86_400 * 86_400 + day * 86_400},"
        f"{extreme[day] if day < len(extreme) else '0.29,0.31,0.27,0.30'},1000,10"
        for day in range(days)
    ]
    [done] = run(database, written(tmp_path / "XBTUSD_1440.csv", rows), CANDLES_OF)
    assert (done.became, done.rows.stored, done.rows.quarantined, done.reason) == (ImportOutcome.IMPORTED, days, 0, "")
    assert ask("SELECT count(*) FROM quarantine") == [(0,)]
    [(first, *_)] = ask(
        "SELECT open, high, low, close FROM candles WHERE timeframe = '1d' ORDER BY window_start LIMIT 1"
    )
    assert first == Decimal(extreme[0].split(",")[0])
    warned = "SELECT severity, unexpected_count FROM quality_results WHERE NOT success AND expectation = 'one_market'"
    assert ask(warned) == [("warning", len(extreme))]


@pytest.mark.parametrize(
    ("extreme", "became", "stored", "held"),
    [(12, ImportOutcome.IMPORTED, 48, 12), (17, ImportOutcome.REFUSED, 0, 0), (60, ImportOutcome.REFUSED, 0, 0)],
)
def test_many_days_that_are_extreme_are_held_back_or_the_file_is_refused(
    database: Settings,
    ask: Callable[..., Any],
    tmp_path: Path,
    extreme: int,
    became: ImportOutcome,
    stored: int,
    held: int,
) -> None:
    day = int(NOON.timestamp()) // 86_400 * 86_400
    rows = [
        f"{day + number * 86_400},{LISTING if number < extreme else '0.29,0.31,0.27,0.30'},1000,10"
        for number in range(60)
    ]
    [done] = run(database, written(tmp_path / "XBTUSD_1440.csv", rows), CANDLES_OF)
    assert (done.became, ask("SELECT count(*) FROM candles WHERE timeframe = '1d'")) == (became, [(stored,)])
    assert ask("SELECT count(*) FROM quarantine WHERE expectation = 'one_market'") == [(held,)]
    assert bool(done.reason) is (became is ImportOutcome.REFUSED)
    assert became is not ImportOutcome.REFUSED or "the high is at most ten times the low" in done.reason, done.reason


def test_what_is_staged_and_is_no_number_is_at_fault(database: Settings) -> None:
    """To PostgreSQL NaN is above zero, and above every other number."""
    with connect(Role.WRITER, database, autocommit=True) as connection:
        connection.execute(query("import_trades_staging"))
        connection.execute(
            "INSERT INTO import_trades (row_number, microseconds, age_s, price, volume) VALUES"
            " (1, 1510000000000000, 60, 'NaN', 1), (2, 1510000000000000, 60, 1, 'Infinity'),"
            " (3, 1510000000000000, 60, '-Infinity', 1), (4, 1510000000000000, 60, 1, NULL),"
            " (5, 1510000000000000, 60, 1, 1)"
        )
        found = Judge(connection, "trades_import", "import_trades").rows(5)
    assert {row: fault.expectation for row, fault in found.faults.items()} == {
        1: "price_is_finite",
        2: "volume_is_finite",
        3: "price_above_zero",
        4: "volume_known",
    }


def test_few_rows_that_are_bad_are_kept_back_one_by_one(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    bad = [row.replace(",0.00", ",-0.00", 1) for row in lines(60)]
    [done] = run(database, written(tmp_path / "BTCUSDT-trades-2024-01-01.csv", [*bad, *lines(20, first=61)]))
    assert (done.became, done.rows.stored, done.rows.quarantined) == (ImportOutcome.IMPORTED, 20, 60)
    assert ask("SELECT expectation, count(*) FROM quarantine GROUP BY 1") == [("volume_above_zero", 60)]


def test_impossible_candles_of_a_real_file_are_found(
    database: Settings, ask: Callable[..., Any], shared_data: Path, tmp_path: Path
) -> None:
    rows = (shared_data / "candles/btc_daily_2013_2025.csv").read_text().splitlines()
    [done] = run(database, written(tmp_path / "daily.csv", [rows[0], *rows[280:320]]), CANDLES_OF)
    assert (done.rows.stored, done.rows.quarantined) == (36, 4)
    found = ask("SELECT (origin ->> 'row')::int + 279, expectation FROM quarantine ORDER BY 1")
    assert found == [(row, "low_is_lowest") for row in (295, 300, 307, 310)]


def test_candles_of_another_length_than_they_claim_are_refused(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    path = written(
        tmp_path / "a.csv",
        ["time,open,high,low,close,volume", *(row.rpartition(",")[0] for row in bars(range(9), length=300))],
    )
    [guessed] = run(database, path, CANDLES_OF)
    assert (guessed.became, guessed.target and guessed.target.timeframe) == (ImportOutcome.IMPORTED, Timeframe.M5)
    longer = [f"{int(NOON.timestamp()) + n * 300},1,1,1,1,1" for n in range(200)]
    [wrong] = run(
        database,
        written(tmp_path / "b.csv", ["time,open,high,low,close,volume", *longer]),
        replace(CANDLES_OF, timeframe=Timeframe.M1),
    )
    assert (wrong.became, "no candles of 1m" in wrong.reason) == (ImportOutcome.REFUSED, True)
    [odd] = run(database, written(tmp_path / "XBTUSD_30.csv", bars(range(3), length=1_800)), CANDLES_OF)
    assert (odd.became, "candles of 30m are not kept" in odd.reason) == (ImportOutcome.REFUSED, True)


def aggregates(rows: Sequence[str], *, first: int = 1) -> list[list[Any]]:
    """Trades of Binance's archive as freqtrade keeps them: three in a row are one, of one price, under another id."""
    found: list[list[Any]] = []
    for number in range(0, len(rows), 3):
        cells = [row.split(",") for row in rows[number : number + 3]]
        volume = sum(Decimal(cell[2]) for cell in cells)
        price = float(cells[0][1])
        found.append(
            [
                int(cells[0][4]) // 1000,
                str(first + number // 3),
                None,
                "buy",
                price,
                float(volume),
                price * float(volume),
            ]
        )
    return found


def runs_of_three(count: int) -> list[str]:
    """Trades of which three each came of one order: one price and side, half a second apart, then a pause."""
    return [
        f"{1_000_000 + n},{100 + n // 3 % 7}.5,0.00{n % 9 + 1},1,"
        f"{int((NOON + n // 3 * timedelta(seconds=1.5)).timestamp() * 1_000_000)},False,True"
        for n in range(count)
    ]


def test_aggregates_that_freqtrade_fetched_make_candles_and_no_trades(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    rows = runs_of_three(900)
    real = written(tmp_path / "BTCUSDT-trades-2024-01-01.csv", rows)
    theirs = tmp_path / "BTC_USDT-trades.json"
    theirs.write_text(json.dumps(aggregates(rows)))
    [done] = run(database, theirs)
    assert (done.became, done.format, "are aggregates" in done.reason) == (ImportOutcome.IMPORTED, "freqtrade", True)
    assert ask(STORED) == []
    minutes = {row[1]: row for row in ask(CANDLES) if row[0] == "1m"}
    assert len(minutes) == 6, "eight minutes of trades, but for the first and the last, which may be cut"
    assert {(row[7], row[-1]) for row in minutes.values()} == {(0, "rest")}, "nobody knows of how many trades"

    [beside] = run(database, real)
    assert (beside.rows.stored, len(ask(STORED))) == (900, 900)
    expected: dict[datetime, Decimal] = {}
    for _id, _timestamp, _price, volume, _side in ask(STORED):
        minute = _timestamp.replace(second=0)
        expected[minute.replace(microsecond=0)] = expected.get(minute.replace(microsecond=0), Decimal(0)) + Decimal(
            volume
        )
    assert {row[1]: row[6] for row in ask(CANDLES) if row[0] == "1m"} == expected, "no volume counts twice"


def test_what_somebody_calls_single_trades_must_be_numbered_like_those_stored(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    rows = runs_of_three(300)
    run(database, written(tmp_path / "BTCUSDT-trades-2024-01-01.csv", rows))
    header = "timestamp,id,side,price,amount"
    columns = [[row[0], row[1], row[3], row[4], row[5]] for row in aggregates(rows)]
    path = written(tmp_path / "a.csv", [header, *(",".join(map(str, row)) for row in columns)])
    [unsaid] = run(database, path)
    assert "do not say whether its rows are single trades" in unsaid.reason
    assert len(ask(STORED)) == 300
    for shift in (timedelta(0), timedelta(hours=1)):
        later = [[row[0] + shift // timedelta(milliseconds=1), *row[1:]] for row in columns]
        path = written(tmp_path / f"trades-{shift.seconds}.csv", [header, *(",".join(map(str, row)) for row in later)])
        [wrong] = run(database, path, replace(TRADES, single_trades=True))
        assert (wrong.became, "numbers its trades in another way" in wrong.reason) == (ImportOutcome.REFUSED, True)
    assert len(ask(STORED)) == 300
    single = [
        f"{1_000_300 + n},100,1,1,{int((NOON + timedelta(hours=1, seconds=n)).timestamp())},buy" for n in range(30)
    ]
    header = "trade_id,price,volume,cost,time,side"
    [right] = run(database, written(tmp_path / "c.csv", [header, *single]), replace(TRADES, single_trades=True))
    assert (right.became, right.rows.stored, right.reason) == (ImportOutcome.IMPORTED, 30, "")


FREQTRADE = ("timestamp", "id", "type", "side", "price", "amount", "cost")


def feather(path: Path, columns: dict[str, Any]) -> Path:
    table = pa.table(columns)
    with path.open("wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write(table)
    return path


def test_trades_that_freqtrade_keeps_for_kraken_make_candles(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    """Its converter of Kraken's downloads leaves id, type and side empty and counts milliseconds as floats."""
    rows = [row.split(",") for row in kraken_trades(90)]
    numbers = {"price": [float(row[1]) for row in rows], "amount": [float(row[2]) for row in rows]}
    empty = dict.fromkeys(("id", "type", "side"), [""] * len(rows))
    columns = {"timestamp": [float(row[0]) * 1e3 for row in rows], **empty, **numbers, "cost": [0.0] * len(rows)}
    path = feather(tmp_path / "BTC_USD-trades.feather", {name: columns[name] for name in FREQTRADE})
    [done] = run(database, path, KRAKEN_TRADES)
    assert (done.became, done.format, done.rows.quarantined) == (ImportOutcome.IMPORTED, "freqtrade", 0)
    assert "candles were made of them, no trades stored" in done.reason
    text = json.dumps([[float(row[0]) * 1e3, "", None, "", float(row[1]), float(row[2]), 0.0] for row in rows])
    (tmp_path / "BTC_USD-trades.json").write_text(text)
    [again] = run(database, tmp_path / "BTC_USD-trades.json", KRAKEN_TRADES)
    assert (again.became, again.rows.stored, again.rows.quarantined) == (ImportOutcome.IMPORTED, 0, 0), (
        "the same candles"
    )
    expected: dict[datetime, list[Decimal]] = {}
    for seconds, price, _volume in rows:
        expected.setdefault(datetime.fromtimestamp(int(seconds) // 60 * 60, UTC), []).append(Decimal(price))
    whole = sorted(expected)[1:-1]
    assert [(row[1], row[2], row[5], row[7]) for row in ask(CANDLES) if row[0] == "1m"] == [
        (minute, expected[minute][0], expected[minute][-1], len(expected[minute])) for minute in whole
    ]
    assert ask(STORED) == []


def klines(starts: Sequence[datetime], *, volume: str = "1.5", header: str = "") -> list[str]:
    """Candles of a minute as Binance's archive has them."""
    rows = []
    for number, start in enumerate(starts):
        at = int(start.timestamp() * 1000)
        price = 100 + number
        rows.append(f"{at},{price},{price + 2},{price - 1},{price + 1},{volume},{at + 59_999},150,3,1,100,0")
    return [header, *rows] if header else rows


@pytest.mark.parametrize("kraken", [True, False])
def test_first_and_last_are_the_times_of_the_earliest_and_the_latest_row(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, *, kraken: bool
) -> None:
    minutes = [3, 0, 7, 5, 1]
    starts = [NOON + timedelta(minutes=n) for n in minutes]
    name, rows = ("XBTUSD_1.csv", bars(minutes)) if kraken else ("BTCUSD-1m-2024-01.csv", klines(starts))
    [done] = run(
        database, written(tmp_path / name, rows), replace(CANDLES_OF, exchange="kraken" if kraken else "binance")
    )
    assert (done.became, done.rows.quarantined) == (ImportOutcome.IMPORTED, 0)
    assert (done.rows.first, done.rows.last) == (NOON, NOON + timedelta(minutes=8))
    assert ask("SELECT first_ts, last_ts FROM import_progress") == [(NOON, NOON + timedelta(minutes=8))]
    stored = [(row[1] - NOON).seconds // 60 for row in ask(CANDLES) if row[0] == "1m"]
    assert stored == sorted(minutes), "what lies between rows that are not in order is not known to be quiet"


def test_a_day_that_lies_beside_the_minutes_is_refused_with_where_its_trades_are(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    asked = ImportRequest(Kind.CANDLES, "binance", "BTC/USDT", Timeframe.M1)
    late = timedelta(seconds=14.789)
    rows = klines([NOON + n * timedelta(minutes=1) + late for n in range(842)])
    [done] = run(database, written(tmp_path / "BTCUSDT-1m-2018-02-09.csv", rows), asked)
    assert done.became is ImportOutcome.REFUSED
    assert done.reason == (
        "BTCUSDT-1m-2018-02-09.csv: 842 of 842 windows begin beside those of 1m, 14.789 s late (the first at 2024-01-01"
        " 12:00:14.789000): it has no candles of 1m. The trades of that time make them: Binance's archive has them as"
        " BTCUSDT-trades-2018-02-09.csv; `cryptoviz import trades --exchange binance --pair BTC/USDT"
        " BTCUSDT-trades-2018-02-09.csv`"
    )
    hourly = klines([NOON + n * timedelta(minutes=1) for n in range(100)])
    [wrong] = run(database, written(tmp_path / "x.csv", hourly), replace(asked, timeframe=Timeframe.H1))
    assert (wrong.became, wrong.reason) == (ImportOutcome.REFUSED, "x.csv has a row every 1 min: no candles of 1h")
    weekly = klines([datetime(2024, 1, 1, tzinfo=UTC) + n * timedelta(days=7) for n in range(20)])
    monthly = klines([datetime(2024, n, 1, tzinfo=UTC) for n in (1, 2, 3)])
    for rows, said in ((weekly, "a row every 7 d"), (monthly, "a row every 29 d")):
        [longer] = run(database, written(tmp_path / "y.csv", rows), replace(asked, timeframe=Timeframe.D1))
        assert (longer.became, longer.reason) == (ImportOutcome.REFUSED, f"y.csv has {said}: no candles of 1d")
    assert ask("SELECT count(*) FROM candles") == [(0,)]


_UM: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def test_what_a_file_holds_may_say_that_it_is_not_the_spot_market(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    """Binance's archives of spot and futures give their files the same names; mark prices have no volume."""
    starts = [NOON + n * timedelta(minutes=1) for n in range(20)]
    (tmp_path / "in").mkdir()
    written(tmp_path / "in" / "BTCUSDT-1m-2024-01.csv", klines(starts, volume="0"))
    written(tmp_path / "in" / "BTCUSDT-1m-2024-02.csv", klines(starts, header=_UM))
    written(tmp_path / "in" / "BTCUSDT-1m-2024-03.csv", klines([NOON]))
    prices = {name: [100.0 + n for n in range(20)] for name in ("open", "high", "low", "close")}
    feather(tmp_path / "in" / "BTC_USDT-1m.feather", {"date": starts, **prices, "volume": pa.nulls(20, pa.float64())})
    asked = ImportRequest(Kind.CANDLES, "binance", "BTC/USDT")
    left, headed, taken, blank = run(database, tmp_path / "in", asked)
    assert (blank.became, "no volume in any of 20 rows" in blank.reason) == (ImportOutcome.SKIPPED, True)
    assert (left.became, "no volume in any of 20 rows" in left.reason) == (ImportOutcome.SKIPPED, True)
    assert (headed.became, "the header of Binance's archive of futures" in headed.reason) == (
        ImportOutcome.SKIPPED,
        True,
    )
    assert taken.became is ImportOutcome.IMPORTED
    for name, rows in {
        "BTCUSDT-trades-2024-01.csv": [row.rpartition(",")[0] for row in lines(20)],
        "BTCUSDT-aggTrades-2024-01.csv": [f"{n},100,1,{n},{n},1704110400000,true" for n in range(20)],
    }.items():
        [refused] = run(database, written(tmp_path / name, rows))
        assert (refused.became, "trades of Binance's futures" in refused.reason) == (ImportOutcome.REFUSED, True)
    [named] = run(database, tmp_path / "in" / "BTCUSDT-1m-2024-01.csv", replace(asked, pair_anyway=True))
    assert named.became is ImportOutcome.REFUSED
    assert [row[1] for row in ask(CANDLES) if row[0] == "1m"] == [NOON]


def thin_trades(*, wrong: dict[int, str] | None = None, start: datetime = NOON) -> list[str]:
    """Three trades in each of ten minutes as Kraken publishes them, and silence for five minutes after the fourth."""
    rows = [
        f"{int(start.timestamp()) + (minute + 5 * (minute > 4)) * 60 + second},{100 + 3 * minute + second // 20},0.5"
        for minute in range(10)
        for second in (0, 20, 40)
    ]
    for number, row in (wrong or {}).items():
        rows[number] = row.format(*rows[number].split(","))
    return rows


def minute_candles(ask: Callable[..., Any]) -> dict[int, tuple[Any, ...]]:
    """What is known of each minute after noon."""
    return {(row[1] - NOON).seconds // 60: row[2:8] for row in ask(CANDLES) if row[0] == "1m" and row[-2]}


WRONG = {5: "{0},152,0", 14: "{0},{1},0"}
"""The last trade of the second minute and of the fifth, after which nobody trades for a while."""


def test_a_minute_that_lost_rows_to_quarantine_has_no_candle_until_they_are_decided(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    [done] = run(database, written(tmp_path / "XBTUSD.csv", thin_trades(wrong=WRONG)), KRAKEN_TRADES)
    assert (done.became, done.rows.quarantined) == (ImportOutcome.IMPORTED, 2)
    known = minute_candles(ask)
    assert sorted(known) == [0, 2, 3, *range(10, 15)], "neither those minutes nor the silence after the second"
    assert ask("SELECT FROM candles WHERE timeframe = '5m' AND window_start = %s AND closed", NOON) == []

    with connect(Role.WRITER, database, autocommit=True) as connection:
        ids = open_ids(connection, "trades_import")
        assert [one.done for one in release(connection, ids, "ada")] == [False, False], "an amount of 0 is no trade"
        discard(connection, ids[:1], "ada")
        assert minute_candles(ask)[1] == (103, 104, 103, 104, 1, 2)
        discard(connection, ids[1:], "ada")
    known = minute_candles(ask)
    assert known[4] == (112, 113, 112, 113, 1, 2)
    assert [known[minute] for minute in range(5, 10)] == [(113, 113, 113, 113, 0, 0)] * 5
    assert sorted(known) == list(range(15))
    assert ask("SELECT count(*) FROM held_trades") == [(0,)]
    [five] = [row for row in ask(CANDLES) if row[:2] == ("5m", NOON)]
    assert (five[3:8], five[8]) == ((113, 100, 113, Decimal("6.5"), 13), True)


def test_a_minute_that_waits_for_a_decision_is_a_gap_that_says_so(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    run(database, written(tmp_path / "XBTUSD.csv", thin_trades(wrong=WRONG, start=start)), KRAKEN_TRADES)
    gaps = "SELECT gap_start, gap_end, status, detail ->> 'reason' FROM candle_gaps WHERE timeframe = '1m' ORDER BY 1"
    reason = "rows of XBTUSD.csv are in quarantine"
    minutes = [start + n * timedelta(minutes=1) for n in range(11)]
    assert ask(gaps) == [
        (minutes[1], minutes[2], "open", reason),
        (minutes[4], minutes[5], "open", reason),
        (minutes[5], minutes[10], "open", None),
    ]
    with connect(Role.WRITER, database, autocommit=True) as connection:
        discard(connection, open_ids(connection, "trades_import"), "ada")
    assert {row[2] for row in ask(gaps)} == {"healed"}


def test_what_is_released_joins_its_minute_in_the_order_of_the_file(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    run(database, written(tmp_path / "XBTUSD.csv", thin_trades(wrong=WRONG)), KRAKEN_TRADES)
    with connect(Role.WRITER, database, autocommit=True) as connection:
        connection.execute('UPDATE quarantine SET payload = payload || \'{"volume": "0.25"}\'')
        found = release(connection, open_ids(connection, "trades_import"), "ada")
    assert [one.done for one in found] == [True, True]
    known = minute_candles(ask)
    assert known[1] == (103, 152, 103, 152, Decimal("1.25"), 3)
    assert known[9] == (114, 114, 114, 114, 0, 0)


@pytest.mark.parametrize("row", ["yesterday,100,1", "1704110400", "{0},abc,{2}"])
def test_a_row_that_cannot_be_read_keeps_the_minutes_beside_it_from_being_known(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    monkeypatch.setattr(pieces, "BLOCK_BYTES", 1_600)
    run(database, written(tmp_path / "XBTUSD.csv", thin_trades(wrong={9: row})), KRAKEN_TRADES)
    placed = "abc" in row
    lost = {3} if placed else {2, 3}
    assert sorted(minute_candles(ask)) == [minute for minute in range(15) if minute not in lost]
    with connect(Role.WRITER, database, autocommit=True) as connection:
        discard(connection, open_ids(connection, "trades_import"), "ada")
    known = minute_candles(ask)
    assert sorted(known) == list(range(15))
    assert (known[2], known[3]) == ((106, 108, 106, 108, Decimal("1.5"), 3), (110, 111, 110, 111, 1, 2))


@pytest.mark.parametrize("how", ["corrected file", "exchange"])
def test_what_comes_later_and_passes_counts_and_settles_what_was_held(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, how: str
) -> None:
    run(database, written(tmp_path / "XBTUSD.csv", thin_trades(wrong=WRONG)), KRAKEN_TRADES)
    if how == "corrected file":
        [done] = run(database, written(tmp_path / "XBTUSD.csv", thin_trades()), KRAKEN_TRADES)
        assert (done.became, done.rows.quarantined) == (ImportOutcome.IMPORTED, 0)
        assert minute_candles(ask)[1] == (103, 105, 103, 105, Decimal("1.5"), 3)
    else:
        series = Series("kraken", "BTC/USD", Timeframe.M1)
        with connect(Role.WRITER, database, autocommit=True) as connection:
            for minute in (1, 4):
                row = build(
                    series, [], NOON + timedelta(minutes=minute), NOON + timedelta(minutes=minute + 1), Decimal(7)
                )
                store(connection, series, [one for one in row.rows if isinstance(one, Candle)])
        assert minute_candles(ask)[1] == (7, 7, 7, 7, 0, 0)
    assert ask("SELECT count(*) FROM held_trades") == [(0,)]
    assert ask("SELECT resolved_by FROM quarantine WHERE released_at IS NOT NULL") == [("overtaken by a candle",)] * 2


def test_a_corrected_candle_settles_the_one_in_quarantine_and_no_wrong_price_is_carried_on(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    rows = bars([0, 1, 2, 6, 7])
    wrong = [*rows[:2], rows[2].replace(",104,101,103,", ",104,101,1030,"), *rows[3:]]
    run(database, written(tmp_path / "XBTUSD_1.csv", wrong), CANDLES_OF)
    assert sorted(minute_candles(ask)) == [0, 1, 6, 7], "1030 is above the high: nobody knows where the price stood"
    assert ask("SELECT expectation FROM quarantine WHERE released_at IS NULL") == [("high_is_highest",)]
    run(database, written(tmp_path / "XBTUSD_1.csv", rows), CANDLES_OF)
    assert sorted(minute_candles(ask)) == list(range(8))
    assert minute_candles(ask)[3] == (103, 103, 103, 103, 0, 0)
    assert ask("SELECT resolved_by FROM quarantine") == [("overtaken by a candle",)]


def test_a_trade_with_an_id_that_is_discarded_is_a_hole_with_its_reason(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    rows = lines(400)
    for number in (150, 151, 300):
        cells = rows[number].split(",")
        rows[number] = ",".join([*cells[:2], "0", *cells[3:]])
    run(database, written(tmp_path / "BTCUSDT-trades.csv", rows))
    assert [row[8] for row in ask(CANDLES) if row[0] == "1m"][1] is False, "two trades of it are undecided"
    with connect(Role.WRITER, database, autocommit=True) as connection:
        ids = open_ids(connection, "trades_import")
        discard(connection, ids[:1], "ada")
        assert [row[8] for row in ask(CANDLES) if row[0] == "1m"][1] is False, "one of them still is"
        connection.execute('UPDATE quarantine SET payload = payload || \'{"volume": "0.25"}\'')
        assert [one.done for one in release(connection, ids[1:], "ada")] == [True, True]
    assert ask("SELECT first_missing_id, last_missing_id, label, status, detail ->> 'reason' FROM trade_gaps") == [
        (151, 151, "source_missing", "explained", "what a file gives for it was discarded")
    ]
    stored = ask(STORED)
    assert [row[0] for row in stored] == [number for number in range(1, 401) if number != 151]
    assert [row[3] for row in stored if row[0] in {152, 301}] == ["0.25", "0.25"]
    minutes = [row for row in ask(CANDLES) if row[0] == "1m"]
    assert sum(row[7] for row in minutes) == 399
    assert sum(row[6] for row in minutes) == sum(Decimal(row[3]) for row in stored)
    assert minutes[1][8] is True, "every trade of it is known"


def test_killed_after_a_discard_the_hole_is_explained_and_its_minute_is_closed_by_the_next_look(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = lines(400)
    cells = rows[150].split(",")
    rows[150] = ",".join([*cells[:2], "0", *cells[3:]])
    run(database, written(tmp_path / "BTCUSDT-trades.csv", rows))
    with connect(Role.WRITER, database, autocommit=True) as connection:
        with monkeypatch.context() as patch:
            patch.setattr(held, "follow", interrupted)
            with pytest.raises(KeyboardInterrupt):
                discard(connection, open_ids(connection, "trades_import"), "ada")
        assert ask("SELECT first_missing_id, status FROM trade_gaps") == [(151, "explained")]
        settle_open(connection)
    assert [row[8] for row in ask(CANDLES) if row[0] == "1m"][1] is True


def interrupted(*_given: object) -> None:
    raise KeyboardInterrupt


def silence(minutes: int) -> list[str]:
    """Trades as Kraken publishes them: the last one before a silence of so many minutes has no amount."""
    first = int(NOON.timestamp())
    times = [first, first + 60, first + 80, first + 60 * (minutes + 2), first + 60 * (minutes + 3)]
    return [f"{at},{100 + number},{0 if number == 2 else 1}" for number, at in enumerate(times)]


def test_killed_in_the_silence_after_a_decided_minute_the_next_goes_on_there(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_pieces, "HELD_S", 1e-9)
    run(database, written(tmp_path / "XBTUSD.csv", silence(600)), KRAKEN_TRADES)
    assert sorted(minute_candles(ask)) == [0, 602, 603]
    whole, done = storage_pieces.Pace.took, list[float]()

    def took(pace: storage_pieces.Pace, seconds: float) -> None:
        done.append(seconds)
        if len(done) == 3:
            raise KeyboardInterrupt
        whole(pace, seconds)

    with connect(Role.WRITER, database, autocommit=True) as connection:
        with monkeypatch.context() as patch:
            patch.setattr(storage_pieces.Pace, "took", took)
            with pytest.raises(KeyboardInterrupt):
                discard(connection, open_ids(connection, "trades_import"), "ada")
        reached = storage_pieces.Pace().rows + 2 * storage_pieces.LEAST
        [(until,)] = ask("SELECT DISTINCT settled_until FROM held_trades")
        assert until == NOON + timedelta(minutes=1 + reached)
        assert sorted(minute_candles(ask)) == [*range(1 + reached), 602, 603]
        held.settle(connection)
    known = minute_candles(ask)
    assert sorted(known) == list(range(604))
    assert {known[minute] for minute in range(2, 602)} == {(101, 101, 101, 101, 0, 0)}
    assert ask("SELECT count(*) FROM held_trades") == [(0,)]
    rows = (
        "SELECT max(rows) FROM (SELECT count(*) AS rows FROM candles WHERE timeframe = '1m' GROUP BY xmin::text) AS t"
    )
    assert ask(rows) == [(storage_pieces.Pace().rows,)], "no piece has more"
    assert ask("SELECT FROM candle_gaps WHERE timeframe = '1m' AND status = 'open'") == []


def test_a_minute_without_trades_waits_for_the_price_before_it(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    wrong = dict.fromkeys(range(11, 15), "{0},{1},0")
    run(database, written(tmp_path / "XBTUSD.csv", thin_trades(wrong=wrong)), KRAKEN_TRADES)
    with connect(Role.WRITER, database, autocommit=True) as connection:
        ids = open_ids(connection, "trades_import")
        discard(connection, ids[1:], "ada")
        assert sorted(minute_candles(ask)) == [0, 1, 2, *range(10, 15)]
        discard(connection, ids[:1], "ada")
    known = minute_candles(ask)
    assert known[3] == (109, 110, 109, 110, 1, 2)
    assert [known[minute] for minute in range(4, 10)] == [(110, 110, 110, 110, 0, 0)] * 6
    assert ask("SELECT count(*) FROM held_trades") == [(0,)]


def test_a_fetched_candle_does_not_wait_for_who_decides_a_row_of_its_minute(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    run(database, written(tmp_path / "XBTUSD.csv", thin_trades(wrong=WRONG)), KRAKEN_TRADES)
    series = Series("kraken", "BTC/USD", Timeframe.M1)
    fetched = build(series, [], NOON + timedelta(minutes=1), NOON + timedelta(minutes=2), Decimal(7)).rows
    waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with (
        connect(Role.WRITER, database, autocommit=True) as connection,
        connect(Role.WRITER, database, autocommit=True) as other,
        connect(Role.WRITER, database) as third,
        ThreadPoolExecutor(1) as background,
    ):
        ids = open_ids(connection, "trades_import")
        third.execute("SELECT FROM held_trades WHERE held FOR UPDATE")
        deciding = background.submit(discard, connection, ids, "ada")
        while not other.execute(waits).fetchall():
            assert not deciding.done(), deciding.result()
        other.execute("SET lock_timeout = '5s'")
        with other.transaction():
            store(other, series, [one for one in fetched if isinstance(one, Candle)])
            third.rollback()
        assert [one.done for one in deciding.result()] == [True, True]
    assert minute_candles(ask)[1] == (7, 7, 7, 7, 0, 0)
    assert sorted(minute_candles(ask)) == list(range(15))
    assert ask("SELECT count(*) FROM held_trades") == [(0,)]
    assert ask("SELECT DISTINCT resolved_by FROM quarantine") == [("ada",)]
