"""Indicators in SQL equal TA-Lib's, and are the same however and in whatever order the candles came."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psycopg
import pytest
import talib

from cryptoviz.pairs import Timeframe
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect

pytestmark = pytest.mark.services

START = datetime(2026, 3, 1, 22, 57, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SERIES = ("kraken", "BTC/USD", "1m")
VALUES = "rsi_14, macd, macd_signal, macd_histogram, bollinger_upper, bollinger_middle, bollinger_lower, momentum_10"
FIRST = (14, 33, 33, 33, 19, 19, 19, 10)
"""Index of the first candle that has a value, by column: what TA-Lib calls the lookback."""

Series = tuple[str, str, str]
Floats = npt.NDArray[np.float64]


def write(
    connection: psycopg.Connection,
    closes: Sequence[Decimal | float],
    first: datetime = START,
    series: Series = SERIES,
    *,
    closed: bool = True,
) -> None:
    """Candles one after the other from `first` on; those that are there are replaced, as REST does."""
    exchange, symbol, timeframe = series
    length = Timeframe(timeframe).length
    connection.execute(
        "insert into candles as stored (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,"
        " volume, closed, source)"
        " select at, at + %s, %s, %s, %s, close, close, close, close, 1, %s, 'rest'"
        " from unnest(%s::timestamptz[], %s::numeric[]) given (at, close)"
        " on conflict (window_start, exchange, symbol, timeframe) do update"
        " set (open, high, low, close, closed) = (excluded.open, excluded.high, excluded.low, excluded.close,"
        " excluded.closed)",
        (
            length,
            exchange,
            symbol,
            timeframe,
            closed,
            [first + length * n for n in range(len(closes))],
            [Decimal(repr(float(close))) for close in closes],
        ),
    )


def rebuild(connection: psycopg.Connection, since: datetime | None = None, series: Series = SERIES) -> int:
    [(written,)] = connection.execute("select rebuild_indicators(%s, %s, %s, %s)", (*series, since)).fetchall()
    return int(written)


def advance(connection: psycopg.Connection, moment: datetime, timeframe: str = "1m") -> set[tuple[str, str]]:
    return set(connection.execute("select * from advance_indicators(%s, %s)", (timeframe, moment)).fetchall())


def refresh_newest(connection: psycopg.Connection) -> int:
    [(computed,)] = connection.execute("select refresh_newest_indicators()").fetchall()
    return int(computed)


def refresh_rest(connection: psycopg.Connection) -> list[tuple]:
    done: list[tuple] = []
    while rows := connection.execute("select * from refresh_next_indicators()").fetchall():
        done += rows
    return done


def noted(connection: psycopg.Connection) -> list[tuple]:
    return connection.execute(
        "select exchange, symbol, timeframe, first_start, last_start from indicator_changes order by number"
    ).fetchall()


def stored(connection: psycopg.Connection, series: Series = SERIES) -> Floats:
    rows = connection.execute(
        f"select {VALUES} from all_indicators where (exchange, symbol, timeframe) = (%s, %s, %s) order by window_start",
        series,
    ).fetchall()
    return np.array(rows, dtype=float).reshape(-1, 8)


def everything(connection: psycopg.Connection) -> tuple[list[tuple], list[tuple]]:
    """Every row and state, to the last bit."""
    return (
        connection.execute(
            f"select window_start, exchange, symbol, timeframe, {VALUES}, state from indicators union all"
            f" select window_start, exchange, symbol, timeframe, {VALUES}, state from cold_storage.indicators"
            " order by 2, 3, 4, 1"
        ).fetchall(),
        connection.execute("select * from indicator_states order by 1, 2, 3").fetchall(),
    )


def reference(closes: Sequence[Decimal | float]) -> Floats:
    """What TA-Lib makes of them."""
    prices = np.array([float(close) for close in closes])
    return np.column_stack(
        [
            talib.RSI(prices, 14),
            *talib.MACD(prices, 12, 26, 9),
            *talib.BBANDS(prices, 20, 2, 2, talib.MA_Type.SMA),
            talib.MOM(prices, 10),
        ]
    )


def agree(got: Floats, closes: Sequence[Decimal | float], *, noise: float = 0) -> None:
    np.testing.assert_allclose(got, reference(closes), rtol=1e-9, atol=noise, equal_nan=True)


def walk(seed: int, count: int, price: float = 100, step: float = 1e-3, digits: int = 6) -> list[float]:
    dice = random.Random(seed)
    prices = []
    for _ in range(count):
        price *= 1 + dice.gauss(0, step)
        prices.append(round(price, digits))
    return prices


GENERATED = {
    "large and coarse": walk(1, 2500, 95_000, 5e-4, 0),
    "small and fine": walk(2, 2500, 3e-5, 1e-4, 12),
    "smallest": walk(3, 400, 1e-9, 1e-2, 18),
    "violent": walk(4, 400, 1, 0.05, 8),
    "only up": [100 + n / 7 for n in range(200)],
    "only down": [1000 - n * 0.3 for n in range(200)],
    "stairs": [100 + 5 * (n // 25) for n in range(300)],
    "a crash, then hardly a move": [*walk(5, 300, 50_000, 1e-2, 2), *walk(6, 300, 3, 1e-6, 9)],
    "one spike": [*walk(7, 200, 10, 1e-5, 8), 10_000.0, *walk(8, 200, 10, 1e-5, 8)],
}


@pytest.mark.parametrize("name", GENERATED)
def test_the_whole_history_equals_ta_lib(each_database: Settings, name: str) -> None:
    closes = GENERATED[name]
    with connect(Role.WRITER, each_database) as connection:
        write(connection, closes)
        assert rebuild(connection) == len(closes)
        agree(stored(connection), closes)


def test_recorded_minutes_equal_ta_lib(each_database: Settings, shared_data: Path) -> None:
    with (shared_data / "candles" / "btc-perp-20211231-20220201_1m.csv").open() as lines:
        rows = [(datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC), row) for row in csv.DictReader(lines)]
    closes = [Decimal(row["close"]) for _, row in rows]
    assert len(closes) == 45_031
    with connect(Role.WRITER, each_database) as connection:
        with (
            connection.cursor() as cursor,
            cursor.copy(
                "copy candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume,"
                " closed, source) from stdin"
            ) as copy,
        ):
            for at, row in rows:
                prices = (row["open"], row["high"], row["low"], row["close"], row["volume"])
                copy.write_row((at, at + MINUTE, *SERIES, *prices, True, "rest"))
        assert noted(connection) == [(*SERIES, rows[0][0], rows[-1][0])]
        assert rebuild(connection) == len(rows)
        agree(stored(connection), closes)
        # Candle by candle to the same bits: the last two days once more from a state in the middle.
        before = everything(connection)
        assert rebuild(connection) == 0
        connection.execute("delete from indicators where window_start >= %s", (rows[-2880][0],))
        assert rebuild(connection, rows[-2880][0]) == 2880
        assert everything(connection) == before


@pytest.mark.parametrize("count", [1, 2, 10, 11, 14, 15, 19, 20, 26, 33, 34, 35, 36])
def test_short_series_have_a_row_for_each_candle_and_null_until_the_first_period_is_full(
    each_database: Settings, count: int
) -> None:
    closes = walk(count, count)
    with connect(Role.WRITER, each_database) as connection:
        write(connection, closes)
        assert rebuild(connection) == count
        got = stored(connection)
        assert [int(np.isnan(column).sum()) for column in got.T] == [min(count, first) for first in FIRST]
        # TA-Lib refuses an array that is shorter than its lookback: the reference is the beginning of a longer one.
        np.testing.assert_allclose(got, reference([*closes, *walk(99, 50)])[:count], rtol=1e-9, equal_nan=True)
        assert rebuild(connection) == 0


def test_no_candles_no_indicators(each_database: Settings) -> None:
    with connect(Role.WRITER, each_database) as connection:
        assert rebuild(connection) == 0
        write(connection, walk(1, 50), closed=False)
        assert rebuild(connection) == 0
        assert (noted(connection), refresh_newest(connection), refresh_rest(connection)) == ([], 0, [])


@pytest.mark.parametrize("price", [100.0, 0.1, 3e-7])
def test_flat_prices_have_a_relative_strength_of_0_as_in_ta_lib(each_database: Settings, price: float) -> None:
    closes = [price] * 200
    with connect(Role.WRITER, each_database) as connection:
        write(connection, closes)
        rebuild(connection)
        got = stored(connection)
    agree(got, closes, noise=price * 1e-15)
    assert set(got[14:, 0]) == {0.0}
    assert np.array_equal(got[19:, 4], got[19:, 6]) or np.ptp(got[19:, 4:7]) <= price * 1e-15


def test_a_market_that_stands_still_for_weeks_does_not_fall_below_the_smallest_number(each_database: Settings) -> None:
    closes = [*walk(1, 60), *[100.0] * 12_000]
    with connect(Role.WRITER, each_database) as connection:
        write(connection, closes)
        assert rebuild(connection) == len(closes)
        got = stored(connection)
        agree(got[:6000], closes[:6000], noise=1e-13)
        # Neither gains nor losses are left in the end, and the signal has reached MACD.
        assert tuple(got[-1][[0, 7]]) == (0, 0)
        assert abs(got[-1][3]) < 1e-20
        steps = connection.execute(
            "select signal_step(1e-300, 0), signal_step(5e-324, 0), wilder_step(5e-324, 0),"
            " relative_strength(5e-324, 5e-324), relative_strength(1e-291, 1e9)"
        )
        assert steps.fetchall() == [(0, 0, 5e-324, 0, 0)]
        write(connection, [101.0], START + MINUTE * len(closes))
        assert rebuild(connection, START + MINUTE * len(closes)) == 1
        assert stored(connection)[-1][0] == 100


def test_each_new_candle_gives_what_the_whole_history_gives(each_database: Settings) -> None:
    """To the last bit, rows and states, after every step; over the window whose state is kept for corrections."""
    first = datetime(2026, 3, 1, tzinfo=UTC)
    kept = first.replace(hour=4, minute=40)  # The minutes since the epoch are a multiple of 1000.
    assert int(kept.timestamp()) % 60_000 == 0
    first = kept - MINUTE * 100
    every = [("kraken", "BTC/USD", "1m"), ("kraken", "ETH/USD", "1m"), ("binance", "BTC/USDT", "1m")]
    closes = {
        every[0]: walk(1, 180, 60_000, 1e-3, 1),
        # Bands that open and close by the thousandfold: the sum of squares starts afresh now and then.
        every[1]: [*walk(2, 90, 3, 1e-7, 10), 900.0, *walk(3, 89, 3, 1e-7, 10)],
        every[2]: [*walk(4, 60), *[77.7] * 60, *walk(5, 60)],
    }
    with connect(Role.WRITER, each_database) as connection:
        for series in every:
            write(connection, closes[series][:40], first, series)
            rebuild(connection, series=series)
        for n in range(40, 180):
            for series in every:
                write(connection, [closes[series][n]], first + MINUTE * n, series)
            assert advance(connection, first + MINUTE * n) == {series[:2] for series in every}
            advanced = everything(connection)
            assert [rebuild(connection, series=series) for series in every] == [0, 0, 0]
            assert everything(connection) == advanced
        for series in every:
            agree(stored(connection, series), closes[series])
        [(states,)] = connection.execute("select count(*) from indicators where state is not null").fetchall()
        assert states == len(every)


def test_only_series_that_stand_right_before_the_candle_are_advanced(each_database: Settings) -> None:
    ready, young, gap, other, open_ = (("kraken", f"{name}/USD", "1m") for name in ("A", "B", "C", "D", "E"))
    with connect(Role.WRITER, each_database) as connection:
        for series, count in ((ready, 40), (young, 33), (gap, 38), (open_, 40)):
            write(connection, walk(1, count), START + MINUTE * (40 - count), series)
            rebuild(connection, series=series)
        write(connection, walk(2, 40), START, (*other[:2], "5m"))
        rebuild(connection, series=(*other[:2], "5m"))
        connection.execute("delete from candles where symbol = 'C/USD' and window_start = %s", (START + MINUTE * 39,))
        rebuild(connection, series=gap)
        moment = START + MINUTE * 40
        for series in (ready, young, gap):
            write(connection, [100.0], moment, series)
        write(connection, [100.0], moment, open_, closed=False)
        assert advance(connection, moment) == {ready[:2]}
        assert advance(connection, moment) == set()
        assert advance(connection, moment + MINUTE) == set()


@pytest.mark.parametrize("seed", range(3))
def test_a_corrected_candle_corrects_all_that_follow_and_nothing_else(each_database: Settings, seed: int) -> None:
    dice = random.Random(seed)
    closes = walk(seed, 3000)
    changed = [5, 700, 2990][seed]
    with connect(Role.WRITER, each_database) as connection:
        write(connection, closes)
        rebuild(connection)
        refresh_rest(connection)
        connection.commit()
        before, _ = everything(connection)
        closes[changed] = round(closes[changed] * dice.uniform(1.01, 1.1), 6)
        write(connection, [closes[changed]], START + MINUTE * changed)
        at = START + MINUTE * changed
        assert noted(connection) == [(*SERIES, at, at)]
        [(*series, written)] = refresh_rest(connection)
        assert tuple(series) == SERIES
        after, _ = everything(connection)
        assert written == sum(old != new for old, new in zip(before, after, strict=True)) > 0
        assert before[:changed] == after[:changed]
        agree(stored(connection), closes)
        # Only what differs is written: the averages forget within some hundred candles, to the last bit.
        [(rewritten,)] = connection.execute(
            "select count(*) from indicators where received_at = (select max(received_at) from indicators)"
        ).fetchall()
        assert rewritten == written < 1500
        corrected = everything(connection)
        assert rebuild(connection) == 0
        assert everything(connection) == corrected


def test_a_filled_gap_and_an_older_beginning_give_the_whole_history(each_database: Settings) -> None:
    closes = walk(1, 1500)
    parts = [range(900, 1200), range(300, 600), range(1230, 1500), range(600, 900), range(1200, 1230), range(300)]
    with connect(Role.WRITER, each_database) as connection:
        there: set[int] = set()
        for part in parts:
            write(connection, closes[part.start : part.stop], START + MINUTE * part.start)
            assert refresh_newest(connection) == 0
            assert [tuple(series) for *series, _ in refresh_rest(connection)] == [SERIES]
            there.update(part)
            # Over the candles that are there, one after the other: a gap is no candle.
            agree(stored(connection), [closes[n] for n in sorted(there)])
        assert noted(connection) == []
        assert rebuild(connection) == 0


def test_the_newest_candles_of_all_series_are_computed_together(each_database: Settings) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=60)
    every = [("kraken", f"C{n}/USD", "1d") for n in range(7)]
    closes = {series: walk(n, 60) for n, series in enumerate(every)}
    with connect(Role.WRITER, each_database) as connection:
        for series in every:
            write(connection, closes[series][:59], first, series)
        assert refresh_newest(connection) == 0
        assert len(refresh_rest(connection)) == len(every)
        for series in every:
            write(connection, closes[series][59:], today - timedelta(days=1), series)
        # The candle of today is still open: nobody computes with it.
        write(connection, [1.0], today, every[0], closed=False)
        assert refresh_newest(connection) == len(every)
        assert noted(connection) == []
        for series in every:
            agree(stored(connection, series), closes[series])
        # What is written again after it was computed goes the longer way.
        closes[every[3]][59] += 1
        write(connection, closes[every[3]][59:], today - timedelta(days=1), every[3])
        assert refresh_newest(connection) == 0
        assert refresh_rest(connection) == [(*every[3], 1)]
        agree(stored(connection, every[3]), closes[every[3]])


def test_candles_from_trades_are_noted_when_they_are_closed(each_database: Settings) -> None:
    now = datetime.now(UTC)
    minute = now.replace(second=0, microsecond=0) - 30 * MINUTE
    with connect(Role.WRITER, each_database) as connection:
        connection.execute(
            "insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side) values"
            " (%s, 'kraken', 'BTC/USD', 0, 100, 1, 'buy'), (%s, 'kraken', 'BTC/USD', 1, 100, 1, 'buy'),"
            " (%s, 'kraken', 'BTC/USD', 2, 101, 1, 'buy')",
            (minute - 70 * MINUTE, minute, now + 5 * MINUTE),
        )
        connection.execute(
            "select refresh_candles(array['kraken', 'kraken'], array['BTC/USD', 'BTC/USD'], %s::timestamptz[])",
            ([minute, now + 5 * MINUTE],),
        )
        closed = connection.execute(
            "select exchange, symbol, timeframe, window_start, window_start from candles where closed"
        ).fetchall()
        assert 3 <= len(closed) < 10
        assert sorted(noted(connection)) == sorted(closed)
        refresh_rest(connection)
        connection.execute("update candles set closed = false where timeframe = '1m'")
        assert noted(connection) == []
        connection.execute("select close_candles()")
        assert [row[2] for row in noted(connection)] == ["1m"]


def test_a_correction_reaches_cold_rows_where_they_are(each_database: Settings) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    first = now - timedelta(days=7, minutes=1200)
    closes = walk(1, 2000, 60_000, 1e-3, 2)
    with connect(Role.WRITER, each_database) as connection:
        write(connection, closes, first)
        refresh_rest(connection)
        connection.execute("select tier_old_candles(), tier_old_indicators()")
        [(cold,)] = connection.execute("select count(*) from cold_storage.indicators").fetchall()
        assert 1100 <= cold <= 1300
        agree(stored(connection), closes)
        assert rebuild(connection) == 0
        # The candle comes back from cold storage to be corrected; its day's indicators stay where they are.
        closes[1050] *= 1.2
        at = first + MINUTE * 1050
        connection.execute("select recall_candles(array['kraken'], array['BTC/USD'], %s::timestamptz[])", ([at],))
        write(connection, [closes[1050]], at)
        refresh_rest(connection)
        assert connection.execute("select count(*) from cold_storage.indicators").fetchall() == [(cold,)]
        assert connection.execute("select count(*) from all_indicators").fetchall() == [(len(closes),)]
        agree(stored(connection), closes)
        assert rebuild(connection) == 0


def test_rows_of_archived_candles_stay_and_those_of_deleted_candles_go(each_database: Settings) -> None:
    closes = walk(1, 300)
    with connect(Role.WRITER, each_database) as connection:
        write(connection, closes)
        refresh_rest(connection)
        old = stored(connection)[:100]
        connection.execute("delete from candles where window_start < %s", (START + MINUTE * 100,))
        connection.execute("delete from candles where window_start = %s", (START + MINUTE * 200,))
        rebuild(connection)
        got = stored(connection)
        np.testing.assert_array_equal(got[:100], old)
        agree(got[100:], [*closes[100:200], *closes[201:]])
        # At the end too.
        connection.execute("delete from candles where window_start >= %s", (START + MINUTE * 290,))
        rebuild(connection, START + MINUTE * 290)
        assert len(stored(connection)) == 289
        write(connection, [closes[290]], START + MINUTE * 290)
        assert advance(connection, START + MINUTE * 290) == {SERIES[:2]}
        assert rebuild(connection) == 0


def test_a_candle_that_is_committed_while_others_are_computed_is_not_forgotten(each_database: Settings) -> None:
    closes = walk(1, 60)
    with connect(Role.WRITER, each_database) as writer, connect(Role.WRITER, each_database) as connection:
        write(connection, closes[:50])
        connection.commit()
        write(writer, closes[50:], START + MINUTE * 50)
        assert len(refresh_rest(connection)) == 1
        connection.commit()
        assert len(stored(connection)) == 50
        writer.commit()
        connection.commit()
        assert len(refresh_rest(connection)) == 1
        agree(stored(connection), closes)


def test_many_writers_and_refreshers_lose_nothing_and_wait_for_nobody_in_vain(each_database: Settings) -> None:
    closes = {("kraken", f"C{n}/USD", "1m"): walk(n, 120) for n in range(4)}
    order = [(series, n) for series in closes for n in range(120)]
    random.Random(1).shuffle(order)

    def write_part(part: list[tuple[Series, int]]) -> None:
        with connect(Role.WRITER, each_database) as connection:
            for series, n in part:
                write(connection, [closes[series][n]], START + MINUTE * n, series)
                connection.commit()

    def refresh_often(_number: int) -> None:
        with connect(Role.WRITER, each_database, autocommit=True) as connection:
            for _ in range(10):
                refresh_newest(connection)
                refresh_rest(connection)

    with ThreadPoolExecutor() as threads:
        list(threads.map(write_part, [order[n::3] for n in range(3)]))
        list(threads.map(refresh_often, range(2)))
    with connect(Role.WRITER, each_database) as connection:
        refresh_rest(connection)
        for series, prices in closes.items():
            agree(stored(connection, series), prices)
            assert rebuild(connection, series=series) == 0
