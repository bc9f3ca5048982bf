"""What becomes of the exchanges' own answers, recorded ones among them, without a network and without a database."""

from __future__ import annotations

import json
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from cryptoviz.exchanges.binance.history import BinanceHistory
from cryptoviz.exchanges.candles import build, candle
from cryptoviz.exchanges.generic import GenericHistory
from cryptoviz.exchanges.history import Impossible, Page
from cryptoviz.exchanges.kraken.history import KrakenHistory
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.records import Candle, Side, Trade
from cryptoviz.remote.errors import LimitedError, PermanentError, TransientError
from cryptoviz.remote.exchange import Rest

MINUTE = timedelta(minutes=1)
BTC_USDT = Series("kraken", "BTC/USDT", Timeframe.M1)
RECORDED_AT = datetime(2025, 11, 11, 0, 17, 30, tzinfo=UTC)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Free:
    """A budget without limits that remembers what became of the requests."""

    def __init__(self) -> None:
        self.weights: list[float] = []
        self.failures: list[TransientError] = []
        self.used: list[float | None] = []

    def reserve(self, weight: float) -> float:
        self.weights.append(weight)
        return 0

    def closed_for(self) -> float:
        return float(bool(self.failures))

    def failed(self, error: TransientError) -> float:
        self.failures.append(error)
        return self.closed_for()

    def answered(self, used: float | None = None) -> None:
        self.used.append(used)


class Market:
    """ccxt's exchange, as far as it is used: each request is answered by a function."""

    def __init__(self, **answers: Callable[[dict[str, Any]], str]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.last_response_headers: dict[str, str] | None = None
        self.last_http_response = ""
        for name, answer in answers.items():
            setattr(self, f"public_get_{name}", self._answering(answer))

    def _answering(self, answer: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], None]:
        def ask(params: dict[str, Any]) -> None:
            self.asked.append(params)
            self.last_http_response = answer(params)

        return ask


def at(instant: datetime) -> Callable[[], datetime]:
    return lambda: instant


@pytest.fixture
def kraken_folder(shared_data: Path) -> Path:
    folder = shared_data / "kraken"
    if not folder.is_dir():
        pytest.skip("the recordings are not here")
    return folder


def recorded_market(folder: Path, page: int) -> Market:
    """Kraken as it was recorded; `page` trades at once, the cursor and what lies after it as the exchange does it."""
    rows = json.loads((folder / "http_trades.json").read_text(), parse_float=Decimal)["result"]["XBTUSDT"]
    times = [int(row[2] * 10**9) for row in rows]

    def trades(params: dict[str, Any]) -> str:
        first = bisect_right(times, int(params["since"]))
        found = rows[first : first + min(page, params["count"])]
        last = times[first + len(found) - 1] if found else params["since"]
        return json.dumps({"error": [], "result": {"XBTUSDT": found, "last": str(last)}}, default=float)

    return Market(trades=trades, ohlc=lambda _: (folder / "http_ohlc.json").read_text())


def all_pages(pages: Sequence[Page], since: datetime, until: datetime) -> list[Candle]:
    """The candles of pages that follow one another without a hole."""
    reached = since
    for page in pages:
        assert all(reached <= row.window_start < page.until for row in page.rows)
        assert page.until >= reached
        reached = page.until
    assert reached == until
    return [row for page in pages for row in page.rows]


def figures(row: Candle) -> tuple[object, ...]:
    return row.window_start, row.open, row.high, row.low, row.close, row.volume, row.trade_count


def test_of_the_recorded_candles_all_but_the_open_one_come_and_216_are_empty(kraken_folder: Path) -> None:
    kraken = KrakenHistory(Rest("kraken", recorded_market(kraken_folder, 1000), Free()), at(RECORDED_AT))
    since, until = datetime(2025, 11, 10, 12, 37, tzinfo=UTC), RECORDED_AT + MINUTE / 2
    (page,) = kraken.pages(BTC_USDT, since, until)
    assert page.until == datetime(2025, 11, 11, 0, 17, tzinfo=UTC)
    assert [row.window_start for row in page.rows] == [since + n * MINUTE for n in range(700)]
    rows, open_from = kraken._listed(BTC_USDT, since)
    assert open_from == page.until
    assert len(rows) == 720
    assert sum(row.trade_count == 0 for row in rows) == 216 - 1  # the open one is the 216th
    assert all(row.volume == 0 and row.open == row.close for row in rows if not row.trade_count)


@pytest.mark.parametrize("page", [1000, 100, 30])
def test_candles_made_of_the_recorded_trades_are_the_recorded_candles(kraken_folder: Path, page: int) -> None:
    later = RECORDED_AT + timedelta(days=3)
    market = recorded_market(kraken_folder, page)
    kraken = KrakenHistory(Rest("kraken", market, Free()), at(later))
    since, until = datetime(2025, 11, 10, 17, 24, tzinfo=UTC), datetime(2025, 11, 11, 0, 13, tzinfo=UTC)
    made = all_pages(list(kraken.pages(BTC_USDT, since, until)), since, until)
    listed, _open = kraken._listed(BTC_USDT, since)
    expected = [figures(row) for row in listed if since <= row.window_start < until]
    assert [figures(row) for row in made] == expected
    assert sum(row.trade_count > 0 for row in made) == 272
    assert {params["since"] for params in market.asked if "since" in params} >= {
        str(int(since.timestamp()) * 10**9 - 1)
    }


@pytest.mark.parametrize("page", [1000, 30])
def test_trades_come_by_their_ids_though_many_share_an_instant(kraken_folder: Path, page: int) -> None:
    kraken = KrakenHistory(Rest("kraken", recorded_market(kraken_folder, page), Free()), at(RECORDED_AT))
    since, until = datetime(2025, 11, 10, 17, 20, tzinfo=UTC), RECORDED_AT
    rows = [row for rows in kraken.trade_pages("BTC/USDT", 10218300, 10218900, since, until) for row in rows]
    assert [row.trade_id for row in rows] == list(range(10218300, 10218901))


def trade(number: int, instant: datetime, price: str, volume: str = "1") -> Trade:
    return Trade(
        received_at=instant,
        timestamp=instant,
        exchange="kraken",
        pair="BTC/USDT",
        price=Decimal(price),
        volume=Decimal(volume),
        side=Side.BUY,
        trade_id=number,
    )


def made_market(moments: Sequence[datetime], *, volumes: dict[int, str] | None = None) -> Market:
    """Kraken with a trade at each moment, whose price is its number, and its amount 1 where `volumes` does not say."""
    nanos = [int(moment.timestamp()) * 10**9 for moment in moments]

    def trades(params: dict[str, Any]) -> str:
        first = bisect_right(nanos, int(params["since"]))
        stop = min(first + params["count"], len(nanos))
        amounts = volumes or {}
        rows = [[str(n + 1), amounts.get(n + 1, "1"), nanos[n] / 1e9, "b", "m", "", n + 1] for n in range(first, stop)]
        last = nanos[stop - 1] if rows else params["since"]
        return json.dumps({"error": [], "result": {"XBTUSDT": rows, "last": str(last)}})

    return Market(trades=trades)


@pytest.mark.parametrize(
    "silence", [timedelta(minutes=30), timedelta(days=30), timedelta(days=730), timedelta(days=3_650)]
)
@pytest.mark.parametrize("before", [1, 999, 1_000, 5_500])
def test_the_price_is_carried_on_over_a_silence_of_any_length(before: int, silence: timedelta) -> None:
    """Whoever was killed in its middle goes on as if he had not been: a few requests find the last price."""
    moments = [NOON - silence - n * MINUTE / 4 for n in range(before)][::-1]
    market = made_market([*moments, NOON + 5 * MINUTE])
    kraken = KrakenHistory(Rest("kraken", market, Free()), at(NOON + timedelta(days=60)))
    rows = all_pages(list(kraken.pages(BTC_USDT, NOON, NOON + 3 * MINUTE)), NOON, NOON + 3 * MINUTE)
    assert [figures(row)[1:] for row in rows] == [(before, before, before, before, 0, 0)] * 3
    assert len(market.asked) < 40


def test_a_minute_with_a_trade_that_cannot_be_is_no_candle_and_the_others_are() -> None:
    moments = [NOON + n * MINUTE / 2 for n in range(7)] + [NOON + 6 * MINUTE]
    kraken = KrakenHistory(
        Rest("kraken", made_market(moments, volumes={2: "0", 7: "0"}), Free()), at(NOON + timedelta(days=60))
    )
    pages = list(kraken.pages(BTC_USDT, NOON, NOON + 6 * MINUTE))
    rows = all_pages(pages, NOON, NOON + 6 * MINUTE)
    assert [figures(row)[0] for row in rows] == [NOON + MINUTE, NOON + 2 * MINUTE]
    impossible = [row for page in pages for row in page.impossible]
    assert [row.window_start for row in impossible] == [NOON, NOON + 3 * MINUTE]
    assert impossible[0].reason.startswith("trade 2: ")
    assert [span for page in pages for span in page.silent] == [(NOON + 4 * MINUTE, NOON + 6 * MINUTE)], (
        "no price is known"
    )


def test_before_the_first_trade_no_price_is_known() -> None:
    market = made_market([NOON + 5 * MINUTE])
    kraken = KrakenHistory(Rest("kraken", market, Free()), at(NOON + timedelta(days=60)))
    [page] = kraken.pages(BTC_USDT, NOON, NOON + 3 * MINUTE)
    assert (page.rows, page.silent) == ([], [(NOON, NOON + 3 * MINUTE)])


def test_open_and_close_follow_time_and_then_id() -> None:
    trades = [
        trade(3, NOON + MINUTE / 2, "7"),
        trade(2, NOON, "5", "0.5"),
        trade(4, NOON + MINUTE / 2, "6", "0.25"),
        trade(1, NOON, "9"),
    ]
    built = build(BTC_USDT, trades, NOON, NOON + 2 * MINUTE, None)
    assert [figures(row)[1:] for row in built.rows] == [
        (Decimal(9), Decimal(9), Decimal(5), Decimal(6), Decimal("2.75"), 4),
        (Decimal(6), Decimal(6), Decimal(6), Decimal(6), Decimal(0), 0),
    ]
    assert built.price == 6


def test_empty_windows_are_silent_until_a_price_is_known() -> None:
    trades = [trade(1, NOON + 3 * MINUTE, "5")]
    unknown = build(BTC_USDT, trades, NOON, NOON + 5 * MINUTE, None)
    assert unknown.silent == [(NOON, NOON + 3 * MINUTE)]
    assert [row.window_start for row in unknown.rows] == [NOON + 3 * MINUTE, NOON + 4 * MINUTE]
    known = build(BTC_USDT, trades, NOON, NOON + 5 * MINUTE, Decimal(4))
    assert not known.silent
    assert [row.close for row in known.rows] == [4, 4, 4, 5, 5]


def kline(start: datetime, count: int = 1, low: str = "1.00000000") -> list[object]:
    opens = int(start.timestamp() * 1000)
    prices = ("2.00000000", "3.00000000", low, "2.50000000")
    return [opens, *prices, "0.10000000", opens + 59_999, "1", count, "0", "0", "0"]


def binance_of(starts: Sequence[datetime], now: datetime, spoilt: int = 0) -> tuple[BinanceHistory, Market, Free]:
    """Binance with these candles; in the first ones of them the low is too high."""
    impossible = set(starts[:spoilt])

    def klines(params: dict[str, Any]) -> str:
        assert params["symbol"] == "BTCUSDT"
        found = [
            start
            for start in starts
            if params["startTime"] <= start.timestamp() * 1000 <= params.get("endTime", 10**15)
        ]
        low = dict.fromkeys(impossible, "2.75000000")
        return json.dumps([kline(start, low=low.get(start, "1.00000000")) for start in found[: params["limit"]]])

    market, budget = Market(klines=klines), Free()
    return BinanceHistory(Rest("binance", market, budget), at(now)), market, budget


AT_BINANCE = Series("binance", "BTC/USDT", Timeframe.M1)


def test_binance_gives_a_thousand_candles_a_request() -> None:
    starts = [NOON + n * MINUTE for n in range(2500)]
    binance, market, budget = binance_of(starts, NOON + timedelta(days=30))
    until = NOON + 2500 * MINUTE
    rows = all_pages(list(binance.pages(AT_BINANCE, NOON, until)), NOON, until)
    assert [row.window_start for row in rows] == starts
    assert budget.weights == [2, 2, 2]
    firsts = [params["startTime"] for params in market.asked]
    assert firsts == [int(starts[n].timestamp() * 1000) for n in (0, 1000, 2000)]


def test_an_open_candle_is_never_given() -> None:
    now = NOON + timedelta(minutes=10, seconds=1)
    binance, _market, _budget = binance_of([NOON + n * MINUTE for n in range(11)], now)
    (page,) = binance.pages(AT_BINANCE, NOON, NOON + 20 * MINUTE)
    assert page.until == NOON + 10 * MINUTE
    assert page.rows[-1].window_start == NOON + 9 * MINUTE


def test_an_exchange_whose_clock_stands_behind_ours_gives_no_open_candle_either() -> None:
    binance, _market, _budget = binance_of([NOON + n * MINUTE for n in range(11)], NOON + timedelta(minutes=14))
    (page,) = binance.pages(AT_BINANCE, NOON, NOON + 14 * MINUTE)
    assert page.until == NOON + 10 * MINUTE


def test_what_binance_lacks_is_passed_over_and_answered() -> None:
    starts = [NOON + n * MINUTE for n in range(100) if not 40 <= n < 60 and n < 90]
    binance, _market, _budget = binance_of(starts, NOON + timedelta(days=1))
    pages = list(binance.pages(AT_BINANCE, NOON, NOON + 100 * MINUTE))
    rows = all_pages(pages, NOON, NOON + 100 * MINUTE)
    assert [row.window_start for row in rows] == starts


def test_a_later_candle_answers_for_the_ones_that_are_not_there() -> None:
    lacking_binance, _market, _budget = binance_of([NOON + 2 * MINUTE, NOON + 3 * MINUTE], NOON + 3.5 * MINUTE)
    (page,) = lacking_binance.pages(AT_BINANCE, NOON, NOON + 2 * MINUTE)
    assert (page.rows, page.until) == ([], NOON + 2 * MINUTE)


def test_digits_are_as_they_were_sent(shared_data: Path) -> None:
    sample = shared_data / "binance" / "samples" / "klines_response.json"
    if not sample.is_file():
        pytest.skip("the samples are not here")
    binance = BinanceHistory(Rest("binance", Market(klines=lambda _: sample.read_text()), Free()), at(NOON))
    rows, _more = binance._klines(AT_BINANCE, startTime=0, limit=1000)
    (row,) = rows
    digits = [str(number) for number in (row.open, row.high, row.low, row.close, row.volume)]
    assert digits == ["0.01634790", "0.80000000", "0.01575800", "0.01577100", "148976.11427815"]
    assert (row.trade_count, row.window_start) == (308, datetime(2017, 7, 3, tzinfo=UTC))


def test_what_no_candle_can_be_comes_apart_with_the_reason() -> None:
    rows = [kline(NOON), kline(NOON + MINUTE), kline(NOON + 2 * MINUTE)]
    rows[1][3] = "2.75000000"
    binance = BinanceHistory(
        Rest("binance", Market(klines=lambda _: json.dumps(rows)), Free()), at(NOON + timedelta(days=1))
    )
    (page,) = binance.pages(AT_BINANCE, NOON, NOON + 3 * MINUTE)
    assert [row.window_start for row in page.rows] == [NOON, NOON + 2 * MINUTE]
    (row,) = page.impossible
    assert (row.window_start, row.window_end, row.low) == (NOON + MINUTE, NOON + 2 * MINUTE, Decimal("2.75000000"))
    assert row.reason == "open and close do not lie between low and high"


def test_a_page_of_nothing_but_impossible_candles_is_an_answer() -> None:
    starts = [NOON + n * MINUTE for n in range(1500)]
    binance, market, _budget = binance_of(starts, NOON + timedelta(days=30), spoilt=1000)
    until = NOON + 1500 * MINUTE
    pages = list(binance.pages(AT_BINANCE, NOON, until))
    assert [page.until for page in pages] == [NOON + 1000 * MINUTE, until]
    assert [len(page.impossible) for page in pages] == [1000, 0]
    assert [row.window_start for page in pages for row in page.rows] == starts[1000:]
    assert len(market.asked) == 2


@pytest.mark.parametrize(
    ("place", "given", "kept", "reason"),
    [
        (0, "0", "0", "is zero"),
        (1, "1E+40", None, "integer digits"),
        (2, "1E-30", None, "fraction digits"),
        (3, None, None, "missing"),
        (4, "-1", "-1", "negative"),
    ],
)
def test_what_no_column_can_hold_is_left_empty(place: int, given: str | None, kept: str | None, reason: str) -> None:
    figures: list[Any] = [Decimal(2), Decimal(3), Decimal(1), Decimal(2), Decimal(1)]
    figures[place] = None if given is None else Decimal(given)
    row = candle(AT_BINANCE, NOON, (*figures, 1), NOON + MINUTE)  # type: ignore[arg-type]
    assert isinstance(row, Impossible)
    numbers = (row.open, row.high, row.low, row.close, row.volume)
    assert numbers[place] == (None if kept is None else Decimal(kept))
    assert reason in row.reason


def test_a_candle_off_the_grid_answers_for_no_window() -> None:
    rows = [kline(NOON), kline(NOON + MINUTE * 1.5), kline(NOON + 2 * MINUTE)]
    binance = BinanceHistory(
        Rest("binance", Market(klines=lambda _: json.dumps(rows)), Free()), at(NOON + timedelta(days=1))
    )
    (page,) = binance.pages(AT_BINANCE, NOON, NOON + 3 * MINUTE)
    assert [row.window_start for row in page.rows] == [NOON, NOON + 2 * MINUTE]
    assert [row.window_start for row in page.impossible] == [NOON + MINUTE * 1.5]


class Unified:
    """An exchange of ccxt that gives a hundred candles from a time on; the minutes of `lacks` it leaves out."""

    def __init__(self, first: datetime, last: datetime, lacks: Sequence[datetime] = ()) -> None:
        self.starts = [first + n * MINUTE for n in range((last - first) // MINUTE)]
        self.lacks = set(lacks)
        self.markets: dict[str, Any] = {}
        self.last_response_headers: dict[str, str] | None = None

    def load_markets(self) -> None:
        self.markets = {"BTC/USDT": {}}

    def fetch_ohlcv(self, _pair: str, _timeframe: str, since: int, limit: int) -> list[list[object]]:
        start = datetime.fromtimestamp(since / 1000, UTC)
        stop = start + limit * MINUTE
        found = [one for one in self.starts if start <= one < stop and one not in self.lacks][:100]
        return [
            [int(one.timestamp() * 1000), *(Decimal(n) for n in (2, 3, 1, 2)), Decimal("0.5")]
            for one in reversed(found)
        ]


def test_any_other_exchange_is_paged_whatever_its_pages_hold() -> None:
    since, until = NOON - timedelta(hours=20), NOON + timedelta(hours=1)
    lacks = [NOON - n * MINUTE for n in range(5, 12)]
    market = Unified(NOON - timedelta(hours=8), NOON + MINUTE / 2, lacks)
    other = GenericHistory(Rest("elsewhere", market, Free()), at(NOON + MINUTE / 2))
    series = Series("elsewhere", "BTC/USDT", Timeframe.M1)
    pages = list(other.pages(series, since, until))
    rows = all_pages(pages, since, NOON - MINUTE)
    assert [row.window_start for row in rows] == [one for one in market.starts[:-1] if one not in lacks]
    assert {row.trade_count for row in rows} == {0}
    assert other.first_candle(series) == NOON - timedelta(hours=8)


def test_a_long_silence_of_any_other_exchange_is_answered_page_by_page() -> None:
    market = Unified(NOON + timedelta(days=30), NOON + timedelta(days=31))
    other = GenericHistory(Rest("elsewhere", market, Free()), at(NOON + timedelta(days=40)))
    until = NOON + timedelta(days=30, hours=1)
    pages = list(other.pages(Series("elsewhere", "BTC/USDT", Timeframe.M1), NOON, until))
    reached = [page.until - NOON for page in pages]
    assert reached[:3] == [500 * MINUTE, 1_000 * MINUTE, 1_500 * MINUTE], "whoever is stopped goes on there"
    assert [row.window_start for row in all_pages(pages, NOON, until)] == market.starts[:60]


def test_other_exchanges_give_no_trades_by_id() -> None:
    other = GenericHistory(Rest("elsewhere", Unified(NOON, NOON), Free()), at(NOON))
    with pytest.raises(PermanentError, match="by id"):
        list(other.trade_pages("BTC/USDT", 1, 2, NOON, NOON))


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (ccxt.RateLimitExceeded("429"), LimitedError),
        (ccxt.DDoSProtection("418"), LimitedError),
        (ccxt.RequestTimeout("slow"), TransientError),
        (ccxt.ExchangeNotAvailable("503"), TransientError),
    ],
)
def test_trouble_is_told_to_the_budget_and_tried_again(raised: Exception, becomes: type[TransientError]) -> None:
    budget = Free()
    answers = iter([raised, raised, None])

    def klines(_params: dict[str, Any]) -> str:
        if error := next(answers):
            raise error
        return "[]"

    BinanceHistory(Rest("binance", Market(klines=klines), budget), at(NOON)).first_candle(AT_BINANCE)
    assert [type(error) for error in budget.failures] == [becomes, becomes]
    assert len(budget.weights) == 3
    assert len(budget.used) == 1


def test_the_budget_learns_how_long_an_exchange_wants_to_be_left_alone() -> None:
    budget = Free()
    market = Market(klines=lambda _: "[]")
    ask, headers = market.public_get_klines, iter([{"Retry-After": "2"}, {"retry-after": "²"}, None])  # type: ignore[attr-defined]

    def answer(params: dict[str, Any]) -> None:
        market.last_response_headers = next(headers)
        if market.last_response_headers is not None:
            raise ccxt.RateLimitExceeded("429")
        ask(params)

    market.public_get_klines = answer  # type: ignore[attr-defined]
    BinanceHistory(Rest("binance", market, budget), at(NOON)).first_candle(AT_BINANCE)
    assert [error.retry_after for error in budget.failures] == [2, None]


def test_a_refusal_is_not_tried_again() -> None:
    budget = Free()

    def klines(_params: dict[str, Any]) -> str:
        raise ccxt.BadSymbol("no such pair")

    with pytest.raises(PermanentError, match="no such pair"):
        BinanceHistory(Rest("binance", Market(klines=klines), budget), at(NOON)).first_candle(AT_BINANCE)
    assert len(budget.weights) == 1
    assert not budget.failures


def test_a_page_for_people_is_no_answer() -> None:
    budget = Free()
    market = Market(klines=lambda _: "<!DOCTYPE html>")
    with pytest.raises(TransientError):
        BinanceHistory(Rest("binance", market, budget, attempts=2), at(NOON)).first_candle(AT_BINANCE)
    assert len(budget.failures) == 2


def test_the_used_weight_is_passed_on() -> None:
    budget = Free()
    market = Market(klines=lambda _: "[]")
    ask = market.public_get_klines  # type: ignore[attr-defined] - set from the answers

    def answer(params: dict[str, Any]) -> None:
        ask(params)
        market.last_response_headers = {"x-mbx-used-weight-1m": "4711"}

    market.public_get_klines = answer  # type: ignore[attr-defined]
    BinanceHistory(Rest("binance", market, budget, used_header="x-mbx-used-weight-1m"), at(NOON)).first_candle(
        AT_BINANCE
    )
    assert budget.used == [4711]


def test_trades_in_any_order_of_arrival_make_the_same_candles() -> None:
    trades = [trade(n, NOON + n * timedelta(seconds=13), str(100 + n % 7)) for n in range(60)]
    expected = build(BTC_USDT, trades, NOON, NOON + 15 * MINUTE, None)
    shuffled = random.Random(1).sample(trades, len(trades))
    again = build(BTC_USDT, shuffled, NOON, NOON + 15 * MINUTE, None)
    assert list(map(figures, again.rows)) == list(map(figures, expected.rows))
