"""Instruments: what becomes of an exchange's listing, without an exchange and without a database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cryptoviz.instruments import DELISTED, Instrument, StatusChange, compare, parse, source_address
from cryptoviz.remote.errors import PermanentError
from cryptoviz.settings import Mode, Settings

DECIMAL_PLACES, SIGNIFICANT_DIGITS = 2, 3


def market(symbol: str, **fields: Any) -> dict[str, Any]:
    precision = {"price": Decimal("0.10"), "amount": Decimal("1E-8")}
    return {"id": symbol, "symbol": symbol, "spot": True, "active": True, "precision": precision, "info": {}} | fields


def instrument(pair: str, status: str = "online") -> Instrument:
    return Instrument("kraken", pair, status, None, None)


def test_spot_pairs_come_sorted_and_derivatives_stay_out() -> None:
    listing = parse("kraken", [market("ETH/USD"), market("BTC/USD:USD", spot=False), market("BTC/USD")])
    assert [row.pair for row in listing.instruments] == ["BTC/USD", "ETH/USD"]


def test_increments_stay_exact() -> None:
    (row,) = parse("kraken", [market("BTC/USD")]).instruments
    assert str(row.price_increment) == "0.10"
    assert row.volume_increment == Decimal("0.00000001")


@pytest.mark.parametrize(
    ("mode", "precision", "increment"),
    [
        (DECIMAL_PLACES, 3, Decimal("0.001")),
        (DECIMAL_PLACES, Decimal(0), Decimal(1)),
        (SIGNIFICANT_DIGITS, 5, None),
        (4, None, None),
        (4, Decimal(0), None),
        (4, "nonsense", None),
        (4, 0.1, Decimal("0.1")),
    ],
)
def test_increment_for_each_of_ccxts_precision_modes(mode: int, precision: object, increment: Decimal | None) -> None:
    (row,) = parse("other", [market("BTC/USD", precision={"price": precision})], mode).instruments
    assert row.price_increment == increment
    assert row.volume_increment is None


@pytest.mark.parametrize(
    ("active", "info", "status"),
    [
        (True, {"status": "TRADING"}, "online"),
        (None, {}, "online"),
        (False, {"status": "cancel_only"}, "cancel_only"),
        (False, {"status": "BREAK"}, "break"),
        (False, {"status": "online"}, "offline"),
        (False, {"status": 7}, "offline"),
        (False, None, "offline"),
    ],
)
def test_status_is_online_or_the_exchanges_own_word(active: object, info: object, status: str) -> None:
    (row,) = parse("kraken", [market("BTC/USD", active=active, info=info)]).instruments
    assert row.status == status


def test_a_dark_pool_does_not_replace_its_market() -> None:
    listing = parse("kraken", [market("BTC/USD"), market("BTC/USD", id="XXBTZUSD.d", active=False)])
    assert [(row.pair, row.status) for row in listing.instruments] == [("BTC/USD", "online")]


def test_names_that_are_no_pair_are_skipped_and_told() -> None:
    listing = parse("kraken", [market("BTC/USD"), market("AAPLx/USD"), market("XBT/EUR")])
    assert [row.pair for row in listing.instruments] == ["BTC/USD"]
    assert listing.skipped == ("AAPLx/USD", "XBT/EUR")


def test_of_two_markets_with_the_name_of_one_pair_that_is_taken_which_we_ask_for() -> None:
    augur = [market("REP/USD", id=name, info={"altname": name}) for name in ("REPUSD", "REPV2USD")]
    for markets in (augur, augur[::-1]):
        listing = parse("kraken", markets)
        assert [(row.pair, row.spelling) for row in listing.instruments] == [("REP/USD", "REPV2USD")]
        assert listing.skipped == ("REP/USD (REPUSD)",)


@pytest.mark.parametrize("pair", ["FEE/USD", "BTC/FEE"])
def test_two_markets_whose_name_means_another_coin_there_are_skipped_alone(pair: str) -> None:
    twice = [market(pair, id=name, info={"altname": name}) for name in ("FEEONE", "FEETWO")]
    listing = parse("kraken", [market("BTC/USD"), *twice])
    assert [row.pair for row in listing.instruments] == ["BTC/USD"]
    assert listing.skipped == (f"{pair} (FEEONE)", f"{pair} (FEETWO)")


def test_of_two_markets_that_we_spell_otherwise_both_are_skipped() -> None:
    twice = [market("REP/USD", id=name, info={"altname": name}) for name in ("REPUSD", "REPV3USD")]
    listing = parse("kraken", [market("BTC/USD"), *twice])
    assert listing.skipped == ("REP/USD (REPUSD)", "REP/USD (REPV3USD)")


@pytest.mark.parametrize(
    ("exchange", "fields", "spelling"),
    [
        ("kraken", {"id": "XXBTZUSD", "info": {"altname": "XBTUSD", "wsname": "XBT/USD"}}, "XBTUSD"),
        ("binance", {"id": "BTCUSD", "info": {"symbol": "BTCUSD"}}, "BTCUSD"),
        ("coinbase", {"id": "BTC-USD", "info": None}, "BTC-USD"),
    ],
)
def test_the_exchanges_own_name_of_a_pair_is_kept(exchange: str, fields: dict[str, Any], spelling: str) -> None:
    (row,) = parse(exchange, [market("BTC/USD", **fields)]).instruments
    assert row.spelling == spelling


def test_a_listing_without_a_spot_pair_is_refused() -> None:
    with pytest.raises(PermanentError, match="kraken lists no spot pair"):
        parse("kraken", [market("BTC/USD:USD", spot=False)])


def test_new_changed_and_delisted_pairs_are_told_apart() -> None:
    stored = {"BTC/USD": "online", "ETH/USD": "online", "OLD/USD": "online", "GONE/USD": DELISTED}
    changes = compare(stored, [instrument("BTC/USD"), instrument("ETH/USD", "cancel_only"), instrument("SOL/USD")])
    assert changes.new == ("SOL/USD",)
    assert changes.changed == (StatusChange("ETH/USD", "online", "cancel_only"),)
    assert changes.delisted == ("OLD/USD",)


def test_a_pair_that_comes_back_is_a_changed_status() -> None:
    changes = compare({"GONE/USD": DELISTED}, [instrument("GONE/USD")])
    assert changes.changed == (StatusChange("GONE/USD", DELISTED, "online"),)
    assert not changes.new
    assert not changes.delisted


def test_exchanges_with_collectors_are_asked_where_the_settings_say() -> None:
    settings = Settings(mode=Mode.DEMO, simulator_port=8123)
    assert source_address("kraken", settings) == "http://127.0.0.1:8123/kraken"
    assert source_address("coinbase", settings) is None
