"""Every expectation of every suite: rows that violate it and nothing else, and rows that meet all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cryptoviz.gate import engine, suites
from cryptoviz.gate.columns import columns_of
from cryptoviz.gate.report import GateError, Scope, Severity, SuiteError
from cryptoviz.gate.rows import CandidateRow, StoredContext
from cryptoviz.gate.suites import SUITES
from cryptoviz.gate.values import number

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
Payload = dict[str, Any]


def ago(**length: float) -> str:
    return (NOW - timedelta(**length)).isoformat().replace("+00:00", "Z")


def article(**changed: Any) -> Payload:
    number = changed.pop("number", 1)
    return {
        "received_at": ago(),
        "published_at": ago(hours=1),
        "scraped_at": ago(),
        "article_id": f"guid-{number}",
        "revision": 1,
        "title": f"Bitcoin climbs for the {number}th day",
        "url": f"https://www.coindesk.com/markets/{number}",
        "website": "coindesk.com",
        "source": "coindesk",
        "summary": "It climbed.",
        "content": "",
        "tags": [],
        "cryptocurrencies_mentioned": ["BTC"],
        "sentiment": {"score": 0.7, "label": "positive"},
        **changed,
    }


def coin(symbol: str = "ETH", rank: int = 2, **changed: Any) -> Payload:
    return {
        "received_at": ago(),
        "timestamp": ago(minutes=1),
        "source": "coingecko",
        "symbol": symbol,
        "name": f"Coin {symbol}",
        "price_usd": "100",
        "market_cap": "1000000",
        "volume_24h": "50000",
        "change_1h": 0.1,
        "change_24h": 1.0,
        "change_7d": None,
        "ath": "200",
        "atl": "1",
        "circulating_supply": "10000",
        "rank": rank,
        **changed,
    }


def mood(day: int = 20, **changed: Any) -> Payload:
    return {
        "received_at": ago(),
        "timestamp": f"2026-11-{day:02}T00:00:00Z",
        "source": "alternative.me",
        "value": 60,
        "classification": "Greed",
        **changed,
    }


def instrument(pair: str = "BTC/USD", **changed: Any) -> Payload:
    return {
        "exchange": "kraken",
        "pair": pair,
        "status": "online",
        "price_increment": "0.1",
        "volume_increment": "0.00000001",
        **changed,
    }


def ticker(**changed: Any) -> Payload:
    return {
        "timestamp": ago(seconds=1),
        "received_at": ago(),
        "exchange": "kraken",
        "pair": "BTC/USD",
        "last": "100",
        "bid": "99.9",
        "ask": "100.1",
        "volume_24h": "12",
        "pct_change": "-3",
        **changed,
    }


def trade(number: int = 1, **changed: Any) -> Payload:
    return {
        "timestamp": ago(seconds=1),
        "received_at": ago(),
        "exchange": "kraken",
        "pair": "BTC/USD",
        "trade_id": number,
        "price": "100",
        "volume": "0.5",
        "side": "buy",
        **changed,
    }


def candle(**changed: Any) -> Payload:
    return {
        "window_start": ago(minutes=2),
        "window_end": ago(minutes=1),
        "exchange": "kraken",
        "symbol": "BTC/USD",
        "timeframe": "1m",
        "open": "100",
        "high": "110",
        "low": "90",
        "close": "105",
        "volume": "3",
        "trade_count": 4,
        "closed": True,
        "source": "stream",
        **changed,
    }


def fetched(**changed: Any) -> Payload:
    return candle(received_at=ago(), **changed)


def alert(**changed: Any) -> Payload:
    return {
        "timestamp": ago(seconds=1),
        "received_at": ago(),
        "exchange": "kraken",
        "pair": "BTC/USD",
        "last_price": "100",
        "change_percent": -0.7,
        "threshold": 0.5,
        "alert_type": "price_down",
        **changed,
    }


MARKET = [coin("BTC", 1), coin("ETH", 2), coin("DOGE", 9)]
KNOWN = {
    "market": StoredContext(
        coins={("coingecko", "ETH"): (100.0, "Coin ETH"), ("coinmarketcap", "ETH"): (101.0, "Coin ETH")}
    ),
    "mood": StoredContext(days=frozenset({date(2026, 11, 18), date(2026, 11, 19)})),
    "instruments": StoredContext(listed_pairs={"kraken": 2}),
}


def imported(**changed: Any) -> Payload:
    made = {"microseconds": 1_510_000_000_000_000, "age_s": 60.0}
    return {**made, "price": "100", "volume": "0.5", "unreadable": None, **changed}


SOUND: Mapping[str, Sequence[Payload]] = {
    "articles": [article(number=1), article(number=2, cryptocurrencies_mentioned=[])],
    "market": MARKET,
    "mood": [mood(20), mood(21)],
    "instruments": [instrument(), instrument("ETH/USD", price_increment=None)]
    + [instrument(f"C{number}/USD") for number in range(10)],
    "tickers": [ticker(), ticker(pair="ETH/USD")],
    "trades": [trade(1), trade(2)],
    "trades_import": [imported(), imported(price="0.5")],
    "candles": [candle(), candle(timeframe="5m", window_start=ago(minutes=6))],
    "candles_rest": [fetched(window_start=ago(minutes=3), window_end=ago(minutes=2)), fetched()],
    "alerts": [alert(), alert(change_percent=0.7, alert_type="price_up")],
}
TEN_LISTED = [f"C{number}" for number in range(10)]
CASES: Mapping[str, Mapping[str, Sequence[Payload]]] = {
    "articles": {
        "has_rows": [],
        "title_not_empty": [article(title=" ")],
        "title_plausible": [article(title="BTC")],
        "url_is_web": [article(url="ftp://www.coindesk.com/markets/1")],
        "id_known": [article(article_id=" ")],
        "has_time": [article(published_at="yesterday")],
        "publication_known": [article(published_known=False)],
        "not_from_the_future": [article(published_at=ago(days=-2))],
        "not_ancient": [article(published_at=ago(days=2000))],
        "score_known": [article(sentiment={"label": "positive"})],
        "score_in_range": [article(sentiment={"score": 1.1, "label": "positive"})],
        "label_fits_score": [article(sentiment={"score": 0.5, "label": "positive"})],
        "on_its_website": [article(url="https://elsewhere.example/markets/1")],
        "has_text": [article(summary=" ")],
        "text_bounded": [article(content="a" * 2_000_001)],
        "no_markup": [article(summary="It <script>shown</script> climbed.")],
        "coins_are_symbols": [article(cryptocurrencies_mentioned=["BTC", "bitcoin"])],
        "title_once": [article(number=1, title="Bitcoin climbs"), article(number=2, title="Bitcoin climbs")],
    },
    "market": {
        "has_rows": [],
        "symbol_known": [coin("E T H")],
        "rank_one_is_bitcoin": [coin("EVIL", 1)],
        "bitcoin_is_rank_one": [coin("BTC", 2)],
        "price_known": [coin(price_usd="a lot")],
        "numbers_readable": [coin(ath="NaN")],
        "price_above_zero": [coin("XYZ", price_usd="-1", market_cap=None, atl=None)],
        "cap_has_volume": [
            coin("XYZ", price_usd="100", market_cap="30000000000", circulating_supply="300000000", volume_24h="5")
        ],
        "cap_is_price_times_supply": [coin(market_cap="2000000")],
        "update_known": [coin(timestamp=None)],
        "not_stale": [coin(timestamp=ago(hours=2))],
        "not_from_the_future": [coin(timestamp=ago(minutes=-2))],
        "no_jump": [
            coin(price_usd="250", market_cap="2500000", ath="300", source="coingecko"),
            coin("ETH", 2, price_usd="250", source="coinmarketcap", market_cap="2500000", ath="300", received_at=ago()),
        ],
        "same_coin": [coin(name="Ether of somebody else")],
        "symbol_once": [coin("XYZ", 5), coin("XYZ", 500)],
        "change_possible": [coin(change_24h=-101.0)],
        "not_above_high": [coin(ath="90")],
        "not_below_low": [coin(atl="110")],
        "sources_agree": [coin(price_usd="90", market_cap="900000")],
        "enough_rows": MARKET,
        "most_prices_stay": [
            coin(name, number + 20, price_usd="70", market_cap="700000") for number, name in enumerate(TEN_LISTED)
        ],
    },
    "mood": {
        "has_rows": [],
        "value_known": [mood(value="high")],
        "value_in_range": [mood(value=-1, classification="Extreme Fear")],
        "classification_fits": [mood(classification="Fear")],
        "day_known": [mood(timestamp="2026-11-20")],
        "day_begins_at_midnight": [mood(timestamp="2026-11-20T08:00:00Z")],
        "not_from_the_future": [mood(21), mood(20), mood(22)],
        "no_missing_days": [mood(21)],
    },
    "instruments": {
        "has_rows": [],
        "pair_in_our_words": [instrument(), instrument("eth-usd")],
        "pair_once": [instrument(), instrument()],
        "status_known": [instrument(), instrument("ETH/USD", status="")],
        "status_familiar": [instrument(), instrument("ETH/USD", status="frozen")],
        "price_step_above_zero": [instrument(), instrument("ETH/USD", price_increment="0")],
        "numbers_readable": [instrument(), instrument("ETH/USD", volume_increment="Infinity")],
        "volume_step_above_zero": [instrument(), instrument("ETH/USD", volume_increment="-1")],
        "most_price_steps_known": [instrument(), instrument("ETH/USD", price_increment=None)],
        "listing_whole": [instrument()],
        "lists_bitcoin": [instrument("ETH/USD")],
        "some_online": [instrument(status="offline")],
    },
    "tickers": {
        "has_rows": [],
        "pair_in_our_words": [ticker(pair="BTCUSD")],
        "nothing_missing": [ticker(volume_24h=None)],
        "last_above_zero": [ticker(last="0", bid="0", ask="0")],
        "not_crossed": [ticker(bid="100.1", ask="100")],
        "last_near_market": [ticker(last="120")],
        "volume_not_negative": [ticker(volume_24h="-1")],
        "change_possible": [ticker(pct_change="-101")],
        "clocks_agree": [ticker(timestamp=ago(minutes=5))],
    },
    "trades": {
        "has_rows": [],
        "pair_in_our_words": [trade(pair="BTCUSD")],
        "nothing_missing": [trade(volume=None)],
        "price_above_zero": [trade(price="-1")],
        "volume_above_zero": [trade(volume="0")],
        "side_known": [trade(side="hold")],
        "id_once": [trade(7), trade(7)],
        "price_near_market": [trade(1), trade(2), trade(3, price="150")],
        "clocks_agree": [trade(timestamp=ago(minutes=5))],
    },
    "trades_import": {
        "has_rows": [],
        "readable": [imported(price=None, unreadable="price abc is no number")],
        "price_known": [imported(price=None)],
        "volume_known": [imported(volume=None)],
        "price_above_zero": [imported(price="0")],
        "volume_above_zero": [imported(volume="-1")],
        "price_is_finite": [imported(price="100000000000000000000")],
        "volume_is_finite": [imported(volume="100000000000000000000")],
        "made_already": [imported(age_s=-5.0)],
        "market_existed": [imported(microseconds=1_510_000_000)],
    },
    "candles": {
        "has_rows": [],
        "pair_in_our_words": [candle(symbol="BTCUSD")],
        "nothing_missing": [candle(open=None)],
        "price_above_zero": [candle(low="-1")],
        "low_is_lowest": [candle(low="101")],
        "high_is_highest": [candle(high="104")],
        "volume_not_negative": [candle(volume="-1", trade_count=0)],
        "trade_count_not_negative": [candle(volume="0", trade_count=-1)],
        "window_fits_timeframe": [candle(window_end=ago())],
        "volume_where_trades": [candle(trade_count=0)],
        "range_plausible": [candle(low="10")],
        "source_known": [candle(source="guess")],
        "minutes_there": [candle(timeframe="5m", window_start=ago(minutes=6))],
    },
    "candles_rest": {
        "has_rows": [],
        "window_fits_timeframe": [fetched(window_end=ago())],
        "one_market": [fetched(high="1000")],
        "nothing_missing": [fetched(volume=None)],
        "window_once": [fetched(), fetched(open="104")],
        "window_on_grid": [fetched(window_start=ago(seconds=130), window_end=ago(seconds=70))],
        "window_over": [fetched(window_start=ago(), window_end=ago(minutes=-1))],
        "price_above_zero": [fetched(low="-1")],
        "low_is_lowest": [fetched(low="101")],
        "high_is_highest": [fetched(high="104")],
        "volume_not_negative": [fetched(volume="-1")],
        "trade_count_not_negative": [
            fetched(window_start=ago(minutes=3), window_end=ago(minutes=2)),
            fetched(trade_count=-1),
        ],
        "volume_where_trades": [
            fetched(window_start=ago(minutes=3), window_end=ago(minutes=2)),
            fetched(trade_count=0),
        ],
        "no_jump": [fetched(window_start=ago(minutes=3), window_end=ago(minutes=2)), fetched(low="30", open="40")],
    },
    "alerts": {
        "has_rows": [],
        "pair_in_our_words": [alert(pair="BTCUSD")],
        "nothing_missing": [alert(last_price=None)],
        "price_above_zero": [alert(last_price="0")],
        "threshold_above_zero": [alert(threshold=0.0)],
        "move_reaches_threshold": [alert(change_percent=-0.3)],
        "type_fits_move": [alert(alert_type="price_up")],
        "move_plausible": [alert(change_percent=-60.0)],
        "clocks_agree": [alert(timestamp=ago(minutes=5))],
    },
}
ORIGINS: Mapping[tuple[str, str], Mapping[str, Any]] = {("market", "enough_rows"): {"answered": 20, "asked": 250}}
KNOWN_OF: Mapping[tuple[str, str], StoredContext] = {
    ("market", "no_jump"): StoredContext(coins={("coingecko", "ETH"): (100.0, "Coin ETH")}),
    ("market", "most_prices_stay"): StoredContext(
        coins={("coingecko", name): (100.0, f"Coin {name}") for name in TEN_LISTED}
    ),
    ("market", "price_above_zero"): StoredContext(),
    ("mood", "not_from_the_future"): StoredContext(),
    ("instruments", "listing_whole"): StoredContext(listed_pairs={"kraken": 20}),
}


def rows(payloads: Sequence[Payload], origin: Mapping[str, Any] | None = None) -> list[CandidateRow]:
    return [CandidateRow(str(number), payload, origin or {}, run="run") for number, payload in enumerate(payloads)]


def failed(subject: str, payloads: Sequence[Payload], case: str = "") -> list[str]:
    origin = ORIGINS.get((subject, case), {"answered": 200, "asked": 250})
    known = KNOWN_OF.get((subject, case), KNOWN.get(subject, StoredContext()))
    columns = columns_of(subject, rows(payloads, origin), known)
    return [one.expectation.name for one in engine.evaluate(suites.read(subject), columns) if not one.outcome.success]


@pytest.mark.slow
@pytest.mark.parametrize("subject", suites.names())
def test_sound_rows_meet_every_expectation(subject: str) -> None:
    assert failed(subject, SOUND[subject]) == []


@pytest.mark.parametrize("subject", suites.names())
def test_every_expectation_has_a_case(subject: str) -> None:
    assert {one.name for one in suites.read(subject).expectations} == CASES[subject].keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("subject", "name"),
    [(subject, one.name) for subject in suites.names() for one in suites.read(subject).expectations],
)
def test_the_case_of_an_expectation_violates_it_and_nothing_else(subject: str, name: str) -> None:
    assert failed(subject, CASES[subject][name], name) == [name]


NUMBERS: Mapping[str, Sequence[str]] = {
    "market": [
        *("price_usd", "market_cap", "volume_24h", "change_1h", "change_24h", "change_7d", "ath", "atl"),
        *("circulating_supply", "rank"),
    ],
    "mood": ["value"],
    "instruments": ["price_increment", "volume_increment"],
    "tickers": ["last", "bid", "ask", "volume_24h", "pct_change"],
    "trades": ["trade_id", "price", "volume"],
    "trades_import": ["price", "volume"],
    "candles": ["open", "high", "low", "close", "volume", "trade_count"],
    "candles_rest": ["open", "high", "low", "close", "volume", "trade_count"],
    "alerts": ["last_price", "change_percent", "threshold"],
}


@pytest.mark.slow
@pytest.mark.parametrize("subject", NUMBERS)
def test_what_is_no_number_never_passes(subject: str) -> None:
    """Great Expectations counts NaN as missing, and what is missing as expected."""
    sound = SOUND[subject][0]
    wrong = [{**sound, name: value} for name in NUMBERS[subject] for value in ("NaN", "Infinity", "-Infinity")]
    critical = [one for one in suites.read(subject).expectations if one.severity is Severity.CRITICAL]
    columns = columns_of(subject, rows(wrong, {"answered": 200, "asked": 250}), KNOWN.get(subject, StoredContext()))
    judged = engine.evaluate(replace(suites.read(subject), expectations=tuple(critical)), columns)
    assert {row for one in judged for row in one.outcome.rows} == set(range(len(wrong)))


@pytest.mark.parametrize("subject", [name for name in SOUND if name != "articles"])
def test_every_number_of_a_row_is_among_those_that_are_tried(subject: str) -> None:
    def numeric(value: Any) -> bool:
        return number(value) is not None

    missed = {name for name, value in SOUND[subject][0].items() if numeric(value)} - set(NUMBERS[subject])
    assert missed <= {"microseconds", "age_s"}, "times, which have expectations of their own"


WARNED = (False, Severity.WARNING, Scope.ROW)
HELD = (False, Severity.CRITICAL, Scope.ROW)
BLOCKED = (False, Severity.CRITICAL, Scope.BATCH)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "extreme", "verdict"),
    [
        (1, 1, BLOCKED),
        (2, 1, WARNED),
        (2, 2, BLOCKED),
        (13, 3, WARNED),
        (13, 4, HELD),
        (13, 6, HELD),
        (13, 7, BLOCKED),
        (60, 1, WARNED),
        (60, 60, BLOCKED),
        (100, 10, WARNED),
        (100, 11, HELD),
        (100, 20, HELD),
        (100, 21, BLOCKED),
        (300, 10, WARNED),
        (300, 11, HELD),
        (300, 40, HELD),
        (300, 41, BLOCKED),
        (1_100, 11, (True, Severity.CRITICAL, Scope.BATCH)),
        (1_000, 11, HELD),
        (1_000, 111, BLOCKED),
    ],
)
def test_what_a_share_says_grows_with_the_rows_at_fault(
    count: int, extreme: int, verdict: tuple[bool, Severity, Scope]
) -> None:
    columns = columns_of("candles_rest", rows(minutes(count, extreme)), StoredContext())
    for briefly in (False, True):
        judged = engine.evaluate(suites.read("candles_rest"), columns, briefly=briefly)
        [found] = [one for one in judged if one.expectation.name == "one_market"]
        assert (found.outcome.success, found.expectation.severity, found.expectation.scope) == verdict
        assert found.written["expectation_config"]["severity"] == found.expectation.severity
        if not found.outcome.success:
            assert found.outcome.rows == tuple(range(extreme))
            assert [one.expectation.name for one in judged if not one.outcome.success] == ["one_market"]


def minutes(count: int, extreme: int) -> list[Payload]:
    """Candles of which the first `extreme` are true, but with a high that is far from the low."""
    return [
        fetched(
            window_start=ago(minutes=count - number + 1),
            window_end=ago(minutes=count - number),
            **({"high": "1000"} if number < extreme else {}),
        )
        for number in range(count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "names"), [(19, []), (20, ["enough_rows"])])
def test_an_answer_about_few_coins_may_lack_most_of_them(asked: int, names: list[str]) -> None:
    columns = columns_of("market", rows(MARKET, {"answered": 3, "asked": asked}), KNOWN["market"])
    judged = engine.evaluate(suites.read("market"), columns)
    assert [one.expectation.name for one in judged if not one.outcome.success] == names


@pytest.mark.slow
def test_rows_without_a_value_do_not_make_a_share_of_many() -> None:
    one, *others = [trade(number, price="150" if number == 1 else "100") for number in range(1, 60)]
    unread = [trade(number, price=None) for number in range(60, 200)]
    columns = columns_of("trades", rows([one, *others, *unread]), StoredContext())
    [found] = [
        one for one in engine.evaluate(suites.read("trades"), columns) if one.expectation.name == "price_near_market"
    ]
    assert (found.outcome.rows, found.expectation.severity) == ((0,), Severity.WARNING)


def a_suite(folder: Path, text: str) -> None:
    (folder / "market.json").write_text(text, encoding="utf-8")


def changed(change: Callable[[dict[str, Any]], Any]) -> str:
    content = json.loads((SUITES / "market.json").read_text(encoding="utf-8"))
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", '"name": "market"'),
        (changed(lambda suite: suite.update(name="other")), '"name": "market"'),
        (changed(lambda suite: suite.update(expectations=[])), "no expectations"),
        (changed(lambda suite: suite["expectations"][0].pop("kwargs")), "expectation 1 has no type or kwargs"),
        (changed(lambda suite: suite["expectations"][1]["meta"].pop("why")), "needs name, scope, why"),
        (changed(lambda suite: suite["expectations"][1]["meta"].update(scope="table")), "'table' is not a valid Scope"),
        (changed(lambda suite: suite["expectations"][1].pop("severity")), "severity is critical, warning or info"),
        (changed(lambda suite: suite["expectations"].append(suite["expectations"][1])), "two expectations are named"),
        (changed(lambda suite: suite["expectations"][2]["kwargs"].update(row_condition="rank == 1")), "as an object"),
    ],
)
def test_a_broken_suite_is_an_error_that_names_file_and_reason(tmp_path: Path, text: str, said: str) -> None:
    a_suite(tmp_path, text)
    with pytest.raises(SuiteError, match=r"market\.json") as error:
        suites.read("market", tmp_path)
    assert said in str(error.value)


def test_a_suite_that_is_not_there_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"nothing\.json cannot be read"):
        suites.read("nothing", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.update(type="expect_miracles"),
        lambda one: one["kwargs"].update(no_such_argument=1),
        lambda one: (
            one.update(type="expect_column_max_to_be_between"),
            one["kwargs"].update(column="rank", max_value=9),
        ),
    ],
    ids=["type", "argument", "scope"],
)
def test_an_expectation_that_makes_no_sense_is_an_error_not_a_shorter_suite(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    a_suite(tmp_path, changed(lambda suite: change(suite["expectations"][4])))
    with pytest.raises(SuiteError, match=r"market\.json.*price_known"):
        engine.evaluate(suites.read("market", tmp_path), [{"price": 1.0}])


@pytest.mark.slow
def test_a_missing_column_fails_for_every_row() -> None:
    payloads = [{name: value for name, value in coin(symbol).items() if name != "symbol"} for symbol in ("A", "B")]
    columns = columns_of("market", rows(payloads), StoredContext())
    [found] = [one for one in engine.evaluate(suites.read("market"), columns) if one.expectation.name == "symbol_known"]
    assert not found.outcome.success
    assert found.outcome.rows == (0, 1)
    assert found.outcome.observed == "no row has symbol"


@pytest.mark.slow
@pytest.mark.parametrize("subject", suites.names())
def test_no_rows_at_all_never_pass(subject: str) -> None:
    judged = engine.evaluate(suites.read(subject), [])
    assert [one.expectation.name for one in judged] == ["has_rows"]
    assert not judged[0].outcome.success


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["articles", "market", "mood"])
@pytest.mark.parametrize(
    "value",
    [None, "", "nonsense", "0001-01-01T00:00:00+05:00", 10**400, -1.5, True, [], {"a": [1]}, "\x00"],
    ids=repr,
)
def test_no_value_whatever_breaks_the_gate(subject: str, value: Any) -> None:
    sound = SOUND[subject][0]
    payloads = [{**sound, name: value} for name in sound]
    columns = columns_of(subject, rows(payloads), StoredContext())
    judged = engine.evaluate(suites.read(subject), columns)
    assert len(judged) == len(suites.read(subject).expectations)


@pytest.mark.slow
def test_a_metric_that_crashes_is_a_failure_of_the_gate_and_names_the_expectation(tmp_path: Path) -> None:
    """Great Expectations itself calls that an expectation that was not met."""
    a_suite(tmp_path, changed(lambda suite: suite["expectations"][4].update(MISMATCHED)))
    with pytest.raises(GateError, match=r"could not evaluate price_known of suite market: .*same type") as error:
        engine.evaluate(
            suites.read("market", tmp_path).of(Scope.ROW), columns_of("market", rows(MARKET), StoredContext())
        )
    assert not isinstance(error.value, SuiteError)


MISMATCHED = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "symbol", "min_value": 1}}


@pytest.mark.slow
def test_what_great_expectations_raises_is_a_failure_of_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    from great_expectations.execution_engine import pandas_execution_engine  # noqa: PLC0415 - takes seconds

    def broken(*_arguments: Any, **_named: Any) -> None:
        raise MemoryError("no room for a metric")

    monkeypatch.setattr(pandas_execution_engine.PandasExecutionEngine, "get_domain_records", broken)
    with pytest.raises(GateError, match="no room for a metric") as error:
        engine.evaluate(suites.read("mood"), columns_of("mood", rows(SOUND["mood"]), StoredContext()))
    assert not isinstance(error.value, SuiteError)


def test_every_expectation_says_why_in_a_sentence() -> None:
    for subject in suites.names():
        for one in suites.read(subject).expectations:
            assert one.why.endswith("."), f"{subject} {one.name}"
            assert one.severity in Severity
            assert one.scope in Scope


@pytest.mark.slow
def test_the_committed_files_are_what_great_expectations_itself_reads() -> None:
    from great_expectations import ExpectationSuite  # noqa: PLC0415 - takes seconds

    for subject in suites.names():
        content = json.loads((SUITES / f"{subject}.json").read_text(encoding="utf-8"))
        assert len(ExpectationSuite(**content).expectations) == len(suites.read(subject).expectations)
