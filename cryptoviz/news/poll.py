"""One poll of the news: every feed is read, new articles are analysed and staged, and the state of the feeds is stored.

    feeds, in parallel -> entries -> those whose digest nobody knows -> text of their pages -> coins, sentiment
          -> one transaction: revisions numbered, rows staged, state of feeds and robots.txt

A feed that is down, slow, huge, hostile or broken costs its own outcome and nothing else. Killed before the end, a
poll leaves no trace: the next one finds the same entries new.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gate.staging import StagedRow, stage
from cryptoviz.logs import logger
from cryptoviz.news.feeds import Feed, load_feeds
from cryptoviz.news.identity import Entry, Stored, article_id, looked_up
from cryptoviz.news.mentions import mentions
from cryptoviz.news.reader import ArticleText, FeedOutcome, FeedReading, FeedState, FeedStatus, Reader
from cryptoviz.news.robots import RobotsText
from cryptoviz.news.text import plain_text
from cryptoviz.remote.network import Resolver, look_up
from cryptoviz.sentiment import MAX_CHARACTERS, SentimentModel, sentiment
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.settings import Settings

SUBJECT: Final = "articles"
"""What the gate calls these rows."""

_MAX_THREADS: Final = 8
_SUMMARY: Final = 300

_log = logger(__name__)


@dataclass(frozen=True)
class _KnownArticles:
    """The stored articles under the names in this poll, and the names that stand for several, by website."""

    stored: Mapping[str, dict[str, Stored]]
    shared: Mapping[str, set[str]]

    def article(self, website: str, entry: Entry) -> tuple[str, Stored]:
        """The id of the article that an entry is, and its stored revisions, to which the caller may add."""
        stored = self.stored[website]
        found = article_id(entry, self.shared[website], stored)
        return found, stored.setdefault(found, Stored())


@dataclass(frozen=True)
class NewsPoll:
    """The result of a poll: its rows (`staged` of them new to the outbox) and the outcome of each feed."""

    rows: tuple[StagedRow, ...]
    staged: int
    outcomes: tuple[FeedOutcome, ...]
    seconds: float

    @property
    def newest(self) -> datetime | None:
        """The newest publication in any feed."""
        return max((outcome.newest for outcome in self.outcomes if outcome.newest is not None), default=None)


def poll(
    connection: Connection[Any],
    settings: Settings,
    *,
    run: str,
    feeds: Sequence[Feed] | None = None,
    now: datetime | None = None,
    resolve: Resolver = look_up,
) -> NewsPoll:
    """Read every feed, stage what is new for the gate, and remember it, in one transaction that this commits.

    `connection` is the writer's, with no transaction open; none is open while the web is asked. Afterwards the rows
    wait in `staging` under the subject `articles`: `judge` and `deliver` of `cryptoviz.gate` come next. What a site
    does never raises: look at `outcomes`. `feeds` (else those of the settings), `now` (the time of the rows) and
    `resolve` are for tests.

    Raises:
        SettingsError: the list of feeds makes no sense.
        psycopg.Error: the database refuses; nothing was staged or remembered.
    """
    began, at = time.monotonic(), now or datetime.now(UTC)
    feeds = load_feeds(settings) if feeds is None else tuple(feeds)
    reader = _reader(connection, settings, at, began + settings.news_poll_s, resolve)
    with ThreadPoolExecutor(min(_MAX_THREADS, len(feeds)), thread_name_prefix="feed") as threads:
        readings = list(threads.map(reader.read, feeds))
        fresh = _new_entries(connection, readings)
        if any(reading.entries for reading in fresh):
            sentiment("", settings.sentiment_model)  # loads the model once, before several threads want it
        found = list(threads.map(lambda reading: _analyse(reader, reading, settings.sentiment_model), fresh))
    with connection.transaction():
        rows = _remember(connection, found, at)
        staged = stage(connection, SUBJECT, rows, run)
        outcomes = _with_counts([analysed.reading.outcome for analysed in found], rows)
        _store_states(connection, [analysed.reading for analysed in found], at)
        _store_robots(connection, reader.robots.fetched, at)
    for outcome in outcomes:
        if outcome.trouble:
            _log.warning("feed_gave_nothing", feed=outcome.feed, status=outcome.status, trouble=outcome.trouble)
    return NewsPoll(tuple(rows), staged, tuple(outcomes), time.monotonic() - began)


@dataclass(frozen=True)
class _Article:
    """An entry analysed: everything of its row but revision and times."""

    feed: Feed
    entry: Entry
    payload: Mapping[str, Any]
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class _FirstPublished:
    """The publication time of an article's first revision; not `known`: the time at which it was first seen."""

    published_at: datetime
    known: bool


@dataclass(frozen=True)
class _Analysed:
    reading: FeedReading
    articles: tuple[_Article, ...]


def _reader(connection: Connection[Any], settings: Settings, at: datetime, end: float, resolve: Resolver) -> Reader:
    with connection.transaction():
        states = {name: FeedState(*row) for name, *row in connection.execute(query("news_feed_states"))}
        robots = {origin: RobotsText(*row) for origin, *row in connection.execute(query("robots_known"))}
    return Reader(settings, states, robots, at, end=end, resolve=resolve)


def _new_entries(connection: Connection[Any], readings: Sequence[FeedReading]) -> list[FeedReading]:
    """The readings with only those entries whose digest is not stored, each once."""
    entries = [(reading.feed.website, entry) for reading in readings for entry in reading.entries]
    with connection.transaction():
        known = _known(connection, entries, readings)
    return [_without_stored(reading, known) for reading in readings]


def _without_stored(reading: FeedReading, known: _KnownArticles) -> FeedReading:
    fresh = {}
    for entry in reading.entries:
        found, stored = known.article(reading.feed.website, entry)
        if entry.digest not in stored.revisions:
            fresh[found, entry.digest] = entry
    return replace(reading, entries=tuple(fresh.values()))


def _known(
    connection: Connection[Any], entries: Sequence[tuple[str, Entry]], readings: Sequence[FeedReading]
) -> _KnownArticles:
    """The stored articles of these entries, and the shared names, those of this poll's documents included."""
    stored: dict[str, dict[str, Stored]] = {reading.feed.website: {} for reading in readings}
    shared: dict[str, set[str]] = {website: set() for website in stored}
    for reading in readings:
        shared[reading.feed.website] |= reading.shared
    parameters = _name_parameters(entries)
    for website, name in connection.execute(query("shared_names_known"), parameters):
        shared[website].add(name)
    for website, name, revision, digest, url, title in connection.execute(query("article_revisions_known"), parameters):
        article = stored[website].setdefault(name, Stored())
        article.revisions[digest] = revision
        article.urls.add(url)
        article.titles.add(title)
    return _KnownArticles(stored, shared)


def _analyse(reader: Reader, reading: FeedReading, model: SentimentModel) -> _Analysed:
    """The fresh entries of one feed, analysed; the oldest first, so that revisions are numbered in their order."""
    texts = reader.texts(reading.feed, reading.entries)
    articles, errors = [], []
    for entry, text in zip(reading.entries, texts, strict=True):
        try:
            articles.append(_article(reading.feed, entry, text, model))
        except Exception as error:  # noqa: BLE001 - an entry that breaks a library costs itself only
            errors.append(repr(error)[:200])
    sources = Counter(text.source for text in texts)
    refused = {source: count for source, count in sources.items() if source not in ("feed", "page")}
    outcome = replace(reading.outcome, pages=sources["page"], pages_refused=refused)
    return _Analysed(replace(reading, outcome=outcome).with_unreadable(errors), tuple(reversed(articles)))


def _article(feed: Feed, entry: Entry, text: ArticleText, model: SentimentModel) -> _Article:
    summary = entry.summary or plain_text(text.content, _SUMMARY)
    read = f"{entry.title}\n\n{text.content or summary}"[:MAX_CHARACTERS]
    feeling = sentiment(read, model)
    payload = {
        "title": entry.title,
        "url": entry.url,
        "website": feed.website,
        "source": feed.name,
        "summary": summary,
        "content": text.content,
        "tags": list(entry.tags),
        "cryptocurrencies_mentioned": list(mentions(read)),
        "sentiment": {"score": feeling.score, "label": feeling.label.value},
    }
    origin = {"source": feed.name, "url": feed.url, "text": text.source, "model": model.value}
    return _Article(feed, entry, payload, origin)


def _remember(connection: Connection[Any], found: Sequence[_Analysed], at: datetime) -> list[StagedRow]:
    """Number the revisions and store them, but for those that another poll has stored meanwhile."""
    connection.execute(query("news_lock"))
    articles = [article for analysed in found for article in analysed.articles]
    entries = [(article.feed.website, article.entry) for article in articles]
    readings = [analysed.reading for analysed in found]
    known, first_published = _known(connection, entries, readings), _first_published(connection, entries)
    rows, kept = [], []
    for article in articles:
        website, entry = article.feed.website, article.entry
        name, stored = known.article(website, entry)
        if entry.digest in stored.revisions:
            continue
        revision = stored.add(entry)
        published_at = entry.published_at or at
        # An article is one row of article_data, whatever date its publisher gives it later.
        first = first_published.setdefault(
            (website, name), _FirstPublished(published_at, entry.published_at is not None)
        )
        times = {"received_at": _wire(at), "scraped_at": _wire(at), "published_at": _wire(first.published_at)}
        payload = {**times, "published_known": first.known, "article_id": name, **article.payload, "revision": revision}
        rows.append(StagedRow(f"{website}|{name}|{revision}", payload, article.origin))
        kept.append((website, name, revision, entry.digest, published_at, entry.title, entry.url))
    names = ("website", "article_id", "revision", "digest", "published_at", "title", "url")
    columns = {name: [row[number] for row in kept] for number, name in enumerate(names)}
    connection.execute(query("article_revisions_insert"), {"at": at, **columns})
    shared = [(reading.feed.website, name) for reading in readings for name in reading.shared]
    parameters = {"website": [website for website, _ in shared], "name": [name for _, name in shared]}
    connection.execute(query("shared_names_insert"), {"at": at, **parameters})
    return rows


def _first_published(
    connection: Connection[Any], entries: Sequence[tuple[str, Entry]]
) -> dict[tuple[str, str], _FirstPublished]:
    found = connection.execute(query("article_first_published"), _name_parameters(entries))
    return {(website, name): _FirstPublished(published_at, known) for website, name, published_at, known in found}


def _name_parameters(entries: Sequence[tuple[str, Entry]]) -> dict[str, list[str]]:
    """All names under which these entries may be stored, as parameters of a statement."""
    names = [(website, name) for website, entry in entries for name in looked_up(entry.names)]
    return {"website": [website for website, _ in names], "name": [name for _, name in names]}


def _wire(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _with_counts(outcomes: Sequence[FeedOutcome], rows: Sequence[StagedRow]) -> list[FeedOutcome]:
    first = Counter(row.payload["source"] for row in rows if row.payload["revision"] == 1)
    every = Counter(row.payload["source"] for row in rows)
    return [
        replace(outcome, new=first[outcome.feed], revised=every[outcome.feed] - first[outcome.feed])
        for outcome in outcomes
    ]


def _store_states(connection: Connection[Any], readings: Sequence[FeedReading], at: datetime) -> None:
    for reading in readings:
        outcome, state = reading.outcome, reading.state or FeedState(reading.feed.url)
        parameters = {
            "name": reading.feed.name,
            "url": state.url,
            "etag": state.etag,
            "last_modified": state.last_modified,
            "not_before": state.not_before,
            "at": at,
            "status": outcome.status.value,
            "reason": (outcome.trouble or "")[:1000],
            "succeeded": outcome.status in (FeedStatus.READ, FeedStatus.UNCHANGED),
            "failed": outcome.status in (FeedStatus.FAILED, FeedStatus.FORBIDDEN),
        }
        connection.execute(query("news_feed_upsert"), parameters)


def _store_robots(connection: Connection[Any], fetched: Mapping[str, RobotsText], at: datetime) -> None:
    for origin, text in fetched.items():
        parameters = {
            "origin": origin,
            "body": text.body,
            "fetched_at": text.fetched_at,
            "expires_at": text.expires_at,
        }
        connection.execute(query("robots_upsert"), parameters)
    connection.execute(query("robots_forget"), {"at": at})
