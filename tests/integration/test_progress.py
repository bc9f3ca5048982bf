"""What the database shows of a worker: slow statements and waiting are signs of life, an idle connection is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.streams.progress import ProgressSign, database_at_work
from streaming.jobs.ingestion import Ingestion

pytestmark = pytest.mark.services
NAME = "spark_ingestion_7"


@pytest.fixture
def worker(database: Settings) -> Iterator[psycopg.Connection[Any]]:
    with connect(Role.WRITER, database, autocommit=True, application_name=NAME) as connection:
        yield connection


@pytest.fixture
def look(database: Settings) -> ProgressSign:
    return database_at_work(database, NAME)


def meanwhile(connection: psycopg.Connection[Any], statement: str, look: ProgressSign) -> str | None:
    """The first sign while a statement runs."""

    def run() -> None:
        with suppress(psycopg.errors.QueryCanceled):
            connection.execute(statement)  # type: ignore[arg-type]

    running = threading.Thread(target=run)
    running.start()
    try:
        return next((found for _ in range(400) if (found := look(False)) is not None or time.sleep(0.02)), None)
    finally:
        connection.cancel()
        running.join(20)


def test_an_idle_connection_is_no_sign_and_one_in_a_transaction_only_when_it_moves(
    worker: psycopg.Connection[Any], look: ProgressSign
) -> None:
    assert look(False) is None
    with worker.transaction():
        worker.execute("SELECT 1")
        assert look(False) == ""
        assert look(False) is None
        worker.execute("SELECT 1")
        assert look(False) == ""
    assert look(False) is None


def test_a_statement_that_takes_long_is_a_sign(worker: psycopg.Connection[Any], look: ProgressSign) -> None:
    statement = "SELECT count(*) FROM generate_series(1, 10000000000)"
    assert meanwhile(worker, statement, look) == ""


def test_a_statement_that_waits_for_a_lock_says_whose(
    worker: psycopg.Connection[Any], look: ProgressSign, database: Settings
) -> None:
    with connect(Role.WRITER, database, application_name="a long job") as other:
        other.execute("LOCK TABLE stream_control IN ACCESS EXCLUSIVE MODE")
        said = "waits in the database for a lock of a long job"
        found = [meanwhile(worker, "SELECT FROM stream_control", lambda first: look(first) or None)]
        assert found == [said]


def test_a_copy_is_a_sign_while_rows_come(worker: psycopg.Connection[Any], look: ProgressSign) -> None:
    worker.execute("CREATE TEMPORARY TABLE numbers (number integer)")
    rows = b"".join(b"%d\n" % number for number in range(100_000))
    with worker.cursor().copy("COPY numbers FROM STDIN") as copy:
        for _ in range(2):
            copy.write(rows)
            found = [look(False) for _ in range(50)]
            assert "" in found
            assert found[-1] is None, "the worker has sent nothing since"


def test_another_workers_statement_is_no_sign(worker: psycopg.Connection[Any], database: Settings) -> None:
    with worker.transaction():
        worker.execute("SELECT 1")
        assert database_at_work(database, "spark_ingestion_8")(True) is None


def test_that_candles_are_closed_is_no_sign_that_the_query_moves(database: Settings, look: ProgressSign) -> None:
    job = Ingestion(database, 7, threading.Event(), lambda _figures: None)
    waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with connect(Role.WRITER, database) as other, connect(Role.WRITER, database, autocommit=True) as third:
        other.execute("LOCK TABLE candles IN ACCESS EXCLUSIVE MODE")
        closing = threading.Thread(target=job._close_candles)
        closing.start()
        while not third.execute(waits).fetchall():
            assert closing.is_alive()
        assert look(True) is None
        other.rollback()
        closing.join(60)
        assert not closing.is_alive()


def test_a_database_that_is_away_is_a_sign(database: Settings) -> None:
    away = database.model_copy(update={"postgres_port": 1})
    assert "the database does not answer: " in (database_at_work(away, NAME)(True) or "")
