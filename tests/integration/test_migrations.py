"""Migrations go forward once, refuse what contradicts them, and come to exactly the committed snapshot."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from cryptoviz.settings import Role, Settings
from cryptoviz.stack import snapshot
from cryptoviz.stack.postgres.installation import Edition
from cryptoviz.storage.database import connect
from cryptoviz.storage.migrations import MigrationError, migrate, notes, read
from cryptoviz.storage.queries import SQL_DIR

pytestmark = pytest.mark.services


@pytest.fixture
def empty(postgres_cluster) -> Iterator[Settings]:
    settings = postgres_cluster.empty_database(Edition.PLAIN)
    yield settings
    postgres_cluster.drop(settings)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the SQL folder that a test may spoil."""
    return Path(shutil.copytree(SQL_DIR, tmp_path / "sql"))


def test_everything_is_applied_once(empty: Settings) -> None:
    assert migrate(empty) == [migration.name for migration in read()]
    assert migrate(empty) == []


def test_several_at_once_apply_everything_once(empty: Settings) -> None:
    with ThreadPoolExecutor() as threads:
        applied = list(threads.map(migrate, [empty] * 3))
    assert sorted(map(len, applied)) == [0, 0, len(read())]


def test_a_changed_migration_is_refused(database: Settings, folder: Path) -> None:
    file = next((folder / "migrations").glob("0002_*"))
    file.write_text(file.read_text() + "\n")
    with pytest.raises(MigrationError, match="0002_tables was changed"):
        migrate(database, folder=folder)


def test_a_missing_migration_is_refused(database: Settings, folder: Path) -> None:
    sorted((folder / "migrations").glob("*.sql"))[-1].unlink()
    with pytest.raises(MigrationError, match="its file is missing"):
        migrate(database, folder=folder)


def test_a_hole_in_the_numbers_is_refused(folder: Path) -> None:
    next((folder / "migrations").glob("0002_*")).unlink()
    with pytest.raises(MigrationError, match="should start with 0002_"):
        read(folder)


def test_a_failing_migration_leaves_no_trace_and_can_be_repeated(database: Settings, folder: Path) -> None:
    number = len(list((folder / "migrations").glob("*.sql"))) + 1
    file = folder / "migrations" / f"{number:04}_broken.sql"
    file.write_text("create table half_done (id int); select 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(database, folder=folder)
    with connect(Role.OWNER, database) as connection:
        assert connection.execute("select to_regclass('half_done')").fetchone() == (None,)
    file.write_text("create table half_done (id int);")
    assert migrate(database, folder=folder) == [file.stem]


def upgrade_from(name: str, empty: Settings, folder: Path) -> None:
    """Bring an empty database to where it was before the migration `name`; `migrate` does the rest."""
    for file in (folder / "functions").glob("*.sql"):
        file.unlink()  # they say today's state, which is not there yet
    names = sorted((folder / "migrations").glob("*.sql"))
    for file in names[[file.stem[5:] for file in names].index(name) :]:
        file.unlink()
    migrate(empty, folder=folder)


def test_what_is_missing_of_a_pair_that_changed_its_meaning_is_not_filled_from_the_other_coin(
    empty: Settings, folder: Path
) -> None:
    upgrade_from("spellings", empty, folder)
    with connect(Role.WRITER, empty, autocommit=True) as connection:
        for exchange, pair in (("kraken", "LUNA/USD"), ("kraken", "LUNC/USD"), ("binance", "LUNA/USDT")):
            connection.execute("insert into collector_position values (%s, %s, 7, now())", [exchange, pair])
            connection.execute(
                "insert into trade_gaps (exchange, pair, first_missing_id, due_at) values (%s, %s, 1, now())",
                [exchange, pair],
            )
            connection.execute(
                "insert into candle_gaps (exchange, symbol, timeframe, gap_start, gap_end, missing)"
                " values (%s, %s, '1m', now() - interval '1 hour', now(), 60)",
                [exchange, pair],
            )
    migrate(empty)
    with connect(Role.READER, empty) as connection:
        kept = connection.execute("select exchange, pair from collector_position order by 1, 2").fetchall()
        gaps = connection.execute("select exchange, pair, status from trade_gaps order by 1, 2").fetchall()
        candles = connection.execute("select exchange, symbol, status from candle_gaps order by 1, 2").fetchall()
        said = connection.execute("select action, subject, detail ->> 'was' from action_log").fetchall()
    assert kept == [("binance", "LUNA/USDT"), ("kraken", "LUNC/USD")]
    expected = [
        ("binance", "LUNA/USDT", "open"),
        ("kraken", "LUNA/USD", "explained"),
        ("kraken", "LUNC/USD", "open"),
    ]
    assert gaps == candles == expected
    assert said == [("pair_changed_its_meaning", "kraken LUNA/USD", "LUNC/USD")]


STORED_OF = {
    "import_progress": "insert into import_progress (fingerprint, kind, exchange, symbol, file, format)"
    " values ('f', 'candles', 'kraken', %(pair)s, 'LUNAUSD_1.csv', 'kraken')",
    "candles": "insert into candles"
    " (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume)"
    " values ('2024-01-01', '2024-01-02', 'kraken', %(pair)s, '1d', 1, 1, 1, 1, 1)",
    "trade_data": "insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)"
    " values ('2024-01-01', 'kraken', %(pair)s, 7, 1, 1, 'buy')",
    "archive_files": "insert into archive_files"
    " (subject, exchange, symbol, timeframe, since, until, path, rows, first_at, last_at,"
    " bytes, sha256, schema_version)"
    " values ('candles', 'kraken', %(pair)s, '1m', '2020-01-01', '2020-02-01',"
    " %(pair)s, 1, '2020-01-01', '2020-01-01', 1, repeat('0', 64), 1)",
    "backfill_progress": "insert into backfill_progress (exchange, symbol, timeframe, status, start_ts, end_ts)"
    " values ('kraken', %(pair)s, '1d', 'completed', '2020-01-01', now())",
    "staged_candles": "insert into staged_candles (exchange, symbol, timeframe, origin)"
    " values ('kraken', %(pair)s, '1d', 'backfill')",
}
STORED_OF["cold_storage.candles"] = STORED_OF["candles"].replace("into candles", "into cold_storage.candles")


def test_a_pair_that_changed_its_meaning_is_named_wherever_it_is_stored(empty: Settings, folder: Path) -> None:
    upgrade_from("spellings", empty, folder)
    pairs = [f"LUNA/{number}" for number in range(len(STORED_OF))]
    with connect(Role.OWNER, empty, autocommit=True) as connection:
        for pair, statement in zip(pairs, STORED_OF.values(), strict=True):
            for name in (pair, pair.replace("LUNA", "LUNC"), pair.replace("LUNA", "XLUNA")):
                connection.execute(statement, {"pair": name})
    applied = migrate(empty)
    with connect(Role.READER, empty) as connection:
        said = connection.execute("select subject, detail ->> 'was' from action_log order by 1").fetchall()
        fetched = connection.execute("select symbol from backfill_progress order by 1").fetchall()
        staged = connection.execute("select symbol from staged_candles order by 1").fetchall()
    assert said == [(f"kraken {pair}", pair.replace("LUNA", "LUNC")) for pair in pairs]
    assert fetched == [("LUNC/4",), ("XLUNA/4",)], "the history of the coin of that name begins anew"
    assert staged == [("LUNC/5",), ("XLUNA/5",)]
    told = notes(empty, applied)
    assert len(told) == len(pairs)
    assert told[0].startswith("pair_changed_its_meaning: kraken LUNA/0 (how to put it right: docs/history.md")
    assert notes(empty, []) == []


def test_stored_articles_get_their_address_and_those_without_a_date_are_marked(empty: Settings, folder: Path) -> None:
    upgrade_from("article_names", empty, folder)
    with connect(Role.WRITER, empty, autocommit=True) as connection:
        for article_id, revisions, published in (
            ("dated", 1, "11:00"),
            ("undated", 1, "12:00"),
            ("mixed up", 2, "11:00"),
        ):
            connection.execute(
                "insert into article_data (timestamp, website, article_id, title, url)"
                " values (%s, 'a.com', %s, 't', 'https://a.com/' || %s)",
                [f"2026-10-03 {published}Z", article_id, article_id],
            )
            connection.execute(
                "insert into article_revisions"
                " select 'a.com', %s, number, number::text, %s, 't', '2026-10-03 12:00Z'"
                " from generate_series(1, %s) number",
                [article_id, f"2026-10-03 {published}Z", revisions],
            )
    migrate(empty)
    with connect(Role.READER, empty) as connection:
        known = connection.execute("select article_id, published_known from all_news order by 1").fetchall()
        urls = connection.execute("select article_id, url from article_revisions order by 1, revision").fetchall()
    assert known == [("dated", None), ("mixed up", None), ("undated", False)]
    assert urls == [
        ("dated", "https://a.com/dated"),
        ("mixed up", None),
        ("mixed up", None),
        ("undated", "https://a.com/undated"),
    ]


def test_a_changed_function_is_replaced(database: Settings, folder: Path) -> None:
    file = folder / "functions" / "tiering.sql"
    file.write_text(file.read_text() + "\n-- changed\n")
    assert migrate(database, folder=folder) == ["functions/tiering"]
    assert migrate(database, folder=folder) == []


def test_the_snapshot_is_the_migrated_schema(postgres_cluster, empty: Settings) -> None:
    migrate(empty)
    pg_dump = postgres_cluster.server.installation.bin_dir / "pg_dump"
    assert snapshot.schema(empty, pg_dump) == snapshot.SCHEMA_FILE.read_text(), (
        "run `python -m cryptoviz.stack.snapshot`"
    )


def test_the_data_dictionary_is_that_of_the_schema(empty: Settings) -> None:
    migrate(empty)
    with connect(Role.READER, empty) as connection:
        text = snapshot.data_dictionary(connection)
    assert text == snapshot.DICTIONARY_FILE.read_text(), "run `python -m cryptoviz.stack.snapshot`"
    assert re.findall(r"^\|.*\|  \|$", text, flags=re.MULTILINE) == [], "a column without a comment"


def test_time_tables_are_hypertables_where_there_are_any(each_database: Settings) -> None:
    with connect(Role.READER, each_database) as connection:
        [(edition,)] = connection.execute("select edition()").fetchall()
        if edition == Edition.PLAIN:
            return
        names = {
            row[0] for row in connection.execute("select hypertable_name from timescaledb_information.hypertables")
        }
    assert {"trade_data", "ticker_data", "candles", "article_data", "sentiment_data", "prediction_data"} <= names


def test_the_reader_cannot_write_and_the_writer_cannot_change_tables(each_database: Settings) -> None:
    if each_database.database(Role.READER) == each_database.database(Role.OWNER):
        pytest.skip("this database has one role only")
    with (
        connect(Role.READER, each_database) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("delete from trade_data")
    for statement in (
        "create table mine (id int)",
        "drop table trade_data",
        "update schema_migrations set name = name",
    ):
        with (
            connect(Role.WRITER, each_database) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


def test_no_role_of_ours_is_superuser(database: Settings) -> None:
    with connect(Role.READER, database) as connection:
        rows = connection.execute(
            "select rolname, rolsuper or rolcreaterole or rolcreatedb from pg_roles"
            " where rolname in ('cryptoviz_owner', 'cryptoviz_writer', 'cryptoviz_reader', 'dagster')"
        ).fetchall()
    assert len(rows) == 4
    assert not any(powerful for _, powerful in rows)
