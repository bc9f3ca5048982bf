"""How exchanges spell pairs: one table for both ways, and for live data and history alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cryptoviz.exchanges import pair_of, spelling, unconfirmed
from cryptoviz.exchanges.spellings import Spelling, UnspelledPairError


@pytest.mark.parametrize(
    ("exchange", "pair", "rest", "stream"),
    [
        ("kraken", "BTC/USD", "XBTUSD", "BTC/USD"),
        ("kraken", "DOGE/BTC", "XDGXBT", "DOGE/BTC"),
        ("kraken", "ETH/EUR", "ETHEUR", "ETH/EUR"),
        ("kraken", "LUNC/USD", "LUNAUSD", "LUNA/USD"),
        ("kraken", "LUNA/USD", "LUNA2USD", "LUNA2/USD"),
        ("kraken", "USTC/USDT", "USTUSDT", "UST/USDT"),
        ("kraken", "REP/EUR", "REPV2EUR", "REPV2/EUR"),
        ("kraken", "REPV1/EUR", "REPEUR", "REP/EUR"),
        ("binance", "BTC/USDT", "BTCUSDT", "BTCUSDT"),
        ("binance", "LUNC/USDT", "LUNCUSDT", "LUNCUSDT"),
        ("binance", "YOYOW/BTC", "YOYOBTC", "YOYOBTC"),
        ("coinbase", "BTC/USD", "BTCUSD", "BTC/USD"),
    ],
)
def test_a_pair_as_an_exchange_spells_it(exchange: str, pair: str, rest: str, stream: str) -> None:
    assert spelling(exchange, pair) == Spelling(rest, stream)


@pytest.mark.parametrize(
    ("exchange", "pair", "reason"),
    [
        ("kraken", "UST/USD", "UST is kraken's name of USTC: ask for USTC"),
        ("kraken", "LUNA2/USD", "LUNA2 is kraken's name of LUNA: ask for LUNA"),
        ("kraken", "REPV2/USD", "REPV2 is kraken's name of REP: ask for REP"),
        ("kraken", "ETH/UST", "UST is kraken's name of USTC: ask for USTC"),
        ("binance", "YOYO/BTC", "YOYO is binance's name of YOYOW: ask for YOYOW"),
    ],
)
def test_a_name_that_means_another_coin_there_is_refused(exchange: str, pair: str, reason: str) -> None:
    with pytest.raises(UnspelledPairError, match=reason):
        spelling(exchange, pair)


def test_every_recorded_symbol_of_kraken_is_a_pair_and_comes_back(shared_data: Path) -> None:
    snapshot = json.loads((shared_data / "kraken" / "ws_v2_instrument_snapshot.json").read_bytes())
    symbols = [pair["symbol"] for pair in snapshot["data"]["pairs"]]
    pairs = [pair_of("kraken", symbol) for symbol in symbols]
    assert len(set(pairs)) == len(symbols) == 683
    assert [spelling("kraken", pair).stream for pair in pairs] == symbols


LISTED = {"BTC/USD": "XBTUSD", "LUNC/USD": "LUNAUSD", "LUNA/USD": "LUNA2USD", "REP/USD": "REPUSD", "OLD/USD": None}


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        ("BTC/USD", None),
        ("LUNC/USD", None),
        ("LUNA/USD", None),
        ("OLD/USD", None),
        ("REP/USD", "kraken lists REP/USD as REPUSD, not as REPV2USD: it may be another coin"),
        ("NEW/USD", "kraken lists no NEW/USD"),
        ("UST/USD", "UST is kraken's name of USTC: ask for USTC"),
    ],
)
def test_a_pair_that_the_exchange_does_not_confirm_is_refused(pair: str, reason: str | None) -> None:
    assert unconfirmed("kraken", [pair], LISTED).get(pair) == reason


@pytest.mark.parametrize("listed", [{}, {"OLD/USD": None}])
def test_until_the_exchange_is_known_the_table_decides(listed: dict[str, str | None]) -> None:
    assert set(unconfirmed("kraken", ["BTC/USD", "NEW/USD", "UST/USD"], listed)) == {"UST/USD"}


def test_an_exchange_without_an_adapter_spells_as_it_likes() -> None:
    assert unconfirmed("coinbase", ["BTC/USD", "NEW/USD"], {"BTC/USD": "BTC-USD"}) == {}
