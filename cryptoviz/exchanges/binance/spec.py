"""Binance spot as the platform declares it: https://developers.binance.com/docs/binance-spot-api-docs."""

from __future__ import annotations

from typing import Final

from cryptoviz.exchanges.spec import (
    EmptyMinutes,
    Endpoint,
    ExchangeSpec,
    HistoryBudget,
    LiveBudget,
    SimulatorSpec,
    UsedWeight,
)
from cryptoviz.exchanges.spellings import Spellings

BINANCE: Final = ExchangeSpec(
    name="binance",
    title="Binance",
    pairs=("BTC/USDT", "ETH/USDT", "SOL/USDT", "ADA/USDT", "DOT/USDT", "XRP/USDT", "LTC/USDT", "DOGE/USDT"),
    # The addresses for market data alone; the others refuse whole countries.
    ws=Endpoint("wss://data-stream.binance.vision", "WebSocket address, without /stream"),
    rest=Endpoint("https://data-api.binance.vision", "REST address, without /api/v3"),
    ccxt_urls={"public": "{rest}/api/v3"},
    live="cryptoviz.exchanges.binance.feed:BinanceFeed",
    history="cryptoviz.exchanges.binance.history:BinanceHistory",
    live_budget=LiveBudget(per_second=80, burst=500),
    history_budget=HistoryBudget(
        per_minute=3000,
        unit="Request weight",
        used=UsedWeight("x-mbx-used-weight-1m", 5000, "it allows 6000"),
    ),
    topics=("rawticker", "rawtrade", "rawcandle", "rawalert"),
    empty_minutes=EmptyMinutes.LISTED,
    consecutive_ids=True,
    # Binance renamed its Terra coins as everybody did; YOYO was YOYOW's.
    spellings=Spellings(codes={"YOYOW": "YOYO"}, stream_separator=""),
    simulator=SimulatorSpec("simulators.binance:SimulatedBinance", "/binance"),
)
