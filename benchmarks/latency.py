"""Trade to committed row through Kafka and Spark, at a steady rate, beside the least that it could take.

    generator (Producer, one process) -> Kafka -> python -m streaming run ingestion -> trade_data, candles
    generator (Producer, one process) -> Kafka -> a bare consumer that COPYs ---------> trade_data

The time of a row's commit is PostgreSQL's own (track_commit_timestamp), the start is the moment the trade was made by
the generator, before it was sent; the generator runs on the same cores. The bare consumer decodes the same messages and
copies them into the same tables, without candles, fence or epoch: its latency is the limit that the job is compared
with, run by run, so that the speed of the machine does not matter.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from benchmarks.stage import Stage, cpu_seconds, peak_memories, stage
from cryptoviz.bus import Producer, offsets
from cryptoviz.codec import decode
from cryptoviz.records import Side, Ticker, Trade
from cryptoviz.settings import PROJECT_ROOT, Role, load
from cryptoviz.storage.database import connect
from cryptoviz.topics import TOPICS
from streaming.rows import copy_line

_COINS = ("BTC", "ETH", "SOL", "ADA", "DOT", "XRP", "LTC", "DOGE")
_MARKETS = [*(("kraken", f"{coin}/USD") for coin in _COINS), *(("binance", f"{coin}/USDT") for coin in _COINS)]
_TICK_S = 0.01
_IDLE_S = 10


def generate(rate: int, seconds: float, ticker_share: float) -> None:
    """Send `rate` messages a second for `seconds`, evenly over two exchanges of eight pairs each."""
    producer = Producer(load())
    producer.start()
    while not producer.connected:
        producer.poll()
        time.sleep(0.01)
    started = time.monotonic()
    sent, first_id = 0, int(time.time() * 1000) * 1000
    while (elapsed := time.monotonic() - started) < seconds:
        due = int(elapsed * rate)
        while sent < due:
            exchange, pair = _MARKETS[sent % len(_MARKETS)]
            turn = sent // len(_MARKETS)
            if turn % 100 < ticker_share * 100:
                producer.send("rawticker", _ticker(exchange, pair, sent))
            else:
                # Each pair's ids without a hole, as the exchanges count: else no candle would ever be known whole.
                trades = turn - (turn // 100 + 1) * round(ticker_share * 100)
                producer.send("rawtrade", _trade(exchange, pair, first_id + trades, sent))
            sent += 1
        producer.poll()
        time.sleep(max(0.0, _TICK_S - (time.monotonic() - started - elapsed)))
    producer.flush(30)
    producer.close()
    sys.stdout.write(json.dumps({"sent": sent, "lost": producer.lost, "seconds": time.monotonic() - started}))


def _trade(exchange: str, pair: str, trade_id: int, number: int) -> Trade:
    now = datetime.now(UTC)
    return Trade(
        received_at=now,
        timestamp=now,
        exchange=exchange,
        pair=pair,
        price=Decimal(9_312_050 + number % 1000).scaleb(-2),
        volume=Decimal(number % 997 + 1).scaleb(-5),
        side=Side.BUY,
        trade_id=trade_id,
    )


def _ticker(exchange: str, pair: str, number: int) -> Ticker:
    now = datetime.now(UTC)
    price = Decimal(9_312_050 + number % 1000).scaleb(-2)
    return Ticker(
        received_at=now,
        timestamp=now,
        exchange=exchange,
        pair=pair,
        last=price,
        bid=price,
        ask=price + 1,
        volume_24h=Decimal("1234.5"),
        pct_change=Decimal("-0.71"),
    )


@contextmanager
def ingestion(one: Stage, log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """The ingestion job as the supervisor starts it, with further settings by their variables."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "streaming", "run", "ingestion"],
            cwd=PROJECT_ROOT,
            env=os.environ | one.environment | settings,
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def wait_for_rows(one: Stage, expected: int, timeout_s: float) -> None:
    """Wait until the two tables hold `expected` rows.

    Raises:
        TimeoutError: they do not within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    with one.connect() as connection:
        while _count(connection) < expected:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{_count(connection)} of {expected} rows after {timeout_s} s")
            time.sleep(1)  # counting costs, too


def _count(connection: object) -> int:
    statement = "SELECT (SELECT count(*) FROM trade_data) + (SELECT count(*) FROM ticker_data)"
    return int(connection.execute(statement).fetchone()[0])  # type: ignore[attr-defined]


@contextmanager
def bare_consumer(one: Stage) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing but copy what comes from now on into the tables."""
    command = [sys.executable, "-m", "benchmarks.latency", "--consume"]
    environment = os.environ | one.environment
    with subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != _READY:
                raise RuntimeError("the bare consumer did not start")
            yield process
        finally:
            process.terminate()


_READY = b"ready\n"
_TABLES = {"rawtrade": "trade_data", "rawticker": "ticker_data"}


def consume() -> None:
    """Copy the messages of two topics into their tables as they come, a transaction for each poll, until terminated."""
    settings = load()
    ends = offsets(settings, _TABLES)
    consumer = Consumer({"bootstrap.servers": settings.bootstrap_servers, "group.id": "limit", "fetch.wait.max.ms": 10})
    consumer.assign(
        [TopicPartition(topic, number, kept.stop) for topic, parts in ends.items() for number, kept in parts.items()]
    )
    copies = {
        topic: f"COPY {table} ({', '.join(TOPICS[topic].columns())}) FROM STDIN" for topic, table in _TABLES.items()
    }
    with connect(Role.WRITER, settings) as connection:
        sys.stdout.buffer.write(_READY)
        sys.stdout.flush()
        while True:
            lines: dict[str, list[bytes]] = {}
            for message in consumer.consume(5000, timeout=0.005):
                topic = message.topic()
                lines.setdefault(topic, []).append(copy_line(TOPICS[topic], decode(topic, message.value())))
            for topic, rows in lines.items():
                with connection.cursor().copy(copies[topic]) as stream:
                    stream.write(b"".join(rows))
            if lines:
                connection.commit()


def _send(one: Stage, rate: int, seconds: float, ticker_share: float) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.latency", "--generate", str(rate), str(seconds), str(ticker_share)]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=os.environ | one.environment, stdout=subprocess.PIPE, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


_LATENCIES = """
SELECT percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY ms), max(ms), count(*)
FROM (SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - received_at) * 1000 AS ms
      FROM trade_data WHERE received_at >= %s) AS rows
"""


Latency = tuple[float, float, float, float]
"""Milliseconds from trade to row: p50, p90, p99 and the most."""

_HEAD = f"{'':>12} {'msg/s':>8} {'p50 ms':>8} {'p90 ms':>8} {'p99 ms':>8} {'max ms':>8} {'core %':>8} {'rows':>9}"


@dataclass
class Load:
    """One load, the same for whoever stores it. `sent` counts what has been sent so far."""

    stage: Stage
    rate: int
    seconds: float
    ticker_share: float
    sent: int = 0

    def warm(self, rate: int, seconds: float) -> None:
        """Send something whose latency does not count, and wait for it."""
        self.sent += int(_send(self.stage, rate, seconds, self.ticker_share)["sent"])
        wait_for_rows(self.stage, self.sent, 120)

    def run(self, name: str, pid: int) -> Latency:
        """Send it, wait until it is stored, print a line; `pid` is the process whose family stores it."""
        begin = datetime.now(UTC) + timedelta(milliseconds=1)
        used = cpu_seconds(pid)
        figures = _send(self.stage, self.rate, self.seconds, self.ticker_share)
        used = cpu_seconds(pid) - used
        self.sent += int(figures["sent"])
        wait_for_rows(self.stage, self.sent, 60)
        with self.stage.connect() as connection:
            (p50, p90, p99), worst, rows = connection.execute(_LATENCIES, [begin]).fetchone()  # type: ignore[misc]
        latency = (float(p50), float(p90), float(p99), float(worst))
        sent, core = figures["sent"] / figures["seconds"], used / figures["seconds"] * 100
        print(f"{name:>12} {sent:>8.0f} " + " ".join(f"{ms:>8.1f}" for ms in latency) + f" {core:>8.0f} {rows:>9}")
        return latency


def measure(rate: int, seconds: float, runs: int, ticker_share: float) -> None:
    """Run both and print a table: a line for each run, the medians, their ratio, then CPU and memory."""
    with stage() as one:
        load = Load(one, rate, seconds, ticker_share)
        with ingestion(one, one.server_folder / "ingestion.log") as job:
            load.warm(200, 2)
            load.warm(rate, 15)  # for the JIT compilers
            idle = _idle(job.pid)  # the runner, the driver, its JVM, and their Python workers
            print(_HEAD)
            stored = [load.run(f"job {run + 1}", job.pid) for run in range(runs)]
            memories = peak_memories(job.pid)
        with bare_consumer(one) as consumer:
            load.warm(rate, 2)
            idle_limit = _idle(consumer.pid)
            limit = [load.run(f"limit {run + 1}", consumer.pid) for run in range(runs)]
    middles = [_middle(latencies) for latencies in (stored, limit)]
    for name, latency in zip(("job", "limit"), middles, strict=True):
        print(f"{name + ', median':>12} {'':>8} " + " ".join(f"{ms:>8.1f}" for ms in latency))
    print(
        f"{'job / limit':>12} {'':>8} "
        + " ".join(f"{ours / least:>8.1f}" for ours, least in zip(*middles, strict=True))
    )
    print(f"idle: job {idle:.1f} % of a core, bare consumer {idle_limit:.1f} %")
    for name, most in memories.items():
        print(f"memory of {name}: {most:.0f} MB at most")


def _idle(pid: int) -> float:
    """How much of a core a process and all that it started use while there is no message, in percent."""
    time.sleep(3)
    used = cpu_seconds(pid)
    time.sleep(_IDLE_S)
    return (cpu_seconds(pid) - used) / _IDLE_S * 100


def _middle(latencies: list[Latency]) -> list[float]:
    return [sorted(column)[len(latencies) // 2] for column in zip(*latencies, strict=True)]


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=5000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=60, help="length of a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tickers", type=float, default=0.5, help="share of tickers; the rest are trades")
    parser.add_argument("--generate", nargs=3, metavar=("RATE", "SECONDS", "SHARE"), help=argparse.SUPPRESS)
    parser.add_argument("--consume", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.generate:
        rate, seconds, share = arguments.generate
        generate(int(rate), float(seconds), float(share))
    elif arguments.consume:
        consume()
    else:
        measure(arguments.rate, arguments.seconds, arguments.runs, arguments.tickers)


if __name__ == "__main__":
    main()
