"""One trouble is one open alert, however often and by however many it is reported."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query

pytestmark = pytest.mark.services

SUBJECT = {"kind": "stream_down", "subject": "ingestion"}


def report(database: Settings, message: str = "dies at each start") -> tuple[Any, ...]:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        values = {**SUBJECT, "severity": "critical", "message": message, "detail": Jsonb({"restarts": 3})}
        [row] = connection.execute(query("platform_alert_raise"), values).fetchall()
        return row


def close(database: Settings) -> list[tuple[Any, ...]]:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        return connection.execute(query("platform_alert_close"), SUBJECT).fetchall()


def test_a_second_report_counts_on_the_open_alert(each_database: Settings) -> None:
    assert report(each_database)[:2] == (True, 1)
    assert report(each_database, "still does")[:2] == (False, 2)
    with connect(Role.READER, each_database) as connection:
        rows = connection.execute("select message, occurrences, closed_at from platform_alerts").fetchall()
    assert rows == [("still does", 2, None)]


def test_what_comes_back_after_it_was_closed_is_a_new_alert(database: Settings) -> None:
    report(database)
    assert [row[2] for row in close(database)] == [1]
    assert close(database) == []
    assert report(database)[:2] == (True, 1)


def test_reports_at_the_same_time_open_one_alert(database: Settings) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: report(database), range(16)))
    assert sorted(row[1] for row in answers) == list(range(1, 17))
    assert sum(row[0] for row in answers) == 1
