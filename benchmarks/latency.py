"""Trade to committed row through Kafka and Spark, at a steady rate, the load generator on the same cores.

    generator (Producer, one process) -> Kafka -> python -m streaming run ingestion -> trade_data

The time of a row's commit is PostgreSQL's own (track_commit_timestamp), the start is the moment the trade was made by
the generator, before it was sent. The budget is p50 <= 150 ms and p99 <= 400 ms at 5,000 messages a second.
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
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from benchmarks.stage import Stage, children, cpu_seconds, peak_memory_mb, stage
from cryptoviz.bus import Producer
from cryptoviz.records import Side, Ticker, Trade
from cryptoviz.settings import PROJECT_ROOT, load

_COINS = ("BTC", "ETH", "SOL", "ADA", "DOT", "XRP", "LTC", "DOGE")
_MARKETS = [*(("kraken", f"{coin}/USD") for coin in _COINS), *(("binance", f"{coin}/USDT") for coin in _COINS)]
_TICK_S = 0.01


def generate(rate: int, seconds: float, ticker_share: float) -> None:
    """Send `rate` messages a second for `seconds`, evenly over two exchanges of eight pairs each."""
    producer = Producer(load())
    producer.start()
    while not producer.connected:
        producer.poll()
        time.sleep(0.01)
    started = time.monotonic()
    sent, trade_id = 0, int(time.time() * 1000) * 1000
    while (elapsed := time.monotonic() - started) < seconds:
        due = int(elapsed * rate)
        while sent < due:
            exchange, pair = _MARKETS[sent % len(_MARKETS)]
            trade_id += 1
            if (sent // len(_MARKETS)) % 100 < ticker_share * 100:
                producer.send("rawticker", _ticker(exchange, pair, trade_id))
            else:
                producer.send("rawtrade", _trade(exchange, pair, trade_id))
            sent += 1
        producer.poll()
        time.sleep(max(0.0, _TICK_S - (time.monotonic() - started - elapsed)))
    producer.flush(30)
    producer.close()
    sys.stdout.write(json.dumps({"sent": sent, "lost": producer.lost, "seconds": time.monotonic() - started}))


def _trade(exchange: str, pair: str, number: int) -> Trade:
    now = datetime.now(UTC)
    return Trade(
        received_at=now,
        timestamp=now,
        exchange=exchange,
        pair=pair,
        price=Decimal(9_312_050 + number % 1000).scaleb(-2),
        volume=Decimal(number % 997 + 1).scaleb(-5),
        side=Side.BUY,
        trade_id=number,
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


def measure(rate: int, seconds: float, runs: int, ticker_share: float) -> bool:
    """Run it and print a table: one line for each run, one for the medians, then CPU and memory.

    Returns whether the budget was kept.
    """
    with stage() as one, ingestion(one, one.server_folder / "ingestion.log") as job:
        total = int(_send(one, 200, 2, ticker_share)["sent"])
        wait_for_rows(one, total, 120)
        total += int(_send(one, rate, 15, ticker_share)["sent"])  # warms the JIT compilers up
        wait_for_rows(one, total, 120)
        pids = [job.pid, *children(job.pid)]  # the runner, the driver, its JVM
        idle = sum(map(cpu_seconds, pids))
        time.sleep(10)
        print(f"idle: {(sum(map(cpu_seconds, pids)) - idle) * 10:.0f} % of a core")
        print(
            f"{'run':>4} {'msg/s':>8} {'p50 ms':>8} {'p90 ms':>8} {'p99 ms':>8} {'max ms':>8} {'core %':>8} {'rows':>9}"
        )
        results = []
        for run in range(runs):
            begin = datetime.now(UTC) + timedelta(milliseconds=1)
            used = sum(map(cpu_seconds, pids))
            figures = _send(one, rate, seconds, ticker_share)
            used = sum(map(cpu_seconds, pids)) - used
            total += int(figures["sent"])
            wait_for_rows(one, total, 60)
            with one.connect() as connection:
                (p50, p90, p99), worst, rows = connection.execute(_LATENCIES, [begin]).fetchone()  # type: ignore[misc]
            results.append((float(p50), float(p90), float(p99), float(worst)))
            sent = figures["sent"] / figures["seconds"]
            core = used / figures["seconds"] * 100
            print(
                f"{run + 1:>4} {sent:>8.0f} "
                + " ".join(f"{ms:>8.1f}" for ms in results[-1])
                + f" {core:>8.0f} {rows:>9}"
            )
        middle = [sorted(column)[len(results) // 2] for column in zip(*results, strict=True)]
        print(f"{'med.':>4} {'':>8} " + " ".join(f"{ms:>8.1f}" for ms in middle))
        kept = middle[0] <= 150 and middle[2] <= 400
        print(f"budget: p50 <= 150, p99 <= 400: {'kept' if kept else 'MISSED'}")
        for pid in {job.pid, *children(job.pid)} & set(pids):  # without the Python workers that have come and gone
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            print(f"memory of {name}: {peak_memory_mb(pid):.0f} MB at most")
        return kept


def main() -> int:
    """Parse the command line and measure; 1 when the budget was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=5000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=60, help="length of a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tickers", type=float, default=0.5, help="share of tickers; the rest are trades")
    parser.add_argument("--generate", nargs=3, metavar=("RATE", "SECONDS", "SHARE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.generate:
        rate, seconds, share = arguments.generate
        generate(int(rate), float(seconds), float(share))
        return 0
    return int(not measure(arguments.rate, arguments.seconds, arguments.runs, arguments.tickers))


if __name__ == "__main__":
    sys.exit(main())
