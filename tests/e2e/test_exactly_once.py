"""What the simulated exchanges sent is what the tables hold, through faults and kill -9."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import MakePlatform
from tests.e2e.platform import Platform
from tests.e2e.truth import (
    EXCHANGES,
    MESSAGES_PER_TRADE,
    assert_candles_equal_trades,
    calm,
    disturb,
    rows,
    tickers_sent,
    tickers_stored,
    trade_differences,
    wait_until_settled,
)


@pytest.mark.services
@pytest.mark.slow
def test_sent_is_stored_through_faults_and_kills(make_platform: MakePlatform, request: pytest.FixtureRequest) -> None:
    seconds = request.config.getoption("--load-seconds")
    rate = request.config.getoption("--load-rate")
    platform = make_platform(simulator_rate=rate / MESSAGES_PER_TRADE)
    platform.start("simulators")
    platform.wait("simulators answer", lambda: platform.control("health")["status"] == "ok", 60)
    platform.start("ingestion", "collector_kraken", "collector_binance")
    platform.wait(
        "both exchanges are stored",
        lambda: len(rows(platform, "SELECT DISTINCT exchange, pair FROM trade_data")) == 16,
        120,
    )

    disturb(platform)
    killed_tickers = _load(platform, seconds)
    calm(platform)

    last_ids = platform.control("pause", {})
    wait_until_settled(platform, last_ids, within=60 + seconds / 2)

    assert list(trade_differences(platform, last_ids)) == []
    assert_candles_equal_trades(platform)
    sent, stored = tickers_sent(platform), tickers_stored(platform)
    assert stored["binance"] == sent["binance"]
    # What was in the socket of a killed collector is gone: an exchange has no history of tickers.
    assert 0 <= sent["kraken"] - stored["kraken"] <= killed_tickers
    assert sum(pair["duplicates"] for exchange in EXCHANGES for pair in platform.control("counters")[exchange].values())
    print(f"\ntrades lost 0, doubled 0; tickers sent {sent}, stored {stored}")  # noqa: T201 - the soak's result


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
