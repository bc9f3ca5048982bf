"""From staging to the topic in a real database: nothing lost, nothing unjudged, whoever is killed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from cryptoviz.bus import MemoryProducer
from cryptoviz.gate import suites
from cryptoviz.gate.gate import deliver, judge
from cryptoviz.gate.staging import Staged, stage
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect

pytestmark = pytest.mark.services

NOW = datetime.now(UTC).replace(microsecond=0)
ASSET = "poll/market"


def coin(symbol: str, rank: int, **changed: Any) -> Staged:
    when = (NOW - timedelta(seconds=40)).isoformat().replace("+00:00", "Z")
    payload = {
        "received_at": NOW.isoformat().replace("+00:00", "Z"),
        "timestamp": when,
        "source": "coingecko",
        "symbol": symbol,
        "name": f"Coin {symbol}",
        "price_usd": "100.000000000000000001",
        "market_cap": "1000000",
        "volume_24h": "50000",
        "change_1h": 0.1,
        "change_24h": 1.0,
        "change_7d": None,
        "ath": "200",
        "atl": "1",
        "circulating_supply": "10000",
        "rank": rank,
    } | changed
    return Staged(
        f"{payload['timestamp']}|coingecko|{symbol}", payload, {"source": "coingecko", "answered": 2, "asked": 2}
    )


SOUND = [coin("BTC", 1), coin("ETH", 2)]
INCIDENT = coin(
    "EVIL", 1, price_usd="3.3", market_cap="3300000000000", volume_24h="5", circulating_supply="1000000000000"
)


@pytest.fixture
def writer(database: Settings) -> Iterator[psycopg.Connection[Any]]:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        yield connection


def count(connection: psycopg.Connection[Any], table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchone()[0])  # type: ignore[arg-type,index]


def test_sound_rows_reach_the_topic_once_and_exactly(writer: psycopg.Connection[Any]) -> None:
    producer = MemoryProducer()
    assert stage(writer, "market", SOUND, "run-1") == 2
    assert stage(writer, "market", SOUND, "run-2") == 0, "they wait already"
    report = judge(writer, "market", "run-1", ASSET)
    assert report.passed
    assert not report.blocked
    assert (report.counts.staged, report.counts.passed, report.counts.quarantined) == (2, 2, 0)
    assert report.newest == NOW - timedelta(seconds=40)
    assert deliver(writer, producer, "market") == 2
    assert [str(record.price_usd) for record in producer.of("rawmarket")] == ["100.000000000000000001"] * 2
    assert count(writer, "staging") == 0
    assert stage(writer, "market", SOUND, "run-3") == 0, "they were published already"
    assert deliver(writer, producer, "market") == 0


def test_a_row_that_fails_is_quarantined_with_its_reason_and_the_rest_is_published(
    writer: psycopg.Connection[Any],
) -> None:
    stage(writer, "market", [INCIDENT, coin("BTC", 2), coin("ETH", 3)], "run-1")
    report = judge(writer, "market", "run-1", ASSET)
    assert not report.passed
    assert not report.blocked
    assert (report.counts.passed, report.counts.quarantined) == (1, 2)
    held = {
        payload["symbol"]: (expectation, reason)
        for expectation, reason, payload in writer.execute("select expectation, reason, payload from quarantine")
    }
    assert held["EVIL"][0] == "rank_one_is_bitcoin"
    assert "symbol: EVIL, rank: 1" in held["EVIL"][1]
    assert "no volume supports (cap_to_volume: 6.6e+11, cap: 3.3e+12)" in held["EVIL"][1]
    assert held["BTC"][0] == "bitcoin_is_rank_one"
    written = dict(writer.execute("select expectation, success from quality_results where run = 'run-1'").fetchall())
    assert written.keys() == {one.name for one in suites.read("market").expectations} | {"is_a_record"}
    assert {name for name, success in written.items() if not success} == {result.name for result in report.failed}
    failing = {result.name: result for result in report.failed}
    assert failing["rank_one_is_bitcoin"].examples[0]["symbol"] == "EVIL"
