"""Reads feeds and the pages of their articles within the time of one poll; a failure concerns its own site only.

feed -> postponed? -> robots.txt -> our turn at its host -> fetch -> parse -> FeedReading with its FeedOutcome
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.logs import logger
from cryptoviz.news.feeds import Feed
from cryptoviz.news.identity import Entry
from cryptoviz.news.parse import MAX_CONTENT, FeedError, parse
from cryptoviz.news.robots import Robots, RobotsText, Turns
from cryptoviz.news.text import article_text, own_words
from cryptoviz.remote import web
from cryptoviz.remote.errors import Failure, FetchError, Reason, failure_of_status
from cryptoviz.remote.network import Resolver, look_up
from cryptoviz.remote.retry_after import retry_after_of
from cryptoviz.remote.web import Page, Policy

if TYPE_CHECKING:
    from cryptoviz.settings import Settings

MAX_PAGE: Final = 1024 * 1024
"""Bytes of an article's page that are read; the rest is cut off."""

_MAX_RETRY_AFTER: Final = timedelta(days=1)
_FEED_TYPES: Final = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"

_log = logger(__name__)


class FeedStatus(StrEnum):
    """How the reading of a feed ended."""

    READ = "read"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    FORBIDDEN = "forbidden"
    POSTPONED = "postponed"


@dataclass(frozen=True)
class FeedOutcome:
    """How one feed answered.

    `reason` is a word (a `Reason` of a fetch, a `FeedProblem`, `status_503`, `retry_after`, `crashed`) and `detail` a
    sentence; both are empty where it gave something. `salvaged` says what had to be repaired. `new` are
    first revisions of articles, `revised` further ones. `entries_refused` counts the entries that could not be read, by
    the error, `dates_unknown` those whose date is absent or may mean several moments. `pages` are article pages that
    gave a text; `pages_refused` counts the entries without one, by reason.
    """

    feed: str
    url: str
    status: FeedStatus
    reason: str = ""
    detail: str = ""
    http_status: int | None = None
    wire_bytes: int = 0
    seconds: float = 0.0
    entries: int = 0
    entries_refused: Mapping[str, int] = field(default_factory=dict)
    dates_unknown: int = 0
    new: int = 0
    revised: int = 0
    salvaged: str = ""
    pages: int = 0
    pages_refused: Mapping[str, int] = field(default_factory=dict)
    newest: datetime | None = None

    @property
    def trouble(self) -> str | None:
        """The reason and its detail in one line; None where the feed was read."""
        return f"{self.reason}: {self.detail}" if self.reason else None

    def crashed(self, error: Exception) -> FeedOutcome:
        """This outcome as a failure by an unexpected error."""
        return replace(self, status=FeedStatus.FAILED, reason="crashed", detail=repr(error)[:500])


@dataclass(frozen=True)
class FeedState:
    """The stored state of a feed: the validators of the document at `url`, and the end of its Retry-After."""

    url: str
    etag: str = ""
    last_modified: str = ""
    not_before: datetime | None = None


@dataclass(frozen=True)
class FeedReading:
    """A feed as it was read: its entries, newest first as feeds have them, and the state to store.

    `shared` are the guids and links that stand for several of its entries.
    """

    feed: Feed
    outcome: FeedOutcome
    entries: tuple[Entry, ...] = ()
    state: FeedState | None = None
    shared: frozenset[str] = frozenset()

    def with_unreadable(self, errors: Sequence[str]) -> FeedReading:
        """The reading with unreadable entries counted and without validators, so that its feed is read whole again."""
        for error in errors:
            _log.warning("entry_refused", feed=self.feed.name, error=error)
        if not errors:
            return self
        refused = Counter(error.partition("(")[0] for error in errors)
        counted = dict(Counter(self.outcome.entries_refused) + refused)
        return replace(self, outcome=replace(self.outcome, entries_refused=counted), state=FeedState(self.feed.url))


@dataclass(frozen=True)
class ArticleText:
    """The text of an entry. `source`: `feed`, `page`, or the reason why there is none."""

    content: str
    source: str


class Reader:
    """Reads feeds and pages for one poll that ends at `end` (of the monotonic clock); safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        states: Mapping[str, FeedState],
        robots_texts: Mapping[str, RobotsText],
        at: datetime,
        *,
        end: float,
        resolve: Resolver = look_up,
    ) -> None:
        self._policy = Policy.of(settings)
        self._states, self._at, self._end, self._resolve = states, at, end, resolve
        self._most_pages = settings.news_pages_per_feed
        self.robots = Robots(self._policy, robots_texts, at, end=end, resolve=resolve)
        self._turns = Turns(
            self.robots,
            delay=settings.news_host_delay_s,
            longest=settings.news_crawl_delay_max_s,
            private_hosts=self._policy.private_hosts,
        )

    def read(self, feed: Feed) -> FeedReading:
        """A feed's entries, or the reason why there are none; errors of the feed never raise."""
        began = time.monotonic()
        stored = self._states.get(feed.name)
        state = stored if stored is not None and stored.url == feed.url else FeedState(feed.url)
        failed = FeedOutcome(feed.name, feed.url, FeedStatus.FAILED)
        try:
            reading = self._read(feed, state)
        except FetchError as error:
            status = FeedStatus.FORBIDDEN if error.reason is Reason.NOT_PERMITTED else FeedStatus.FAILED
            reading = FeedReading(feed, replace(failed, status=status, reason=error.reason.value, detail=error.detail))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this feed, the others are read
            _log.exception("feed_crashed", feed=feed.name)
            reading = FeedReading(feed, failed.crashed(error))
        outcome = replace(reading.outcome, seconds=time.monotonic() - began)
        return replace(reading, outcome=outcome, state=reading.state or replace(state, not_before=None))

    def _read(self, feed: Feed, state: FeedState) -> FeedReading:
        outcome = FeedOutcome(feed.name, feed.url, FeedStatus.READ)
        if state.not_before is not None and state.not_before > self._at:
            detail = f"the site asked not to be asked before {state.not_before:%Y-%m-%d %H:%M:%S} UTC"
            postponed = replace(outcome, status=FeedStatus.POSTPONED, reason="retry_after", detail=detail)
            return FeedReading(feed, postponed, state=state)
        headers, validators = {"accept": _FEED_TYPES}, {"etag": state.etag, "last_modified": state.last_modified}
        page = self._fetch(feed.url, self._policy, headers=headers, **validators)
        outcome = replace(outcome, http_status=page.status, wire_bytes=page.wire_bytes)
        if page.status == 304 and any(validators.values()):
            return FeedReading(feed, replace(outcome, status=FeedStatus.UNCHANGED))
        if page.status != 200:
            detail = f"the site answered with status {page.status}"
            failed = replace(outcome, status=FeedStatus.FAILED, reason=f"status_{page.status}", detail=detail)
            return FeedReading(feed, failed, state=replace(state, not_before=_not_before(page, self._at)))
        try:
            parsed = parse(page.body, page.headers.get("content-type", ""), page.url, feed.time_zone)
        except FeedError as error:
            return FeedReading(
                feed, replace(outcome, status=FeedStatus.FAILED, reason=error.reason.value, detail=error.detail)
            )
        dates = [entry.published_at for entry in parsed.entries if entry.published_at is not None]
        outcome = replace(outcome, salvaged=parsed.salvaged, newest=max(dates, default=None))
        outcome = replace(outcome, entries=len(parsed.entries), dates_unknown=len(parsed.entries) - len(dates))
        state = FeedState(feed.url, page.headers.get("etag", ""), page.headers.get("last-modified", ""))
        return FeedReading(feed, outcome, parsed.entries, state, parsed.shared).with_unreadable(parsed.unreadable)

    def texts(self, feed: Feed, entries: tuple[Entry, ...]) -> list[ArticleText]:
        """The text of each entry: the feed's own, else its page's, but of no more pages than the settings say."""
        without = [entry for entry in entries if not entry.content][: self._most_pages]
        pages = {id(entry): self._page_text(feed, entry) for entry in without}
        beyond = ArticleText("", "too_many_pages")
        return [
            ArticleText(entry.content, "feed") if entry.content else pages.get(id(entry), beyond) for entry in entries
        ]

    def _page_text(self, feed: Feed, entry: Entry) -> ArticleText:
        if not feed.publishes(entry.url):
            return ArticleText("", "other_site")
        try:
            return self._page(entry)
        except FetchError as error:
            return ArticleText("", error.reason.value)
        except Exception:  # noqa: BLE001 - a page that breaks the extractor costs its own text only
            _log.exception("page_crashed", feed=feed.name, url=entry.url)
            return ArticleText("", "crashed")

    def _page(self, entry: Entry) -> ArticleText:
        self._turns.check_patience(entry.url)
        page = self._fetch(entry.url, replace(self._policy, max_bytes=MAX_PAGE, truncate=True))
        if page.status != 200:
            return ArticleText("", f"status_{page.status}")
        found = article_text(page.body, page.headers.get("content-type", ""), page.url, MAX_CONTENT)
        content = own_words(found, entry.title)
        return ArticleText(content, "page" if content else "no_text")

    def _fetch(self, url: str, policy: Policy, **options: Any) -> Page:
        self.robots.check(url)
        self._turns.wait(url, self._end)
        seconds = min(policy.seconds, max(0.0, self._end - time.monotonic()))
        in_time = replace(policy, seconds=seconds)
        return web.fetch(url, in_time, permit=self.robots.check, resolve=self._resolve, **options)


def _not_before(page: Page, at: datetime) -> datetime | None:
    """Until when a site that cannot answer now is left alone, by its Retry-After; a day at most."""
    if failure_of_status(page.status) not in (Failure.TRANSIENT, Failure.LIMITED):
        return None
    after = retry_after_of(page.headers, at)
    return None if after is None else min(at + timedelta(seconds=after), at + _MAX_RETRY_AFTER)
