"""A topic replayed into its table by the job `replay_topic`, as it is launched from the pages: twice is once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.resources import Database
from cryptoviz import bus
from cryptoviz.records import Side, Trade
from cryptoviz.settings import PREFIX, Role, Settings, load, settings
from cryptoviz.stack.jars import JarSet, install_jars
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.storage.database import connect
from cryptoviz.streams.ownership import Ownership
from jobs.repair import REPLAY_TOPIC
from streaming.replay import SLICE_MESSAGES, Slices

pytestmark = [pytest.mark.services, pytest.mark.slow]

_PAIRS = ("BTC/USD", "ETH/USD")


@pytest.fixture
def platform(
    database: Settings, kafka_broker: LocalKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Settings of the whole process, and of the children it starts, that point at private services."""
    install_jars(load(), JarSet.SPARK)
    values = {
        "database_url": database.database(Role.OWNER),
        "database_writer_url": database.database(Role.WRITER),
        "database_reader_url": database.database(Role.READER),
        "kafka_bootstrap_servers": kafka_broker.bootstrap_servers,
        "spark_driver_memory": "512m",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
    settings.cache_clear()
    bus.create_topics(settings())
    yield settings()
    settings.cache_clear()


def send(platform: Settings, exchange: str, count: int) -> list[Trade]:
    now = datetime.now(UTC) - timedelta(minutes=3)
    trades = [
        Trade(
            received_at=now, timestamp=now + timedelta(milliseconds=50 * number), exchange=exchange,
            pair=_PAIRS[number % 2], price=Decimal(100 + number % 7), volume=Decimal("0.5"), side=Side.BUY,
            trade_id=number,
        )
        for number in range(count)
    ]  # fmt: skip
    producer = bus.Producer(platform)
    producer.start()
    for trade in trades:
        producer.send("rawtrade", trade)
    assert producer.flush(60)
    producer.close()
    return trades


def replay(**config: Any) -> dg.ExecuteInProcessResult:
    return REPLAY_TOPIC.execute_in_process(
        run_config={"ops": {"replay": {"config": config}}},
        resources={"database": Database()},
        tags={"user": "ada"},
        raise_on_error=False,
    )


def rows(platform: Settings, statement: str) -> list[tuple[Any, ...]]:
    with connect(Role.READER, platform) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


CANDLES = """
    SELECT symbol, timeframe, sum(trade_count)::int, sum(volume) FROM candles GROUP BY 1, 2 ORDER BY 1, 2"""


def test_what_is_missing_comes_back_and_a_second_replay_changes_nothing(platform: Settings) -> None:
    begin = datetime.now(UTC) - timedelta(seconds=5)
    trades = send(platform, "kraken", 1200)
    first = replay(topic="rawtrade", since=begin.isoformat())
    assert first.success
    assert first.output_for_node("replay") == len(trades)
    assert rows(platform, "SELECT count(*), count(DISTINCT trade_id) FROM trade_data") == [(1200, 1200)]
    candles = rows(platform, CANDLES)
    assert {(timeframe, count) for _, timeframe, count, _ in candles} == {
        (timeframe, 600) for timeframe in ("1m", "5m", "15m", "1h", "1d")
    }

    before = rows(platform, "SELECT ctid::text, * FROM candles ORDER BY 1, 2, 3, 4, 5, 6")
    with connect(Role.OWNER, platform, autocommit=True) as connection:
        connection.execute("DELETE FROM trade_data WHERE trade_id BETWEEN 100 AND 199")
    assert replay(topic="rawtrade", since=begin.isoformat()).success
    assert rows(platform, "SELECT count(*), count(DISTINCT trade_id) FROM trade_data") == [(1200, 1200)]
    assert rows(platform, "SELECT ctid::text, * FROM candles ORDER BY 1, 2, 3, 4, 5, 6") == before

    audit = rows(
        platform, "SELECT actor, action, subject, detail ->> 'result', (detail ->> 'messages')::int FROM action_log"
    )
    assert audit == [("ada", "replay_topic", "rawtrade", "done", 1200)] * 2
    assert rows(platform, "SELECT count(*) FROM sink_fence") == [(0,)]
    assert rows(platform, "SELECT state FROM stream_status WHERE name = 'replay'") == [("stopped",)]

    day_before = [(begin - timedelta(hours=hours)).isoformat() for hours in (26, 24)]
    nothing = replay(topic="rawtrade", since=day_before[0], until=day_before[1])
    assert nothing.success
    assert nothing.output_for_node("replay") == 0


def test_one_replay_at_a_time(platform: Settings) -> None:
    other = Ownership("replay", platform)
    assert other.claim()
    result = replay()
    other.close()
    assert not result.success
    assert "Another replay is under way" in str(result.all_events)
    assert rows(platform, "SELECT detail ->> 'result' FROM action_log") == [("failed",)]


def test_slices_cover_the_range_and_follow_the_density() -> None:
    begin = datetime(2026, 11, 21, tzinfo=UTC)
    slices, pieces = Slices(begin, begin + timedelta(days=7)), []
    while piece := slices.next():
        pieces.append(piece)
        busy = timedelta(days=3) <= piece[0] - begin < timedelta(days=4)
        slices.held(round((piece[1] - piece[0]).total_seconds() * (5_000 if busy else 10)))
    assert pieces[0][0] == begin
    assert pieces[-1][1] == begin + timedelta(days=7)
    assert all(earlier[1] == later[0] for earlier, later in itertools.pairwise(pieces))
    lengths = {(end - start).total_seconds() for start, end in pieces if start - begin > timedelta(days=3, hours=6)}
    assert min(lengths) * 5_000 <= SLICE_MESSAGES
    assert len(pieces) < 7 * 24 * 3600
