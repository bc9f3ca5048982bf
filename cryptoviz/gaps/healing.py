"""Heals gaps: asks the exchange for what is missing, stores it, looks again, and writes down what became of the gap.

    due gaps --claim--> page by page: ask -> judge -> store (rest), in pieces -> record what still lacks, rule on it

Each step is a transaction, and what is committed stays; whoever dies leaves a claim that another takes over after a
while, and asks for what is still missing. Trades are stored together with the candles that they make. Streamed candles
beside a gap are fetched, too: an outage seldom begins on the minute, and half a candle is worse than none. What fails
the gate goes to quarantine, and its window stays missing with the reason.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.candles.audit import audited
from cryptoviz.candles.settle import settle
from cryptoviz.clock import Clock, now
from cryptoviz.exchanges.history import Answer, CandleHistory, TradeHistory, TradesAnswer
from cryptoviz.gaps.labels import GapLabel, GapStatus
from cryptoviz.gaps.rulings import (
    PAGE,
    Gap,
    Ruling,
    TradeGap,
    TradeRuling,
    lacking_trades,
    pages,
    refused,
    refused_trades,
    rulings,
    unanswered,
    unanswered_trades,
)
from cryptoviz.gate.report import GateError
from cryptoviz.pairs import Series, Timeframe, floor
from cryptoviz.records import Candle, Trade
from cryptoviz.remote.errors import ExchangeRefusedError, ExchangeUnavailableError
from cryptoviz.storage import driver
from cryptoviz.storage.pieces import LEAST, Pace, piece
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.gate.report import Report

SILENT: Final = timedelta(minutes=15)
"""A claim whose holder has not been heard of for so long is taken over."""

SLICE: Final = 20_000
"""So many trade ids are asked for at once: some megabytes, and a minute at the pace that exchanges allow."""

_ORIGIN: Final = "heal"
_SILENT_FOR: Final = 3
_SMALLEST: Final = timedelta(microseconds=1)
_COLUMNS: Final = ("open", "high", "low", "close", "volume", "trade_count")

Outcome = tuple[str, str | None]
"""Status and label."""


@dataclass(frozen=True)
class Treated:
    """What became of a gap: how many windows (or trades) by status and label, and why it was not more.

    `reports`: what the gate found in the answers.
    """

    subject: str
    counted: Mapping[Outcome, int] = field(default_factory=dict)
    reason: str = ""
    reports: Sequence[Report] = ()

    @property
    def healed(self) -> int:
        """How many are stored now."""
        return sum(count for (status, _label), count in self.counted.items() if status == GapStatus.HEALED)

    @property
    def held_back(self) -> int:
        """How many went to quarantine."""
        return sum(report.counts.quarantined for report in self.reports)


def record(connection: Connection[Any], series: Series, since: datetime, until: datetime) -> Counter[Outcome]:
    """Bring the tables in line with the candles of a range; the windows that changed, by what they are now."""
    asked = {**_names(series), "since": since, "until": until}
    return _counted(connection.execute(query("candle_gaps_record"), asked))


def store(connection: Connection[Any], series: Series, rows: Sequence[Candle]) -> None:
    """Store closed candles of a series as an exchange gave them; they win over what was made of trades."""
    asked = {f"{name}s": [getattr(row, name) for row in rows] for name in _COLUMNS}
    starts = [row.window_start for row in rows]
    connection.execute(query("candles_store_fetched"), {**_names(series), "starts": starts, **asked})


def heal_candles(
    connection: Connection[Any],
    history: CandleHistory,
    exchanges: Sequence[str],
    run: str = "by hand",
    *,
    until: datetime | None = None,
    clock: Clock = now,
) -> Iterator[Treated]:
    """Work off the gaps in the candles that are due, the newest first, until none is left or it is `until`.

    Gaps of one series that one request reaches are asked for together. The connection must be in autocommit mode. `run`
    is who judges and holds back.

    Raises:
        GateError: the gate itself failed; nothing of that page was stored, and it is asked for again.
    """
    while until is None or clock() < until:
        rows = _claimed(connection, "candle_gaps_claim", exchanges, clock(), page=PAGE)
        if not rows:
            return
        gaps = sorted(map(_gap, rows), key=lambda gap: gap.start)
        yield _heal(connection, history, gaps, run, until=until, clock=clock)


def _gap(row: tuple[Any, ...]) -> Gap:
    exchange, pair, timeframe, start, end, label, attempts, confirmations = row
    known = GapLabel(label) if label else None
    series = Series.of(exchange, pair, timeframe)
    return Gap(series, start, end, known, GapStatus.HEALING, attempts, confirmations)


def _heal(
    connection: Connection[Any],
    history: CandleHistory,
    gaps: Sequence[Gap],
    run: str,
    *,
    until: datetime | None,
    clock: Clock,
) -> Treated:
    series, start, end = gaps[0].series, gaps[0].start, gaps[-1].end
    counted: Counter[Outcome] = Counter()
    reports: list[Report] = []
    reason, verdict = "", unanswered
    broken: GateError | None = None
    for since, stop in pages(start, end, series.timeframe):
        try:
            if until is not None and clock() >= until:
                raise ExchangeUnavailableError("out of time")
            parts = [part for gap in gaps for part in gap.within(since, stop)]
            if parts:
                became, report = _heal_page(connection, history, parts, run, clock)
                counted += became
                reports += [report] if report else []
        except ExchangeUnavailableError as error:
            reason = str(error)
        except ExchangeRefusedError as error:
            reason, verdict = str(error), refused
        except GateError as error:
            reason, broken = f"the gate itself failed: {error}", error
        if reason:
            left = [part for gap in gaps for part in gap.within(since, end)]
            counted += rule(connection, series, [verdict(part, clock(), reason) for part in left])
            if broken is not None:
                raise broken
            break
    return Treated(f"{series} {start:%Y-%m-%d %H:%M}", counted, reason, reports)


def _heal_page(
    connection: Connection[Any], history: CandleHistory, gaps: Sequence[Gap], run: str, clock: Clock
) -> tuple[Counter[Outcome], Report | None]:
    series, start, end = gaps[0].series, gaps[0].start, gaps[-1].end
    span = {**_names(series), "since": start, "until": end}
    answer, report = Answer((), complete=False), None
    if connection.execute(query("candle_gaps_find"), span).fetchone():
        answer = _ask(connection, history, gaps, clock())
    if answer.rows or answer.impossible:
        answer, report = audited(connection, series, answer, origin=_ORIGIN, run=run, at=clock())
    _store_pieces(connection, series, answer.rows)
    with connection.transaction():
        recorded = record(connection, series, start, end)
        counted = Counter({outcome: n for outcome, n in recorded.items() if outcome[0] == GapStatus.HEALED})
        counted += rule(connection, series, [ruling for gap in gaps for ruling in rulings(gap, answer, clock())])
        connection.execute(query("candle_gaps_asking"), {**_names(series), "now": clock()})
    settle(connection, series.exchange, series.pair, start, end)
    return counted, report


def _store_pieces(connection: Connection[Any], series: Series, rows: Sequence[Candle]) -> None:
    pace, first = Pace(), 0
    while first < len(rows):
        part = rows[first : first + pace.rows]
        starts = [row.window_start for row in part]
        connection.execute(query("candles_recall"), {**_names(series), "starts": starts})
        with piece(connection, pace):
            store(connection, series, part)
        first += len(part)


def _ask(connection: Connection[Any], history: CandleHistory, gaps: Sequence[Gap], at: datetime) -> Answer:
    series, length = gaps[0].series, gaps[0].series.timeframe.length
    beside = [instant for gap in gaps for instant in (gap.start - length, gap.end) if instant + length <= at]
    bounds = {"since": gaps[0].start - length, "until": gaps[-1].end}
    found = connection.execute(query("candles_streamed"), {**_names(series), "starts": beside, **bounds})
    streamed = {instant for (instant,) in found}
    first = min((gaps[0].start, *streamed))
    last = max((gaps[-1].end, *(instant + length for instant in streamed)))
    answer = history.closed_candles(series.exchange, series.pair, series.timeframe, first, last)

    def wanted(start: datetime) -> bool:
        return start in streamed or _in_one(gaps, start)

    return replace(
        answer,
        rows=[row for row in answer.rows if wanted(row.window_start)],
        impossible=[row for row in answer.impossible if wanted(floor(row.window_start, series.timeframe))],
    )


def _in_one(gaps: Sequence[Gap], instant: datetime) -> bool:
    at = bisect_right(gaps, instant, key=lambda gap: gap.start) - 1
    return at >= 0 and instant < gaps[at].end


def rule(connection: Connection[Any], series: Series, found: Sequence[Ruling]) -> Counter[Outcome]:
    """Write down what became known of windows that stay missing; how many, by what they are now."""
    if not found:
        return Counter()
    asked = {
        **_names(series),
        "starts": [ruling.start for ruling in found],
        "ends": [ruling.end for ruling in found],
        "labels": [ruling.label for ruling in found],
        "statuses": [ruling.status for ruling in found],
        "confirmations": [ruling.confirmations for ruling in found],
        "due_at": [ruling.due_at for ruling in found],
        "details": [driver.Jsonb(ruling.detail) for ruling in found],
    }
    return _counted(connection.execute(query("candle_gaps_rule"), asked))


def until_silent(treated: Iterable[Treated]) -> Iterator[Treated]:
    """What becomes of the gaps of one exchange, until it has failed to answer for several in a row."""
    failed = 0
    for one in treated:
        yield one
        failed = failed + 1 if one.reason else 0
        if failed == _SILENT_FOR:
            return


def heal_trades(
    connection: Connection[Any],
    history: TradeHistory,
    exchanges: Sequence[str],
    *,
    until: datetime | None = None,
    clock: Clock = now,
) -> Iterator[Treated]:
    """Work off the gaps in the trades that are due and that no collector is at work on; the candles follow."""
    while until is None or clock() < until:
        rows = _claimed(connection, "trade_gaps_claim", exchanges, clock(), page=PAGE)
        if not rows:
            return
        gaps = sorted((TradeGap(*row) for row in rows), key=lambda gap: gap.first)
        yield _heal_trades(connection, history, gaps, until, clock)


def _heal_trades(
    connection: Connection[Any],
    history: TradeHistory,
    gaps: Sequence[TradeGap],
    until: datetime | None,
    clock: Clock,
) -> Treated:
    """Slice by slice of ids; what a slice brought stays, and what was not reached is left for later with the reason."""
    first, last, since = gaps[0].first, gaps[-1].last, gaps[0].made_after
    counted: Counter[Outcome] = Counter()
    complete, reason, verdict = True, "", unanswered_trades
    for start in range(first, last + 1, SLICE):
        try:
            if until is not None and clock() >= until:
                raise ExchangeUnavailableError("out of time")
            answer, healed = _heal_slice(connection, history, gaps, (start, min(start + SLICE - 1, last)), since)
        except ExchangeUnavailableError as error:
            reason = str(error)
            break
        except ExchangeRefusedError as error:
            reason, verdict = str(error), refused_trades
            break
        since = max((since, *(row.timestamp for row in answer.rows)))
        counted += healed
        complete = answer.complete
        if not complete:
            break
        connection.execute(
            query("trade_gaps_asking"), {"exchange": gaps[0].exchange, "pair": gaps[0].pair, "now": clock()}
        )
    if reason:
        found = [verdict(gap, clock(), reason) for gap in gaps]
    else:
        found = [lacking_trades(gap, clock(), complete=complete) for gap in gaps]
    counted += _rule_trades(connection, gaps, found)
    settle(connection, gaps[0].exchange, gaps[0].pair, gaps[0].made_after, gaps[-1].made_before + _SMALLEST)
    return Treated(f"{gaps[0].exchange} {gaps[0].pair} trades {first} to {last}", counted, reason)


def _heal_slice(
    connection: Connection[Any],
    history: TradeHistory,
    gaps: Sequence[TradeGap],
    ids: tuple[int, int],
    since: datetime,
) -> tuple[TradesAnswer, Counter[Outcome]]:
    exchange, pair, before = gaps[0].exchange, gaps[0].pair, max(gap.made_before for gap in gaps)
    answer = history.trades(exchange, pair, *ids, since=since, until=before)
    newest = max((since, *(row.timestamp for row in answer.rows)))
    upto = max(newest, before) if ids[1] == gaps[-1].last else newest
    _store_trades(connection, gaps, answer.rows)
    with connection.transaction():
        recorded = record_trades(connection, exchange, pair, since, upto + _SMALLEST)
    return answer, Counter({outcome: n for outcome, n in recorded.items() if outcome[0] == GapStatus.HEALED})


def _rule_trades(
    connection: Connection[Any], gaps: Sequence[TradeGap], found: Sequence[TradeRuling]
) -> Counter[Outcome]:
    columns = ("label", "status", "confirmations", "due_at", "reason")
    asked = {
        "exchange": gaps[0].exchange,
        "pair": gaps[0].pair,
        "first_id": [gap.first for gap in gaps],
        "last_id": [gap.last for gap in gaps],
        **{name: [getattr(ruling, name) for ruling in found] for name in columns},
    }
    counted: Counter[Outcome] = Counter()
    for status, label, _rows, count in connection.execute(query("trade_gaps_rule"), asked):
        counted[status, label] += count
    return counted


def record_trades(
    connection: Connection[Any], exchange: str, pair: str, since: datetime, until: datetime
) -> Counter[Outcome]:
    """Bring trade_gaps in line with the trades of a range; the ids that changed, by what they are now."""
    asked = {"exchange": exchange, "pair": pair, "since": since, "until": until}
    return _counted(connection.execute(query("trade_gaps_record"), asked))


def _store_trades(connection: Connection[Any], gaps: Sequence[TradeGap], rows: Iterable[Trade]) -> None:
    lasts = [gap.last for gap in gaps]
    wanted = [
        row
        for row in rows
        for at in [bisect_left(lasts, row.trade_id)]
        if at < len(gaps) and gaps[at].first <= row.trade_id
    ]
    pair = {"exchange": gaps[0].exchange, "pair": gaps[0].pair}
    wanted.sort(key=lambda row: (row.timestamp, row.trade_id))
    pace, first = Pace(), 0
    while first < len(wanted):
        part = _of_few_minutes(wanted[first : first + pace.rows])
        day = {"symbol": pair["pair"], "timeframe": Timeframe.M1.value, "starts": [part[0].timestamp]}
        connection.execute(query("candles_recall"), {"exchange": pair["exchange"], **day})
        with piece(connection, pace, "lock_batch"):
            _store_part(connection, pair, part)
        first += len(part)


def _of_few_minutes(rows: Sequence[Trade]) -> Sequence[Trade]:
    """The first of some trades in their order, all of one day: each minute is a candle to be made."""
    minutes: set[datetime] = set()
    day = floor(rows[0].timestamp, Timeframe.D1)
    for count, row in enumerate(rows):
        minutes.add(floor(row.timestamp, Timeframe.M1))
        if len(minutes) > LEAST or floor(row.timestamp, Timeframe.D1) > day:
            return rows[:count]
    return rows


def _store_part(connection: Connection[Any], pair: Mapping[str, str], rows: Sequence[Trade]) -> None:
    new = connection.execute(
        query("trades_store_fetched"),
        {
            **pair,
            "timestamps": [row.timestamp for row in rows],
            "trade_ids": [row.trade_id for row in rows],
            "prices": [row.price for row in rows],
            "volumes": [row.volume for row in rows],
            "sides": [row.side for row in rows],
        },
    ).fetchall()
    if new:
        connection.execute(query("lock_candles"))
        connection.execute(query("candles_refresh"), {**pair, "instants": [instant for (instant,) in new]})


def _claimed(
    connection: Connection[Any], statement: str, exchanges: Sequence[str], at: datetime, **more: int
) -> list[tuple[Any, ...]]:
    asked = {"exchanges": list(exchanges), "now": at, "silent_since": at - SILENT, **more}
    return connection.execute(query(statement), asked).fetchall()


def _names(series: Series) -> dict[str, str]:
    return {"exchange": series.exchange, "symbol": series.pair, "timeframe": series.timeframe.value}


def _counted(rows: Iterable[tuple[Any, ...]]) -> Counter[Outcome]:
    return Counter({(status, label): windows for status, label, _rows, windows in rows})
