"""Fetches a range page by page: each page is staged in a transaction, and what is staged is published now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptoviz.backfill.fetch_run import Fetched, FetchRun
from cryptoviz.backfill.publish import Batch, Published, publish, stage
from cryptoviz.candles.audit import asset_of
from cryptoviz.exchanges.history import Page, Row
from cryptoviz.remote.errors import PermanentError, TransientError

CONFIGURED_HISTORY: Final = "backfill"
"""The origin of what is staged of the configured history: nothing was fetched there before."""

PUBLISHED_AFTER_S: Final = 600.0
"""What is staged is published after this time at the latest, however few candles it is."""


@dataclass
class PageLoop:
    """Stages pages of candles as they come, and publishes them now and then and at the end.

    `published`: everything before it is published, where that is not where the pages begin. `on_staged` is called in
    the transaction that stages a page, with how far the pages reach and how many candles it has; `on_published` in
    the last one of a publication.
    """

    fetching: FetchRun
    batch: Batch
    done: Fetched
    published: datetime | None = None
    on_staged: Callable[[Page, datetime, int], None] = lambda _page, _reached, _count: None
    on_published: Callable[[Published], None] = lambda _published: None
    _waiting: int = 0
    _published_at: float = field(default_factory=time.monotonic)

    def run(self, since: datetime, until: datetime) -> datetime:
        """Fetch a range; how far the answers reached. What came before an error is published, too."""
        self.published, reached = self.published or since, since
        try:
            for page in self._fetch(since, until):
                reached = min(page.until, until)
                self._stage(page, since, reached)
                if self._waiting >= self.fetching.at_once or time.monotonic() - self._published_at >= PUBLISHED_AFTER_S:
                    self._publish(reached)
                if self.done.blocked:
                    return reached
                if self.fetching.out_of_time and reached < until:
                    self.done.reason = "out of time"
                    break
        except (TransientError, PermanentError):
            self._publish(reached)
            raise
        self._publish(reached)
        return reached

    def _fetch(self, since: datetime, until: datetime) -> Iterator[Page]:
        series = self.batch.series
        if since < until:
            yield from self.fetching.history.pages(series.exchange, series.pair, series.timeframe, since, until)

    def _stage(self, page: Page, since: datetime, reached: datetime) -> None:
        with self.fetching.connection.transaction():
            rows: list[Row] = [*page.rows, *page.impossible]
            wanted = (row for row in rows if since <= row.window_start < reached)
            count = stage(self.fetching.connection, self.batch, wanted)
            self.on_staged(page, reached, count)
        self.done.until = reached
        self.done.pages += 1
        self.done.rows += count
        self._waiting += count

    def _publish(self, reached: datetime) -> None:
        published = publish(
            self.fetching.connection,
            self.batch,
            self.fetching.run,
            asset_of(self.batch.series),
            span=(self.published, reached) if self.published and self.published < reached else None,
            first_time=self.batch.origin == CONFIGURED_HISTORY,
            on_published=self.on_published,
        )
        self.done.changed.update(published.changed)
        if published.report is not None:
            self.done.reports.append(published.report)
        self.published, self._waiting, self._published_at = reached, 0, time.monotonic()
