"""A file is of the pair that was asked for only if its name says so, in the words of its exchange or of a program."""

from __future__ import annotations

import json
import re
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from cryptoviz.exchanges import pair_of, spelling
from cryptoviz.exchanges.spellings import UnspelledPairError
from cryptoviz.imports.files import files
from cryptoviz.imports.names import NameMeaning, verdict
from cryptoviz.imports.words import EXCHANGES


def said(path: str, exchange: str, pair: str) -> NameMeaning:
    return verdict(("home", "data"), path.split("/"), exchange, pair).says


@pytest.mark.parametrize(
    ("exchange", "pair", "names"),
    [
        (
            "kraken",
            "BTC/USD",
            "XBTUSD XBTUSD_1 XBTUSD_1440 XBTUSD_1_Q1_2026 OHLC_XBTUSD_1 BTC_USD-1h BTC-USD_1m btcusd XBT_USD-trades"
            " Kraken_BTCUSD_d Kraken_BTCUSD_2024_minute BTCUSD_H1 Kraken_OHLCVT/XBTUSD_60 Kraken_Trading_History/XBTUSD"
            " XBTUSD_2024-01-01T00-00-00Z XBTUSD_01JAN2024 XBTUSD_Jan2024/trades"
            " XBTUSD/part-00000-1f7c0b7e-9a3d-4e2b-8c1d-0a1b2c3d4e5f-c000.snappy"
            " 2026Q1/XBTUSD_1 trades_csv/XBTUSD binance/kraken/XBTUSD XXBTZUSD_60 xxbtzusd",
        ),
        (
            "binance",
            "BTC/USDT",
            "BTCUSDT-1m-2024-01 BTCUSDT-1mo-2024-01 BTCUSDT-trades-2024-01-01 BTCUSDT-aggTrades-2024-01 BTC_USDT-5m"
            " BTC_USDT-1Mo BTC_USDT-trades BTC-USDT-1h btcusdt-trades BTC-USDT-trades-2024-01-01 BTC_USDT-202401"
            " BTCUSDT_2024-01-01 data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01 BTCUSDT/1m/2024-01"
            " BTC/USDT/1h BTC-USDT/trades/2024-01-01 BTC/USDT btc/usdt-1h BTCUSDT_DAILY BTCUSDT_TRADES BTCUSDT_JAN"
            " BTCUSDT-CHECKED trades.BTCUSDT binance.BTCUSDT.trades BTC:USDT BTC.USDT BTCUSDT60 BTCUSDT1440"
            " kraken-and-binance/BTCUSDT-1m spot_BTCUSDT_1m_BTCUSDT-1m-2024-01"
            " exchange=binance/symbol=BTC-USDT/timeframe=1m/month=2026-05/2026-05-01-r1-a3f0c9d2e1"
            " BTCUSDT-trades-2024-01/trades",
        ),
        ("kraken", "T/USD", "TUSD_1"),
        ("kraken", "S/EUR", "SEUR_60"),
        ("kraken", "W/USD", "WUSD"),
        ("kraken", "DOGE/EUR", "XDGEUR_1 DOGE_EUR-1d"),
        ("kraken", "LUNC/USD", "LUNAUSD_1 LUNC_USD-1d"),
        ("kraken", "LUNA/USD", "LUNA2USD_1"),
        ("binance", "LUNA/USDT", "LUNAUSDT-1m"),
        ("binance", "1000SHIB/USDT", "1000SHIBUSDT-1m"),
        ("binance", "UNITTEST/BTC", "UNITTEST_BTC-1m"),
        ("binance", "BTC/IDRT", "BTCIDRT-1m BTC_IDRT-1h"),
        ("kraken", "ETH/USD", "XETHZUSD_1"),
        ("kraken", "ETH/BTC", "XETHXXBT_1 ETHXBT_1"),
        ("kraken", "DOGE/USD", "XXDGZUSD XDGUSD"),
        ("kraken", "EUR/USD", "ZEURZUSD EURUSD_60"),
        ("kraken", "USDT/USD", "USDTZUSD_1 USDTUSD_1"),
        ("kraken", "REPV1/USD", "XREPZUSD"),
        ("binance", "PERP/USDT", "PERP_USDT-1h PERPUSDT-1m perp-usdt PERP/USDT/1h PERP/PERPUSDT-1h"),
        ("binance", "INDEX/USDT", "INDEX_USDT-1h indexusdt"),
        ("binance", "MARK/USDT", "MARK_USDT-trades"),
        ("binance", "SWAP/USDT", "SWAP_USDT-1h"),
        ("binance", "D/USDT", "Binance_DUSDT_d D_USDT-1d"),
        ("binance", "W/USDT", "W_USDT_w WUSDT-1h"),
        ("binance", "WOO/USDT", "WOO_USDT-1h WOO/WOOUSDT-1h"),
        ("gate", "BTC/USDT", "gate.io/BTC_USDT-1h gateio_BTCUSDT"),
    ],
)
def test_the_names_that_exchanges_and_programs_give_a_pair_say_it(exchange: str, pair: str, names: str) -> None:
    assert {name: said(name, exchange, pair) for name in names.split()} == dict.fromkeys(
        names.split(), NameMeaning.PAIR
    )


@pytest.mark.parametrize(
    ("exchange", "pair", "names"),
    [
        (
            "kraken",
            "BTC/USD",
            "ADAUSD_1 TUSD_1 XBTAED_1 XBTEUR_1 XBTUSDT_1 WUSD SEUR ETH2.SUSD_1 XBT.MUSD XBTUSD.d BTCUSD.P WBTCUSD_1"
            " XETHZUSD_1 XXBTZEUR BTCUSD1 BTCUSD1-1h XREPZUSD MATIC_USD-1h ethusd eth_usd-1h FOO binance/BTC_USD-1h"
            " binance/my-bot/history/XBTUSD binance/BTC-USD/2024-01 Bitstamp_BTCUSD_d ETHUSD/2024-01 eth-usd",
        ),
        (
            "binance",
            "BTC/USDT",
            "BTCARS-1m-2024-01 BTCIDRT-1m BTCUAH-1m BTCPLN-1m MATIC_USDT-1h MATIC-USDT-1h AVAX_USDT-1h XBTUSDT"
            " BTCUSDT2024-01-01 DATA_USDT-1h DAY_BTC-5m BTCUSD BTCDOMUSDT-1m MATIC/USDT/1h DAY_BTC"
            " btcars-1m-2024-01 btc_try btctry btc-mxn-1h btc_cad btccad matic_try pepe-try solana btcusdtperp"
            " BTCUSDTmark btc_cop BTC_NGN-1h btczar btc_daily BTC-1h usdt-trades gate_BTCUSDT ftx_BTCUSDT-1h"
            " bingx_BTCUSDT ftx/BTCUSDT-1m bittrex/BTCUSDT-1m bitflyer/BTCUSDT-1m gate/BTCUSDT-1m gate.io/BTCUSDT-1m"
            " binanceus/BTCUSDT-1m solana/2024-01",
        ),
        ("binance", "SHIB/USDT", "1000SHIBUSDT-1m-2024-01"),
        ("kraken", "LUNA/USD", "LUNAUSD_1 LUNA_USD-1d"),
        ("kraken", "LUNC/USD", "LUNA_USD-1d LUNA2USD_1"),
        ("kraken", "S/USD", "ETH2.SUSD_1"),
    ],
)
def test_whatever_looks_like_a_market_is_another_pair(exchange: str, pair: str, names: str) -> None:
    assert {name: said(name, exchange, pair) for name in names.split()} == dict.fromkeys(
        names.split(), NameMeaning.OTHER
    )


@pytest.mark.parametrize(
    ("pair", "names"),
    [
        (
            "BTC/USDT",
            "BTC_USDT_USDT-5m-futures BTC_USDT_USDT-trades BTC-USDT:USDT BTC_USDT-1h-mark BTC_USDT-1h-index"
            " BTC_USDT-8h-funding_rate BTCUSDT-fundingRate-2024-01 BTCUSDT_PERP BTC-PERP BTC-USDT-SWAP-trades-2024-01"
            " BTCUSDT_240329-1h-2024-01 BTC_USDT_USDT-240329 BTC-240329-50000-C BTCUSDT-29MAR24-50000-P BTC-29MAR24"
            " futures/BTC_USDT-1h futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01 um/BTCUSDT-1m"
            " futures/cm/BTCUSDT-1m option/daily/EOHSummary/BTCUSDT/BTCUSDT-EOHSummary-2023-05-18"
            " markPriceKlines/BTCUSDT/1h/BTCUSDT-1h premiumIndexKlines/BTCUSDT-1h BTCUSDT-premiumIndex-1h"
            " BTCUSDT-metrics-2024-01-01 BTCUSDT-bookDepth-2024-01-01 BTCUSDT_PERP/2024-01"
            " binance-futures/BTCUSDT-1m BTCUSDT_perpetual/1m/2024-01 um-futures/monthly/BTCUSDT-1m"
            " spot/futures/BTCUSDT-1m futures/spot/BTCUSDT-1m futures/binance-spot/BTCUSDT-1m"
            " spot-vs-futures/BTCUSDT-1m binanceusdm/BTCUSDT-1m binancecoinm/BTCUSDT-1m fapi/BTCUSDT-1m mark/BTCUSDT-1m"
            " funding/BTCUSDT-1m",
        ),
        ("BTC/USD", "BTC_USD_BTC-1h BTCUSD_PERP-1m-2024-01 BTCUSD_240329-1m btc-perp-20211231-20220201_1m"),
        ("PERP/USDT", "PERPUSDT_PERP PERP_USDT_USDT-1h perp/funding/PERP_USDT"),
        ("ZZI/USDT", "ZZIUSDT_240329-1h-2024-01"),
        ("ZZH/USDT", "futures/ZZH_USDT_USDT-1h-mark ZZH_USDT-1h-futures"),
    ],
)
def test_a_contract_is_not_the_spot_market(pair: str, names: str) -> None:
    assert {name: said(name, "binance", pair) for name in names.split()} == dict.fromkeys(
        names.split(), NameMeaning.MARKET
    )


def test_a_name_may_say_nothing_or_more_than_the_pair() -> None:
    for name in ("my-trades", "trades", "t", "DAILY", "August", "2024-01", "BTC/2024-01"):
        assert said(name, "kraken", "BTC/USD") is NameMeaning.NOTHING, name
    for name in ("XBTUSD_1_renko", "btcusd-heikinashi", "pf_xbtusd", "pi_xbtusd-1h", "ETH_BTC_USD", "BTCUSD_quarter"):
        assert said(name, "kraken", "BTC/USD") is NameMeaning.MORE, name


@pytest.mark.parametrize(
    ("above", "says"),
    [
        ("home/me/swap-space", NameMeaning.PAIR),
        ("home/me/no-futures", NameMeaning.PAIR),
        ("home/mark/index", NameMeaning.PAIR),
        ("home/solana/eth", NameMeaning.PAIR),
        ("home/delta/binance", NameMeaning.PAIR),
        ("data/futures/spot", NameMeaning.PAIR),
        ("data/futures/um", NameMeaning.MARKET),
        ("binance usdm", NameMeaning.MARKET),
        ("home/me/options", NameMeaning.MARKET),
        ("home/me/gate", NameMeaning.OTHER),
        ("home/me/binance us", NameMeaning.OTHER),
    ],
)
def test_a_folder_above_counts_only_by_its_whole_name_and_whoever_asks_may_vouch_for_it(
    above: str, says: NameMeaning
) -> None:
    found = verdict(above.split("/"), ("BTCUSDT-1h",), "binance", "BTC/USDT")
    assert (found.says, found.above) == (says, says is not NameMeaning.PAIR)
    assert verdict(above.split("/"), ("BTCUSDT-1h",), "binance", "BTC/USDT", vouched=True).says is NameMeaning.PAIR


def test_a_folder_above_that_is_called_like_a_pair_says_whose_files_without_one_are() -> None:
    for folder, says in {
        "BTCUSDT": NameMeaning.PAIR,
        "ETHUSDT": NameMeaning.OTHER,
        "btc_try": NameMeaning.OTHER,
        "BTCTRY": NameMeaning.OTHER,
        "country": NameMeaning.NOTHING,
        "cameron": NameMeaning.NOTHING,
    }.items():
        assert verdict(("home", folder), ("2024-01",), "binance", "BTC/USDT").says is says, folder


def test_every_exchange_that_ccxt_knows_is_known() -> None:
    source = Path(find_spec("ccxt").origin).read_text()  # type: ignore[union-attr, arg-type] - importing it takes long
    known = re.findall(
        r"'(\w+)'", source[source.index("\nexchanges = [") : source.index("]", source.index("\nexchanges = ["))]
    )
    assert len(known) > 90
    assert set(known) <= EXCHANGES


def test_every_name_that_is_not_simply_the_pair_has_its_reason() -> None:
    for name, reason in {
        "futures/BTC_USD-1h": "it lies in 'futures': futures, not the spot market",
        "BTC_USD-1h-mark": "its name says 'mark': mark prices, not the spot market",
        "BTC_USD_BTC-1h": "its name says 'BTC' after the pair: a contract that is settled in it, not the spot market",
        "BTCUSD_240329": "its name says '240329': a contract that ends that day, not the spot market",
        "TUSD_1": "its name says TUSD_1, not BTC/USD",
        "BTCUSD.P": "its name says BTCUSD.P, not BTC/USD",
        "btcars": "its name says btcars, not BTC/USD",
        "gate_BTCUSD": "'gate_BTCUSD' says gate, not kraken",
        "eth/2024-01": "it lies in 'eth', which is not BTC/USD",
        "my-trades": "neither its name nor its folder says BTC/USD",
        "XBTUSD_renko": "its name says renko beside BTC/USD, which may be anything",
        "binance-data/BTCUSD": "'binance-data' says binance, not kraken",
    }.items():
        assert verdict(("data",), name.split("/"), "kraken", "BTC/USD").reason == reason


def test_a_pair_that_the_exchange_calls_otherwise_is_refused() -> None:
    with pytest.raises(UnspelledPairError, match="ask for USTC"):
        verdict((), ("USTUSD_1",), "kraken", "UST/USD")


def test_the_parts_of_a_name_are_its_folders_its_zip_and_the_folders_in_it(tmp_path: Path) -> None:
    (tmp_path / "BTC" / "USDT").mkdir(parents=True)
    (tmp_path / "BTC" / "USDT" / "1h.csv.gz").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "BTCUSDT-trades-2024-01.zip", "w") as archive:
        archive.writestr("in/trades.csv", "1")
    first, second = files([str(tmp_path)])
    assert first.inside == ("BTC", "USDT", "1h")
    assert second.inside == ("BTCUSDT-trades-2024-01", "in", "trades")
    assert first.above == second.above == tmp_path.parts[1:]
    [found] = files([str(tmp_path / "B*" / "**" / "*.gz")])
    assert (found.above, found.inside) == (tmp_path.parts[1:], ("BTC", "USDT", "1h"))
    [named] = files([str(tmp_path / "BTC" / "USDT" / "1h.csv.gz")])
    assert (named.above, named.inside) == ((*tmp_path.parts[1:], "BTC", "USDT"), ("1h",))


def test_no_file_of_another_pair_of_kraken_is_taken_for_one(shared_data: Path) -> None:
    snapshot = json.loads((shared_data / "kraken/ws_v2_instrument_snapshot.json").read_text())
    pairs = [pair_of("kraken", one["symbol"]) for one in snapshot["data"]["pairs"]]
    names = {pair: spelling("kraken", pair).rest for pair in pairs}
    assert len(set(names.values())) == len(pairs) > 600
    for pair in ("BTC/USD", "T/USD", "LUNC/USD", "LUNA/USD", "DOGE/BTC", "REP/EUR", "USDT/USD", "STX/USD", "W/USD"):
        found = [
            one for one, name in names.items() if said(f"Kraken_OHLCVT/{name}_1", "kraken", pair) is NameMeaning.PAIR
        ]
        assert found == [one for one in pairs if one == pair]
