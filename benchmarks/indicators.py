"""Indicators in the database beside TA-Lib and pandas, which fetch the candles and write the values back.

    full history : one series of minutes, all values; then all of it written to the empty table
    one candle   : the next candle of many series at once; then written. Libraries have no state to go on from: they
                   read as many candles again as it takes to have forgotten the beginning to nine digits.

Kinds take turns; each figure is the median of the runs. `INSERT of ready rows` is what writing the same rows costs
where nothing is computed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import psycopg
import talib

from benchmarks.stage import Stage, median, stage

FULL_BUDGET: Final = 600_000
NEXT_BUDGET_MS: Final = 5
TAIL: Final = 300
"""Candles that an average over 26 takes to forget where it began to nine digits."""

_SERIES: Final = ("kraken", "BTC/USD", "1m")
_COLUMNS: Final = (
    "window_start, exchange, symbol, timeframe, rsi_14, macd, macd_signal, macd_histogram, bollinger_upper,"
    " bollinger_middle, bollinger_lower, momentum_10"
)
_CANDLES: Final = """
INSERT INTO candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, closed)
SELECT at, at + interval '1 minute', 'kraken', symbol, '1m', close, close, close, close, 1, true
FROM (
    SELECT date_trunc('minute', now()) - (%(candles)s - n) * interval '1 minute' AS at, symbol,
           round((30000 * exp(sum(random() / 1000 - 0.0005) OVER (PARTITION BY symbol ORDER BY n)))::numeric, 2)
               AS close
    FROM generate_series(1, %(candles)s) n, unnest(%(symbols)s::text[]) symbol
) walk
"""
_VALUES: Final = """
SELECT count(rsi), sum(macd), sum(signal), sum(histogram), sum(upper), sum(middle), sum(lower), sum(momentum)
FROM (
    SELECT relative_strength(average_gain, average_loss) AS rsi, fast - slow AS macd, signal,
           fast - slow - signal AS histogram, total / 20 + band_width(squares) AS upper, total / 20 AS middle,
           total / 20 - band_width(squares) AS lower, closes[34 + number] - closes[24 + number] AS momentum
    FROM (
        SELECT array_agg(close) AS closes
        FROM (
            SELECT close::double precision FROM candles
            WHERE exchange = 'kraken' AND symbol = 'BTC/USD' AND timeframe = '1m' AND closed
            ORDER BY window_start
        ) ordered
    ) candle
    CROSS JOIN LATERAL (
        SELECT array[average_gain, average_loss, fast, slow, signal, total, squares, peak] || closes[15:34] AS state
        FROM indicator_seed(closes[:34])
        WHERE signal IS NOT NULL
    ) seed
    CROSS JOIN LATERAL indicator_run(closes[35:], state, NULL) WITH ORDINALITY
        run (average_gain, average_loss, fast, slow, signal, total, squares, peak, number)
) computed
"""

Floats = npt.NDArray[np.float64]
Connection = psycopg.Connection[Any]


def by_talib(closes: Floats) -> Floats:
    """The eight values of each candle."""
    return np.column_stack(
        [
            talib.RSI(closes, 14),
            *talib.MACD(closes, 12, 26, 9),
            *talib.BBANDS(closes, 20, 2, 2, talib.MA_Type.SMA),
            talib.MOM(closes, 10),
        ]
    )


def by_pandas(closes: pd.DataFrame) -> list[pd.DataFrame]:
    """The eight values of each candle, of one column or many; averages begin with their first value."""
    change = closes.diff()
    gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    loss = (-change.clip(upper=0)).ewm(alpha=1 / 14, adjust=False).mean()
    macd = closes.ewm(span=12, adjust=False).mean() - closes.ewm(span=26, adjust=False).mean()
    signal = macd.ewm(span=9, adjust=False).mean()
    middle, width = closes.rolling(20).mean(), 2 * closes.rolling(20).std(ddof=0)
    return [
        100 * gain / (gain + loss),
        macd,
        signal,
        macd - signal,
        middle + width,
        middle,
        middle - width,
        closes.diff(10),
    ]


def fetched(connection: Connection) -> tuple[list[Any], Floats]:
    """Windows and closes of the long series."""
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT window_start, close::double precision FROM candles"
            " WHERE exchange = %s AND symbol = %s AND timeframe = %s AND closed ORDER BY window_start",
            _SERIES,
        ).fetchall()
    return [row[0] for row in rows], np.fromiter((row[1] for row in rows), float, len(rows))


def written_back(connection: Connection, keys: Iterable[tuple[Any, ...]], values: Floats) -> None:
    """COPY straight into the table, which has none of the rows."""
    with connection.cursor() as cursor, cursor.copy(f"COPY indicators ({_COLUMNS}) FROM STDIN") as copy:
        for key, row in zip(keys, values.tolist(), strict=True):
            copy.write_row((*key, *(None if one != one else one for one in row)))


def full_history(connection: Connection, candles: int, runs: int) -> float:
    """Print the table of the long series; returns the candles a second of the values alone."""
    connection.execute(_CANDLES, {"candles": candles, "symbols": ["BTC/USD"]})
    connection.execute("VACUUM ANALYZE candles")

    def library(compute: Callable[[Floats], Floats], *, write: bool) -> None:
        windows, closes = fetched(connection)
        values = compute(closes)
        if write:
            written_back(connection, ((at, *_SERIES) for at in windows), values)

    def with_pandas(closes: Floats) -> Floats:
        return np.column_stack(by_pandas(pd.DataFrame(closes)))

    # rebuild_indicators takes 20,000 candles at a time and keeps them in memory; so may this, which takes all.
    connection.execute("SET work_mem = '64MB'")
    rebuild = "SELECT rebuild_indicators(%s, %s, %s)"
    connection.execute(rebuild, _SERIES)
    _compare(connection)
    connection.execute("CREATE TABLE ready_rows AS SELECT * FROM indicators ORDER BY window_start")
    kinds: dict[str, Callable[[], object]] = {
        "values in the database": lambda: connection.execute(_VALUES).fetchone(),
        "TA-Lib: fetch, compute": lambda: library(by_talib, write=False),
        "pandas: fetch, compute": lambda: library(with_pandas, write=False),
        "rebuild_indicators": lambda: connection.execute(rebuild, _SERIES),
        "TA-Lib and write back": lambda: library(by_talib, write=True),
        "pandas and write back": lambda: library(with_pandas, write=True),
        "INSERT of ready rows": lambda: connection.execute("INSERT INTO indicators SELECT * FROM ready_rows"),
    }
    rates = {kind: candles / median(seconds) for kind, seconds in _timed(kinds, runs, connection).items()}
    unchanged = _clock(lambda: connection.execute(rebuild, _SERIES))
    print(f"full history, {candles} candles of one series")
    print(f"{'':>24} {'candles/s':>10} {'x TA-Lib':>9} {'x pandas':>9}")
    for kind, rate in rates.items():
        alone = kind in list(rates)[:3]
        beside = [
            rates[f"{name}: fetch, compute" if alone else f"{name} and write back"] for name in ("TA-Lib", "pandas")
        ]
        print(f"{kind:>24} {rate:>10.0f} " + " ".join(f"{rate / other:>9.2f}" for other in beside))
    print(f"{'rebuild, all was right':>24} {candles / unchanged:>10.0f}")
    connection.execute("DROP TABLE ready_rows")
    return rates["values in the database"]


def next_candle(connection: Connection, series: int, runs: int) -> float:
    """Print the table of one more candle for many series; returns the milliseconds of the values alone."""
    symbols = [f"C{number}/USD" for number in range(series)]
    connection.execute("TRUNCATE candles, indicators, indicator_states, indicator_changes")
    connection.execute(_CANDLES, {"candles": TAIL + runs + 1, "symbols": symbols})
    moments = [at for (at,) in connection.execute("SELECT DISTINCT window_start FROM candles ORDER BY 1")][TAIL:]
    connection.execute("CREATE TABLE later AS SELECT * FROM candles WHERE window_start >= %s", (moments[0],))
    connection.execute("DELETE FROM candles WHERE window_start >= %s", (moments[0],))
    connection.execute("VACUUM ANALYZE candles")
    connection.execute("SELECT rebuild_indicators('kraken', symbol, '1m') FROM unnest(%s::text[]) symbol", (symbols,))
    connection.execute("VACUUM ANALYZE indicators, indicator_states")
    connection.execute("SET plan_cache_mode = force_generic_plan")
    rounds = [_next(connection, moment, series) for moment in moments]
    milliseconds = {kind: median([one[kind] for one in rounds[1:]]) * 1000 for kind in rounds[0]}
    print(f"one new candle for {series} series")
    print(f"{'':>24} {'ms':>10} {'TA-Lib x':>9} {'pandas x':>9}")
    for kind, taken in milliseconds.items():
        beside = [milliseconds[f"{name} and write back"] for name in ("TA-Lib", "pandas")]
        print(f"{kind:>24} {taken:>10.1f} " + " ".join(f"{other / taken:>9.1f}" for other in beside))
    return milliseconds["values from the states"]


def _next(connection: Connection, moment: datetime, series: int) -> dict[str, float]:
    """Seconds of each kind for the candles of one moment; what a kind wrote is gone before the next begins."""
    connection.execute("INSERT INTO candles SELECT * FROM later WHERE window_start = %s", (moment,))

    def library(last: Callable[[pd.DataFrame], Floats]) -> None:
        with connection.cursor(binary=True) as cursor:
            rows = cursor.execute(
                "SELECT symbol, close::double precision FROM candles"
                " WHERE timeframe = '1m' AND closed AND window_start > %s AND window_start <= %s"
                " ORDER BY symbol, window_start",
                (moment - TAIL * timedelta(minutes=1), moment),
            ).fetchall()
        closes = np.fromiter((close for _, close in rows), float, len(rows)).reshape(series, TAIL)
        names = [name for name, _ in rows[::TAIL]]
        values = last(pd.DataFrame(closes.T, columns=names))
        written_back(connection, ((moment, "kraken", name, "1m") for name in names), values)

    kinds: dict[str, Callable[[], object]] = {
        "values from the states": lambda: connection.execute(
            "SELECT count(state[3]), sum(momentum_10) FROM next_indicators('1m', %s, %s, false)",
            (moment - timedelta(minutes=1), moment),
        ).fetchone(),
        "advance_indicators": lambda: connection.execute(
            "SELECT count(*) FROM advance_indicators('1m', %s)", (moment,)
        ),
        "TA-Lib and write back": lambda: library(
            lambda closes: np.array([by_talib(closes[name].to_numpy())[-1] for name in closes.columns])
        ),
        "pandas and write back": lambda: library(
            lambda closes: np.column_stack([frame.iloc[-1].to_numpy() for frame in by_pandas(closes)])
        ),
        "INSERT of ready rows": lambda: connection.execute("INSERT INTO indicators SELECT * FROM ready_rows"),
    }
    seconds = {}
    connection.execute("DROP TABLE IF EXISTS ready_rows")
    for kind, run in kinds.items():
        seconds[kind] = _clock(run)
        if kind == "advance_indicators":
            connection.execute("CREATE TABLE ready_rows AS SELECT * FROM indicators WHERE window_start = %s", (moment,))
        if kind != "INSERT of ready rows":
            connection.execute("DELETE FROM indicators WHERE window_start = %s", (moment,))
    return seconds


def _timed(kinds: Mapping[str, Callable[[], object]], runs: int, connection: Connection) -> dict[str, list[float]]:
    """Seconds of each kind, run by run, in turn, the first of each left out; the table is empty before each."""
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(runs + 1):
        for kind, run in kinds.items():
            connection.execute("TRUNCATE indicators, indicator_states")
            connection.execute("CHECKPOINT")
            seconds[kind].append(_clock(run))
    return {kind: taken[1:] for kind, taken in seconds.items()}


def _clock(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _compare(connection: Connection) -> None:
    """What is measured is the same: fail if the database's values are not TA-Lib's."""
    _, closes = fetched(connection)
    rows = connection.execute(f"SELECT {_COLUMNS.split(',', 4)[4]} FROM indicators ORDER BY window_start")
    np.testing.assert_allclose(np.array(rows.fetchall(), float), by_talib(closes), rtol=1e-9)


def measure(one: Stage, candles: int, series: int, runs: int) -> bool:
    """Run both parts; whether the budgets were kept."""
    with psycopg.connect(one.superuser_url, autocommit=True, options="-c timezone=UTC") as connection:
        rate = full_history(connection, candles, runs)
        print(f"budget: values of the full history >= {FULL_BUDGET} candles/s: {_kept(rate >= FULL_BUDGET)}")
        taken = next_candle(connection, series, runs)
        print(f"budget: values of one candle <= {NEXT_BUDGET_MS} ms: {_kept(taken <= NEXT_BUDGET_MS)}")
    return rate >= FULL_BUDGET and taken <= NEXT_BUDGET_MS


def _kept(kept: bool) -> str:
    return "kept" if kept else "MISSED"


def main() -> int:
    """Parse the command line and measure; 1 when a budget was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candles", type=int, default=200_000, help="length of the long series")
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with stage(kafka=False) as one:
        return int(not measure(one, arguments.candles, arguments.series, arguments.runs))


if __name__ == "__main__":
    sys.exit(main())
