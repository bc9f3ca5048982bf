r"""Fetches the configured history, page by page, and goes on where whoever was killed had got to.

    due -> one transaction a page: rows staged, position -> judged and published, a month of minutes at a time
                                                              \-> progress, gaps, completeness in the same transaction

One worker on a series at a time. `fetch` brings any other range once more and leaves the progress alone: where it was
killed is known from what it staged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.backfill.due import Plan, State, Status, due
from cryptoviz.backfill.publish import Batch, Published, publish, stage
from cryptoviz.candles.audit import asset_of
from cryptoviz.clock import Clock, now
from cryptoviz.exchanges.history import Page, PagedHistory, Row, Span
from cryptoviz.gaps.healing import rule
from cryptoviz.gaps.labels import GapLabel, GapStatus
from cryptoviz.gaps.rulings import REFUSED_AGAIN, Gap, Ruling, again, unanswered
from cryptoviz.gaps.scan import configured
from cryptoviz.gate.report import GateError, Report
from cryptoviz.pairs import Series, Timeframe, floor
from cryptoviz.remote.errors import ExchangeRefusedError, ExchangeUnavailableError
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.settings import Settings

PUBLISHED_AT_ONCE: Final = 43_200
"""So many candles are judged together: a month of minutes."""

PUBLISHED_AFTER_S: Final = 600.0
"""What is staged is published after this time at the latest, however few candles it is."""

SETTLED: Final = timedelta(seconds=5)
"""An exchange may need so long for its last word on a window that has ended."""

_CLOSING: Final = timedelta(minutes=10)
"""So long before the present an exchange's answers may end for that its newest candles are not closed yet."""

LET_GO: Final = timedelta(seconds=20)
"""Whoever was killed holds the series until the database has ended his last statement."""

_ORIGIN: Final = "backfill"
_RANGE: Final = "range"
_STALE: Final = timedelta(days=1)
"""What a killed run staged so long ago is fetched anew."""

_FOLLOWING: Final = {Timeframe.M1: (Timeframe.M5, Timeframe.M15)}
_FOR_EVER: Final = timedelta(days=365_000)
_MOST: Final = timedelta(days=36_500)
"""As `crypto_configuration` has it, too."""


class SeriesBusyError(Exception):
    """Somebody else is at work on the history of the series."""


@dataclass
class Fetched:
    """What was done for one series: how far it got, and why not further (empty: it got to the end)."""

    series: Series
    since: datetime | None = None
    until: datetime | None = None
    pages: int = 0
    rows: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    reports: list[Report] = field(default_factory=list)
    seconds: float = 0.0
    complete: bool = False
    reason: str = ""

    @property
    def blocked(self) -> bool:
        """Whether a batch went to quarantine as a whole."""
        return any(report.blocked for report in self.reports)


@dataclass(frozen=True)
class Worker:
    """Who fetches: with what, for which run and asset, and until when at the latest."""

    connection: Connection[Any]
    settings: Settings
    history: PagedHistory
    run: str
    until: datetime | None = None
    clock: Clock = now
    at_once: int = PUBLISHED_AT_ONCE

    @property
    def out_of_time(self) -> bool:
        """Whether it is time to leave the rest to the next run."""
        return self.until is not None and self.clock() >= self.until


def states(connection: Connection[Any], settings: Settings) -> list[State]:
    """What is wanted of every series that is fetched, and what is known of it."""
    series = [one for one in configured(connection, settings) if one.timeframe in settings.ages(one.exchange)]
    return _states(connection, settings, series)


def state(connection: Connection[Any], settings: Settings, series: Series) -> State:
    """What is wanted of a series, and what is known of it."""
    return _states(connection, settings, [series])[0]


def _states(connection: Connection[Any], settings: Settings, series: Sequence[Series]) -> list[State]:
    asked = {
        "exchange": [one.exchange for one in series],
        "symbol": [one.pair for one in series],
        "timeframe": [one.timeframe.value for one in series],
    }
    return [_state(settings, *row) for row in connection.execute(query("backfill_states"), asked)]


def _state(settings: Settings, exchange: str, pair: str, timeframe: str, status: str | None, *known: Any) -> State:
    series, days = Series.of(exchange, pair, timeframe), known[-1]
    age = settings.ages(exchange).get(series.timeframe)
    if days is not None and series.timeframe is Timeframe.M1:
        age = min(timedelta(days=days), _MOST)
    return State(series, age, Status(status) if status else None, *known[:-1])


def keep_history(connection: Connection[Any], wanted: Sequence[State]) -> list[tuple[Any, ...]]:
    """See to it that nothing of the configured history leaves the database; the policies that changed."""
    ages: dict[Timeframe, timedelta] = {}
    for one in wanted:
        for timeframe in (one.series.timeframe, *_FOLLOWING.get(one.series.timeframe, ())):
            ages[timeframe] = max(one.age or _FOR_EVER, ages.get(timeframe, one.age or _FOR_EVER))
    asked = {"timeframe": [frame.value for frame in Timeframe], "history_age": [ages.get(frame) for frame in Timeframe]}
    return connection.execute(query("tiering_keep_history"), asked).fetchall()


@contextmanager
def claimed(connection: Connection[Any], series: Series) -> Iterator[None]:
    """The series is this connection's, until the end of the block or of the connection.

    Raises:
        SeriesBusyError: it is somebody else's.
    """
    try:
        with connection.transaction():
            connection.execute(query("lock_timeout"), {"timeout": f"{LET_GO.total_seconds():.0f}s"})
            connection.execute(query("backfill_lock"), _names(series))
    except driver.LockNotAvailable as error:
        raise SeriesBusyError(f"another run is at work on {series}") from error
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(query("backfill_unlock"), _names(series))


def backfill(worker: Worker, series: Series) -> Fetched | None:
    """Bring the configured history of a series on, as far as the time of the worker allows; None: nothing is due.

    Whatever keeps it from going on is written down in `backfill_progress` and tried again later.

    Raises:
        SeriesBusyError: somebody else is at work on the series.
        GateError: the gate itself failed; what was fetched stays staged.
    """
    with claimed(worker.connection, series):
        plan = due(state(worker.connection, worker.settings, series), worker.clock())
        return _Backfill(worker, plan).run() if plan is not None else None


def fetch(worker: Worker, series: Series, since: datetime, until: datetime) -> Fetched:
    """Fetch a range once more, whatever is stored of it; the progress of the configured history stays as it is.

    What a run that was killed had staged is not fetched again by the next of a range with the same beginning, within a
    day.

    Raises:
        SeriesBusyError: somebody else is at work on the series.
        ExchangeUnavailableError: no answer now; what came before is published.
        ExchangeRefusedError: asking again will not help.
        GateError: the gate itself failed.
    """
    with claimed(worker.connection, series):
        batch, done = Batch(f"{_RANGE} from {since:%Y-%m-%dT%H:%M:%SZ}", series), Fetched(series, since, since)
        last = floor(worker.clock() - SETTLED, series.timeframe)
        began = time.monotonic()
        _Pages(worker, batch, done, published=since).run(_reached(worker, batch, since), min(until, last))
        done.seconds = time.monotonic() - began
        done.complete = not done.reason
        return done


def _reached(worker: Worker, batch: Batch, since: datetime) -> datetime:
    """Where a run of the same range had got to since it last published, when it was killed."""
    asked = {**batch.names, "origins": f"{_RANGE}%", "since": worker.clock() - _STALE}
    [newest] = worker.connection.execute(query("staged_candles_resume"), asked).fetchone() or [None]
    if newest is None:
        return since
    return floor(newest, batch.series.timeframe) + batch.series.timeframe.length


class _Backfill:
    """One run of a plan."""

    def __init__(self, worker: Worker, plan: Plan) -> None:
        self._worker = worker
        self._plan = plan
        self._done = Fetched(plan.series)
        self._silent: list[Span] = []
        self._impossible: dict[datetime, str] = {}

    def run(self) -> Fetched:
        began = time.monotonic()
        try:
            self._go_on()
        except ExchangeUnavailableError as error:
            wait = timedelta(seconds=error.retry_after or 0)
            self._fail(str(error), lambda attempts, at: max(again(attempts, at), at + wait))
        except ExchangeRefusedError as error:
            self._fail(str(error), lambda _attempts, at: at + REFUSED_AGAIN)
        except GateError as error:
            self._fail(str(error), again)
            raise
        finally:
            self._done.seconds = time.monotonic() - began
        return self._done

    def _go_on(self) -> None:
        self._plan = plan = self._begun()
        position, target = plan.position or plan.until, plan.until
        self._done.since = self._done.until = position
        pages = _Pages(
            self._worker,
            Batch(_ORIGIN, plan.series),
            self._done,
            published=plan.published,
            staged=self._staged,
            settle=self._published,
        )
        while True:
            reached = pages.run(position, target)
            if self._done.blocked:
                blocked = [result.name for report in self._done.reports for result in report.results if result.blocks]
                self._fail(f"all of it is in quarantine: not met: {', '.join(blocked)}", again)
                return
            if self._done.reason:
                return
            if reached < target and not (plan.open_end and target - reached <= _CLOSING + plan.series.timeframe.length):
                raise ExchangeUnavailableError(f"the answers end at {reached:%Y-%m-%d %H:%M} UTC")
            closed = floor(self._worker.clock() - SETTLED, plan.series.timeframe)
            if not plan.open_end or reached < target or closed <= target:
                break
            position, target = reached, closed
        self._complete(reached)

    def _begun(self) -> Plan:
        """The plan with its beginning known, and the row of the progress that says so."""
        plan = self._plan
        if plan.position is None:
            plan = self._from_listing(plan)
            plan = replace(plan, position=plan.since, published=plan.since)
        end = plan.end if plan.covered_from else plan.until
        self._worker.connection.execute(
            query("backfill_begin"),
            {
                **_names(plan.series),
                "start_ts": plan.since,
                "end_ts": end,
                "current_position_ts": plan.position,
                "published_ts": plan.published or plan.since,
                "covered_from": plan.covered_from,
                "from_first": plan.from_first,
                "total": _windows(plan.series, plan.since or end, end),
            },
        )
        self._follow()
        return plan

    def _from_listing(self, plan: Plan) -> Plan:
        """Nothing is asked for that was before the exchange's first candle.

        Where nobody knew since when the pair is listed, its first day is written down: of shorter timeframes some
        exchanges keep the newest candles only, which says nothing of the listing.
        """
        series, day = plan.series, Timeframe.D1.length
        if plan.since is not None and plan.listed_from is not None and plan.since >= plan.listed_from + day:
            return plan
        first = self._worker.history.first_candle(series.exchange, series.pair, series.timeframe)
        if first is None:
            raise ExchangeUnavailableError(f"{series.exchange} has no candle of {series.pair}")
        if series.timeframe is Timeframe.D1:
            listed = {"exchange": series.exchange, "symbol": series.pair, "listed_from": first}
            self._worker.connection.execute(query("instruments_listed_from"), listed)
        if plan.since is not None and first <= plan.since:
            return plan
        return replace(plan, since=min(first, plan.until), from_first=True)

    def _staged(self, page: Page, position: datetime, count: int) -> None:
        self._worker.connection.execute(
            query("backfill_advance"), {**_names(self._plan.series), "position": position, "count": count}
        )
        self._silent += page.silent
        timeframe = self._plan.series.timeframe
        self._impossible.update({floor(row.window_start, timeframe): row.reason for row in page.impossible})

    def _published(self, published: Published) -> None:
        connection, series = self._worker.connection, self._plan.series
        if not published.blocked:
            rule(connection, series, self._said())
        self._silent.clear()
        self._impossible.clear()
        settled = {**_names(series), "blocked": published.blocked, "count": published.count}
        connection.execute(query("backfill_published"), settled)
        self._follow()

    def _said(self) -> list[Ruling]:
        """What the exchange said of windows without a candle."""
        series, at = self._plan.series, self._worker.clock()
        silent = [
            Ruling(since, until, GapLabel.NO_TRADES, GapStatus.EXPLAINED, 1, None) for since, until in self._silent
        ]
        return silent + [
            unanswered(Gap(series, start, start + series.timeframe.length), at, reason)
            for start, reason in self._impossible.items()
        ]

    def _complete(self, reached: datetime) -> None:
        plan = self._plan
        end = plan.end if plan.covered_from else reached
        self._worker.connection.execute(
            query("backfill_complete"),
            {**_names(plan.series), "end_ts": end, "total": _windows(plan.series, plan.since or end, end)},
        )
        self._follow()
        self._done.complete = True

    def _fail(self, reason: str, when: Callable[[int, datetime], datetime]) -> None:
        plan, at = self._plan, self._worker.clock()
        connection, attempts = self._worker.connection, plan.attempts + 1
        if self._done.pages:
            attempts = 1
        connection.execute(
            query("backfill_fail"),
            {
                **_names(plan.series),
                "start_ts": plan.since or plan.until,
                "end_ts": plan.end,
                "error_message": reason,
                "attempts": attempts,
                "due_at": when(attempts, at),
            },
        )
        self._follow()
        self._done.reason = reason

    def _follow(self) -> None:
        if self._plan.series.timeframe is Timeframe.M1:
            self._worker.connection.execute(query("backfill_follow"), _names(self._plan.series))


@dataclass
class _Pages:
    """Stages what comes, page by page, and publishes it now and then and at the end.

    `published`: everything before it is, where that is not where the pages begin. `staged` belongs to the transaction
    of a page, and is told how far the pages reach; `settle` belongs to that of a publication.
    """

    worker: Worker
    batch: Batch
    done: Fetched
    published: datetime | None = None
    staged: Callable[[Page, datetime, int], None] = lambda _page, _reached, _count: None
    settle: Callable[[Published], None] = lambda _published: None
    _waiting: int = 0
    _published_at: float = field(default_factory=time.monotonic)

    def run(self, since: datetime, until: datetime) -> datetime:
        """How far the answers reached. What came before an error is published, too."""
        self.published, reached = self.published or since, since
        try:
            for page in self._asked(since, until):
                reached = min(page.until, until)
                self._keep(page, since, reached)
                if self._waiting >= self.worker.at_once or time.monotonic() - self._published_at >= PUBLISHED_AFTER_S:
                    self._publish(reached)
                if self.done.blocked:
                    return reached
                if self.worker.out_of_time and reached < until:
                    self.done.reason = "out of time"
                    break
        except (ExchangeUnavailableError, ExchangeRefusedError):
            self._publish(reached)
            raise
        self._publish(reached)
        return reached

    def _asked(self, since: datetime, until: datetime) -> Iterator[Page]:
        series = self.batch.series
        if since < until:
            yield from self.worker.history.pages(series.exchange, series.pair, series.timeframe, since, until)

    def _keep(self, page: Page, since: datetime, reached: datetime) -> None:
        with self.worker.connection.transaction():
            rows: list[Row] = [*page.rows, *page.impossible]
            wanted = (row for row in rows if since <= row.window_start < reached)
            count = stage(self.worker.connection, self.batch, wanted)
            self.staged(page, reached, count)
        self.done.until = reached
        self.done.pages += 1
        self.done.rows += count
        self._waiting += count

    def _publish(self, reached: datetime) -> None:
        found = publish(
            self.worker.connection,
            self.batch,
            self.worker.run,
            asset_of(self.batch.series),
            span=(self.published, reached) if self.published and self.published < reached else None,
            first_time=self.batch.origin == _ORIGIN,
            settle=self.settle,
        )
        self.done.changed.update(found.changed)
        if found.report is not None:
            self.done.reports.append(found.report)
        self.published, self._waiting, self._published_at = reached, 0, time.monotonic()


def _names(series: Series) -> Mapping[str, str]:
    return {"exchange": series.exchange, "symbol": series.pair, "timeframe": series.timeframe.value}


def _windows(series: Series, since: datetime, until: datetime) -> int:
    return max(0, (until - since) // series.timeframe.length)
