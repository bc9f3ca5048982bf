"""Rows that cannot be candles of what was asked for are refused as a whole; thin trading and single faults are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from cryptoviz.history.imports.files import File, ImportRefusedError, NotWantedError
from cryptoviz.history.imports.layouts import Format
from cryptoviz.history.imports.plausible import refuse_no_candles
from cryptoviz.history.imports.progress import Target
from cryptoviz.pairs import Timeframe

START = datetime(2024, 1, 1, tzinfo=UTC)
SECOND, MINUTE, DAY = 1, 60, 24 * 60 * 60
MONTHS = [0, 31 * DAY, 60 * DAY]


def look(seconds: list[float], timeframe: str = "1m", *, volume: str | None = "1", high: str = "2") -> None:
    """Judge rows that begin so many seconds after the start."""
    file = File(Path("BTCUSDT-1m-2024-01.zip"), "BTCUSDT-1m-2024-01.csv", 1, named=True)
    times = [int((START + timedelta(seconds=one)).timestamp() * 1_000_000) for one in seconds]
    columns = {"microseconds": times, "high": [high] * len(times), "low": ["2"] * len(times)}
    volumes = pa.array([volume] * len(times), pa.string())
    target = Target("binance", "BTC/USDT", Timeframe(timeframe))
    refuse_no_candles(file, Format.BINANCE, target, pa.table({**columns, "volume": volumes}))


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


@pytest.mark.parametrize("volume", ["0", "0.000", None])
def test_prices_that_move_without_any_volume_are_not_those_of_trades(volume: str | None) -> None:
    with pytest.raises(NotWantedError, match="no volume in any of 3 rows"):
        look([0, 60, 120], volume=volume, high="3")


def test_a_price_that_stands_still_without_volume_is_a_quiet_time() -> None:
    look([0, 60, 120], volume="0", high="2")
