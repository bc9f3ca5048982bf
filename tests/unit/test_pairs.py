"""How pairs are recognised and what typed spellings become."""

import itertools

import pytest

from cryptoviz.pairs import Series, Timeframe, base_of, is_pair, parse_pair


@pytest.mark.parametrize(
    ("typed", "pair"),
    [
        ("BTC/USD", "BTC/USD"),
        ("btc-usd", "BTC/USD"),
        ("XBT/USD", "BTC/USD"),
        ("xdg/eur", "DOGE/EUR"),
        ("1INCH/USDT", "1INCH/USDT"),
    ],
)
def test_typed_spellings_become_one_pair(typed: str, pair: str) -> None:
    assert parse_pair(typed) == pair


@pytest.mark.parametrize("typed", ["", "BTC", "BTC/", "/USD", "BTC/USD/EUR", "BTC USD", "BTC/US D", "β/USD"])
def test_what_is_no_pair_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(ValueError, match="BASE/QUOTE, such as BTC/USD"):
        parse_pair(typed)


def test_the_platform_never_writes_xbt_or_xdg() -> None:
    assert not is_pair("XBT/USD")
    assert not is_pair("DOGE/XDG")
    assert not is_pair("btc/usd")


def test_base_of_a_pair() -> None:
    assert base_of("ETH/USD") == "ETH"


def test_each_timeframe_is_a_multiple_of_the_one_before() -> None:
    lengths = [timeframe.length for timeframe in Timeframe]
    assert not any(longer % shorter for shorter, longer in itertools.pairwise(lengths))
    assert lengths == sorted(lengths)


def test_the_series_of_a_row_has_one_of_the_timeframes() -> None:
    assert Series.of("kraken", "BTC/USD", "5m") == Series("kraken", "BTC/USD", Timeframe.M5)
    with pytest.raises(ValueError, match="'9m' is not a valid Timeframe"):
        Series.of("kraken", "BTC/USD", "9m")
