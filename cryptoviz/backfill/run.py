r"""Brings the configured history of a series on, from exactly where the last run had got to.

due -> one transaction a page: rows staged, position -> judged and published, a month of minutes at a time
                                                          \-> progress, gaps, completeness in the same transaction
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from cryptoviz.backfill.due import BackfillPlan, due
from cryptoviz.backfill.fetch_run import CANDLE_FINAL_AFTER, Fetched, FetchRun, claimed
from cryptoviz.backfill.page_loop import CONFIGURED_HISTORY, PageLoop
from cryptoviz.backfill.publish import Batch, Published
from cryptoviz.backfill.states import state
from cryptoviz.exchanges.history import Page, Span
from cryptoviz.gaps.labels import GapLabel, GapStatus
from cryptoviz.gaps.rulings import REFUSED_AGAIN, Gap, Ruling, again, unanswered
from cryptoviz.gaps.tables import rule_candle_gaps
from cryptoviz.gate.report import GateError
from cryptoviz.pairs import Series, Timeframe, floor
from cryptoviz.remote.errors import PermanentError, TransientError
from cryptoviz.storage.queries import query

_NEWEST_UNCLOSED: Final = timedelta(minutes=10)
"""An exchange's answers may end so long before the present, because its newest candles are not closed yet."""


def backfill(fetching: FetchRun, series: Series) -> Fetched | None:
    """Bring the configured history of a series on, as far as the time of the run allows; None: nothing is due.

    Whatever keeps it from going on is written down in `backfill_progress` and tried again later.

    Raises:
        SeriesBusyError: another run is at work on the series.
        GateError: the gate itself failed; what was fetched stays staged.
    """
    with claimed(fetching.connection, series):
        plan = due(state(fetching.connection, fetching.settings, series), fetching.clock())
        return _Backfill(fetching, plan).run() if plan is not None else None


class _Backfill:
    """One run of a plan."""

    def __init__(self, fetching: FetchRun, plan: BackfillPlan) -> None:
        self._fetching = fetching
        self._plan = plan
        self._done = Fetched(plan.series)
        self._silent: list[Span] = []
        self._impossible: dict[datetime, str] = {}

    def run(self) -> Fetched:
        began = time.monotonic()
        try:
            self._go_on()
        except TransientError as error:
            wait = timedelta(seconds=error.retry_after or 0)
            self._fail(str(error), lambda attempts, at: max(again(attempts, at), at + wait))
        except PermanentError as error:
            self._fail(str(error), lambda _attempts, at: at + REFUSED_AGAIN)
        except GateError as error:
            self._fail(str(error), again)
            raise
        finally:
            self._done.seconds = time.monotonic() - began
        return self._done

    def _go_on(self) -> None:
        self._plan = plan = self._begin()
        position, target = plan.position or plan.until, plan.until
        self._done.since = self._done.until = position
        pages = PageLoop(
            self._fetching,
            Batch(CONFIGURED_HISTORY, plan.series),
            self._done,
            published=plan.published,
            on_staged=self._note_page,
            on_published=self._note_published,
        )
        while True:
            reached = pages.run(position, target)
            if self._done.blocked:
                blocked = [result.name for report in self._done.reports for result in report.results if result.blocks]
                self._fail(f"all of it is in quarantine: not met: {', '.join(blocked)}", again)
                return
            if self._done.reason:
                return
            if reached < target and not (
                plan.open_end and target - reached <= _NEWEST_UNCLOSED + plan.series.timeframe.length
            ):
                raise TransientError(f"the answers end at {reached:%Y-%m-%d %H:%M} UTC")
            closed = floor(self._fetching.clock() - CANDLE_FINAL_AFTER, plan.series.timeframe)
            if not plan.open_end or reached < target or closed <= target:
                break
            position, target = reached, closed
        self._complete(reached)

    def _begin(self) -> BackfillPlan:
        """The plan with its beginning known, and the row of the progress that says so."""
        plan = self._plan
        if plan.position is None:
            plan = self._from_listing(plan)
            plan = replace(plan, position=plan.since, published=plan.since)
        end = plan.end if plan.covered_from else plan.until
        self._fetching.connection.execute(
            query("backfill_begin"),
            {
                **plan.series.columns,
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

    def _from_listing(self, plan: BackfillPlan) -> BackfillPlan:
        """Nothing is asked for that was before the exchange's first candle.

        Where nobody knew since when the pair is listed, its first day is written down: of shorter timeframes some
        exchanges keep the newest candles only, which says nothing of the listing.
        """
        series, day = plan.series, Timeframe.D1.length
        if plan.since is not None and plan.listed_from is not None and plan.since >= plan.listed_from + day:
            return plan
        first = self._fetching.history.first_candle(series.exchange, series.pair, series.timeframe)
        if first is None:
            raise TransientError(f"{series.exchange} has no candle of {series.pair}")
        if series.timeframe is Timeframe.D1:
            parameters = {"exchange": series.exchange, "symbol": series.pair, "listed_from": first}
            self._fetching.connection.execute(query("instruments_listed_from"), parameters)
        if plan.since is not None and first <= plan.since:
            return plan
        return replace(plan, since=min(first, plan.until), from_first=True)

    def _note_page(self, page: Page, position: datetime, count: int) -> None:
        self._fetching.connection.execute(
            query("backfill_advance"), {**self._plan.series.columns, "position": position, "count": count}
        )
        self._silent += page.silent
        timeframe = self._plan.series.timeframe
        self._impossible.update({floor(row.window_start, timeframe): row.reason for row in page.impossible})

    def _note_published(self, published: Published) -> None:
        connection, series = self._fetching.connection, self._plan.series
        if not published.blocked:
            rule_candle_gaps(connection, series, self._rulings())
        self._silent.clear()
        self._impossible.clear()
        parameters = {**series.columns, "blocked": published.blocked, "count": published.count}
        connection.execute(query("backfill_published"), parameters)
        self._follow()

    def _rulings(self) -> list[Ruling]:
        """What the exchange's answers mean for windows without a candle."""
        series, at = self._plan.series, self._fetching.clock()
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
        self._fetching.connection.execute(
            query("backfill_complete"),
            {**plan.series.columns, "end_ts": end, "total": _windows(plan.series, plan.since or end, end)},
        )
        self._follow()
        self._done.complete = True

    def _fail(self, reason: str, when: Callable[[int, datetime], datetime]) -> None:
        plan, at = self._plan, self._fetching.clock()
        connection, attempts = self._fetching.connection, plan.attempts + 1
        if self._done.pages:
            attempts = 1
        connection.execute(
            query("backfill_fail"),
            {
                **plan.series.columns,
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
            self._fetching.connection.execute(query("backfill_follow"), self._plan.series.columns)


def _windows(series: Series, since: datetime, until: datetime) -> int:
    return max(0, (until - since) // series.timeframe.length)
