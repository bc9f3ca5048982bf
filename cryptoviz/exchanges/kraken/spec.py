"""Kraken as the platform declares it: https://docs.kraken.com/api."""

from __future__ import annotations

from typing import Final

from cryptoviz.exchanges.spec import (
    EmptyMinutes,
    Endpoint,
    ExchangeSpec,
    HistoryBudget,
    LiveBudget,
    SimulatorSpec,
)
from cryptoviz.exchanges.spellings import Spellings

_FIRST_COINS: Final = ("ETC", "ETH", "LTC", "MLN", "REP", "XBT", "XDG", "XLM", "XMR", "XRP", "ZEC")
_FIRST_CURRENCIES: Final = ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")

KRAKEN: Final = ExchangeSpec(
    name="kraken",
    title="Kraken",
    pairs=("BTC/USD", "ETH/USD", "SOL/USD", "ADA/USD", "DOT/USD", "XRP/USD", "LTC/USD", "DOGE/USD"),
    pairs_note="; coins as everybody calls them: LUNC/USD for what Kraken calls LUNA/USD",
    ws=Endpoint("wss://ws.kraken.com/v2", "WebSocket v2 address"),
    rest=Endpoint("https://api.kraken.com", "REST address, without /0/public"),
    ccxt_urls={"public": "{rest}"},
    live="cryptoviz.exchanges.kraken.feed:KrakenFeed",
    history="cryptoviz.exchanges.kraken.history:KrakenHistory",
    live_budget=LiveBudget(per_second=1, burst=5),
    history_budget=HistoryBudget(per_minute=30, note=" Kraken allows an address about 60; the collector needs some."),
    # No candles: the channel `ohlc` never says that a candle is closed.
    topics=("rawticker", "rawtrade", "rawalert"),
    empty_minutes=EmptyMinutes.LISTED,
    consecutive_ids=True,
    listed_candles=720,
    # REST and files write XBT and XDG, WebSocket v2 BTC and DOGE. The Terra coins and Augur's two versions keep the
    # names that they had at Kraken when the newer coin came: LUNA2USD and REPV2USD are the newer ones. In pairs of two
    # of its first coins and currencies each has a letter more: XXBTZUSD, USDTZUSD.
    spellings=Spellings(
        codes={
            "BTC": "XBT",
            "DOGE": "XDG",
            "LUNC": "LUNA",
            "LUNA": "LUNA2",
            "USTC": "UST",
            "REPV1": "REP",
            "REP": "REPV2",
            "KFEE": "FEE",
        },
        stream_codes={"XBT": "BTC", "XDG": "DOGE"},
        long_codes={
            **{code: f"X{code}" for code in _FIRST_COINS},
            **{code: f"Z{code}" for code in _FIRST_CURRENCIES},
            "USDT": "USDT",
        },
    ),
    # Older candles are made of trades, 1,000 in each request: more are simulated in a second than may be asked for.
    simulator=SimulatorSpec("simulators.kraken:SimulatedKraken", "/kraken/v2", history="1m:11h,1h:28d,1d:90d"),
)
