"""On a PostgreSQL with its own defaults, in another time zone and language, everything is as right and as quick.

Tests of the SQL that is called most, run again on such a server; `pytest --stock-settings` runs all of them so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import SESSION, connect
from cryptoviz.storage.migrations import shortcomings
from tests.conftest import Cluster, StockPostgres, running_cluster
from tests.integration.test_candle_gaps import test_completeness_says_of_every_day_what_it_has_and_lacks
from tests.integration.test_candles_in_sql import (
    test_a_trade_older_than_the_hot_age_corrects_candles_in_cold_storage,
    test_any_order_and_any_batches_give_the_candles_of_all_trades,
)
from tests.integration.test_indicators import (
    test_a_correction_reaches_cold_rows_where_they_are,
    test_the_newest_candles_of_all_series_are_computed_together,
    write,
)
from tests.integration.test_trade_gaps import test_ids_out_of_the_order_of_time_are_no_hole

__all__ = [
    "test_a_correction_reaches_cold_rows_where_they_are",
    "test_a_trade_older_than_the_hot_age_corrects_candles_in_cold_storage",
    "test_any_order_and_any_batches_give_the_candles_of_all_trades",
    "test_completeness_says_of_every_day_what_it_has_and_lacks",
    "test_ids_out_of_the_order_of_time_are_no_hole",
    "test_the_newest_candles_of_all_series_are_computed_together",
]
pytestmark = pytest.mark.services

ELSEWHERE = {
    "timezone": "Australia/Lord_Howe",
    "datestyle": "SQL, DMY",
    "intervalstyle": "iso_8601",
    "client_encoding": "LATIN1",
    "jit": "on",
    "default_transaction_isolation": "repeatable read",
    "default_transaction_read_only": "on",
    "statement_timeout": "5s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "1s",
    "idle_session_timeout": "1min",
}
"""What a database's administrator may have set for everybody."""


@pytest.fixture(scope="module")
def postgres_cluster(service_folder: Path) -> Iterator[Cluster]:
    """In place of the session's: a server that nobody has tuned."""
    with running_cluster(service_folder, StockPostgres, "stock") as cluster:
        yield cluster


def test_the_server_is_nobodys_in_particular(postgres_cluster: Cluster, database: Settings) -> None:
    with psycopg.connect(database.database(Role.WRITER)) as stranger:
        shown = {name: stranger.execute(f"SHOW {name}").fetchone() for name in ("jit", "timezone", "random_page_cost")}
        available = stranger.execute("SELECT pg_jit_available()").fetchone()
    assert shown == {"jit": ("on",), "timezone": ("America/New_York",), "random_page_cost": ("4",)}
    assert available == (True,), "without a compiler the tests here cannot fail: install PostgreSQL's package for JIT"


def test_a_session_is_ours_whatever_the_database_says(postgres_cluster: Cluster, database: Settings) -> None:
    assert ELSEWHERE.keys() == SESSION.keys()
    for name, value in ELSEWHERE.items():
        statement = sql.SQL("alter database {} set {} = {}").format(
            sql.Identifier(database.postgres_database),
            sql.SQL(name),
            sql.Literal(value),  # type: ignore[arg-type]
        )
        with psycopg.connect(postgres_cluster.server.superuser_url(), autocommit=True) as administrator:
            administrator.execute(statement)
    at, long = datetime(2026, 4, 5, 15, 30, 0, 123456, UTC), timedelta(days=400, hours=1)
    for role in Role:
        with connect(role, database) as ours:
            shown = {name: (ours.execute(f"SHOW {name}").fetchone() or ("",))[0] for name in SESSION}  # type: ignore[arg-type]
            assert shown == SESSION
            [row] = ours.execute("SELECT %s::timestamptz, %s::interval, 'é€'", [at, long]).fetchall()
            assert row == (at, long, "é€")
            assert row[0].utcoffset() == timedelta(0)


@pytest.fixture
def psql(postgres_cluster: Cluster, database: Settings) -> Iterator[psycopg.Connection[Any]]:
    """Somebody's own session, in which every statement counts as costly and says how it was executed."""
    with psycopg.connect(postgres_cluster.server.superuser_url(database.postgres_database), autocommit=True) as session:
        session.execute("LOAD 'auto_explain'")
        session.execute(
            "SELECT set_config(name, value, false) FROM (VALUES ('auto_explain.log_min_duration', '0'),"
            " ('auto_explain.log_analyze', 'on'), ('auto_explain.log_nested_statements', 'on'),"
            " ('auto_explain.log_level', 'notice'), ('client_min_messages', 'notice')) AS wanted (name, value)"
        )
        session.execute("SELECT set_config(name, '0', false) FROM pg_settings WHERE name LIKE 'jit%above_cost'")
        yield session


def compiled(psql: psycopg.Connection[Any], statement: str) -> tuple[int, int]:
    """How many statements were compiled, and how many were executed: this one and those of the functions it calls."""
    told: list[str] = []

    def note(notice: psycopg.errors.Diagnostic) -> None:
        told.append(notice.message_primary or "")

    psql.add_notice_handler(note)
    psql.execute(statement)  # type: ignore[arg-type]
    psql.remove_notice_handler(note)
    plans = [plan for plan in told if " plan:" in plan]
    return sum("JIT:" in plan for plan in plans), len(plans)


@pytest.mark.parametrize(
    "call",
    [
        "rebuild_indicators('kraken', 'BTC/USD', '1m', null)",
        "refresh_candles('{kraken}', '{BTC/USD}', array[now() - interval '3 hours'])",
        "record_candle_gaps('kraken', 'BTC/USD', '1m', now() - interval '1 day', now())",
        "tier_old_candles()",
    ],
)
def test_our_functions_are_not_compiled_in_somebody_elses_session(
    psql: psycopg.Connection[Any], database: Settings, call: str
) -> None:
    with connect(Role.WRITER, database, autocommit=True) as writer:
        first = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=6)
        write(writer, [Decimal(100 + n % 7) for n in range(100)], first)
    assert compiled(psql, "SELECT count(*) FROM candles WHERE close > 1") == (1, 1)
    of_ours, executed = compiled(psql, f"SELECT {call}")
    assert of_ours == 1, "the one around the call is theirs"
    assert executed > 1


def test_a_server_that_does_not_do_is_named_with_what_to_set(postgres_cluster: Cluster, database: Settings) -> None:
    unsafe = [f"{name} is off: a crash can destroy the database" for name in ("fsync", "full_page_writes")]
    assert shortcomings(database) == unsafe, "the tests' own server waits for no disk"
    name = sql.Identifier(database.postgres_database)
    with psycopg.connect(postgres_cluster.server.superuser_url(), autocommit=True) as administrator:
        administrator.execute(sql.SQL("alter database {} set synchronous_commit = off").format(name))
    lost = "synchronous_commit is off: what was committed last is lost in a crash, and not read again"
    assert shortcomings(database) == [*unsafe, lost]
