"""What leaves the database is in the archive, each row once and with every digit, whoever is killed whenever."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import dagster as dg
import psycopg
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr
from typer.testing import CliRunner

from assets import resources, storage
from cryptoviz.archive.catalogue import FileFilter, adopt, list_files, restore, uncatalogued_files, verify
from cryptoviz.archive.export import ArchivedPiece, ArchiveError, archive
from cryptoviz.archive.store import Folder, store
from cryptoviz.archive.subjects import SUBJECTS
from cryptoviz.commands import archive as commands
from cryptoviz.settings import PROJECT_ROOT, Role, Settings
from cryptoviz.storage.database import connect
from tests.conftest import UseSettings

pytestmark = pytest.mark.services

RUNNER = CliRunner()

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIRST = datetime(2026, 3, 30, tzinfo=UTC)
"""Old enough that all of March and the first month after have left a table that keeps 90 days."""

CANDLES = """
insert into cold_storage.candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,
                                  trade_count, closed, source, received_at)
select at, at + interval '1 minute', 'kraken', pair, '1m', price, price + 0.5, price / 2, price + 0.1234567890123,
       case n %% 3 when 0 then 0 when 1 then 1e-12 else 12345678901234567890123.1 end, n, true, 'stream', at
from unnest(array['BTC/USD', 'ETH/USD']) pair,
     generate_series(%(first)s::timestamptz, %(first)s::timestamptz + interval '3 days', interval '10 minutes')
         with ordinality minutes (at, n),
     lateral (select 100 + n * 0.01 as price) walk
"""
TRADES = """
insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side, received_at)
select at, exchange, 'BTC/USD', n, 100 + n * 0.0001, 0.5, 'buy', at
from unnest(array['kraken', 'binance']) exchange,
     generate_series(%(first)s::timestamptz, %(first)s::timestamptz + interval '2 days', interval '5 minutes')
         with ordinality instants (at, n)
"""


def rows(connection: psycopg.Connection, relation: str) -> list[tuple]:
    return connection.execute(f"select * from {relation} order by 1, 2, 3, 4, 5").fetchall()


def left(connection: psycopg.Connection, folder: Path, *names: str, now: datetime = NOW) -> list[ArchivedPiece]:
    return list(archive(connection, Folder(folder), [SUBJECTS[name] for name in names], now))


def test_candles_leave_by_month_and_come_back_as_they_were(each_database: Settings, tmp_path: Path) -> None:
    with connect(Role.WRITER, each_database, autocommit=True) as connection:
        connection.execute(CANDLES, {"first": FIRST})
        before = rows(connection, "cold_storage.candles")
        done = left(connection, tmp_path, "candles")
        assert [str(one.piece) for one in done] == [
            f"candles kraken {pair}/USD 1m {month}" for month in ("2026-03", "2026-04") for pair in ("BTC", "ETH")
        ]
        assert sum(one.rows for one in done) == len(before)
        assert rows(connection, "cold_storage.candles") == []
        files = list_files(connection, FileFilter())
        assert [file["path"].rsplit("/", 1)[0] for file in files] == [
            f"candles/exchange=kraken/symbol={pair}-USD/timeframe=1m/month={month}"
            for pair in ("BTC", "ETH")
            for month in ("2026-03", "2026-04")
        ]
        assert [found.status for found in verify(connection, Folder(tmp_path), FileFilter())] == ["sound"] * 4
        for expected in (len(before), 0):
            back = list(restore(connection, Folder(tmp_path), FileFilter(), now=NOW))
            assert sum(one.rows for one in back) == expected
            assert rows(connection, "cold_storage.candles") == before
        assert left(connection, tmp_path, "candles") == []
        later = left(connection, tmp_path, "candles", now=NOW + timedelta(days=8))
        assert [(one.rows, one.files) for one in later] == [(one.rows, 0) for one in done]
        assert rows(connection, "cold_storage.candles") == []
        assert uncatalogued_files(connection, Folder(tmp_path)) == []


TRADE = """
insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)
values (%s, 'kraken', 'BTC/USD', %s, 1, 1, 'buy')
"""


def test_trades_leave_by_day_and_no_candle_changes(each_database: Settings, tmp_path: Path) -> None:
    with connect(Role.WRITER, each_database, autocommit=True) as connection:
        connection.execute(TRADES, {"first": FIRST})
        connection.execute(TRADE, [FIRST + timedelta(seconds=1), 5000])
        connection.execute(
            "select refresh_candles(array_agg(exchange), array_agg(pair), array_agg(timestamp)) from trade_data"
        )
        trades, candles = rows(connection, "trade_data"), rows(connection, "all_candles")
        later = FIRST + timedelta(days=32)
        done = left(connection, tmp_path, "trade_data", now=later)
        days = [FIRST, FIRST + timedelta(days=1)]
        assert [(one.piece.since, one.rows, one.files) for one in done] == [(days[0], 577, 2), (days[1], 576, 2)]
        assert rows(connection, "trade_data") == [trade for trade in trades if trade[0] >= FIRST + timedelta(days=2)]
        late = FIRST + timedelta(seconds=2)
        connection.execute(TRADE, [late, 9999])
        connection.execute("select refresh_candles(array['kraken'], array['BTC/USD'], array[%s::timestamptz])", [late])
        assert rows(connection, "all_candles") == candles
        [again] = left(connection, tmp_path, "trade_data", now=later)
        assert (again.rows, again.files, again.late) == (1, 1, True)
        list(restore(connection, Folder(tmp_path), FileFilter("trade_data"), now=NOW))
        back = rows(connection, "trade_data")
        assert [row for row in back if row[3] != 9999] == trades
        assert len(back) == len(trades) + 1
        assert uncatalogued_files(connection, Folder(tmp_path)) == []


def test_rows_that_come_late_join_those_that_left(writer: psycopg.Connection, tmp_path: Path) -> None:
    writer.execute(CANDLES, {"first": FIRST})
    before = rows(writer, "cold_storage.candles")
    left(writer, tmp_path, "candles")
    fetched, poorer, new = before[0], before[2], before[4]
    columns = "window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, trade_count"
    insert = f"insert into cold_storage.candles ({columns}, source) values (%s, %s, %s, %s, %s, 9, 9, 9, 9, 9, %s, %s)"
    writer.execute(insert, [*fetched[:5], 0, "rest"])
    writer.execute(insert, [*poorer[:5], 0, "stream"])
    late = timedelta(minutes=3)
    writer.execute(insert, [new[0] + late, new[1] + late, *new[2:5], 0, "stream"])
    done = left(writer, tmp_path, "candles")
    assert [(one.rows, one.late) for one in done] == [(3, True)]
    list(restore(writer, Folder(tmp_path), FileFilter(), now=NOW))
    back = {row[:5]: row for row in rows(writer, "cold_storage.candles")}
    assert len(back) == len(before) + 1
    assert back[fetched[:5]][12] == "rest"
    assert [row for row in back.values() if row in before] == [row for row in before if row != fetched]
    assert uncatalogued_files(writer, Folder(tmp_path)) == []


class Spoiling(Folder):
    """A disk that loses a byte of what it was given."""

    def get(self, path: str) -> bytes:
        return super().get(path)[:-1]


def test_nothing_is_deleted_before_its_copy_was_read_back(writer: psycopg.Connection, tmp_path: Path) -> None:
    writer.execute(CANDLES, {"first": FIRST})
    before = rows(writer, "cold_storage.candles")
    with pytest.raises(ArchiveError, match="damaged"):
        list(archive(writer, Spoiling(tmp_path), [SUBJECTS["candles"]], NOW))
    assert rows(writer, "cold_storage.candles") == before
    assert list_files(writer, FileFilter()) == []


def test_rows_that_change_meanwhile_stay(writer: psycopg.Connection, database: Settings, tmp_path: Path) -> None:
    class Late(Folder):
        """A row changes while its file is written."""

        changes = 1

        def move(self, path: str, target: str) -> None:
            super().move(path, target)
            if self.changes:
                self.changes -= 1
                with connect(Role.WRITER, database, autocommit=True) as other:
                    other.execute(
                        "update cold_storage.candles set received_at = now() where window_start = %s", [FIRST]
                    )

    writer.execute(CANDLES, {"first": FIRST})
    list(archive(writer, Late(tmp_path), [SUBJECTS["candles"]], NOW))
    list(restore(writer, Folder(tmp_path), FileFilter(), now=NOW))
    found = rows(writer, "cold_storage.candles")
    assert len(found) == 2 * 433
    assert sum(row[-1] > NOW - timedelta(days=1) for row in found) == 2
    assert uncatalogued_files(writer, Folder(tmp_path)) == []


def test_what_is_damaged_or_absent_is_named(writer: psycopg.Connection, tmp_path: Path) -> None:
    writer.execute(CANDLES, {"first": FIRST})
    left(writer, tmp_path, "candles")
    sound, damaged, absent, _ = [file["path"] for file in list_files(writer, FileFilter())]
    data = bytearray((tmp_path / damaged).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / damaged).write_bytes(data)
    (tmp_path / absent).unlink()
    found = {one.path: one.status for one in verify(writer, Folder(tmp_path), FileFilter())}
    assert [found[path] for path in (sound, damaged, absent)] == ["sound", "damaged", "absent"]
    assert [file["path"] for file in list_files(writer, FileFilter(status="damaged"))] == [damaged]
    with pytest.raises(ArchiveError, match="damaged"):
        list(restore(writer, Folder(tmp_path), FileFilter(), now=NOW))
    assert {row[3] for row in rows(writer, "cold_storage.candles")} == {"BTC/USD"}


FETCHED = """
insert into cold_storage.candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,
                                  trade_count, source)
values (%s, %s, %s, %s, %s, 9, 9, 9, 9, 9, 9, 'rest')
"""


def test_a_damaged_file_keeps_only_its_own_piece(
    writer: psycopg.Connection, database: Settings, tmp_path: Path, use_settings: UseSettings
) -> None:
    writer.execute(CANDLES, {"first": FIRST})
    before = rows(writer, "cold_storage.candles")
    left(writer, tmp_path, "candles")
    catalogued = list_files(writer, FileFilter())
    (tmp_path / catalogued[0]["path"]).unlink()
    for row in (before[0], before[-1]):
        writer.execute(FETCHED, row[:5])
    writer.execute(TRADES, {"first": FIRST})
    use_settings(database.model_copy(update={"archive_dir": tmp_path}))
    result = dg.materialize(
        [*storage.STORAGE],
        resources={"database": resources.Database()},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )
    assert [failed.step_key for failed in result.get_step_failure_events()] == ["archive"]
    told = result.failure_data_for_node("archive").user_failure_data
    assert "candles kraken BTC/USD 1m 2026-03: " in told.description
    assert f"{catalogued[0]['path']} is absent" in told.description
    assert "ETH/USD" not in told.description
    assert told.metadata["rows archived"].value == 1
    assert [row[:5] for row in rows(writer, "cold_storage.candles")] == [before[0][:5]]
    [told] = result.asset_materializations_for_node("retention")
    assert told.metadata["rows archived trade_data"].value == 2 * 577
    assert rows(writer, "trade_data") == []


def late_minutes(connection: psycopg.Connection) -> list[tuple]:
    """A minute more in the first month of one pair, and in the second of the other."""
    minute = timedelta(minutes=1)
    starts = {"BTC/USD": FIRST + minute, "ETH/USD": FIRST + timedelta(days=2) + minute}
    late = [(start, start + minute, "kraken", pair, "1m") for pair, start in starts.items()]
    for row in late:
        connection.execute(FETCHED, row)
    return late


def test_after_an_older_backup_the_later_files_are_entered(
    writer: psycopg.Connection, database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.execute(CANDLES, {"first": FIRST})
    left(writer, tmp_path, "candles")
    writer.execute("create temporary table backup as table archive_files")
    late = late_minutes(writer)
    left(writer, tmp_path, "candles")
    later = list_files(writer, FileFilter())
    writer.execute("delete from archive_files")
    columns = (
        "subject, exchange, symbol, timeframe, since, until, revision, path, rows, first_at, last_at, bytes, sha256"
    )
    writer.execute(
        f"insert into archive_files ({columns}, schema_version) select {columns}, schema_version from backup"
    )
    broken = later[-1]["path"]
    (tmp_path / broken).write_bytes(b"PAR1")

    settings = database.model_copy(update={"archive_dir": tmp_path})
    monkeypatch.setattr(commands, "load", lambda: settings)
    found = RUNNER.invoke(commands.app, ["verify", "--json"])
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert [one["path"] for one in told["entered"]] == [later[0]["path"]]
    assert [one["status"] for one in told["troubled"]] == ["absent"]
    assert told["not in the catalogue"] == [broken]
    told_of = ("path", "revision", "rows", "bytes", "sha256", "first_at", "last_at", "status")
    [entered] = list_files(writer, FileFilter(symbol="BTC/USD", until=datetime(2026, 4, 1, tzinfo=UTC)))
    assert [entered[name] for name in told_of] == [later[0][name] for name in told_of]
    assert list(adopt(writer, Folder(tmp_path), FileFilter())) == []
    list(restore(writer, Folder(tmp_path), FileFilter(symbol="BTC/USD"), now=NOW))
    assert late[0] in [row[:5] for row in rows(writer, "cold_storage.candles")]


def test_configured_history_never_leaves(writer: psycopg.Connection, tmp_path: Path) -> None:
    writer.execute(CANDLES, {"first": FIRST})
    writer.execute("insert into crypto_configuration (exchange, pair, history_days) values ('kraken', 'BTC/USD', 365)")
    assert {one.piece.series["symbol"] for one in left(writer, tmp_path, "candles")} == {"ETH/USD"}
    writer.execute("update tiering_policy set history_age = '365 days'")
    writer.execute("delete from crypto_configuration")
    assert left(writer, tmp_path, "candles") == []


def test_the_archive_may_be_in_a_bucket(writer: psycopg.Connection, database: Settings) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        values = {
            "archive_s3_endpoint": f"http://{host}:{port}",
            "archive_s3_bucket": "cryptoviz/archive",
            "archive_s3_region": "us-east-1",
            "archive_s3_key": "key",
            "archive_s3_secret": "secret",
        }
        boto3.client(
            "s3",
            endpoint_url=values["archive_s3_endpoint"],
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        ).create_bucket(Bucket="cryptoviz")
        bucket = store(database.model_copy(update=values | {"archive_s3_secret": SecretStr("secret")}))
        writer.execute(CANDLES, {"first": FIRST})
        before = rows(writer, "cold_storage.candles")
        list(archive(writer, bucket, [SUBJECTS["candles"]], NOW))
        assert [file["path"] for file in list_files(writer, FileFilter())] == list(bucket.paths())
        list(restore(writer, bucket, FileFilter(), now=NOW))
        assert rows(writer, "cold_storage.candles") == before
        bucket.remove(next(bucket.paths()))
        assert [found.status for found in verify(writer, bucket, FileFilter())] == ["absent", *["sound"] * 3]
    finally:
        server.stop()


ARCHIVING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import psycopg, pyarrow.csv, pyarrow.parquet, pyarrow.compute
from cryptoviz.archive.export import archive
from cryptoviz.archive.store import Folder
from cryptoviz.archive.subjects import SUBJECTS
with psycopg.connect(sys.argv[1], autocommit=True, options="-c timezone=UTC") as connection:
    print("ready", flush=True)
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    for left in archive(connection, Folder(Path(sys.argv[2])), [SUBJECTS["candles"], SUBJECTS["trade_data"]], now):
        pass
"""


@pytest.mark.slow
def test_killed_at_any_moment_every_row_is_in_one_place(
    writer: psycopg.Connection, database: Settings, tmp_path: Path
) -> None:
    writer.execute(CANDLES, {"first": FIRST})
    writer.execute(TRADES, {"first": FIRST})
    before = {name: rows(writer, name) for name in ("cold_storage.candles", "trade_data")}
    draw = random.Random()
    killed = 0
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", ARCHIVING, database.database(Role.WRITER), str(tmp_path)],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(draw.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
        archived = writer.execute(
            "select coalesce(sum(rows), 0) from archive_files where subject = 'candles'"
        ).fetchone()
        there = writer.execute("select count(*) from cold_storage.candles").fetchone()
        assert archived is not None
        assert there is not None
        assert archived[0] + there[0] == len(before["cold_storage.candles"])
    assert killed
    wait_until_alone(writer)
    left(writer, tmp_path, "candles", "trade_data")
    assert rows(writer, "cold_storage.candles") == []
    assert rows(writer, "trade_data") == []
    list(restore(writer, Folder(tmp_path), FileFilter(), now=NOW))
    assert {name: rows(writer, name) for name in before} == before


def wait_until_alone(connection: psycopg.Connection) -> None:
    """The server takes a moment to notice that a client is dead."""
    for _ in range(200):
        others = connection.execute(
            "select count(*) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()"
            " and database = (select oid from pg_database where datname = current_database())"
        ).fetchone()
        if others == (0,):
            return
        time.sleep(0.05)
    raise TimeoutError


@pytest.mark.slow
def test_readers_see_every_candle_once_while_it_moves(database: Settings) -> None:
    with (
        connect(Role.WRITER, database, autocommit=True) as writer,
        connect(Role.READER, database, autocommit=True) as reader,
    ):
        writer.execute(CANDLES.replace("into cold_storage.candles", "into candles"), {"first": FIRST})
        expected = writer.execute(COUNTED.format("candles")).fetchall()
        process = subprocess.Popen([sys.executable, "-c", TIERING, database.database(Role.WRITER)], cwd=PROJECT_ROOT)
        seen = 0
        while process.poll() is None:
            found = reader.execute(COUNTED.format("all_candles")).fetchall()
            assert found == expected
            seen += 1
        assert process.returncode == 0
        assert seen > 1
        assert reader.execute("select count(*) from candles").fetchone() == (0,)


COUNTED = "select count(*), count(distinct (window_start, symbol)) from {}"
TIERING = """
import sys, psycopg
from cryptoviz.retention.tiering import tier
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    for moved in tier(connection, batch=20):
        pass
"""


OTHERS = {
    "indicators": """
insert into cold_storage.indicators (window_start, exchange, symbol, timeframe, rsi_14, state)
select at, 'kraken', 'BTC/USD', '1m', 1 / extract(epoch from at)::float8, array[0.1, 'NaN', null]
from generate_series(%(first)s::timestamptz, %(first)s::timestamptz + interval '1 hour', interval '1 minute') at
""",
    "news": """
insert into cold_storage.article_data
    (timestamp, website, article_id, title, url, summary, cryptocurrencies_mentioned, published_known)
select at, 'example.org', at::text,
       E'a "title",\\nof two lines', '', case when minute(at) then '' end, array['BTC', 'a,b'], minute(at)
from generate_series(%(first)s::timestamptz, %(first)s::timestamptz + interval '1 hour', interval '1 minute') at
""".replace("minute(at)", "extract(minute from at) < 30"),
    "anomaly_data": """
insert into anomaly_data (timestamp, exchange, pair, kind, value, detail)
values (%(first)s, 'kraken', 'BTC/USD', 'zscore', 1e-300, '{"a": [1.10, "x"]}')
""",
}


@pytest.mark.parametrize("subject", OTHERS)
def test_every_kind_of_column_comes_back_as_it_was(writer: psycopg.Connection, tmp_path: Path, subject: str) -> None:
    first = FIRST - timedelta(days=365)
    writer.execute(OTHERS[subject], {"first": first})
    table = f"select t::text from {SUBJECTS[subject].relation} t order by 1"
    before = writer.execute(table).fetchall()
    assert sum(one.rows for one in left(writer, tmp_path, subject)) == len(before)
    assert writer.execute(table).fetchall() == []
    list(restore(writer, Folder(tmp_path), FileFilter(subject), now=NOW))
    assert writer.execute(table).fetchall() == before


def test_a_file_that_is_older_than_a_column_comes_back_without_it(
    writer: psycopg.Connection, database: Settings, tmp_path: Path
) -> None:
    """Articles archived before `published_known` was kept."""
    writer.execute(OTHERS["news"], {"first": FIRST - timedelta(days=365)})
    with connect(Role.OWNER, database, autocommit=True) as owner:
        owner.execute("alter table cold_storage.article_data drop column published_known cascade")
    moved = sum(one.rows for one in left(writer, tmp_path, "news"))
    with connect(Role.OWNER, database, autocommit=True) as owner:
        owner.execute("alter table cold_storage.article_data add column published_known boolean")
    list(restore(writer, Folder(tmp_path), FileFilter("news"), now=NOW))
    found = writer.execute("select count(*), count(published_known) from cold_storage.article_data").fetchone()
    assert found == (moved, 0)
    assert moved == 61


def test_the_command_line_tells_verifies_and_restores(
    writer: psycopg.Connection, database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = database.model_copy(update={"archive_dir": tmp_path})
    monkeypatch.setattr(commands, "load", lambda: settings)
    writer.execute(CANDLES, {"first": FIRST})
    before = rows(writer, "cold_storage.candles")
    left(writer, tmp_path, "candles")
    of_one = ["--subject", "candles", "--pair", "BTC/USD", "--from", "2026-04-01"]
    shown = json.loads(RUNNER.invoke(commands.app, ["list", *of_one, "--json"]).stdout)
    assert [(file["symbol"], file["month"]) for file in shown] == [("BTC/USD", "2026-04-01")]
    (tmp_path / shown[0]["path"]).unlink()
    bad = RUNNER.invoke(commands.app, ["verify"])
    assert bad.exit_code == 1
    assert f"absent: {shown[0]['path']}" in bad.stdout
    march = ["candles", "--exchange", "kraken", "--timeframe", "1m", "--to", "2026-04-01"]
    assert RUNNER.invoke(commands.app, ["restore", *march, "--keep", "1"]).exit_code == 0
    april = datetime(2026, 4, 1, tzinfo=UTC)
    assert rows(writer, "cold_storage.candles") == [row for row in before if row[0] < april]


def test_the_assets_move_archive_and_tell(
    writer: psycopg.Connection, database: Settings, tmp_path: Path, use_settings: UseSettings
) -> None:
    use_settings(database.model_copy(update={"archive_dir": tmp_path}))
    writer.execute(CANDLES.replace("into cold_storage.candles", "into candles"), {"first": FIRST})
    writer.execute(TRADES, {"first": FIRST})
    result = dg.materialize(
        [*storage.STORAGE], resources={"database": resources.Database()}, instance=dg.DagsterInstance.ephemeral()
    )
    told = {
        name: result.asset_materializations_for_node(name)[0].metadata for name in ("tiering", "archive", "retention")
    }
    assert told["tiering"]["rows moved candles"].value == 866
    assert told["archive"]["rows archived candles"].value == 866
    assert told["retention"]["rows archived trade_data"].value == 2 * 577
    assert max(told[name]["archive rows"].value for name in ("archive", "retention")) == 866 + 2 * 577
    assert {row.data["tier"] for row in told["retention"]["tiers"].records} == {"hot", "cold", "archive"}
    assert len(list_files(writer, FileFilter())) == 4 + 6
