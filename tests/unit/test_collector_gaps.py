"""Continuity of trade ids as a pure state machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoviz.collectors.gaps import Continuity, Spans
from cryptoviz.gaps.labels import GapLabel, GapStatus

T = datetime(2026, 9, 1, tzinfo=UTC)


def feed(continuity: Continuity, *ids: int, now: float = 0) -> list[bool]:
    return [continuity.accept(number, T + timedelta(seconds=number % 1000), now) for number in ids]


def missing(continuity: Continuity) -> set[int]:
    return {number for gap in continuity.gaps for first, last in gap.missing for number in range(first, last + 1)}


def test_nothing_is_missing_before_the_first_trade() -> None:
    continuity = Continuity("kraken", "BTC/USD")
    assert feed(continuity, 500, 501) == [True, True]
    assert continuity.gaps == []


def test_a_jump_opens_a_gap_only_after_the_reordering_window() -> None:
    continuity = Continuity("kraken", "BTC/USD")
    feed(continuity, 1, 4, now=10)
    assert continuity.declare(11, 1.5) == []
    (gap,) = continuity.declare(11.5, 1.5)
    assert (gap.first, gap.last, gap.status, gap.since) == (2, 3, GapStatus.OPEN, T + timedelta(seconds=1))


def test_reordered_trades_open_nothing_and_duplicates_are_told_apart() -> None:
    continuity = Continuity("kraken", "BTC/USD")
    assert feed(continuity, 1, 3, 2, 2, 3, 4) == [True, True, True, False, False, True]
    assert continuity.declare(99, 1.5) == []
    assert continuity.gaps == []
    assert continuity.duplicates == 2


def test_trades_that_arrive_before_the_first_one_seen_are_kept() -> None:
    continuity = Continuity("kraken", "BTC/USD")
    assert feed(continuity, 10, 9, 7) == [True, True, True]
    assert missing(continuity) == {8}


def test_a_newer_trade_at_the_exchange_is_missing_here() -> None:
    continuity = Continuity("kraken", "BTC/USD")
    feed(continuity, 1)
    assert not continuity.expect(1, 0)
    assert continuity.expect(3, 0)
    assert missing(continuity) == {2, 3}
    assert feed(continuity, 4) == [True]


def test_a_lost_trade_is_missing_again_at_once_and_runs_become_found() -> None:
    continuity = Continuity("kraken", "BTC/USD")
    feed(continuity, 1, 2, 3, 4)
    continuity.lose(2, T)
    continuity.lose(3, T)
    (gap,) = continuity.declare(0, 1.5)
    assert (gap.first, gap.last) == (2, 3)
    continuity.lose(4, T)
    assert continuity.gaps == [gap]
    assert continuity.grown() == [gap]
    assert gap.last == 4


def test_a_restart_goes_on_at_the_stored_position() -> None:
    before = Continuity("kraken", "BTC/USD")
    before.restore(10, T)
    feed(before, 14)
    assert missing(before) == {11, 12, 13}
    late = Continuity("kraken", "BTC/USD")
    feed(late, 14)
    late.restore(10, T)
    assert missing(late) == {11, 12, 13}


def test_the_position_stays_below_what_may_still_be_missing() -> None:
    continuity = Continuity("kraken", "BTC/USD")
    assert continuity.position() is None
    feed(continuity, 1, 2, 5)
    assert continuity.position() == (2, T + timedelta(seconds=2))
    continuity.declare(99, 1.5)
    at = continuity.position()
    assert at is not None
    assert at[0] == 5


def test_a_closed_gap_says_what_was_found_and_what_the_source_lacks() -> None:
    continuity = Continuity("kraken", "BTC/USD")
    feed(continuity, 1, 6)
    (gap,) = continuity.declare(9, 1)
    assert [continuity.fill(number) for number in (2, 4, 5, 5)] == [True, True, True, False]
    assert gap.results() == [
        ((2, 2), GapLabel.LOST_BY_US, GapStatus.HEALED),
        ((3, 3), GapLabel.SOURCE_MISSING, GapStatus.EXPLAINED),
        ((4, 5), GapLabel.LOST_BY_US, GapStatus.HEALED),
    ]


def test_a_nonsensical_id_is_forgotten_once_the_exchange_knows_better() -> None:
    continuity = Continuity("kraken", "BTC/USD")
    feed(continuity, 1, 2**60)
    (gap,) = continuity.declare(9, 1)
    assert feed(continuity, 2, 3) == [True, True]
    continuity.forget_above(3)
    assert not gap.missing
    continuity.finish(gap)
    assert feed(continuity, 4) == [True]
    assert continuity.gaps == []


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)), max_size=20), st.lists(st.integers(0, 70)))
def test_spans_behave_like_a_set(adds: list[tuple[int, int]], removes: list[int]) -> None:
    spans, model = Spans(), set[int]()
    for first, length in adds:
        spans.add(first, first + length)
        model |= set(range(first, first + length + 1))
    for number in removes:
        assert spans.remove(number) == (number in model)
        model.discard(number)
    assert {number for first, last in spans for number in range(first, last + 1)} == model
    assert spans.count() == len(model)
    pairs = list(spans)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(pairs))


events = st.one_of(
    st.tuples(st.just("trade"), st.integers(1, 40)),
    st.tuples(st.just("expect"), st.integers(1, 40)),
    st.tuples(st.just("lose"), st.integers(1, 40)),
    st.tuples(st.just("declare"), st.just(0)),
)


@settings(max_examples=300)
@given(st.lists(events, max_size=80))
def test_every_id_is_accepted_or_missing_never_both_never_neither(script: list[tuple[str, int]]) -> None:
    continuity = Continuity("kraken", "BTC/USD")
    have: set[int] = set()
    for step, (kind, number) in enumerate(script):
        if kind == "trade":
            fresh = continuity.accept(number, T, float(step))
            assert fresh == (number not in have)
            have.add(number)
        elif kind == "expect":
            continuity.expect(number, float(step))
        elif kind == "lose" and number in have:
            continuity.lose(number, T)
            have.discard(number)
        elif kind == "declare":
            continuity.declare(float(step), 1.5)
        if continuity.floor is not None:
            known = set(range(continuity.floor, continuity.following))
            assert missing(continuity) == known - have
            assert have <= known
        at = continuity.position()
        if at is not None:
            tentative = [gap.first for gap in continuity.gaps if gap.status is GapStatus.TENTATIVE]
            assert all(first > at[0] for first in tentative)


def test_what_an_earlier_life_left_missing_is_missing_once() -> None:
    late = Continuity("kraken", "BTC/USD")
    left = late.adopt(12, 15, T, 1)
    assert left is not None
    late.restore(9, T)
    assert late.accept(20, T, 0)
    assert [(gap.first, gap.last) for gap in late.gaps] == [(12, 15), (10, 11), (16, 19)]
    assert late.fill(13)
    assert not late.fill(13), "it was delivered"
    late.finish(left)
    early = Continuity("kraken", "BTC/USD")
    early.accept(20, T, 0)
    early.adopt(12, 15, T, 1)
    early.restore(9, T)
    assert [(gap.first, gap.last) for gap in early.gaps] == [(12, 15), (10, 11), (16, 19)]


def test_ids_outside_a_set_are_runs() -> None:
    spans = Spans((3, 5), (8, 8))
    assert spans.outside(1, 10) == [(1, 2), (6, 7), (9, 10)]
    assert spans.outside(4, 8) == [(6, 7)]
    assert spans.outside(3, 5) == []
    assert Spans().outside(1, 2) == [(1, 2)]


def test_a_gap_up_to_a_nonsensical_id_that_an_earlier_life_left_hides_no_later_one() -> None:
    time = datetime(2026, 11, 30, tzinfo=UTC)
    pair = Continuity("kraken", "BTC/USD")
    gap = pair.adopt(401, 10**12 - 1, time, attempts=2)
    assert gap is not None
    pair.restore(10**12, time)
    for number in range(401, 451):
        assert pair.fill(number)
    pair.forget_above(450)
    pair.finish(gap)
    assert pair.accept(451, time, now=1)
    assert pair.accept(500, time, now=1)
    assert [(found.first, found.last) for found in pair.gaps] == [(452, 499)]
    assert pair.expect(600, now=2)
    assert [(found.first, found.last) for found in pair.gaps] == [(452, 499), (501, 600)]


def test_what_is_lost_again_of_an_adopted_gap_is_missing_again() -> None:
    time = datetime(2026, 11, 30, tzinfo=UTC)
    pair = Continuity("kraken", "BTC/USD")
    gap = pair.adopt(401, 402, time, attempts=0)
    assert gap is not None
    pair.restore(500, time)
    assert pair.fill(401)
    assert pair.fill(402)
    pair.finish(gap)
    pair.lose(401, time)
    assert [(found.first, found.last) for found in pair.gaps] == [(401, 401)]
