"""The exchanges' past over REST, against the simulators: what they serve comes whole and exact, page by page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from cryptoviz.history.bars import floor
from cryptoviz.history.budget import Allowance, ClosedError, SharedBudget
from cryptoviz.history.gaps import Series
from cryptoviz.history.rest import ExchangeHistory
from cryptoviz.instruments import ExchangeLimitedError, ExchangeRefusedError, ExchangeUnavailableError
from cryptoviz.pairs import Timeframe
from cryptoviz.records import Candle
from cryptoviz.settings import Role, Settings
from cryptoviz.simulators import Simulator, running
from cryptoviz.simulators.market import ORIGIN, SECOND, Bar
from cryptoviz.storage.database import connect
from tests.conftest import Cluster

pytestmark = pytest.mark.services

M1 = Timeframe.M1
PAIRS = {"kraken": ("BTC/USD", "DOT/USD"), "binance": ("BTC/USDT", "DOT/USDT")}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(rate=2, kraken_pairs=PAIRS["kraken"], binance_pairs=PAIRS["binance"]) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def database(postgres_cluster: Cluster) -> Iterator[Settings]:
    settings = postgres_cluster.clone(postgres_cluster.editions[0])
    yield settings
    postgres_cluster.drop(settings)


@pytest.fixture
def history(simulator: Simulator, database: Settings) -> Iterator[ExchangeHistory]:
    settings = database.model_copy(
        update={
            "kraken_rest_url": f"{simulator.url}/kraken",
            "binance_rest_url": f"{simulator.url}/binance",
            "kraken_history_per_minute": 1e6,
            "binance_history_per_minute": 1e6,
        }
    )
    with ExchangeHistory(settings, partial(connect, Role.WRITER, settings, autocommit=True)) as history:
        yield history


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
        with pytest.raises(ExchangeRefusedError):
            history.first_candle(exchange, "NONE/USD", M1)


def test_all_processes_keep_to_one_limit_together(database: Settings) -> None:
    """Six budgets, each with a connection of its own: what they are given in a time is what one may use in it."""
    allowance = Allowance(per_minute=60 * 200)
    given: list[float] = []

    def work() -> None:
        with connect(Role.WRITER, database, autocommit=True) as connection:
            budget = SharedBudget(connection, "limited", allowance)
            for _ in range(50):
                budget.turn(5)
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
            budget.turn(1)
        refused_at = time.monotonic()
        assert budgets[0].failed(ExchangeLimitedError("429", retry_after=1)) >= 0.9
        for _ in range(10):
            for budget in budgets:
                budget.turn(1)
                given.append(time.monotonic())
    assert min(given) - refused_at >= 0.9
    assert max(given) - refused_at >= 0.9 + 20 / 50 - 0.1


def test_whoever_would_wait_too_long_is_told_when_to_come_back(database: Settings) -> None:
    allowance = Allowance(per_minute=600)
    with connect(Role.WRITER, database, autocommit=True) as connection:
        budget = SharedBudget(connection, "banned", allowance, patience_s=5)
        budget.turn(1)
        budget.failed(ExchangeLimitedError("418: IP banned", retry_after=120))
        with pytest.raises(ClosedError, match="IP banned") as closed:
            budget.turn(1)
        assert closed.value.retry_after == pytest.approx(120, abs=5)


def test_failures_in_a_row_close_and_an_answer_opens_again(database: Settings) -> None:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        budget = SharedBudget(connection, "failing", Allowance(per_minute=6e6), patience_s=5)
        budget.turn(1)
        silent = ExchangeUnavailableError("no answer")
        assert [budget.failed(silent) for _ in range(7)] == [0] * 7
        budget.turn(1)
        budget.answered()
        assert [budget.failed(silent) for _ in range(7)] == [0] * 7
        assert budget.failed(silent) == pytest.approx(15, abs=1)
        assert budget.failed(silent) == pytest.approx(30, abs=1)
        with pytest.raises(ClosedError, match="no answer"):
            budget.turn(1)


def test_the_weight_that_others_use_counts(database: Settings) -> None:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        budget = SharedBudget(connection, "used", Allowance(per_minute=6e6, used_at_most=5000), patience_s=0)
        budget.turn(1)
        budget.answered(4999)
        budget.turn(1)
        budget.answered(5000)
        with pytest.raises(ClosedError, match="5000 of weight"):
            budget.turn(1)
