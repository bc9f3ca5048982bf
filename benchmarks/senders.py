"""What sending costs: librdkafka, which sends here, beside kafka-python, which administers and reads.

    trades of sixteen pairs -> encode -> each client, idempotent, acknowledged by all, lz4 -> a private local broker

Each round is a process of its own. What counts is its CPU time, `time.process_time`, from the first message until the
last is acknowledged: both clients work in threads beside the sender, and the broker is another process. kafka-python
is given the partition of each key, which costs it more to compute than all of the rest.

`python -m benchmarks.senders`
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.stage import free_ports, median
from cryptoviz.bus import Producer, create_topics
from cryptoviz.codec import encode, headers
from cryptoviz.records import Side, Trade
from cryptoviz.settings import PREFIX, PROJECT_ROOT, Settings, load
from cryptoviz.stack.jars import JarSet, install_jars
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.topics import TOPICS

BUDGET = 2.0
"""How many times as many messages a core librdkafka must send: below, two clients would not be worth their upkeep."""

ROUNDS = 3
PAIRS = [f"C{number}/USD" for number in range(16)]
LOADS = {"as fast as they go": (60_000, 0), "5,000 a second": (20_000, 5_000)}
"""What to send: how many messages, and how many of them a second (0: no limit)."""

_BATCH = 25
_TIMEOUT_S = 120

Send = Callable[[Trade], None]
Finish = Callable[[], None]


def trades(count: int) -> Iterator[Trade]:
    """As many trades, one pair after the other."""
    now = datetime.now(UTC)
    for number in range(count):
        yield Trade(
            received_at=now, timestamp=now, exchange="kraken", pair=PAIRS[number % len(PAIRS)],
            price=Decimal("67000.10"), volume=Decimal("0.100"), side=Side.BUY, trade_id=number,
        )  # fmt: skip


def librdkafka(settings: Settings) -> tuple[Send, Finish]:
    """The platform's own producer."""
    producer = Producer(settings)
    producer.start()

    def send(trade: Trade) -> None:
        producer.send("rawtrade", trade)
        if trade.trade_id % _BATCH == 0:
            producer.poll()

    def finish() -> None:
        if not producer.flush(_TIMEOUT_S) or producer.lost:
            raise SystemExit("messages were lost")

    return send, finish


def kafka_python(settings: Settings) -> tuple[Send, Finish]:
    """The other client, with the same promises."""
    from kafka import KafkaProducer  # noqa: PLC0415 - the other process does not need it
    from kafka.partitioner.default import murmur2  # noqa: PLC0415

    producer = KafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, enable_idempotence=True, acks="all", compression_type="lz4",
        linger_ms=3, batch_size=131_072, max_request_size=4_194_304, metrics_enabled=False,
    )  # fmt: skip
    definition = TOPICS["rawtrade"]
    partitions = sorted(producer.partitions_for(definition.name))
    lanes: dict[str, tuple[bytes, int, Any]] = {}
    answers = []

    def send(trade: Trade) -> None:
        name = definition.key(trade) if definition.key is not None else ""
        if name not in lanes:
            key = name.encode()
            lanes[name] = key, partitions[(murmur2(key) & 0x7FFFFFFF) % len(partitions)], headers(definition, trade)
        key, partition, fixed = lanes[name]
        answers.append(producer.send(definition.name, encode(trade), key=key, headers=fixed, partition=partition))

    def finish() -> None:
        producer.flush(_TIMEOUT_S)
        if not all(answer.succeeded() for answer in answers):
            raise SystemExit("messages were lost")

    return send, finish


CLIENTS = {"kafka-python": kafka_python, "librdkafka": librdkafka}


def cost(client: str, count: int, rate: int) -> None:
    """Send and print the CPU-seconds that it took."""
    send, finish = CLIENTS[client](load())
    batch = list(trades(count))
    send(batch[0])
    finish()  # connected, and everything that is made once is made
    began, cpu = time.monotonic(), time.process_time()
    for number, trade in enumerate(batch):
        if rate and number % _BATCH == 0 and (early := number / rate - (time.monotonic() - began)) > 0:
            time.sleep(early)
        send(trade)
    finish()
    print(json.dumps(time.process_time() - cpu))


@contextmanager
def broker() -> Iterator[dict[str, str]]:
    """A private broker with the topics, as an environment for child processes; gone afterwards."""
    install_jars(load(), JarSet.KAFKA)
    folder = Path(tempfile.mkdtemp(prefix="cryptoviz-bench-"))
    port, controller_port = free_ports(2)
    kafka = LocalKafka(folder / "kafka", port, controller_port, heap_mb=512)
    try:
        kafka.prepare()
        kafka.start()
        create_topics(load(kafka_bootstrap_servers=kafka.bootstrap_servers))
        yield {f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)


def measured(environment: dict[str, str], client: str, count: int, rate: int) -> float:
    """Messages a CPU-second, of a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.senders", client, str(count), str(rate)],
        cwd=PROJECT_ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return count / float(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Measure both and print the ratios; 1 when the budget is missed."""
    missed = 0
    print(f"senders: messages a second and core, median of {ROUNDS} rounds in turn")
    with broker() as environment:
        for title, (count, rate) in LOADS.items():
            rounds = [{name: measured(environment, name, count, rate) for name in CLIENTS} for _ in range(ROUNDS)]
            speed = {name: median([found[name] for found in rounds]) for name in CLIENTS}
            ratio = speed["librdkafka"] / speed["kafka-python"]
            missed += ratio < BUDGET
            figures = ", ".join(f"{name} {found:,.0f}" for name, found in speed.items())
            print(f"  {title:18} {figures}: {ratio:.1f} times as many")
    print(f"  budget: {BUDGET:g} times: {'MISSED' if missed else 'met'}")
    return int(missed > 0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        cost(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.exit(main())
