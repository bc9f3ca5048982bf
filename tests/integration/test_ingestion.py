"""The whole job, as it is started in production, between a real broker and a real database."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer as KafkaProducer

from cryptoviz import bus
from cryptoviz.codec import RefusedError
from cryptoviz.records import Side, Trade
from cryptoviz.settings import PREFIX, PROJECT_ROOT, Role, Settings, load
from cryptoviz.stack.jars import JarSet, install_jars
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.storage.database import connect
from cryptoviz.topics import INGESTED, TOPICS
from streaming.rows import Message, judge
from streaming.sink import TABLES
from tests.e2e.platform import kill_tree
from tests.spark.mutations import mutated

pytestmark = [pytest.mark.services, pytest.mark.slow]

_START_S = 300
_PAIRS = ("BTC/USD", "ETH/USD", "SOL/USD")
_LATER_PAIR = "XRP/USD"


@dataclass
class Job:
    """`python -m streaming run ingestion` in a process of its own."""

    settings: Settings
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streaming", "run", "ingestion"],
                cwd=PROJECT_ROOT, env=os.environ | self.environment, stdout=out, stderr=out,
            )  # fmt: skip

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if number is signal.SIGKILL:
            kill_tree(self.process.pid)
        else:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = _START_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline or not self.alive():
                raise AssertionError(f"{what}: not within {timeout_s} s\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with connect(Role.READER, self.settings) as connection:
            return connection.execute(statement, parameters).fetchall()  # type: ignore[arg-type]

    def count(self, exchange: str) -> int:
        return int(self.rows("SELECT count(*) FROM trade_data WHERE exchange = %s", exchange)[0][0])

    def idle(self) -> bool:
        """Whether all that the broker holds has been stored, by the job's own account and by ours."""
        return self.rows("SELECT lag FROM stream_status WHERE name = 'ingestion' AND state = 'running'") == [(0,)]


@pytest.fixture
def job(database: Settings, kafka_broker: LocalKafka, tmp_path: Path) -> Iterator[Job]:
    install_jars(load(), JarSet.SPARK)
    values = {
        "database_url": database.database(Role.OWNER),
        "database_writer_url": database.database(Role.WRITER),
        "database_reader_url": database.database(Role.READER),
        "kafka_bootstrap_servers": kafka_broker.bootstrap_servers,
        "checkpoint_dir": str(tmp_path / "checkpoints"),
        "spark_driver_memory": "512m",
        "spark_bulk_rows": "4000",
    }
    settings = load(**values)
    bus.create_topics(settings)
    one = Job(settings, {f"{PREFIX}{name.upper()}": value for name, value in values.items()}, tmp_path / "job.log")
    yield one
    if one.alive():
        one.end(signal.SIGKILL)


def trade(exchange: str, number: int, at: datetime) -> Trade:
    return Trade(
        received_at=at, timestamp=at, exchange=exchange, pair=_PAIRS[number % len(_PAIRS)],
        price=Decimal(number % 1000 + 1), volume=Decimal("0.25"), side=Side.BUY, trade_id=number,
    )  # fmt: skip


def send(settings: Settings, records: Iterator[Trade]) -> None:
    producer = bus.Producer(settings)
    producer.start()
    for record in records:
        producer.send("rawtrade", record)
    assert producer.flush(60)
    assert producer.lost == 0
    producer.close()


def check_candles(job: Job, exchange: str) -> None:
    """Every timeframe's candles add up to the trades, and the minutes equal a plain aggregation of them."""
    totals = job.rows(
        "SELECT timeframe, sum(trade_count)::bigint, sum(volume) FROM candles WHERE exchange = %s GROUP BY 1", exchange
    )
    trades = job.count(exchange)
    assert {name: (count, volume) for name, count, volume in totals} == {
        name: (trades, Decimal("0.25") * trades) for name in ("1m", "5m", "15m", "1h", "1d")
    }
    statement = """
        SELECT count(*) FROM candles FULL JOIN (
            SELECT exchange, pair AS symbol, date_trunc('minute', timestamp) AS window_start, '1m' AS timeframe,
                   (array_agg(price ORDER BY timestamp, trade_id))[1] AS open, max(price) AS high, min(price) AS low,
                   (array_agg(price ORDER BY timestamp DESC, trade_id DESC))[1] AS close
            FROM trade_data WHERE exchange = %(exchange)s GROUP BY 1, 2, 3
        ) AS expected USING (exchange, symbol, window_start, timeframe, open, high, low, close)
        WHERE exchange = %(exchange)s AND timeframe = '1m' AND (candles.ctid IS NULL OR expected IS NULL)"""
    with connect(Role.READER, job.settings) as connection:
        row = connection.execute(statement, {"exchange": exchange}).fetchone()
    assert row == (0,)


def test_every_trade_is_stored_once_through_kills_duplicates_and_a_lost_checkpoint(job: Job, tmp_path: Path) -> None:
    exchange, total = f"kill_{os.getpid()}", 24_000
    chance = random.Random(11)
    begin = datetime.now(UTC) - timedelta(days=1)
    trades = [trade(exchange, number, begin + timedelta(milliseconds=20 * number)) for number in range(total)]
    twice = trades[::7]
    late = trades[: total // 4]
    send(job.settings, iter(trades[total // 4 : total // 2]))
    job.start()
    job.wait(lambda: job.count(exchange) > 0, "first rows")
    for part in (trades[total // 2 :], late, twice):
        send(job.settings, iter(part))
        before = job.count(exchange)
        if part is not twice:
            job.wait(lambda seen=before: job.count(exchange) > seen, "more rows")  # type: ignore[misc]
        time.sleep(chance.random() * 0.2)  # somewhere within a batch
        assert job.end(signal.SIGKILL) == -signal.SIGKILL
        job.start()
    job.wait(lambda: job.count(exchange) == total, "every trade")
    job.wait(job.idle, "no lag")
    assert job.end(signal.SIGTERM) == 0
    check_candles(job, exchange)
    statement = "SELECT * FROM candles WHERE exchange = %s AND symbol <> %s ORDER BY window_start, symbol, timeframe"
    candles = job.rows(statement, exchange, _LATER_PAIR)

    (tmp_path / "checkpoints").rename(tmp_path / "lost")
    extra = msgspec.structs.replace(trade(exchange, total, trades[-1].timestamp), pair=_LATER_PAIR)
    job.start()
    send(job.settings, iter([extra]))
    job.wait(lambda: job.count(exchange) == total + 1, "the trade after the loss")
    job.wait(job.idle, "no lag")
    assert job.end(signal.SIGTERM) == 0
    assert job.count(exchange) == total + 1
    assert job.rows(statement, exchange, _LATER_PAIR) == candles


def test_ten_thousand_spoilt_messages_are_each_in_their_table_or_in_deadletter(job: Job) -> None:
    producer = KafkaProducer({"bootstrap.servers": job.settings.bootstrap_servers})
    job.start()
    for number, (topic, value) in enumerate(islice(mutated(21, datetime.now(UTC)), 10_000)):
        producer.produce(topic, value, str(number))
    assert producer.flush(60) == 0
    job.wait(lambda: (job.alive() and bool(job.rows("SELECT FROM fear_greed_data LIMIT 1"))) and job.idle(), "no lag")
    process = job.process
    assert process is not None
    assert process.poll() is None, "the stream stopped"

    dead = {
        (letter.headers["topic"].decode(), int(letter.headers["partition"]), int(letter.headers["offset"])): letter
        for letter in bus.tail(job.settings, "deadletter", None)
        if letter.headers["partition"]
    }
    stored = {topic.name: _keys(job, topic.name) for topic in INGESTED}
    seen = {"stored": 0, "dead": 0}
    for topic in INGESTED:
        for message in bus.tail(job.settings, topic.name, None):
            letter = dead.get((message.topic, message.partition, message.offset))
            if letter is not None:
                assert (letter.key, letter.value) == (message.key, message.value)
                assert letter.headers["error_class"]
                assert letter.headers["error"]
                seen["dead"] += 1
                continue
            try:
                record = judge(
                    Message(message.topic, message.partition, message.offset, message.key, message.value),
                    datetime.now(UTC),
                )
            except RefusedError as error:
                raise AssertionError(f"{message} is nowhere: {error}") from None
            assert _key(topic.name, record) in stored[topic.name], message
            seen["stored"] += 1
    assert seen["stored"] > 2_000
    assert seen["dead"] > 2_000
    assert job.end(signal.SIGTERM) == 0


def _keys(job: Job, topic: str) -> set[tuple[Any, ...]]:
    table = TOPICS[topic].table or ""
    columns = ", ".join(f'"{column}"' for column in TABLES[table].key)
    return set(job.rows(f"SELECT {columns} FROM {table}"))


def _key(topic: str, record: Any) -> tuple[Any, ...]:
    sources = TOPICS[topic].columns()
    values = (getattr(record, sources[column]) for column in TABLES[TOPICS[topic].table or ""].key)
    return tuple(str(value) if isinstance(value, str) else value for value in values)


def test_a_second_runner_is_refused(job: Job) -> None:
    job.start()
    job.wait(lambda: bool(job.rows("SELECT FROM stream_status WHERE name = 'ingestion'")), "the claim")
    second = subprocess.run(
        [sys.executable, "-m", "streaming", "run", "ingestion"],
        cwd=PROJECT_ROOT, env=os.environ | job.environment, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 75
