"""What the simulated exchanges sent is what the tables hold, through faults and kill -9."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from cryptoviz.pairs import Timeframe
from cryptoviz.settings import Role
from cryptoviz.storage.database import connect
from tests.e2e.conftest import MakePlatform
from tests.e2e.platform import Platform

EXCHANGES = ("kraken", "binance")
FAULTS: list[dict[str, Any]] = [
    {"kind": "skip", "probability": 0.003},
    {"kind": "duplicate", "probability": 0.01},
    {"kind": "reorder", "probability": 0.05},
    {"kind": "malformed", "probability": 0.0005},
]


def rows(platform: Platform, statement: str, *parameters: Any) -> list[Any]:
    with connect(Role.READER, platform.settings) as connection:
        return connection.execute(statement, parameters).fetchall()


def expected(platform: Platform, exchange: str, pair: str, first: int, last: int) -> Iterator[dict[str, Any]]:
    while first <= last:
        page = platform.control(f"expected?exchange={exchange}&pair={pair}&from_id={first}&to_id={last}")
        assert page, f"{exchange} {pair} has no trade {first}"
        yield from page
        first = page[-1]["trade_id"] + 1


def tickers_sent(platform: Platform) -> dict[str, int]:
    counters = platform.control("counters")
    return {exchange: sum(pair["tickers"] for pair in counters[exchange].values()) for exchange in EXCHANGES}


def tickers_stored(platform: Platform) -> dict[str, int]:
    return dict(rows(platform, "SELECT exchange, count(*) FROM ticker_data GROUP BY exchange"))


@pytest.mark.services
@pytest.mark.slow
def test_sent_is_stored_through_faults_and_kills(make_platform: MakePlatform, request: pytest.FixtureRequest) -> None:
    seconds = request.config.getoption("--load-seconds")
    rate = request.config.getoption("--load-rate")
    # A trade at each exchange, and at Kraken nearly always a ticker with it: 2.9 messages.
    platform = make_platform(simulator_rate=rate / 2.9)
    platform.start("simulators")
    platform.wait("simulators answer", lambda: platform.control("health")["status"] == "ok", 60)
    platform.start("ingestion", "collector_kraken", "collector_binance")
    platform.wait(
        "both exchanges are stored",
        lambda: len(rows(platform, "SELECT DISTINCT exchange, pair FROM trade_data")) == 16,
        120,
    )

    for exchange in EXCHANGES:
        for fault in FAULTS:
            platform.control("fault", {"exchange": exchange, **fault})
    killed_tickers = _load(platform, seconds)
    platform.control("fault?exchange=kraken", method="DELETE")
    platform.control("fault?exchange=binance", method="DELETE")

    last_ids = platform.control("pause", {})
    _wait_until_settled(platform, last_ids, within=60 + seconds / 2)

    lost, doubled = _compare_trades(platform, last_ids)
    assert (lost, doubled) == (0, 0)
    _compare_candles(platform)
    sent, stored = tickers_sent(platform), tickers_stored(platform)
    assert stored["binance"] == sent["binance"]
    # What was in the socket of a killed collector is gone: an exchange has no history of tickers.
    assert 0 <= sent["kraken"] - stored["kraken"] <= killed_tickers
    assert sum(pair["duplicates"] for exchange in EXCHANGES for pair in platform.control("counters")[exchange].values())
    print(f"\ntrades lost {lost}, doubled {doubled}; tickers sent {sent}, stored {stored}")  # noqa: T201 - the soak's result


def _load(platform: Platform, seconds: float) -> int:
    """Let it run for `seconds` with cuts and kills; returns the tickers that the killed collector may have held."""
    started = time.monotonic()
    cuts, killed_driver, killed_tickers = 0, False, -1
    while (elapsed := time.monotonic() - started) < seconds:
        if elapsed > (cuts + 1) * seconds / 5:
            platform.control("fault", {"exchange": EXCHANGES[cuts % 2], "kind": "cut"})
            cuts += 1
        if not killed_driver and elapsed > seconds / 3:
            platform.kill("ingestion")
            platform.start("ingestion")
            killed_driver = True
        if killed_tickers < 0 and elapsed > seconds / 2:
            before = tickers_sent(platform)["kraken"]
            # Events happen at their own pace here: everything sent in this half second may be in flight at the kill.
            time.sleep(0.5)
            platform.kill("collector_kraken")
            killed_tickers = tickers_sent(platform)["kraken"] - before
            platform.start("collector_kraken")
        time.sleep(0.2)
    return killed_tickers


def _wait_until_settled(platform: Platform, last_ids: dict[str, dict[str, int]], within: float) -> None:
    newest = {(exchange, pair): last for exchange, pairs in last_ids.items() for pair, last in pairs.items()}

    def settled() -> bool:
        stored = {
            (exchange, pair): (count, first, last)
            for exchange, pair, count, first, last in rows(
                platform,
                "SELECT exchange, pair, count(*), min(trade_id), max(trade_id) FROM trade_data GROUP BY exchange, pair",
            )
        }
        open_gaps = rows(platform, "SELECT count(*) FROM trade_gaps WHERE status NOT IN ('healed', 'explained')")[0][0]
        whole = all(
            key in stored and stored[key][2] == last and stored[key][0] == last - stored[key][1] + 1
            for key, last in newest.items()
        )
        return whole and not open_gaps

    platform.wait("every trade is stored and every gap closed", settled, within)


def _compare_trades(platform: Platform, last_ids: dict[str, dict[str, int]]) -> tuple[int, int]:
    lost = doubled = 0
    counters = platform.control("counters")
    for exchange, pairs in last_ids.items():
        for pair, last in pairs.items():
            stored = rows(
                platform,
                "SELECT trade_id, timestamp, price, volume, side FROM trade_data"
                " WHERE exchange = %s AND pair = %s ORDER BY trade_id",
                exchange,
                pair,
            )
            first = stored[0][0]
            assert first <= counters[exchange][pair]["first_id"]
            doubled += len(stored) - len({row[0] for row in stored})
            lost += last - first + 1 - len({row[0] for row in stored})
            for row, truth in zip(stored, expected(platform, exchange, pair, first, last), strict=True):
                assert row[0] == truth["trade_id"]
                assert (row[2], row[3], row[4]) == (Decimal(truth["price"]), Decimal(truth["volume"]), truth["side"])
                assert abs(row[1].timestamp() - truth["time_ns"] / 1e9) < 0.0011  # Binance tells milliseconds
    return lost, doubled


def _compare_candles(platform: Platform) -> None:
    wrong = rows(
        platform,
        """
        SELECT * FROM (
            SELECT exchange, pair AS symbol, date_trunc('minute', timestamp) AS window_start,
                   (array_agg(price ORDER BY timestamp, trade_id))[1] AS open, max(price) AS high, min(price) AS low,
                   (array_agg(price ORDER BY timestamp DESC, trade_id DESC))[1] AS close, sum(volume) AS volume,
                   count(*) AS trade_count
            FROM trade_data GROUP BY 1, 2, 3
        ) truth
        FULL JOIN (SELECT * FROM candles WHERE timeframe = '1m') stored USING (exchange, symbol, window_start)
        WHERE (truth.open, truth.high, truth.low, truth.close, truth.volume, truth.trade_count) IS DISTINCT FROM
              (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.trade_count)
        """,
    )
    assert wrong == []
    for part, whole in itertools.pairwise(Timeframe):
        wrong = rows(
            platform,
            """
            SELECT * FROM (
                SELECT exchange, symbol, date_bin(%s, window_start, 'epoch') AS window_start,
                       max(high) AS high, min(low) AS low, sum(volume) AS volume,
                       sum(trade_count)::bigint AS trade_count
                FROM candles WHERE timeframe = %s GROUP BY 1, 2, 3
            ) truth
            FULL JOIN (SELECT * FROM candles WHERE timeframe = %s) stored USING (exchange, symbol, window_start)
            WHERE (truth.high, truth.low, truth.volume, truth.trade_count) IS DISTINCT FROM
                  (stored.high, stored.low, stored.volume, stored.trade_count)
            """,
            Timeframe(whole).length,
            part,
            whole,
        )
        assert wrong == [], whole
