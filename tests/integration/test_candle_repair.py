"""An upgrade leaves candles that an older version made: they are looked over once, hot and cold, and counted."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import dagster as dg
import psycopg
import pytest

from assets.resources import Database
from cryptoviz.candles.repair import REPAIRED, begin_again, repair, waiting
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from jobs.repair import REPAIR_CANDLES
from sensors.repairs import repairs_due
from tests.conftest import UseSettings

pytestmark = pytest.mark.services

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
OLD = TODAY - 20 * DAY
"""Its minutes are in cold_storage, its hours are not."""
FIGURES = "window_start, timeframe, open, high, low, close, volume, trade_count"


def put(connection: psycopg.Connection, start: datetime, length: timedelta, figures: tuple, source: str) -> None:
    names = {MINUTE: "1m", 5 * MINUTE: "5m", 15 * MINUTE: "15m", 60 * MINUTE: "1h", DAY: "1d"}
    connection.execute(
        "insert into candles (exchange, symbol, window_start, window_end, timeframe, open, high, low, close, volume,"
        " trade_count, closed, source) values ('kraken', 'DOT/USD', %s, %s, %s, %s, %s, %s, %s, %s, %s, true, %s)",
        [start, start + length, names[length], *figures, source],
    )


def old_version(connection: psycopg.Connection, day: datetime) -> None:
    """An hour as it was stored: a quiet minute carried 120 on, trades between 100 and 110 followed; then nothing."""
    put(connection, day, MINUTE, (120, 120, 120, 120, 0, 0), "rest")
    for number in range(1, 60):
        put(connection, day + number * MINUTE, MINUTE, (100, 110, 100, 105, 1, 2), "rest")
    for length in (5 * MINUTE, 15 * MINUTE, 60 * MINUTE, DAY):
        minutes = min(length // MINUTE, 60)
        put(connection, day, length, (120, 120, 100, 105, minutes - 1, 2 * (minutes - 1)), "stream")
        for number in range(1, 60 // minutes if length < DAY else 1):
            put(connection, day + number * length, length, (100, 110, 100, 105, minutes, 2 * minutes), "stream")


def stored(connection: psycopg.Connection) -> set[tuple[Any, ...]]:
    return set(connection.execute(f"select {FIGURES}, closed from all_candles where source = 'stream'").fetchall())


def right(day: datetime) -> set[tuple[Any, ...]]:
    rows = set()
    for name, minutes in (("5m", 5), ("15m", 15), ("1h", 60)):
        for number in range(60 // minutes):
            traded = Decimal(minutes - (number == 0))
            rows.add((day + number * minutes * MINUTE, name, *map(Decimal, (100, 110, 100, 105)), traded,
                      2 * int(traded), True))  # fmt: skip
    return rows | {(day, "1d", *map(Decimal, (100, 110, 100, 105)), Decimal(59), 118, False)}


def test_wrong_candles_are_corrected_where_they_lie_and_counted_once(each_writer: psycopg.Connection) -> None:
    for day in (OLD, TODAY - 2 * DAY):
        old_version(each_writer, day)
    while each_writer.execute("select tier_old_candles()").fetchone() != (0,):
        pass
    begin_again(each_writer)
    assert waiting(each_writer) == [("kraken", "DOT/USD")]

    killed = list(islice(repair(each_writer), 1))
    assert [done.found["corrected"] for done in killed] == [4]
    rest = sum((done.found for done in repair(each_writer)), Counter[str]())
    assert {name: rest[name] for name in REPAIRED} == {"corrected": 4, "closed": 0, "reopened": 1, "made": 0}
    assert stored(each_writer) == right(OLD) | right(TODAY - 2 * DAY)
    known = each_writer.execute("select timeframe, known_minutes, minutes from partial_candles").fetchall()
    assert known == [("1d", 60, 1440)] * 2

    assert waiting(each_writer) == []
    begin_again(each_writer)
    assert sum((done.found for done in repair(each_writer)), Counter[str]()).total() == 0
    totals = "select corrected, reopened, finished_at is not null from candle_repairs"
    assert each_writer.execute(totals).fetchone() == (0, 0, True)


def test_the_job_starts_by_itself_and_leaves_its_counts_in_the_audit_log(
    database: Settings, use_settings: UseSettings
) -> None:
    use_settings(database)
    resources = {"database": Database()}
    with connect(Role.WRITER, database, autocommit=True) as connection, dg.instance_for_test() as instance:
        context = dg.build_sensor_context(instance=instance, resources=resources)
        assert isinstance(repairs_due.evaluate_tick(context).skip_message, str)
        old_version(connection, TODAY - 2 * DAY)
        begin_again(connection)
        [asked] = repairs_due.evaluate_tick(context).run_requests
        assert asked.tags["reason"] == "1 pairs to look over"
        run = REPAIR_CANDLES.execute_in_process(instance=instance, resources=resources, tags={"user": "ann"})
        assert run.success
        [(actor, detail)] = connection.execute(
            "select actor, detail from action_log where action = 'repair_candles'"
        ).fetchall()
        assert actor == "ann"
        assert {name: detail[name] for name in ("pairs", *REPAIRED, "result")} == {
            "pairs": 1, "corrected": 4, "closed": 0, "reopened": 1, "made": 0, "result": "done",
        }  # fmt: skip
        assert repairs_due.evaluate_tick(context).run_requests == []
