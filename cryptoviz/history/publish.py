r"""Fetched and imported candles: kept in a table until they are judged, then published, or held back with the reason.

    rows --COPY--> staged_candles (committed) --suite candles_rest, in the database--> quarantine
                                                                                   \-> candles (source rest), and longer

Rows that are staged survive whoever staged them. What a batch comes to is one transaction: the results of its checks,
the rows in quarantine, the candles, and the gaps and completeness that follow from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gate import engine, gate, suites
from cryptoviz.gate.frames import Row, instant
from cryptoviz.gate.gate import Audit
from cryptoviz.gate.report import Report, Scope, Severity
from cryptoviz.gate.suites import Suite
from cryptoviz.history.gaps import Series
from cryptoviz.history.heal import record, store
from cryptoviz.history.judged import SUBJECT, row_of
from cryptoviz.history.source import Row as Given
from cryptoviz.history.source import Span
from cryptoviz.pairs import Timeframe, ceiling, floor
from cryptoviz.records import Candle, CandleSource
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection


_JUDGED: Final = "judged_candles"
_SHOWN: Final = 20
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
    """Let go of what is staged, such as the rest of a run that nobody will finish."""
    connection.execute(query("staged_candles_forget"), batch.names)


def publish(
    connection: Connection[Any],
    batch: Batch,
    run: str,
    asset: str,
    *,
    span: Span | None = None,
    first_time: bool = False,
    settle: Callable[[Published], None] = lambda _published: None,
) -> Published:
    """Judge what is staged of a batch and publish what passes. A batch that is blocked goes to quarantine as a whole.

    The connection must be in autocommit mode: the rows are judged where they are, before the transaction. `span`: what
    was asked for; gaps and completeness are brought up to date for it, and for what came. `first_time`: nobody has
    asked for that before, so that what was missing there was not lost. What else belongs to the transaction, such as
    the progress, is done by `settle`.

    Raises:
        SuiteError: the suite cannot be read or makes no sense; nothing was changed.
        GateError: the gate itself failed; nothing was changed.
    """
    count, last, came = _waiting(connection, batch)
    named = {**batch.names, "last": last}
    judged = _audited(connection, named, count=count, run=run, asset=asset) if count else None
    with connection.transaction():
        published = _stored(connection, named, judged, count)
        spans = [one for one in (came, span) if one is not None]
        if spans and not published.blocked:
            since, until = min(one[0] for one in spans), max(one[1] for one in spans)
            _look(connection, batch.series, since, until, first_time=first_time)
        settle(published)
    return published


def _waiting(connection: Connection[Any], batch: Batch) -> tuple[int, int, Span | None]:
    found: tuple[int, int, datetime | None, datetime | None] | None
    found = connection.execute(query("staged_candles_waiting"), batch.names).fetchone()
    count, last, since, until = found or (0, 0, None, None)
    return count, last, (since, until) if since is not None and until is not None else None


def _stored(connection: Connection[Any], named: Mapping[str, Any], judged: _Judged | None, count: int) -> Published:
    if judged is None:
        return Published(None)
    audit, rows = judged.audit, judged.rows
    gate.write(connection, audit.report, judged.document)
    gate.hold_back(connection, SUBJECT, rows, audit)
    held = [rows[position].number for position in audit.faults]
    changed = connection.execute(query("staged_candles_publish"), {**named, "held": held}).fetchall()
    return Published(audit.report, count, dict(changed))


def _look(connection: Connection[Any], series: Series, since: datetime, until: datetime, *, first_time: bool) -> None:
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
    from psycopg import ClientCursor  # noqa: PLC0415 - only who connects loads the driver

    # What is derived from the rows beside a row is derived once, and not for every expectation.
    ClientCursor(connection).execute(query("staged_candles_judged"), named)
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
    from psycopg.rows import dict_row  # noqa: PLC0415 - only who connects loads the driver

    if numbers == []:
        return []
    cursor = connection.cursor(row_factory=dict_row)
    found = cursor.execute(query("staged_candles_rows"), {**named, "numbers": numbers}).fetchall()
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
    _look(connection, series, start, end, first_time=False)
