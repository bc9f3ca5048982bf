"""What becomes of a gap: decided from what the exchange answers, asked again at growing distance, never for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from cryptoviz.exchanges.history import Answer, Impossible
from cryptoviz.gaps.labels import GapLabel, GapStatus
from cryptoviz.gaps.rulings import (
    CONFIRMED,
    PER_REQUEST,
    TRADES_CONFIRMED,
    Finding,
    FindingSpan,
    Gap,
    TradeGap,
    again,
    confirmed,
    findings,
    lacking_trades,
    refused,
    request_spans,
    rulings,
    unanswered,
)
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.records import Candle, CandleSource

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
START = NOW - timedelta(hours=5)
SERIES = Series("kraken", "BTC/USD", Timeframe.M1)


def candle(minute: int, volume: str = "1") -> Candle:
    start, price = START + minute * MINUTE, Decimal(100)
    return Candle(
        received_at=NOW,
        window_start=start,
        window_end=start + MINUTE,
        exchange="kraken",
        symbol="BTC/USD",
        timeframe=Timeframe.M1,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=Decimal(volume),
        trade_count=0,
        closed=True,
        source=CandleSource.REST,
    )


def gap(minutes: int, **known: object) -> Gap:
    return Gap(SERIES, START, START + minutes * MINUTE, **known)  # type: ignore[arg-type]


def spans(runs: list[FindingSpan]) -> list[tuple[int, int, Finding]]:
    return [((run.start - START) // MINUTE, (run.end - START) // MINUTE, run.finding) for run in runs]


def test_every_window_gets_one_finding_and_equal_neighbours_are_one_run() -> None:
    silent = [(START + 3 * MINUTE, START + 5 * MINUTE)]
    answer = Answer([candle(0), candle(1), candle(2, "0.00000000")], complete=True, silent=silent)
    found = findings(START, START + 8 * MINUTE, Timeframe.M1, answer)
    assert spans(found) == [
        (0, 2, Finding.TRADED),
        (2, 3, Finding.QUIET),
        (3, 5, Finding.SILENT),
        (5, 8, Finding.LACKING),
    ]


def test_half_an_answer_says_nothing_of_the_rest() -> None:
    answer = Answer([candle(0)], complete=False)
    assert spans(findings(START, START + 3 * MINUTE, Timeframe.M1, answer)) == [
        (0, 1, Finding.TRADED),
        (1, 3, Finding.UNANSWERED),
    ]
    [ruling] = rulings(gap(3, attempts=1, label=GapLabel.LOST_BY_US, confirmations=2), answer, NOW)
    assert (ruling.label, ruling.status, ruling.confirmations) == (GapLabel.LOST_BY_US, GapStatus.OPEN, 2)
    assert ruling.due_at is not None
    assert ruling.due_at > NOW


def test_what_no_candle_can_be_is_no_answer_and_says_why() -> None:
    start = START + MINUTE
    rows = [Impossible(start + MINUTE / 2, start + MINUTE, *[Decimal(0)] * 5, 0, "volume is negative")]
    answer = Answer([candle(0)], complete=True, impossible=rows)
    found = findings(START, START + 3 * MINUTE, Timeframe.M1, answer)
    assert spans(found) == [(0, 1, Finding.TRADED), (1, 2, Finding.IMPOSSIBLE), (2, 3, Finding.LACKING)]
    ruling = rulings(gap(3, confirmations=2), answer, NOW)[0]
    assert (ruling.start, ruling.end, ruling.label, ruling.status) == (start, start + MINUTE, None, GapStatus.OPEN)
    assert (ruling.confirmations, ruling.detail) == (2, {"reason": "volume is negative"})
    assert ruling.due_at is not None


def test_what_the_exchange_has_needs_no_ruling() -> None:
    assert rulings(gap(2), Answer([candle(0), candle(1, "0")], complete=True), NOW) == []


def test_a_window_in_which_the_exchange_says_nobody_traded_is_explained_at_once() -> None:
    [ruling] = rulings(gap(2), Answer([], complete=True, silent=[(START, NOW)]), NOW)
    assert (ruling.label, ruling.status, ruling.due_at) == (GapLabel.NO_TRADES, GapStatus.EXPLAINED, None)


def test_what_the_exchange_lacks_is_confirmed_at_growing_distance_then_left() -> None:
    asked, at, distances = gap(1), NOW, []
    for times in range(1, CONFIRMED + 1):
        [ruling] = rulings(asked, Answer([], complete=True), at)
        assert (ruling.label, ruling.confirmations) == (GapLabel.SOURCE_MISSING, times)
        if ruling.due_at is None:
            break
        assert ruling.status is GapStatus.OPEN
        distances.append(ruling.due_at - at)
        at, asked = ruling.due_at, gap(1, confirmations=ruling.confirmations)
    assert ruling.status is GapStatus.EXPLAINED
    assert times == CONFIRMED
    assert distances == sorted(set(distances))
    assert len(distances) == CONFIRMED - 1


def test_no_answer_is_no_confirmation_and_the_pause_grows_up_to_a_bound() -> None:
    pauses = [again(attempts, NOW) - NOW for attempts in range(40)]
    assert pauses == sorted(pauses)
    assert timedelta(0) < pauses[0] < pauses[-1] == pauses[10]
    ruling = unanswered(gap(1, attempts=30, confirmations=1), NOW, "status 503")
    assert (ruling.confirmations, ruling.status, ruling.detail) == (1, GapStatus.OPEN, {"reason": "status 503"})


def test_a_refusal_fails_and_is_tried_again_the_next_day() -> None:
    ruling = refused(gap(1, label=GapLabel.SOURCE_MISSING), NOW, "unknown pair")
    assert (ruling.status, ruling.label) == (GapStatus.FAILED, GapLabel.SOURCE_MISSING)
    assert ruling.due_at == NOW + timedelta(days=1)


def test_trades_that_the_exchange_lacks_are_confirmed_too() -> None:
    lost = TradeGap("kraken", "BTC/USD", 5, 9, None, 1, 0, START, NOW)
    assert lacking_trades(lost, NOW, complete=False).confirmations == 0
    first = lacking_trades(lost, NOW, complete=True)
    assert (first.label, first.status, first.confirmations) == (GapLabel.SOURCE_MISSING, GapStatus.OPEN, 1)
    last = lacking_trades(
        TradeGap("kraken", "BTC/USD", 5, 9, None, 9, TRADES_CONFIRMED - 1, START, NOW), NOW, complete=True
    )
    assert (last.status, last.due_at) == (GapStatus.EXPLAINED, None)


@pytest.mark.parametrize("count", [0, 1, PER_REQUEST, PER_REQUEST + 1, 3 * PER_REQUEST])
def test_pages_cover_a_range_once_and_are_never_too_long(count: int) -> None:
    cut = list(request_spans(START, START + count * MINUTE, Timeframe.M1))
    assert sum((end - start for start, end in cut), timedelta(0)) == count * MINUTE
    assert all(timedelta(0) < end - start <= PER_REQUEST * MINUTE for start, end in cut)
    assert [start for start, _ in cut[1:]] == [end for _, end in cut[:-1]]


def test_a_gap_cut_to_a_page_keeps_what_is_known_of_it() -> None:
    whole = gap(10, attempts=3, label=GapLabel.SOURCE_MISSING)
    [part] = whole.within(START + 4 * MINUTE, START + 6 * MINUTE)
    assert (part.start, part.end, part.attempts, part.label) == (
        START + 4 * MINUTE,
        START + 6 * MINUTE,
        3,
        GapLabel.SOURCE_MISSING,
    )
    assert whole.within(START + 10 * MINUTE, NOW) == []


def test_believing_takes_as_many_confirmations_as_are_asked_for() -> None:
    assert confirmed(2, 3, NOW)[1] is GapStatus.OPEN
    assert confirmed(3, 3, NOW) == (None, GapStatus.EXPLAINED)
