"""An archive of trades into trade_data, beside a bare COPY of the same rows into the same hypertable.

    server COPY     : COPY trade_data FROM a text file that the server reads itself: nothing is unpacked, read or judged
    import          : the whole command: zip -> columns -> staging -> suite -> trade_data, position, candles, gaps
    without candles : the same, but for candles and gaps
    bare            : and without the suite

The file is a zip as Binance publishes it, one pair, two days. The table is emptied before each run, the kinds take
turns. What Great Expectations costs to load is paid once by a command and printed beside.
"""

from __future__ import annotations

import argparse
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import patch

from benchmarks.stage import Stage, median, peak_memory_mb, stage
from cryptoviz.gate import engine
from cryptoviz.imports import gate
from cryptoviz.imports.files import files
from cryptoviz.imports.layouts import Kind, recognise
from cryptoviz.imports.progress import ImportProgress, Target
from cryptoviz.imports.trades import TradesImport
from cryptoviz.settings import Role
from cryptoviz.storage.database import connect

_BUDGET = 200_000
_TARGET = Target("binance", "BTC/USDT")
_SPAN = timedelta(days=2)
_COLUMNS = '"timestamp", exchange, pair, trade_id, price, volume, side'


def write(folder: Path, count: int) -> tuple[Path, Path]:
    """The archive, and the same rows as COPY reads them."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    first, step = int(begin.timestamp()) * 1_000_000, _SPAN // timedelta(microseconds=1) // count
    archive, rows = folder / "BTCUSDT-trades.zip", folder / "rows.txt"
    with (
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("BTCUSDT-trades.csv", "w", force_zip64=True) as csv,
        rows.open("w") as plain,
    ):
        for number in range(count):
            price, volume = f"{93_120 + number % 997}.{number % 100:02}000000", f"0.{number % 99_991 + 1:08}"
            made, sold = first + number * step + number % 977, number % 3 == 0
            csv.write(f"{number},{price},{volume},{volume},{made},{sold},True\n".encode())
            at = begin + timedelta(microseconds=made - first)
            plain.write(f"{at}\tbinance\tBTC/USDT\t{number}\t{price}\t{volume}\t{'sell' if sold else 'buy'}\n")
    return archive, rows


def server_copy(one: Stage, rows: Path) -> float:
    """Seconds of one COPY, which everything else is compared with."""
    with one.connect() as connection:
        started = time.perf_counter()
        connection.execute(f"COPY trade_data ({_COLUMNS}) FROM '{rows}'")  # type: ignore[arg-type]
        return time.perf_counter() - started


def run_import(one: Stage, archive: Path, count: int, how: AbstractContextManager[object], *, candles: bool) -> float:
    """Seconds of one import; all rows must have arrived."""
    writer = partial(connect, Role.WRITER, one.settings, autocommit=True)
    started = time.perf_counter()
    with how, writer() as connection:
        [file] = files([str(archive)])
        layout = recognise(file, Kind.TRADES)
        job = TradesImport(
            file,
            layout,
            _TARGET,
            ImportProgress(file, layout, _TARGET),
            "bench",
            report_progress=lambda *_: None,
            candles=candles,
        )
        done = job.run(writer, connection)
    seconds = time.perf_counter() - started
    assert (done.stored, done.quarantined) == (count, 0)
    with one.connect() as connection:
        [(traded,)] = connection.execute("SELECT sum(trade_count) FROM candles WHERE timeframe = '1d'").fetchall()
    assert traded == (count if candles else None)
    return seconds


@contextmanager
def ungated() -> Iterator[None]:
    """Nothing is judged."""

    def rows(judge: gate.Judge, count: int) -> gate.Judgement:
        return gate.Judgement(judge._suite, [], {}, count)

    with patch.object(gate.Judge, "rows", rows):
        yield


def empty(one: Stage) -> None:
    """Start each run from the same state."""
    with one.connect() as connection:
        connection.execute("TRUNCATE trade_data, candles, candle_gaps, completeness, import_progress, quality_results")
        connection.execute("CHECKPOINT")


def measure(count: int, runs: int) -> bool:
    """Run every kind `runs` times in turn and print a table; whether the budget is kept."""
    with stage(kafka=False) as one:
        archive, rows = write(one.server_folder, count)
        started = time.perf_counter()
        engine._context()
        print(f"loading Great Expectations: {time.perf_counter() - started:.1f} s, once in a command")
        whole = partial(run_import, one, archive, count)
        kinds: dict[str, Callable[[], float]] = {
            "server COPY": lambda: server_copy(one, rows),
            "import": lambda: whole(nullcontext(), candles=True),
            "without candles": lambda: whole(nullcontext(), candles=False),
            "bare": lambda: whole(ungated(), candles=False),
        }
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(runs):
            for kind, run in kinds.items():
                empty(one)
                seconds[kind].append(run())
    rates = {kind: count / median(values) for kind, values in seconds.items()}
    print(f"{count:,} trades, {archive.name}; at most {peak_memory_mb(os.getpid()):,.0f} MB")
    for kind, rate in rates.items():
        print(f"{kind:>16} {rate:>10,.0f} trades/s {rate / rates['server COPY']:>6.2f} of COPY")
    kept = rates["import"] >= _BUDGET
    print(f"budget: import, gate and candles included, >= {_BUDGET:,} trades/s: {'kept' if kept else 'MISSED'}")
    return kept


def main() -> int:
    """Parse the command line and measure; 0 when the budget is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    return 0 if measure(arguments.rows, arguments.runs) else 1


if __name__ == "__main__":
    raise SystemExit(main())
