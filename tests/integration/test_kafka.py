"""The local broker: starts, forgets nothing when stopped or killed, and listens on loopback only.

And the producer against it: what was sent while the broker was away arrives once and in order.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from cryptoviz.bus import Producer, create_topics, list_topics, offsets, tail
from cryptoviz.codec import decode
from cryptoviz.processes import _listening_inodes, _sockets
from cryptoviz.records import Side, Trade
from cryptoviz.settings import Settings, load
from cryptoviz.stack.kafka import LocalKafka
from tests.conftest import free_ports

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalKafka]:
    port, controller_port = free_ports(2)
    kafka = LocalKafka(tmp_path / "kafka", port, controller_port, heap_mb=256)
    yield kafka
    kafka.kill()


def of(kafka: LocalKafka, tmp_path: Path) -> Settings:
    return load(state_dir=tmp_path, kafka_bootstrap_servers=kafka.bootstrap_servers)


def test_topics_survive_a_stop_and_a_kill(broker: LocalKafka, tmp_path: Path) -> None:
    assert not broker.ready()
    broker.start(timeout_s=180)
    assert broker.ready()
    created = create_topics(of(broker, tmp_path))
    assert "rawtrade" in created

    broker.stop()
    assert not broker.ready()
    assert broker.pid is None
    broker.start(timeout_s=180)
    assert set(list_topics(of(broker, tmp_path))) == set(created)

    broker.kill()
    broker.start(timeout_s=180)
    assert set(list_topics(of(broker, tmp_path))) == set(created)
    assert create_topics(of(broker, tmp_path)) == []

    pid = broker.pid
    assert pid is not None
    addresses = {
        line.split()[1]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[9] in _sockets(pid)
    }
    assert addresses
    assert {address.partition(":")[0] for address in addresses} == {"0100007F"}
    assert set(_listening_inodes(broker.port)) <= _sockets(pid)


def test_storage_that_was_half_formatted_is_formatted_anew(broker: LocalKafka) -> None:
    (broker.folder / "data.new").mkdir(parents=True)
    (broker.folder / "data.new" / "rubbish").write_text("left by an interrupted start")
    broker.prepare()
    formatted = (broker.data / "meta.properties").read_text()
    broker.prepare()
    assert (broker.data / "meta.properties").read_text() == formatted
    assert not (broker.folder / "data.new").exists()
    assert list(broker.data.iterdir())


PARTITIONS = {"BTC/USD": 2, "ETH/USD": 0, "SOL/USD": 2, "LTC/USD": 0, "BTC/USDT": 1}
"""Where Java's partitioner puts these pairs (of kraken, and of binance where quoted in USDT) of three partitions."""


def trade(number: int) -> Trade:
    now = datetime.now(UTC)
    pair = list(PARTITIONS)[number % len(PARTITIONS)]
    return Trade(
        received_at=now, timestamp=now, exchange="binance" if pair.endswith("USDT") else "kraken", pair=pair,
        price=Decimal(number + 1), volume=Decimal("0.5"), side=Side.BUY, trade_id=number,
    )  # fmt: skip


def until(producer: Producer, done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, what
        producer.poll()
        time.sleep(0.005)


def test_nothing_is_lost_or_doubled_by_a_broker_that_is_away_or_killed(broker: LocalKafka, tmp_path: Path) -> None:
    settings = of(broker, tmp_path)
    lost: list[Any] = []
    producer = Producer(settings, on_lost=lambda *what: lost.append(what))
    producer.start()
    sent = iter(range(1_000_000))

    def send(count: int) -> None:
        for _ in range(count):
            producer.send("rawtrade", trade(next(sent)))
        producer.poll()

    send(500)
    producer.dead_letter(b"?", "kraken", origin="ws:kraken", error_class="undecodable", error="no JSON")
    assert not producer.connected
    broker.start(timeout_s=180)
    until(producer, lambda: producer.connected, "connected")
    until(producer, lambda: bool(producer._held), "the topics are not there yet")  # the case that librdkafka gives up
    send(100)
    create_topics(settings)
    until(producer, lambda: not producer.pending, "sent once the topics are there")

    for _ in range(200):
        send(20)
    broker.kill()
    until(producer, lambda: not producer.connected, "noticed")
    send(2000)
    broker.start(timeout_s=180)
    acked = producer.acked
    until(producer, lambda: producer.acked > acked, "reached again")
    for _ in range(200):
        send(20)
    assert producer.flush(60)
    producer.close()

    assert (lost, producer.lost, producer.pending) == ([], 0, 0)
    found: dict[str, list[int]] = {pair: [] for pair in PARTITIONS}
    messages = sorted(tail(settings, "rawtrade", None), key=lambda message: (message.partition, message.offset))
    for message in messages:
        record = decode("rawtrade", message.value)
        assert message.partition == PARTITIONS[record.pair]
        found[record.pair].append(record.trade_id)
    count = next(sent)
    # Those that the starting broker denied may have followed later ones of their pair; each is there once.
    assert {pair: sorted(ids) for pair, ids in found.items()} == {
        pair: list(range(start, count, len(PARTITIONS))) for start, pair in enumerate(PARTITIONS)
    }
    held = offsets(settings, ["rawtrade", "unheard of"])
    assert held.keys() == {"rawtrade"}
    assert sum(map(len, held["rawtrade"].values())) == count
    assert sorted(message.offset for message in tail(settings, "rawtrade", 7)) == sorted(
        message.offset for message in sorted(messages, key=lambda message: message.timestamp)[-7:]
    )
    [letter] = tail(settings, "deadletter", None)
    assert letter.headers["topic"] == b"ws:kraken"


def test_what_is_refused_for_good_is_lost_and_what_follows_is_not(kafka_broker: LocalKafka, tmp_path: Path) -> None:
    settings = of(kafka_broker, tmp_path)
    create_topics(settings)
    lost: list[Any] = []
    producer = Producer(settings, on_lost=lambda *what: lost.append(what))
    producer.start()
    huge = os.urandom(4_194_304)
    producer.dead_letter(huge, "x", origin="o", error_class="e", error="e")
    producer.send("rawtrade", trade(0))
    assert producer.flush(60)
    assert (producer.acked, producer.lost) == (1, 1)
    [(topic, key, value, reason)] = lost
    assert (topic, key, value == huge) == ("deadletter", "x", True)
    assert "too large" in reason

    def give_up(_wait_s: float) -> int:
        raise KafkaException(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "out of order", fatal=True))

    lost.clear()
    producer.send("rawtrade", trade(1))
    producer._serve(give_up, 0)
    producer.send("rawtrade", trade(2))
    assert producer.flush(60)
    until(producer, lambda: producer._fatal is None, "replaced")
    producer.send("rawtrade", trade(3))
    assert producer.flush(60)
    assert producer.acked + producer.lost == producer.sent == 5
    assert [record.trade_id for _, _, record, _ in lost] in ([], [1], [1, 2], [2])
    producer.close()


def test_follow_goes_on_where_the_held_messages_end(kafka_broker: LocalKafka, tmp_path: Path) -> None:
    settings = of(kafka_broker, tmp_path)
    create_topics(settings)
    producer = Producer(settings)
    producer.start()
    ids = range(10_000, 10_050, len(PARTITIONS))  # of one pair: across partitions the order is that of milliseconds
    for number in ids[:5]:
        producer.send("rawtrade", trade(number))
    assert producer.flush(60)
    with closing(tail(settings, "rawtrade", 1, follow=True)) as messages:
        assert decode("rawtrade", next(messages).value).trade_id == ids[4]
        for number in ids[5:]:
            producer.send("rawtrade", trade(number))
        assert producer.flush(60)
        assert [decode("rawtrade", next(messages).value).trade_id for _ in ids[5:]] == list(ids[5:])
    producer.close()
