"""Rows that cannot be candles of what was asked for are refused as a whole; thin trading and single faults are not."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptoviz.imports.files import File, ImportRefusedError, NotWantedError
from cryptoviz.imports.layouts import Format
from cryptoviz.imports.plausible import refuse_no_candles
from cryptoviz.imports.progress import Target
from cryptoviz.pairs import Timeframe

START = datetime(2024, 1, 1, tzinfo=UTC)
SECOND, MINUTE, DAY = 1, 60, 24 * 60 * 60
THIN = (("AAVEAUD_1", "1m", MINUTE), ("AAVEAUD_60", "1h", 60 * MINUTE), ("AAVEUSD_1440", "1d", DAY))
MONTHS = [0, 31 * DAY, 60 * DAY]


def look(
    seconds: list[float], timeframe: str = "1m", *, volume: str | None = "1", high: str = "2", name: str = ""
) -> None:
    """Judge rows that begin so many seconds after the start."""
    file = File(Path("BTCUSDT-1m-2024-01.zip"), f"{name or 'BTCUSDT-1m-2024-01'}.csv", 1, named=True)
    times = [int((START + timedelta(seconds=one)).timestamp() * 1_000_000) for one in seconds]
    columns = {"microseconds": times, "high": [high] * len(times), "low": ["2"] * len(times)}
    volumes = pa.array([volume] * len(times), pa.string())
    target = Target("binance", "BTC/USDT", Timeframe(timeframe))
    refuse_no_candles(file, Format.KRAKEN if name else Format.BINANCE, target, pa.table({**columns, "volume": volumes}))


@pytest.mark.parametrize(
    ("seconds", "timeframe"),
    [
        ([0], "1m"),
        ([0, 240, 480, 1_200], "1m"),
        ([n * 5 * MINUTE for n in range(9)], "1m"),
        ([0, 40 * DAY, 700 * DAY], "1m"),
        ([n * MINUTE for n in range(200)], "1m"),
        ([200 * MINUTE, 0, 0, 60], "1m"),
        ([0, 60, 127, 180], "1m"),
        ([n * MINUTE + (7 if n < 90 else 0) for n in range(99)], "1m"),
        ([n * DAY for n in (0, 1, 2, 4, 9)], "1d"),
        ([0, 30 * DAY], "1d"),
        ([0, 30 * DAY, 61 * DAY], "1d"),
        ([n * 2 * MINUTE + (n > 99) * n * MINUTE for n in range(130)], "1m"),
    ],
)
def test_thin_trading_disorder_and_single_faults_pass(seconds: list[float], timeframe: str) -> None:
    look(seconds, timeframe)


@pytest.mark.parametrize(
    ("seconds", "timeframe", "said"),
    [
        ([n * 5 * MINUTE for n in range(11)], "1m", "a row every 5 min: no candles of 1m"),
        ([n * 5 * MINUTE + (n > 50) * 10 * MINUTE for n in range(120)], "1m", "a row every 5 min: no candles of 1m"),
        ([n * 7 * DAY for n in range(20)], "1d", "a row every 7 d: no candles of 1d"),
        (MONTHS, "1d", "no candles of 1d"),
        ([n * SECOND for n in range(3)], "1m", "a row every 1 s: no candles of 1m"),
        ([n * MINUTE for n in range(5)], "1h", "a row every 1 min: no candles of 1h"),
        ([n * MINUTE + 0.5 for n in range(3)], "1m", "3 of 3 windows begin beside those of 1m, 0.5 s late"),
        ([n * MINUTE + (7 if n < 90 else 0) for n in range(100)], "1m", "90 of 100 windows begin beside"),
        ([n * DAY + 57_600 for n in range(30)], "1d", "30 of 30 windows begin beside those of 1d, 16 h late"),
    ],
)
def test_candles_of_another_length_or_beside_the_grid_are_refused(
    seconds: list[float], timeframe: str, said: str
) -> None:
    with pytest.raises(ImportRefusedError, match=r"^BTCUSDT-1m-2024-01\.zip:BTCUSDT-1m-2024-01\.csv") as refused:
        look(seconds, timeframe)
    assert said in str(refused.value)
    if "beside" in said:
        assert "cryptoviz import trades --exchange binance --pair BTC/USDT" in str(refused.value)
        assert "BTCUSDT-trades-2024-01.zip" in str(refused.value)


@given(st.data())
def test_however_thin_a_pair_of_kraken_is_its_file_is_taken(data: st.DataObject) -> None:
    span = data.draw(st.sampled_from([91 * DAY, 366 * DAY]))
    name, timeframe, length = data.draw(st.sampled_from(THIN))
    rows = min(span // length // 2, data.draw(st.integers(2, 200)))
    chance = data.draw(st.randoms(use_true_random=False))
    windows = sorted(chance.sample(range(span // length), rows))
    look([n * length for n in windows], timeframe, name=name)


@pytest.mark.parametrize("every", [5 * MINUTE, 7 * DAY])
def test_quiet_windows_at_the_same_distance_are_no_longer_candles_of_kraken(every: int) -> None:
    look([n * every for n in range(11)], name="AAVEAUD_1")
    look([n * every for n in range(150)], name="AAVEAUD_1")


def test_a_name_of_kraken_does_not_hide_that_rows_are_closer_than_it_says() -> None:
    with pytest.raises(ImportRefusedError, match="a row every 1 min: no candles of 1h"):
        look([n * MINUTE for n in range(20)], "1h", name="AAVEUSD_60")


def test_irregular_rows_of_any_file_are_no_longer_candles_unless_nearly_all_steps_are_multiples_of_one_length() -> None:
    chance = random.Random(11)
    thin = sorted(chance.sample(range(0, 91 * DAY, MINUTE), 150))
    look(thin)
    with pytest.raises(ImportRefusedError, match="no candles of 1m"):
        look(sorted(chance.sample(range(0, 91 * DAY, 5 * MINUTE), 5_000)))


@pytest.mark.parametrize("volume", ["0", "0.000", None])
def test_prices_that_move_without_any_volume_are_not_those_of_trades(volume: str | None) -> None:
    with pytest.raises(NotWantedError, match="no volume in any of 3 rows"):
        look([0, 60, 120], volume=volume, high="3")


def test_a_price_that_stands_still_without_volume_is_a_quiet_time() -> None:
    look([0, 60, 120], volume="0", high="2")
