"""What is staged is judged in the database as it would be in memory: the same rows fail the same expectations."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import pytest

from cryptoviz.backfill.publish import judge
from cryptoviz.gate import engine, suites
from cryptoviz.gate.columns import columns_of
from cryptoviz.gate.rows import CandidateRow, StoredContext
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from tests.unit.test_suites import CASES, SOUND, minutes

pytestmark = [pytest.mark.services, pytest.mark.slow]

BATCH = {"exchange": "kraken", "symbol": "BTC/USD", "timeframe": "1m", "origin": "test", "last": 2**62}
WRONG: Sequence[Mapping[str, Any]] = [
    {"open": "NaN"},
    {"volume": "Infinity"},
    {"close": None, "trade_count": None},
    {"high": "-Infinity", "low": "0"},
    {"window_start": None, "window_end": None},
]


def put(connection: psycopg.Connection[Any], payloads: Sequence[Mapping[str, Any]]) -> None:
    connection.execute("truncate staged_candles restart identity")
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into staged_candles (exchange, symbol, timeframe, origin, window_start, window_end, open, high,"
            " low, close, volume, trade_count, staged_at) values ('kraken', 'BTC/USD', '1m', 'test', %(window_start)s,"
            " %(window_end)s, %(open)s, %(high)s, %(low)s, %(close)s, %(volume)s, %(trade_count)s, %(received_at)s)",
            payloads,
        )


def test_the_database_and_memory_agree(database: Settings) -> None:
    suite = suites.read("candles_rest")
    cases = [payloads for payloads in CASES["candles_rest"].values() if payloads]
    cases += [minutes(*sizes) for sizes in ((13, 3), (13, 4), (60, 60), (300, 10), (300, 11), (300, 41))]
    cases += [SOUND["candles_rest"], *([*SOUND["candles_rest"], SOUND["candles_rest"][0] | wrong] for wrong in WRONG)]
    with connect(Role.OWNER, database, autocommit=True) as connection:
        for payloads in cases:
            put(connection, payloads)
            columns = columns_of(
                "candles_rest", [CandidateRow(str(n), row) for n, row in enumerate(payloads)], StoredContext()
            )
            there = judge(connection, suite, BATCH, len(payloads))
            found = {one.expectation.name: sorted(number - 1 for number in one.outcome.rows) for one in there}
            for briefly in (False, True):
                judged = engine.evaluate(suite, columns, briefly=briefly)
                assert found == {one.expectation.name: sorted(one.outcome.rows) for one in judged}, payloads
                assert [one.outcome.success for one in there] == [one.outcome.success for one in judged]
                assert [one.expectation for one in there] == [one.expectation for one in judged]


def test_the_connection_stays_open_when_great_expectations_has_forgotten_the_table(database: Settings) -> None:
    with connect(Role.OWNER, database, autocommit=True) as connection:
        put(connection, SOUND["candles_rest"])
        judge(connection, suites.read("candles_rest"), BATCH, len(SOUND["candles_rest"]))
        gc.collect()
        assert connection.execute("select 1").fetchone() == (1,)
