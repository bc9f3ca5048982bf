"""Heals gaps in the candles: asks the exchange for what is missing, stores it, and writes down what became of the gap.

    due gaps --claim--> span by span: ask -> judge -> store (rest), in pieces -> record what still lacks, rule on it

Each step is a transaction, and what is committed stays. A run that dies leaves a claim, which another run takes over
after a while, asking for what is still missing. Streamed candles beside a gap are fetched, too: an outage seldom begins
on the minute, and half a candle is worse than none. What fails the gate goes to quarantine, and its window stays
missing with the reason.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cryptoviz.candles.audit import audited
from cryptoviz.candles.fetched import store_in_pieces
from cryptoviz.candles.settle import settle
from cryptoviz.exchanges.history import Answer, CandleHistory
from cryptoviz.gaps.healing_run import HealingResult, HealingRun
from cryptoviz.gaps.labels import GapStatus
from cryptoviz.gaps.rulings import Gap, refused, request_spans, rulings, unanswered
from cryptoviz.gaps.tables import (
    GapOutcome,
    claim_candle_gaps,
    record_candle_gaps,
    renew_candle_claims,
    rule_candle_gaps,
)
from cryptoviz.gate.report import GateError
from cryptoviz.pairs import floor
from cryptoviz.remote.errors import PermanentError, TransientError
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from cryptoviz.gate.report import GateReport

_ORIGIN: Final = "heal"


def heal_candles(healing: HealingRun[CandleHistory], exchanges: Sequence[str]) -> Iterator[HealingResult]:
    """Heal the gaps in the candles that are due, the newest first, until none is left or the run is out of time.

    Gaps of one series that one request reaches are asked for together.

    Raises:
        GateError: the gate itself failed; nothing of that answer was stored, and it is asked for again.
    """
    while not healing.out_of_time:
        gaps = claim_candle_gaps(healing.connection, exchanges, healing.clock())
        if not gaps:
            return
        yield _heal(healing, gaps)


def _heal(healing: HealingRun[CandleHistory], gaps: Sequence[Gap]) -> HealingResult:
    series, start, end = gaps[0].series, gaps[0].start, gaps[-1].end
    counts: Counter[GapOutcome] = Counter()
    reports: list[GateReport] = []
    reason, verdict = "", unanswered
    gate_error: GateError | None = None
    for since, until in request_spans(start, end, series.timeframe):
        try:
            if healing.out_of_time:
                raise TransientError("out of time")
            parts = [part for gap in gaps for part in gap.within(since, until)]
            if parts:
                healed, report = _heal_span(healing, parts)
                counts += healed
                reports += [report] if report else []
        except TransientError as error:
            reason = str(error)
        except PermanentError as error:
            reason, verdict = str(error), refused
        except GateError as error:
            reason, gate_error = f"the gate itself failed: {error}", error
        if reason:
            left = [part for gap in gaps for part in gap.within(since, end)]
            failures = [verdict(part, healing.clock(), reason) for part in left]
            counts += rule_candle_gaps(healing.connection, series, failures)
            if gate_error is not None:
                raise gate_error
            break
    return HealingResult(f"{series} {start:%Y-%m-%d %H:%M}", counts, reason, reports)


def _heal_span(
    healing: HealingRun[CandleHistory], gaps: Sequence[Gap]
) -> tuple[Counter[GapOutcome], GateReport | None]:
    """Heal the gaps that one request reaches."""
    connection, series, start, end = healing.connection, gaps[0].series, gaps[0].start, gaps[-1].end
    span = {**series.columns, "since": start, "until": end}
    answer, report = Answer((), complete=False), None
    if connection.execute(query("candle_gaps_find"), span).fetchone():
        answer = _ask(healing, gaps)
    if answer.rows or answer.impossible:
        answer, report = audited(connection, series, answer, origin=_ORIGIN, run=healing.run, at=healing.clock())
    store_in_pieces(connection, series, answer.rows)
    with connection.transaction():
        recorded = record_candle_gaps(connection, series, start, end)
        counts = Counter({outcome: count for outcome, count in recorded.items() if outcome[0] == GapStatus.HEALED})
        unfilled = [ruling for gap in gaps for ruling in rulings(gap, answer, healing.clock())]
        counts += rule_candle_gaps(connection, series, unfilled)
        renew_candle_claims(connection, series, healing.clock())
    settle(connection, series.exchange, series.pair, start, end)
    return counts, report


def _ask(healing: HealingRun[CandleHistory], gaps: Sequence[Gap]) -> Answer:
    """The exchange's candles of the gaps, and of the streamed candles right beside them."""
    series, length, now = gaps[0].series, gaps[0].series.timeframe.length, healing.clock()
    beside = [instant for gap in gaps for instant in (gap.start - length, gap.end) if instant + length <= now]
    bounds = {"since": gaps[0].start - length, "until": gaps[-1].end}
    found = healing.connection.execute(query("candles_streamed"), {**series.columns, "starts": beside, **bounds})
    streamed = {instant for (instant,) in found}
    first = min((gaps[0].start, *streamed))
    last = max((gaps[-1].end, *(instant + length for instant in streamed)))
    answer = healing.history.closed_candles(series.exchange, series.pair, series.timeframe, first, last)

    def wanted(start: datetime) -> bool:
        return start in streamed or _within_any(gaps, start)

    return replace(
        answer,
        rows=[row for row in answer.rows if wanted(row.window_start)],
        impossible=[row for row in answer.impossible if wanted(floor(row.window_start, series.timeframe))],
    )


def _within_any(gaps: Sequence[Gap], instant: datetime) -> bool:
    place = bisect_right(gaps, instant, key=lambda gap: gap.start) - 1
    return place >= 0 and instant < gaps[place].end
