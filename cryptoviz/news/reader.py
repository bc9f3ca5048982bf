"""Asks feeds and article pages: politely, within the time of one poll, and each for itself.

feed -> postponed? -> robots.txt -> our turn at its host -> fetch -> parse -> Reading with its Outcome
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
from cryptoviz.remote.retry_after import retry_after_of
from cryptoviz.remote.web import Page, Policy

if TYPE_CHECKING:
    from cryptoviz.settings import Settings

MAX_PAGE: Final = 1024 * 1024
"""Bytes of an article's page that are looked at."""

_MAX_RETRY_AFTER: Final = timedelta(days=1)
_FEED_TYPES: Final = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"

_log = logger(__name__)


class Status(StrEnum):
    """What became of a feed in a poll."""

    READ = "read"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    FORBIDDEN = "forbidden"
    POSTPONED = "postponed"


@dataclass(frozen=True)
class Outcome:
    """How one feed answered.

    `reason` is a word (a `Reason` of a fetch, a `FeedProblem`, `status_503`, `retry_after`, `crashed`) and `detail` a
    sentence; both are empty where it gave something. `salvaged` says what had to be repaired. `new` are
    first revisions of articles, `revised` further ones. `entries_refused` counts the entries that could not be read, by
    the error, `dates_unknown` those whose date is absent or may mean several moments. `pages` are article pages that
    gave a text; `pages_refused` counts the entries without one, by reason.
    """

    feed: str
    url: str
    status: Status
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
        """Why it brought nothing, in words; None where all is well."""
        return f"{self.reason}: {self.detail}" if self.reason else None

    def crashed(self, error: Exception) -> Outcome:
        """The outcome where something broke that nobody foresaw."""
        return replace(self, status=Status.FAILED, reason="crashed", detail=repr(error)[:500])


@dataclass(frozen=True)
class FeedState:
    """What is remembered of a feed: validators of what was read at `url`, and when it wants to be asked again."""

    url: str
    etag: str = ""
    last_modified: str = ""
    not_before: datetime | None = None


@dataclass(frozen=True)
class Reading:
    """A feed as it is now: its entries, newest first as feeds have them, and what to remember of it.

    `shared` are the guids and links that stand for several of its entries.
    """

    feed: Feed
    outcome: Outcome
    entries: tuple[Entry, ...] = ()
    state: FeedState | None = None
    shared: frozenset[str] = frozenset()

    def without(self, errors: Sequence[str]) -> Reading:
        """The reading with a count of the entries that could not be read; their feed is asked for in full again."""
        for error in errors:
            _log.warning("entry_refused", feed=self.feed.name, error=error)
        if not errors:
            return self
        refused = Counter(error.partition("(")[0] for error in errors)
        counted = dict(Counter(self.outcome.entries_refused) + refused)
        return replace(self, outcome=replace(self.outcome, entries_refused=counted), state=FeedState(self.feed.url))


@dataclass(frozen=True)
class Text:
    """The text of an entry and where it is from: `feed`, `page`, or why there is none."""

    content: str
    source: str


class Reader:
    """Asks the web on behalf of one poll that ends at `end` (of the monotonic clock); safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        states: Mapping[str, FeedState],
        robots_texts: Mapping[str, RobotsText],
        at: datetime,
        *,
        end: float,
        resolve: web.Resolver = web.resolve,
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

    def read(self, feed: Feed) -> Reading:
        """A feed's entries, or why there are none; never raises for what the feed does."""
        began = time.monotonic()
        known = self._states.get(feed.name)
        state = known if known is not None and known.url == feed.url else FeedState(feed.url)
        nothing = Outcome(feed.name, feed.url, Status.FAILED)
        try:
            reading = self._read(feed, state)
        except FetchError as error:
            status = Status.FORBIDDEN if error.reason is Reason.NOT_PERMITTED else Status.FAILED
            reading = Reading(feed, replace(nothing, status=status, reason=error.reason.value, detail=error.detail))
        except Exception as error:  # noqa: BLE001 - the border between feeds: whatever one does, the others are read
            _log.exception("feed_crashed", feed=feed.name)
            reading = Reading(feed, nothing.crashed(error))
        outcome = replace(reading.outcome, seconds=time.monotonic() - began)
        return replace(reading, outcome=outcome, state=reading.state or replace(state, not_before=None))

    def _read(self, feed: Feed, state: FeedState) -> Reading:
        outcome = Outcome(feed.name, feed.url, Status.READ)
        if state.not_before is not None and state.not_before > self._at:
            detail = f"the site asked not to be asked before {state.not_before:%Y-%m-%d %H:%M:%S} UTC"
            postponed = replace(outcome, status=Status.POSTPONED, reason="retry_after", detail=detail)
            return Reading(feed, postponed, state=state)
        headers, validators = {"accept": _FEED_TYPES}, {"etag": state.etag, "last_modified": state.last_modified}
        page = self._ask(feed.url, self._policy, headers=headers, **validators)
        outcome = replace(outcome, http_status=page.status, wire_bytes=page.wire_bytes)
        if page.status == 304 and any(validators.values()):
            return Reading(feed, replace(outcome, status=Status.UNCHANGED))
        if page.status != 200:
            detail = f"the site answered with status {page.status}"
            failed = replace(outcome, status=Status.FAILED, reason=f"status_{page.status}", detail=detail)
            return Reading(feed, failed, state=replace(state, not_before=_not_before(page, self._at)))
        try:
            parsed = parse(page.body, page.headers.get("content-type", ""), page.url, feed.time_zone)
        except FeedError as error:
            return Reading(feed, replace(outcome, status=Status.FAILED, reason=error.reason.value, detail=error.detail))
        dates = [entry.published_at for entry in parsed.entries if entry.published_at is not None]
        outcome = replace(outcome, salvaged=parsed.salvaged, newest=max(dates, default=None))
        outcome = replace(outcome, entries=len(parsed.entries), dates_unknown=len(parsed.entries) - len(dates))
        state = FeedState(feed.url, page.headers.get("etag", ""), page.headers.get("last-modified", ""))
        return Reading(feed, outcome, parsed.entries, state, parsed.shared).without(parsed.unreadable)

    def texts(self, feed: Feed, entries: tuple[Entry, ...]) -> list[Text]:
        """The text of each entry: the feed's own, else its page's, but of no more pages than the settings say."""
        without = [entry for entry in entries if not entry.content][: self._most_pages]
        pages = {id(entry): self._page_text(feed, entry) for entry in without}
        beyond = Text("", "too_many_pages")
        return [Text(entry.content, "feed") if entry.content else pages.get(id(entry), beyond) for entry in entries]

    def _page_text(self, feed: Feed, entry: Entry) -> Text:
        if not feed.publishes(entry.url):
            return Text("", "other_site")
        try:
            return self._page(entry)
        except FetchError as error:
            return Text("", error.reason.value)
        except Exception:  # noqa: BLE001 - a page that breaks the extractor costs its own text only
            _log.exception("page_crashed", feed=feed.name, url=entry.url)
            return Text("", "crashed")

    def _page(self, entry: Entry) -> Text:
        self._turns.check_patience(entry.url)
        page = self._ask(entry.url, replace(self._policy, max_bytes=MAX_PAGE, truncate=True))
        if page.status != 200:
            return Text("", f"status_{page.status}")
        found = article_text(page.body, page.headers.get("content-type", ""), page.url, MAX_CONTENT)
        content = own_words(found, entry.title)
        return Text(content, "page" if content else "no_text")

    def _ask(self, url: str, policy: Policy, **options: Any) -> Page:
        self.robots.check(url)
        self._turns.wait(url, self._end)
        seconds = min(policy.seconds, max(0.0, self._end - time.monotonic()))
        hurried = replace(policy, seconds=seconds)
        return web.fetch(url, hurried, permit=self.robots.check, resolve=self._resolve, **options)


def _not_before(page: Page, at: datetime) -> datetime | None:
    """When a site that is busy wants to be asked again, by its Retry-After; a day at most."""
    if failure_of_status(page.status) not in (Failure.TRANSIENT, Failure.LIMITED):
        return None
    after = retry_after_of(page.headers, at)
    return None if after is None else min(at + timedelta(seconds=after), at + _MAX_RETRY_AFTER)
