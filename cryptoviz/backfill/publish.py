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
from cryptoviz.candles.settle import settle as settle_candles
from cryptoviz.exchanges.history import Row as Given
from cryptoviz.exchanges.history import Span
from cryptoviz.gaps.healing import record, store
from cryptoviz.gate import engine, gate, suites
from cryptoviz.gate.frames import Row, instant
from cryptoviz.gate.gate import Audit
from cryptoviz.gate.report import Report, Scope, Severity
from cryptoviz.gate.suites import Suite
from cryptoviz.pairs import Series, Timeframe, ceiling, floor
from cryptoviz.records import Candle, CandleSource
from cryptoviz.storage import driver
from cryptoviz.storage.pieces import Pace, piece
from cryptoviz.storage.queries import fetch_rows, query

if TYPE_CHECKING:
    from psycopg import Connection


_JUDGED: Final = "judged_candles"
_SHOWN: Final = 20
_LEFT: Final = timedelta(minutes=15)
"""What passed so long ago and is not published belongs to somebody who was killed."""

_COLUMNS: Final = ("window_start", "window_end", "open", "high", "low", "close", "volume", "trade_count")


@dataclass(frozen=True)
class Batch:
    """What is judged together: the candles of one series that one origin (such as `backfill`) staged."""

    origin: str
    series: Series

    @property
    def names(self) -> dict[str, str]:
        """How the statements name it."""
        series = self.series
        return {
            "origin": self.origin,
            "exchange": series.exchange,
            "symbol": series.pair,
            "timeframe": series.timeframe.value,
        }


@dataclass(frozen=True)
class Published:
    """What became of a batch: the report (None: nothing was staged), and the candles that changed, by timeframe."""

    report: Report | None
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
    judged: Callable[[Published], None] = lambda _published: None,
    settle: Callable[[Published], None] = lambda _published: None,
) -> Published:
    """Judge what is staged of a batch and publish what passes. A batch that is blocked goes to quarantine as a whole.

    The connection must be in autocommit mode: the rows are judged where they are, before the first transaction. `span`:
    what was asked for; gaps and completeness are brought up to date for it, and for what came. `first_time`: nobody has
    asked for that before, so that what was missing there was not lost.

    `judged` belongs to the transaction of the verdict: from then on what passed is sure to be published, by this call
    or another. `settle` belongs to the last transaction, when all of it is. Where everything is blocked, both belong to
    the verdict.

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
        judged(published)
        if published.blocked:
            settle(published)
    published = replace(published, changed=_published(connection, batch) if waiting.any else {})
    if not published.blocked:
        with connection.transaction():
            _look_over(connection, batch.series, waiting.came, span, first_time=first_time)
            settle(published)
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
            _look_over(connection, batch.series, waiting.came, span, first_time=False)
        _settle(connection, batch.series, waiting.came, span)
    return changed


def resume_left(connection: Connection[Any], now: datetime) -> int:
    """Publish what passed some time ago and was left by runs that were killed; how many batches that were."""
    left = connection.execute(query("staged_candles_left"), {"before": now - _LEFT}).fetchall()
    for exchange, pair, timeframe, origin in left:
        resume(connection, Batch(origin, Series.of(exchange, pair, timeframe)))
    return len(left)


@dataclass(frozen=True)
class _Waiting:
    """What is staged of a batch: how many candles are to be judged, the number of the last of them, how many passed."""

    count: int
    last: int | None
    passed: int
    came: Span | None

    @property
    def any(self) -> bool:
        return bool(self.count or self.passed)


def _waiting(connection: Connection[Any], batch: Batch) -> _Waiting:
    found: tuple[int, int | None, int, datetime | None, datetime | None] | None
    found = connection.execute(query("staged_candles_waiting"), batch.names).fetchone()
    count, last, passed, since, until = found or (0, None, 0, None, None)
    return _Waiting(count, last, passed, (since, until) if since is not None and until is not None else None)


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


def _verdict(connection: Connection[Any], named: Mapping[str, Any], found: _Judged) -> None:
    audit, rows = found.audit, found.rows
    gate.write(connection, audit.report, found.document)
    gate.hold_back(connection, SUBJECT, rows, audit)
    held = [rows[position].number for position in audit.faults]
    connection.execute(query("staged_candles_settle"), {**named, "held": held})


def _look_over(connection: Connection[Any], series: Series, *spans: Span | None, first_time: bool) -> None:
    known = _around(spans)
    if known:
        look(connection, series, *known, first_time=first_time)


def _settle(connection: Connection[Any], series: Series, *spans: Span | None) -> None:
    known = _around(spans)
    if known:
        settle_candles(connection, series.exchange, series.pair, *known)


def _around(spans: Iterable[Span | None]) -> Span | None:
    known = [span for span in spans if span is not None]
    return (min(span[0] for span in known), max(span[1] for span in known)) if known else None


def look(
    connection: Connection[Any], series: Series, since: datetime, until: datetime, *, first_time: bool = False
) -> None:
    """Bring gaps and completeness in line with the candles of a range, and of what follows from them."""
    for one in followers(series):
        # What comes next of a first fetch completes the last of the longer windows.
        start, end = floor(since, one.timeframe), (floor if first_time else ceiling)(until, one.timeframe)
        if first_time:
            names = {"exchange": one.exchange, "symbol": one.pair, "timeframe": one.timeframe.value}
            connection.execute(query("candle_gaps_forget"), {**names, "since": start, "until": end})
        record(connection, one, start, end)


def followers(series: Series) -> list[Series]:
    """A series, and what is made anew with it: every longer timeframe follows from the minutes."""
    if series.timeframe is not Timeframe.M1:
        return [series]
    return [Series(series.exchange, series.pair, timeframe) for timeframe in Timeframe]


@dataclass(frozen=True)
class _Judged:
    audit: Audit
    rows: Sequence[Row]
    document: Mapping[str, Any]


def _audited(connection: Connection[Any], named: Mapping[str, Any], *, count: int, run: str, asset: str) -> _Judged:
    began = time.monotonic()
    suite = suites.read(SUBJECT)
    judged = judge(connection, suite, named, count)
    rows = _rows(connection, named, _to_look_at(judged), run)
    return _Judged(
        gate.concluded(suite, judged, rows, count=count, run=run, asset=asset, began=began),
        rows,
        engine.document(suite, judged),
    )


def judge(connection: Connection[Any], suite: Suite, named: Mapping[str, Any], count: int) -> list[engine.Judged]:
    """What a suite says of `count` staged rows; `named` is the batch, and the number of its `last` row."""
    # What is derived from the rows beside a row is derived once, and not for every expectation.
    driver.ClientCursor(connection).execute(query("staged_candles_judged"), named)
    try:
        with engine.Table(connection, _JUDGED, "number") as table:
            return table.evaluate(suite, count)
    finally:
        connection.execute(query("staged_candles_judged_drop"))


def _to_look_at(judged: Sequence[engine.Judged]) -> list[int] | None:
    """The numbers of the rows to be held back, and of a few that are only shown; None: of all."""
    failed = [one for one in judged if not one.outcome.success]
    critical = [one for one in failed if one.expectation.severity is Severity.CRITICAL]
    if any(one.expectation.scope is Scope.BATCH for one in critical):
        return None
    held = {number for one in critical for number in one.outcome.rows}
    return sorted(held | {number for one in failed for number in one.outcome.rows[:_SHOWN]})


def _rows(connection: Connection[Any], named: Mapping[str, Any], numbers: list[int] | None, run: str) -> list[Row]:
    if numbers == []:
        return []
    found = fetch_rows(connection, "staged_candles_rows", {**named, "numbers": numbers})
    return [row_of(row, str(named["origin"]), run, row.pop("number")) for row in found]


def restore(connection: Connection[Any], payload: Mapping[str, Any]) -> None:
    """Publish one candle as it was held back.

    Raises:
        ValueError: it is no candle.
    """
    start, end, received = (instant(payload.get(name)) for name in ("window_start", "window_end", "received_at"))
    if start is None or end is None or received is None:
        raise ValueError("window_start, window_end or received_at is no instant")
    series = Series.of(payload["exchange"], payload["symbol"], payload["timeframe"])
    numbers = {name: Decimal(payload[name]) for name in ("open", "high", "low", "close", "volume")}
    row = Candle(
        received_at=received,
        window_start=start,
        window_end=end,
        exchange=series.exchange,
        symbol=series.pair,
        timeframe=series.timeframe,
        trade_count=int(payload["trade_count"]),
        closed=True,
        source=CandleSource.REST,
        **numbers,
    )
    store(connection, series, [row])


def look_again(connection: Connection[Any], payload: Mapping[str, Any]) -> None:
    """Bring gaps and completeness in line with a candle that was published as it was held back."""
    start, end = instant(payload["window_start"]), instant(payload["window_end"])
    if start is not None and end is not None:
        series = Series.of(payload["exchange"], payload["symbol"], payload["timeframe"])
        with connection.transaction():
            look(connection, series, start, end)


def settle_again(connection: Connection[Any], payload: Mapping[str, Any]) -> None:
    """Make and close what a candle that was published as it was held back completes."""
    start, end = instant(payload["window_start"]), instant(payload["window_end"])
    if start is not None and end is not None:
        settle_candles(connection, payload["exchange"], payload["symbol"], start, end)
