"""Kraken's own candles from Kraken's own trades, through the whole chain."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cryptoviz.settings import Role
from cryptoviz.storage.database import connect
from tests.e2e.conftest import MakePlatform
from tests.e2e.platform import Platform

PAIR = "BTC/USDT"


def stored_trades(platform: Platform) -> int:
    with connect(Role.READER, platform.settings) as connection:
        row = connection.execute("SELECT count(*) FROM trade_data WHERE pair = %s", (PAIR,)).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.services
@pytest.mark.slow
def test_recorded_trades_give_the_exchanges_own_candles(make_platform: MakePlatform, shared_data: Path) -> None:
    trades_file = shared_data / "kraken" / "http_trades.json"
    platform = make_platform(kraken_pairs=[PAIR], exchanges=["kraken"])
    platform.start("simulators")
    platform.wait("simulators answer", lambda: platform.control("health")["status"] == "ok", 60)
    replayed = platform.control("replay", {"exchange": "kraken", "pair": PAIR, "path": str(trades_file), "speed": 0})
    assert replayed["trades"] == 1000
    platform.start("ingestion", "collector_kraken")
    platform.wait("all recorded trades are stored", lambda: stored_trades(platform) == 1000, 120)

    with connect(Role.READER, platform.settings) as connection:
        candles = {
            row[0]: row[1:]
            for row in connection.execute(
                "SELECT window_start, open, high, low, close, volume, trade_count FROM candles"
                " WHERE exchange = 'kraken' AND symbol = %s AND timeframe = '1m'",
                (PAIR,),
            )
        }
    shared = _complete_shared_minutes(shared_data)
    assert len(shared) == 272
    assert [candles.get(start) for start, *_ in shared] == [tuple(candle) for _, *candle in shared]


def _complete_shared_minutes(
    shared_data: Path,
) -> list[tuple[datetime, Decimal, Decimal, Decimal, Decimal, Decimal, int]]:
    """The exchange's own candles of the minutes that the recorded trades cover completely and that have trades."""
    [trades] = [rows for name, rows in _result(shared_data / "kraken" / "http_trades.json").items() if name != "last"]
    [candles] = [rows for name, rows in _result(shared_data / "kraken" / "http_ohlc.json").items() if name != "last"]
    first, last = float(trades[0][2]), float(trades[-1][2])
    return [
        (datetime.fromtimestamp(row[0], UTC), *(Decimal(row[column]) for column in (1, 2, 3, 4, 6)), row[7])
        for row in candles
        if row[7] and row[0] > first and row[0] + 60 <= last
    ]


def _result(path: Path) -> dict[str, list[list[str]]]:
    return json.loads(path.read_text())["result"]
