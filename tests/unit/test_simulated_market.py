"""The simulated market is a pure function of time, and its candles are its trades."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import counters
from simulators.counters import IdRanges, RequestLog
from simulators.market import HOUR, ORIGIN, SimulatedSeries, simulate
from simulators.replay import RecordedSeries, Replay
from simulators.trades import DAY, MINUTE, SECOND, Bar, Spec, Trades

NOON = 1_790_000_040
"""A minute of 2026 that is no full hour."""

BTC = Spec("kraken", "BTC/USD", 1, 8)
DOT = Spec("kraken", "DOT/USD", 4, 8)
DOGE = Spec("binance", "DOGE/USDT", 5, 0)


def series(spec: Spec = BTC, *, rate: float = 3.0, seed: int = 1) -> SimulatedSeries:
    return SimulatedSeries(spec, seed, rate)


def rows(trades: Trades) -> list[tuple[int, int, int, int, bool]]:
    return trades.rows()


def aggregate(trades: Trades, length: int) -> dict[int, tuple[int, ...]]:
    """Open, high, low, close, volume, count, quote, first id by plain arithmetic."""
    windows: defaultdict[int, list[tuple[int, int, int, int, bool]]] = defaultdict(list)
    for row in trades.rows():
        windows[row[1] // SECOND // length * length].append(row)
    return {
        start: (
            inside[0][2],
            max(row[2] for row in inside),
            min(row[2] for row in inside),
            inside[-1][2],
            sum(row[3] for row in inside),
            len(inside),
            sum(row[2] * row[3] for row in inside),
            sum(row[3] for row in inside if row[4]),
            sum(row[2] * row[3] for row in inside if row[4]),
            inside[0][0],
        )
        for start, inside in windows.items()
    }


def values(bar: Bar) -> tuple[int, ...]:
    return tuple(bar)[1:]


@pytest.mark.parametrize("spec", [BTC, DOT, DOGE], ids=lambda spec: spec.pair)
@pytest.mark.parametrize("rate", [0.02, 0.5, 40.0, 4000.0])
def test_ids_are_consecutive_and_times_grow(spec: Spec, rate: float) -> None:
    trades = rows(series(spec, rate=rate).between((NOON - 90) * SECOND, (NOON + (5 if rate > 1000 else 900)) * SECOND))
    assert len(trades) > 3
    ids = [row[0] for row in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    times = [row[1] for row in trades]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    assert all(instant % 1000 == 0 for instant in times), "whole microseconds"
    assert all(row[2] > 0 and row[3] > 0 for row in trades)


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 7200 * 10**6),
    length=st.integers(0, 600 * 10**6),
    rate=st.sampled_from([0.05, 1.0, 20.0]),
)
def test_any_slice_equals_the_same_slice_of_a_larger_query(start: int, length: int, rate: float) -> None:
    begin = (NOON - 3600) * SECOND + start * 1000
    end = begin + length * 1000
    small = rows(series(rate=rate).between(begin, end))
    large = rows(series(rate=rate).between(begin - 97 * SECOND, end + 61 * SECOND))
    assert small == [row for row in large if begin <= row[1] < end]


def test_a_restarted_market_continues_the_same_series() -> None:
    first, again = series(), series()
    assert rows(first.between(NOON * SECOND, (NOON + 60) * SECOND)) == rows(
        again.between(NOON * SECOND, (NOON + 60) * SECOND)
    )
    other_seed = series(seed=2)
    assert rows(first.between(NOON * SECOND, (NOON + 60) * SECOND)) != rows(
        other_seed.between(NOON * SECOND, (NOON + 60) * SECOND)
    )


@pytest.mark.parametrize("rate", [0.01, 2.0, 300.0])
def test_trades_are_found_by_id_and_counted_before_any_instant(rate: float) -> None:
    market = series(rate=rate)
    trades = market.between((NOON - 600) * SECOND, NOON * SECOND)
    first, last = int(trades.ids[0]), int(trades.ids[-1])
    assert rows(market.by_id(first, last)) == rows(trades)
    assert market.count_before(NOON * SECOND) == last
    for row in rows(trades)[:50]:
        assert market.count_before(row[1]) == row[0] - 1
        assert market.count_before(row[1] + 1) == row[0]
    assert rows(market.latest(NOON * SECOND, 5)) == rows(market.by_id(last - 4, last))
    assert not len(market.by_id(last, last - 1))


@pytest.mark.parametrize("spec", [BTC, DOT, DOGE], ids=lambda spec: spec.pair)
@pytest.mark.parametrize("length", [MINUTE, 5 * MINUTE, HOUR])
@pytest.mark.parametrize("rate", [0.02, 2.0])
def test_candles_are_the_aggregate_of_the_trades(spec: Spec, length: int, rate: float) -> None:
    market = series(spec, rate=rate)
    start = NOON // length * length - 3 * HOUR
    now = (NOON + 17) * SECOND + 345_678_000
    bars = market.bars(length, start, NOON + MINUTE, now)
    expected = aggregate(market.between(start * SECOND, now), length)
    assert [bar.start for bar in bars] == list(range(start, now // SECOND + 1, length))
    close = None
    for bar in bars:
        if bar.start in expected:
            assert values(bar) == expected[bar.start]
        else:
            assert bar.trades == bar.lots == bar.quote == 0
            assert bar.open == bar.high == bar.low == bar.close
            assert close in {None, bar.close}, "an empty minute carries the last price"
        close = bar.close


@pytest.mark.parametrize("length", [HOUR, 4 * HOUR, DAY])
def test_candles_over_whole_days_are_the_aggregate_of_the_trades(length: int) -> None:
    market = series(rate=0.05)
    since = NOON // DAY * DAY - 2 * DAY - (12 * HOUR if length < DAY else 0)
    now = NOON * SECOND + 1
    bars = market.bars(length, since, NOON // DAY * DAY + DAY, now)
    expected = aggregate(market.between(since * SECOND, now), length)
    assert [bar.start for bar in bars] == list(range(since, now // SECOND + 1, length))
    assert [values(bar) for bar in bars] == [expected[bar.start] for bar in bars]


def test_thin_pairs_have_quiet_minutes_and_bursts() -> None:
    bars = series(DOT, rate=0.1).bars(MINUTE, NOON - DAY, NOON, NOON * SECOND)
    counts = sorted(bar.trades for bar in bars)
    assert counts[0] == 0
    assert counts[-1] > 5 * (sum(counts) / len(counts))


@pytest.mark.parametrize("rate", [1, 40, 20_000])
def test_the_rate_is_that_of_all_pairs_together(rate: float) -> None:
    pairs = simulate([Spec("kraken", f"{coin}/USD", 2, 8) for coin in ("BTC", "ETH", "DOT", "NEW")], 1, rate)
    hours = 48
    total = sum(
        market.count_before(NOON * SECOND) - market.count_before((NOON - hours * HOUR) * SECOND)
        for market in pairs.values()
    )
    assert total == pytest.approx(rate * hours * HOUR, rel=0.05)


def test_prices_stay_plausible_over_a_year() -> None:
    market = series()
    prices = [
        market.latest((NOON - day * DAY) * SECOND, 1).rows()[0][2] / 10**BTC.price_decimals for day in range(0, 365, 5)
    ]
    assert all(50_000 < price < 110_000 for price in prices)
    assert max(prices) / min(prices) > 1.05


def test_nothing_happened_before_the_market_opened() -> None:
    market = series()
    assert market.count_before(ORIGIN * SECOND) == 0
    assert not len(market.between((ORIGIN - DAY) * SECOND, ORIGIN * SECOND))
    assert int(market.between(ORIGIN * SECOND, (ORIGIN + MINUTE) * SECOND).ids[0]) == 1
    assert market.bars(MINUTE, ORIGIN - HOUR, ORIGIN, NOON * SECOND) == []


def test_a_recorded_series_is_released_in_order_and_whole() -> None:
    recorded = series().between(NOON * SECOND, (NOON + 300) * SECOND)
    replay = Replay(RecordedSeries(BTC, recorded), speed=0)
    released: list[tuple[int, int, int, int, bool]] = []
    while not replay.finished:
        served = replay.series.count_before(replay.now)
        assert served == (released[-1][0] if released else int(recorded.ids[0]) - 1)
        released += replay.release().rows()
    assert released == recorded.rows()
    bars = replay.series.bars(MINUTE, NOON, NOON + 300, replay.now)
    assert {bar.start: values(bar) for bar in bars if bar.trades} == aggregate(recorded, MINUTE)


def test_recorded_trades_must_be_in_order() -> None:
    recorded = rows(series().between(NOON * SECOND, (NOON + 10) * SECOND))
    with pytest.raises(ValueError, match="in order"):
        RecordedSeries(BTC, Trades.of(recorded[::-1]))
    with pytest.raises(ValueError, match="nothing"):
        RecordedSeries(BTC, Trades.of([]))


@given(st.lists(st.integers(0, 60)))
def test_id_ranges_are_a_set(numbers: list[int]) -> None:
    ranges, seen = IdRanges(), set[int]()
    for number in numbers:
        assert ranges.add(number) == (number not in seen)
        seen.add(number)
    assert ranges.count == len(seen)
    assert {number for first, last in ranges.ranges for number in range(first, last + 1)} == seen
    assert (ranges.first, ranges.last) == ((min(seen), max(seen)) if seen else (None, None))


def test_equal_requests_are_counted_and_the_oldest_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "_MOST_REQUESTS", 2)
    log = RequestLog()
    for number in (1, 2, 2, 3):
        log.add("klines", {"startTime": str(number), "symbol": "BTCUSDT"}, answered=True)
    log.add("klines", {"symbol": "BTCUSDT", "startTime": "3"}, answered=False)
    assert (log.answered, log.refused) == (4, 1)
    said = [(one["query"], one["answered"], one["refused"]) for one in log.report()]
    assert said == [
        ({"startTime": "2", "symbol": "BTCUSDT"}, 2, 0),
        ({"startTime": "3", "symbol": "BTCUSDT"}, 1, 1),
    ]
