r"""Fetched and imported candles: kept in a table until they are judged, then published, or held back with the reason.

    rows --COPY--> staged_candles (committed) --suite candles_rest, in the database--> verdict: quarantine | passed
        passed --piece by piece--> candles (source rest), and longer --> gaps, completeness, progress

Rows that are staged survive whoever staged them. The verdict on a batch is one transaction: the results of its checks,
the rows in quarantine, and the mark of those that passed. These are then published in pieces, each of them committed:
a row leaves the staging table in the transaction that makes it a candle. Whoever is killed leaves the rest marked, and
the next who publishes that batch, or the next look for gaps, goes on with it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.candles.audit import SUBJECT, row_of
from cryptoviz.candles.fetched import store
from cryptoviz.candles.settle import settle as settle_candles
from cryptoviz.exchanges.history import Row as Given
from cryptoviz.exchanges.history import Span
from cryptoviz.gaps.tables import record_candle_gaps
from cryptoviz.gate import engine, suites
from cryptoviz.gate.audit import Audit, audit_evaluated, quarantine_rows, write_report
from cryptoviz.gate.report import GateReport, Scope, Severity
from cryptoviz.gate.rows import CandidateRow
from cryptoviz.gate.suites import Suite
from cryptoviz.gate.values import instant
from cryptoviz.pairs import Series, Timeframe, ceiling, floor
from cryptoviz.records import fetched_candle
from cryptoviz.storage import driver
from cryptoviz.storage.pieces import Pace, piece
from cryptoviz.storage.queries import fetch_rows, query

if TYPE_CHECKING:
    from psycopg import Connection


_JUDGED_TABLE: Final = "judged_candles"
_EXAMPLES: Final = 20
_ABANDONED_AFTER: Final = timedelta(minutes=15)
"""What passed so long ago and is not published was left by a run that was killed."""

_COLUMNS: Final = ("window_start", "window_end", "open", "high", "low", "close", "volume", "trade_count")


@dataclass(frozen=True)
class Batch:
    """What is judged together: the candles of one series that one origin (such as `backfill`) staged."""

    origin: str
    series: Series

    @property
    def names(self) -> dict[str, str]:
        """How the statements name it."""
        return {"origin": self.origin, **self.series.columns}


@dataclass(frozen=True)
class Published:
    """What became of a batch: the report (None: nothing was staged), and the candles that changed, by timeframe."""

    report: GateReport | None
    count: int = 0
    changed: Mapping[str, int] = field(default_factory=dict)

    @property
    def blocked(self) -> bool:
        """Whether all of it is in quarantine."""
        return self.report is not None and self.report.blocked


def stage(connection: Connection[Any], batch: Batch, rows: Iterable[Given]) -> int:
    """Put candles into the staging table, within the caller's transaction if there is one; how many.

    Nothing is looked at but their numbers: the suite judges. The caller sees to it that nothing is staged twice.
    """
    series, count = batch.series, 0
    named = (series.exchange, series.pair, series.timeframe.value, batch.origin)
    with connection.cursor().copy(query("staged_candles_copy")) as into:
        for row in rows:
            into.write_row([*named, *(getattr(row, name) for name in _COLUMNS)])
            count += 1
    return count


def forget(connection: Connection[Any], batch: Batch) -> None:
    """Let go of what is staged and not judged, such as the rest of a run that nobody will finish."""
    connection.execute(query("staged_candles_forget"), batch.names)


def publish(
    connection: Connection[Any],
    batch: Batch,
    run: str,
    asset: str,
    *,
    span: Span | None = None,
    first_time: bool = False,
    on_verdict: Callable[[Published], None] = lambda _published: None,
    on_published: Callable[[Published], None] = lambda _published: None,
) -> Published:
    """Judge what is staged of a batch and publish what passes. A batch that is blocked goes to quarantine as a whole.

    The connection must be in autocommit mode: the rows are judged where they are, before the first transaction. `span`:
    the range that was fetched; gaps and completeness are brought up to date for it, and for what came. `first_time`:
    nothing was fetched there before, so that what is missing was not lost.

    `on_verdict` is called in the transaction of the verdict: from then on what passed is sure to be published, by this
    call or another. `on_published` is called in the last transaction, when all of it is published. Where everything is
    blocked, both are called in the transaction of the verdict.

    Raises:
        SuiteError: the suite cannot be read or makes no sense; nothing was changed.
        GateError: the gate itself failed; nothing was changed.
    """
    waiting = _waiting(connection, batch)
    named = {**batch.names, "last": waiting.last}
    found = _audited(connection, named, count=waiting.count, run=run, asset=asset) if waiting.count else None
    published = Published(found.audit.report, waiting.count) if found else Published(None)
    with connection.transaction():
        if found is not None:
            _verdict(connection, named, found)
        on_verdict(published)
        if published.blocked:
            on_published(published)
    published = replace(published, changed=_published(connection, batch) if waiting.any else {})
    if not published.blocked:
        with connection.transaction():
            _refresh(connection, batch.series, waiting.came, span, first_time=first_time)
            on_published(published)
        _settle(connection, batch.series, waiting.came, span)
    return published


def resume(connection: Connection[Any], batch: Batch, span: Span | None = None) -> Mapping[str, int]:
    """Publish what passed of a batch before its run was killed; the candles that changed, by timeframe.

    Gaps and completeness are brought up to date for that and, if it is given, for a span around it.
    """
    waiting = _waiting(connection, batch)
    changed = _published(connection, batch) if waiting.passed else {}
    if span is not None or changed:
        with connection.transaction():
            _refresh(connection, batch.series, waiting.came, span, first_time=False)
        _settle(connection, batch.series, waiting.came, span)
    return changed


def resume_left(connection: Connection[Any], now: datetime) -> int:
    """Publish what passed some time ago and was left by runs that were killed; how many batches that were."""
    left = connection.execute(query("staged_candles_left"), {"before": now - _ABANDONED_AFTER}).fetchall()
    for exchange, pair, timeframe, origin in left:
        resume(connection, Batch(origin, Series.of(exchange, pair, timeframe)))
    return len(left)


@dataclass(frozen=True)
class _StagedCounts:
    """What is staged of a batch: how many candles are to be judged, the number of the last of them, how many passed."""

    count: int
    last: int | None
    passed: int
    came: Span | None

    @property
    def any(self) -> bool:
        return bool(self.count or self.passed)


def _waiting(connection: Connection[Any], batch: Batch) -> _StagedCounts:
    found: tuple[int, int | None, int, datetime | None, datetime | None] | None
    found = connection.execute(query("staged_candles_waiting"), batch.names).fetchone()
    count, last, passed, since, until = found or (0, None, 0, None, None)
    return _StagedCounts(count, last, passed, (since, until) if since is not None and until is not None else None)


def _published(connection: Connection[Any], batch: Batch) -> Mapping[str, int]:
    """What passed becomes candles, piece by piece; how many changed, by timeframe."""
    changed: Counter[str] = Counter()
    pace = Pace()
    while True:
        wanted = {**batch.names, "rows": pace.rows}
        connection.execute(query("staged_candles_recall"), wanted)
        with piece(connection, pace):
            rows = connection.execute(query("staged_candles_publish"), wanted).fetchall()
        found = dict(rows)
        left = found.pop("", 0)
        changed.update(found)
        if left < wanted["rows"]:
            return dict(changed)


def _verdict(connection: Connection[Any], named: Mapping[str, Any], found: _BatchVerdict) -> None:
    audit, rows = found.audit, found.rows
    write_report(connection, audit.report, found.document)
    quarantine_rows(connection, SUBJECT, rows, audit)
    held = [rows[position].number for position in audit.faults]
    connection.execute(query("staged_candles_settle"), {**named, "held": held})


def _refresh(connection: Connection[Any], series: Series, *spans: Span | None, first_time: bool) -> None:
    known = _around(spans)
    if known:
        refresh_gaps(connection, series, *known, first_time=first_time)


def _settle(connection: Connection[Any], series: Series, *spans: Span | None) -> None:
    known = _around(spans)
    if known:
        settle_candles(connection, series.exchange, series.pair, *known)


def _around(spans: Iterable[Span | None]) -> Span | None:
    known = [span for span in spans if span is not None]
    return (min(span[0] for span in known), max(span[1] for span in known)) if known else None


def refresh_gaps(
    connection: Connection[Any], series: Series, since: datetime, until: datetime, *, first_time: bool = False
) -> None:
    """Bring gaps and completeness in line with the candles of a range, and of what follows from them."""
    for follower in followers(series):
        # What comes next of a first fetch completes the last of the longer windows.
        start, end = floor(since, follower.timeframe), (floor if first_time else ceiling)(until, follower.timeframe)
        if first_time:
            connection.execute(query("candle_gaps_forget"), {**follower.columns, "since": start, "until": end})
        record_candle_gaps(connection, follower, start, end)


def followers(series: Series) -> list[Series]:
    """A series, and what is made anew with it: every longer timeframe follows from the minutes."""
    if series.timeframe is not Timeframe.M1:
        return [series]
    return [Series(series.exchange, series.pair, timeframe) for timeframe in Timeframe]


@dataclass(frozen=True)
class _BatchVerdict:
    audit: Audit
    rows: Sequence[CandidateRow]
    document: Mapping[str, Any]


def _audited(
    connection: Connection[Any], named: Mapping[str, Any], *, count: int, run: str, asset: str
) -> _BatchVerdict:
    began = time.monotonic()
    suite = suites.read(SUBJECT)
    results = judge(connection, suite, named, count)
    rows = _rows(connection, named, _numbers_to_read(results), run)
    return _BatchVerdict(
        audit_evaluated(suite, results, rows, count=count, run=run, asset=asset, began=began),
        rows,
        engine.document(suite, results),
    )


def judge(connection: Connection[Any], suite: Suite, named: Mapping[str, Any], count: int) -> list[engine.Evaluation]:
    """What a suite says of `count` staged rows; `named` is the batch, and the number of its `last` row."""
    # What is derived from the rows beside a row is derived once, and not for every expectation.
    driver.ClientCursor(connection).execute(query("staged_candles_judged"), named)
    try:
        with engine.SqlTable(connection, _JUDGED_TABLE, "number") as table:
            return table.evaluate(suite, count)
    finally:
        connection.execute(query("staged_candles_judged_drop"))


def _numbers_to_read(results: Sequence[engine.Evaluation]) -> list[int] | None:
    """The numbers of the rows that are held back, and of a few examples of what is only reported; None: of all."""
    failed = [result for result in results if not result.outcome.success]
    critical = [result for result in failed if result.expectation.severity is Severity.CRITICAL]
    if any(result.expectation.scope is Scope.BATCH for result in critical):
        return None
    held = {number for result in critical for number in result.outcome.rows}
    return sorted(held | {number for result in failed for number in result.outcome.rows[:_EXAMPLES]})


def _rows(
    connection: Connection[Any], named: Mapping[str, Any], numbers: list[int] | None, run: str
) -> list[CandidateRow]:
    if numbers == []:
        return []
    found = fetch_rows(connection, "staged_candles_rows", {**named, "numbers": numbers})
    return [row_of(row, str(named["origin"]), run, row.pop("number")) for row in found]


def restore(connection: Connection[Any], payload: Mapping[str, Any]) -> None:
    """Publish one candle as it was held back.

    Raises:
        ValueError: it is no candle.
    """
    start, end, received_at = (instant(payload.get(name)) for name in ("window_start", "window_end", "received_at"))
    if start is None or end is None or received_at is None:
        raise ValueError("window_start, window_end or received_at is no instant")
    series = Series.of(payload["exchange"], payload["symbol"], payload["timeframe"])
    if end - start != series.timeframe.length:
        raise ValueError(f"window is not {series.timeframe} long")
    opening, high, low, close, volume = (Decimal(payload[name]) for name in ("open", "high", "low", "close", "volume"))
    prices, trades = (opening, high, low, close), int(payload["trade_count"])
    store(connection, series, [fetched_candle(series, start, prices, volume, trades, received_at=received_at)])


def refresh_gaps_of(connection: Connection[Any], payload: Mapping[str, Any]) -> None:
    """Bring gaps and completeness in line with a candle that was published as it was held back."""
    start, end = instant(payload["window_start"]), instant(payload["window_end"])
    if start is not None and end is not None:
        series = Series.of(payload["exchange"], payload["symbol"], payload["timeframe"])
        with connection.transaction():
            refresh_gaps(connection, series, start, end)


def settle_again(connection: Connection[Any], payload: Mapping[str, Any]) -> None:
    """Make and close what a candle that was published as it was held back completes."""
    start, end = instant(payload["window_start"]), instant(payload["window_end"])
    if start is not None and end is not None:
        settle_candles(connection, payload["exchange"], payload["symbol"], start, end)
