"""The exchanges' past over REST, against the simulators: what they serve comes whole and exact, page by page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import httpx
import pytest

from cryptoviz import instruments
from cryptoviz.backfill.exchange_history import ExchangeHistory
from cryptoviz.backfill.shared_budget import Allowance, SharedBudget
from cryptoviz.exchanges import unconfirmed
from cryptoviz.pairs import Series, Timeframe, floor
from cryptoviz.records import Candle
from cryptoviz.remote.budget import take_turn
from cryptoviz.remote.errors import BudgetClosedError, LimitedError, PermanentError, TransientError
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from simulators import Simulator, running
from simulators.market import ORIGIN
from simulators.trades import SECOND, Bar

pytestmark = pytest.mark.services

M1 = Timeframe.M1
PAIRS = {"kraken": ("BTC/USD", "DOT/USD"), "binance": ("BTC/USDT", "DOT/USDT")}
YOUNG = {"kraken": "ETH/USD", "binance": "ETH/USDT"}
TERRA = ("LUNC/USD", "LUNA/USD")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    pairs = {name: [*PAIRS[name], YOUNG[name]] for name in PAIRS}
    pairs["kraken"] += TERRA
    with running(rate=2, pairs=pairs) as simulator:
        yield simulator


@pytest.fixture
def database(module_database: Settings) -> Settings:
    """One database for all tests of this file: the requests of all of them share the exchanges' budgets."""
    return module_database


def asking(simulator: Simulator, database: Settings) -> ExchangeHistory:
    settings = database.model_copy(
        update={
            "kraken_rest_url": f"{simulator.url}/kraken",
            "binance_rest_url": f"{simulator.url}/binance",
            "kraken_history_per_minute": 1e6,
            "binance_history_per_minute": 1e6,
            "rest_timeout_s": 60,
        }
    )
    return ExchangeHistory(settings, partial(connect, Role.WRITER, settings, autocommit=True))


@pytest.fixture
def history(simulator: Simulator, database: Settings) -> Iterator[ExchangeHistory]:
    for exchange in simulator.exchanges.values():
        exchange.reset()
    with connect(Role.WRITER, database, autocommit=True) as connection:
        connection.execute("delete from rest_budgets")
    with asking(simulator, database) as history:
        yield history
    for exchange in simulator.exchanges.values():
        exchange.faults.clear()
        exchange.have_all()


def control(simulator: Simulator, path: str, **body: object) -> None:
    httpx.post(f"{simulator.url}/control/{path}", json=body, timeout=60).raise_for_status()


def seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def midnight() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def truth(simulator: Simulator, series: Series, since: datetime, until: datetime) -> list[tuple[object, ...]]:
    """The closed candles that the simulator has, computed without its REST interface."""
    feed = simulator.exchanges[series.exchange].feeds[series.pair]
    now = time.time_ns()
    bars = feed.series.bars(series.timeframe.seconds, int(since.timestamp()), int(until.timestamp()), now)
    spec = feed.spec

    def row(bar: Bar) -> tuple[object, ...]:
        prices = (Decimal(spec.price(tick)) for tick in (bar.open, bar.high, bar.low, bar.close))
        return datetime.fromtimestamp(bar.start, UTC), *prices, Decimal(spec.volume(bar.lots)), bar.trades

    return [row(bar) for bar in bars if (bar.start + series.timeframe.seconds) * SECOND <= now]


def figures(row: Candle) -> tuple[object, ...]:
    return row.window_start, row.open, row.high, row.low, row.close, row.volume, row.trade_count


@pytest.mark.parametrize(("exchange", "pair"), [(name, pair) for name, pairs in PAIRS.items() for pair in pairs])
def test_a_day_of_minutes_is_what_the_exchange_has(
    history: ExchangeHistory, simulator: Simulator, exchange: str, pair: str
) -> None:
    until = midnight() - timedelta(days=3)
    since = until - timedelta(hours=20)
    answer = history.closed_candles(exchange, pair, M1, since, until)
    assert answer.complete
    assert not answer.silent
    assert [figures(row) for row in answer.rows] == truth(simulator, Series(exchange, pair, M1), since, until)


@pytest.mark.parametrize("exchange", PAIRS)
@pytest.mark.parametrize("timeframe", [M1, Timeframe.M15, Timeframe.H1])
def test_the_newest_candles_come_without_the_open_one(
    history: ExchangeHistory, simulator: Simulator, exchange: str, timeframe: Timeframe
) -> None:
    series = Series(exchange, PAIRS[exchange][1], timeframe)
    now = datetime.now(UTC)
    since = floor(now, timeframe) - 30 * timeframe.length
    pages = list(history.pages(exchange, series.pair, timeframe, since, now + timeframe.length))
    reached = pages[-1].until
    assert floor(now, timeframe) <= reached <= datetime.now(UTC)
    rows = [figures(row) for page in pages for row in page.rows]
    assert rows == truth(simulator, series, since, reached)
    assert len(rows) == (reached - since) // timeframe.length


@pytest.mark.parametrize("pair", TERRA)
def test_each_terra_coin_has_its_own_history_at_kraken(
    history: ExchangeHistory, simulator: Simulator, pair: str
) -> None:
    until = floor(datetime.now(UTC), M1)
    for since in (until - timedelta(hours=1), until - timedelta(days=2)):
        answer = history.closed_candles("kraken", pair, M1, since, since + timedelta(minutes=30))
        rows = [figures(row) for row in answer.rows]
        assert rows == truth(simulator, Series("kraken", pair, M1), since, since + timedelta(minutes=30))
    other = TERRA[1 - TERRA.index(pair)]
    assert rows != truth(simulator, Series("kraken", other, M1), since, since + timedelta(minutes=30))


@pytest.mark.parametrize("exchange", PAIRS)
def test_an_exchange_confirms_how_its_pairs_are_spelled(simulator: Simulator, exchange: str) -> None:
    listing = instruments.fetch(exchange, f"{simulator.url}/{exchange}", 60)
    listed = {row.pair: row.spelling for row in listing.instruments}
    assert listed.keys() == set(simulator.exchanges[exchange].feeds)
    assert unconfirmed(exchange, [*listed, "XYZ/USD"], listed) == {"XYZ/USD": f"{exchange} lists no XYZ/USD"}


def test_what_the_exchange_does_not_confirm_is_not_asked_for(
    history: ExchangeHistory, simulator: Simulator, database: Settings
) -> None:
    until = floor(datetime.now(UTC), M1)

    def ask(pair: str) -> None:
        history.closed_candles("kraken", pair, M1, until - timedelta(minutes=5), until)

    with pytest.raises(PermanentError, match="UST is kraken's name of USTC"):
        ask("UST/USD")
    with connect(Role.WRITER, database, autocommit=True) as connection:
        listing = instruments.fetch("kraken", f"{simulator.url}/kraken", 60)
        renamed = [replace(row, spelling="DOT2USD") if row.pair == "DOT/USD" else row for row in listing.instruments]
        instruments.store(connection, "kraken", instruments.Listing(tuple(renamed)), until)
        try:
            with pytest.raises(PermanentError, match="kraken lists DOT/USD as DOT2USD, not as DOTUSD"):
                ask("DOT/USD")
            with pytest.raises(PermanentError, match="kraken lists no XRP/USD"):
                ask("XRP/USD")
            for pair in ("BTC/USD", *TERRA):
                ask(pair)
        finally:
            connection.execute("delete from instruments")


def test_kraken_goes_over_from_trades_to_its_candles_without_a_seam(
    history: ExchangeHistory, simulator: Simulator
) -> None:
    series = Series("kraken", "DOT/USD", M1)
    until = floor(datetime.now(UTC), M1)
    since = until - timedelta(hours=14)
    pages = list(history.pages("kraken", "DOT/USD", M1, since, until))
    rows = [figures(row) for page in pages for row in page.rows]
    assert rows == truth(simulator, series, since, pages[-1].until)
    assert pages[-1].until == until


@pytest.mark.parametrize("exchange", PAIRS)
def test_trades_come_by_their_ids(history: ExchangeHistory, simulator: Simulator, exchange: str) -> None:
    pair = PAIRS[exchange][0]
    since = midnight() - timedelta(days=2)
    trades = simulator.exchanges[exchange].feeds[pair].series
    first = trades.count_before(int(since.timestamp()) * SECOND) + 500
    expected = trades.by_id(first, first + 2499)
    until = datetime.fromtimestamp(int(expected.times[-1]) / SECOND, UTC) + timedelta(seconds=1)
    answer = history.trades(exchange, pair, first, first + 2499, since=since, until=until)
    assert answer.complete
    assert [row.trade_id for row in answer.rows] == expected.ids.tolist()


@pytest.mark.parametrize("exchange", PAIRS)
def test_the_first_candle_is_where_the_market_opened(history: ExchangeHistory, exchange: str) -> None:
    first = history.first_candle(exchange, PAIRS[exchange][0], Timeframe.H1)
    assert first == datetime.fromtimestamp(ORIGIN, UTC)


def test_an_unknown_pair_is_refused(history: ExchangeHistory) -> None:
    for exchange in PAIRS:
        with pytest.raises(PermanentError):
            history.first_candle(exchange, "NONE/USD", M1)


def test_each_page_is_asked_for_once(history: ExchangeHistory, simulator: Simulator) -> None:
    since = midnight() - timedelta(days=3)
    pages = list(history.pages("binance", "BTC/USDT", M1, since, since + timedelta(minutes=2500)))
    assert [len(page.rows) for page in pages] == [1000, 1000, 500]
    asked = httpx.get(f"{simulator.url}/control/requests", params={"exchange": "binance"}, timeout=60).json()["binance"]
    starts = [since + timedelta(minutes=n) for n in (0, 1000, 2000)]
    assert [(one["endpoint"], one["query"]["startTime"], one["answered"], one["refused"]) for one in asked] == [
        ("klines", str(seconds(start) * 1000), 1, 0) for start in starts
    ]


def test_what_binance_lacks_is_answered_and_not_there(history: ExchangeHistory, simulator: Simulator) -> None:
    since = midnight() - timedelta(days=4)
    hole = (since + timedelta(minutes=900), since + timedelta(minutes=1200))
    lack = {"exchange": "binance", "pair": "DOT/USDT", "since": seconds(hole[0]), "until": seconds(hole[1])}
    control(simulator, "lack", **lack, timeframe="1m")
    answer = history.closed_candles("binance", "DOT/USDT", M1, since, since + timedelta(days=1))
    assert answer.complete
    everything = truth(simulator, Series("binance", "DOT/USDT", M1), since, since + timedelta(days=1))
    expected = [row for row in everything if not hole[0] <= row[0] < hole[1]]
    assert [figures(row) for row in answer.rows] == expected
    assert len(expected) == 1440 - 300
    whole = history.closed_candles("binance", "DOT/USDT", Timeframe.H1, since, since + timedelta(days=1))
    assert len(whole.rows) == 24


def test_where_kraken_lacks_trades_the_price_is_carried_on(history: ExchangeHistory, simulator: Simulator) -> None:
    since = midnight() - timedelta(days=5)
    hole = (since - timedelta(minutes=30), since + timedelta(minutes=90))
    lack = {"exchange": "kraken", "pair": "BTC/USD", "since": seconds(hole[0]), "until": seconds(hole[1])}
    control(simulator, "lack", **lack, trades=True)
    answer = history.closed_candles("kraken", "BTC/USD", M1, since, since + timedelta(hours=2))
    assert answer.complete
    everything = truth(simulator, Series("kraken", "BTC/USD", M1), hole[0] - timedelta(minutes=5), hole[1])
    before = [row[4] for row in everything if row[0] < hole[0]][-1]
    assert [(row.close, row.volume, row.trade_count) for row in answer.rows[:90]] == [(before, 0, 0)] * 90
    assert all(row.trade_count for row in answer.rows[90:])


def test_a_pair_begins_with_its_listing(history: ExchangeHistory, simulator: Simulator) -> None:
    listed = midnight() - timedelta(days=40)
    for exchange, pair in YOUNG.items():
        control(simulator, "listing", exchange=exchange, pair=pair, since=seconds(listed))
        assert history.first_candle(exchange, pair, Timeframe.D1) == listed
        early = history.closed_candles(exchange, pair, Timeframe.H1, listed - timedelta(days=1), listed)
        assert early.complete
        assert not early.rows
        silent = [(listed - timedelta(days=1), listed)] if exchange == "kraken" else []
        assert early.silent == silent


def in_threads(count: int, work: Callable[[], object]) -> list[object]:
    with ThreadPoolExecutor(count) as pool:
        return [done.result() for done in [pool.submit(work) for _ in range(count)]]


def test_one_429_stops_all_who_ask_for_as_long_as_it_says(
    history: ExchangeHistory, simulator: Simulator, database: Settings
) -> None:
    since = midnight() - timedelta(days=2)
    control(simulator, "fault", exchange="binance", kind="rate_limit", count=1, retry_after_s=2)
    first = threading.Thread(target=history.first_candle, args=("binance", "BTC/USDT", M1))
    first.start()
    while first.is_alive() and not simulator.exchanges["binance"].requests.refused:
        time.sleep(0.001)
    refused_at = time.monotonic()
    with connect(Role.WRITER, database, autocommit=True) as connection:
        while (
            first.is_alive()
            and not connection.execute("select 1 from rest_budgets where closed_until > now()").fetchone()
        ):
            time.sleep(0.001)

    def work() -> float:
        with asking(simulator, database) as another:
            assert another.closed_candles("binance", "BTC/USDT", M1, since, since + timedelta(hours=20)).complete
            return time.monotonic() - refused_at

    assert min(in_threads(3, work)) >= 1.9
    first.join()
    assert simulator.exchanges["binance"].requests.refused == 1
    assert history.closed_candles("binance", "BTC/USDT", M1, since, since + timedelta(hours=1)).complete


@pytest.mark.parametrize("exchange", PAIRS)
@pytest.mark.parametrize("kind", ["html", "server_error", "maintenance"])
def test_trouble_that_passes_costs_only_time(
    history: ExchangeHistory, simulator: Simulator, exchange: str, kind: str
) -> None:
    control(simulator, "fault", exchange=exchange, kind=kind, count=1)
    since = midnight() - timedelta(days=1)
    series = Series(exchange, PAIRS[exchange][1], M1)
    answer = history.closed_candles(exchange, series.pair, M1, since, since + timedelta(minutes=30))
    assert answer.complete
    assert [figures(row) for row in answer.rows] == truth(simulator, series, since, since + timedelta(minutes=30))
    assert not simulator.exchanges[exchange].faults.listed()


def test_a_ban_ends_all_asking_at_once(history: ExchangeHistory, simulator: Simulator, database: Settings) -> None:
    control(simulator, "fault", exchange="binance", kind="ban", retry_after_s=3600)

    def work() -> float:
        with asking(simulator, database) as another, pytest.raises(TransientError) as banned:
            another.first_candle("binance", "BTC/USDT", M1)
        return banned.value.retry_after or 0

    assert all(left == pytest.approx(3600, abs=30) for left in in_threads(3, work))
    # Only those who were under way already got to hear it from the exchange.
    assert simulator.exchanges["binance"].requests.refused <= 3
    refused = simulator.exchanges["binance"].requests.refused
    with pytest.raises(TransientError):
        history.first_candle("binance", "BTC/USDT", M1)
    assert simulator.exchanges["binance"].requests.refused == refused


def test_whoever_breaks_off_gives_what_came(history: ExchangeHistory, simulator: Simulator) -> None:
    since = midnight() - timedelta(days=3)
    pages = history.pages("binance", "BTC/USDT", M1, since, since + timedelta(days=2))
    first = next(pages)
    control(simulator, "fault", exchange="binance", kind="ban", retry_after_s=3600)
    with pytest.raises(TransientError):
        next(pages)
    assert first.until == since + timedelta(minutes=1000)


def test_all_processes_keep_to_one_limit_together(database: Settings) -> None:
    """Six budgets, each with a connection of its own: what they are given in a time is what one may use in it."""
    allowance = Allowance(per_minute=60 * 200)
    given: list[float] = []

    def work() -> None:
        with connect(Role.WRITER, database, autocommit=True) as connection:
            budget = SharedBudget(connection, "limited", allowance)
            for _ in range(50):
                take_turn(budget, 5)
                given.append(time.monotonic())

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(work) for _ in range(6)]:
            done.result()
    # 5 s worth of burst (1,000) is there at once, the other 500 cost 2.5 s.
    assert max(given) - min(given) >= 2.3
    assert len([one for one in given if one - min(given) < 1]) <= (1000 + 200) / 5 + 6


def test_one_refusal_stops_them_all_and_they_go_on_one_by_one(database: Settings) -> None:
    allowance = Allowance(per_minute=60 * 50)
    given: list[float] = []
    with (
        connect(Role.WRITER, database, autocommit=True) as connection,
        connect(Role.WRITER, database, autocommit=True) as another,
    ):
        budgets = [SharedBudget(connection, "refusing", allowance), SharedBudget(another, "refusing", allowance)]
        for budget in budgets:
            take_turn(budget, 1)
        refused_at = time.monotonic()
        assert budgets[0].failed(LimitedError("429", retry_after=1)) >= 0.9
        for _ in range(10):
            for budget in budgets:
                take_turn(budget, 1)
                given.append(time.monotonic())
    assert min(given) - refused_at >= 0.9
    assert max(given) - refused_at >= 0.9 + 20 / 50 - 0.1


def test_whoever_would_wait_too_long_is_told_when_to_come_back(database: Settings) -> None:
    allowance = Allowance(per_minute=600)
    with connect(Role.WRITER, database, autocommit=True) as connection:
        budget = SharedBudget(connection, "banned", allowance, patience_s=5)
        take_turn(budget, 1)
        budget.failed(LimitedError("418: IP banned", retry_after=120))
        with pytest.raises(BudgetClosedError, match="IP banned") as closed:
            take_turn(budget, 1)
        assert closed.value.retry_after == pytest.approx(120, abs=5)


def test_failures_in_a_row_close_and_an_answer_opens_again(database: Settings) -> None:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        budget = SharedBudget(connection, "failing", Allowance(per_minute=6e6), patience_s=5)
        take_turn(budget, 1)
        silent = TransientError("no answer")
        assert [budget.failed(silent) for _ in range(7)] == [0] * 7
        take_turn(budget, 1)
        budget.answered()
        assert [budget.failed(silent) for _ in range(7)] == [0] * 7
        assert budget.failed(silent) == pytest.approx(15, abs=1)
        assert budget.failed(silent) == pytest.approx(30, abs=1)
        with pytest.raises(BudgetClosedError, match="no answer"):
            take_turn(budget, 1)


def test_the_weight_that_others_use_counts(database: Settings) -> None:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        budget = SharedBudget(connection, "used", Allowance(per_minute=6e6, used_at_most=5000), patience_s=0)
        take_turn(budget, 1)
        budget.answered(4999)
        take_turn(budget, 1)
        budget.answered(5000)
        with pytest.raises(BudgetClosedError, match="5000 of weight"):
            take_turn(budget, 1)
