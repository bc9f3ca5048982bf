"""Polls of the news against a real database: revisions, replays, kills, hostile neighbours."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from cryptoviz.codec import decode
from cryptoviz.gate.outbox import judge_staged
from cryptoviz.gate.report import Severity
from cryptoviz.news import poll as poll_module
from cryptoviz.news.feeds import Feed
from cryptoviz.news.poll import NewsPoll, poll
from cryptoviz.news.reader import FeedStatus
from cryptoviz.records import Article
from cryptoviz.sentiment import SentimentModel
from cryptoviz.settings import Mode, Role, Settings
from cryptoviz.storage.database import connect
from tests.unit.raw_web import Site, hang, page, redirect, serving

pytestmark = pytest.mark.services

NOW = datetime(2026, 10, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving({}) as running:
        yield running


@pytest.fixture
def settings(database: Settings, site: Site) -> Settings:
    return database.model_copy(
        update={"mode": Mode.LIVE, "web_private_hosts": [site.host], "web_timeout_s": 2, "news_host_delay_s": 0}
    )


def item(guid: str, title: str = "A title", date: str = "Sat, 03 Oct 2026 10:00:00 GMT", more: str = "") -> str:
    dated = f"<pubDate>{date}</pubDate>" if date else ""
    return f"<item><title>{title}</title><link>https://example.com/{guid}</link><guid>{guid}</guid>{dated}{more}</item>"


def rss(*items: str) -> bytes:
    body = f"<rss version='2.0'><channel><title>t</title>{''.join(items)}</channel></rss>".encode()
    return page(body, content_type="application/rss+xml")


def run(settings: Settings, site: Site, *paths: str, now: datetime = NOW, website: str = "example.com") -> NewsPoll:
    feeds = [Feed(path.strip("/").replace("/", "-"), website, site.url(path)) for path in paths]
    with connect(Role.WRITER, settings) as connection:
        return poll(connection, settings, run="test", feeds=feeds, now=now)


def select(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with connect(Role.READER, settings) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


def keys(found: NewsPoll) -> list[str]:
    return [row.key for row in found.rows]


# One poll


def test_what_is_staged_is_an_article_on_the_wire(settings: Settings, site: Site) -> None:
    site.routes["/a"] = rss(
        item(
            "1",
            "Solana has a great day",
            more="<category>DeFi</category><description>&lt;p&gt;A good one&lt;/p&gt;</description>",
        )
    )
    found = run(settings, site, "/a")
    assert (found.staged, keys(found)) == (1, ["example.com|1|1"])
    [(payload, origin, run_name)] = select(
        settings, "select payload, origin, run from staging where subject = 'articles'"
    )
    article = decode("rawarticle", msgspec.json.encode(payload))
    assert isinstance(article, Article)
    assert msgspec.to_builtins(article) | {"received_at": 0, "published_at": 0, "scraped_at": 0} == payload | {
        "received_at": 0,
        "published_at": 0,
        "scraped_at": 0,
        "tags": article.tags,
        "cryptocurrencies_mentioned": article.cryptocurrencies_mentioned,
    }
    assert (article.received_at, article.published_at) == (NOW, datetime(2026, 10, 3, 10, tzinfo=UTC))
    assert (article.title, article.summary, article.tags) == ("Solana has a great day", "A good one", ("DeFi",))
    assert (article.website, article.source, article.revision) == ("example.com", "a", 1)
    assert article.cryptocurrencies_mentioned == ("SOL",)
    assert article.sentiment.label == "positive"
    assert (origin["source"], origin["url"], origin["model"], run_name) == ("a", site.url("/a"), "textblob", "test")


def test_the_model_is_a_setting(settings: Settings, site: Site) -> None:
    site.routes["/a"] = rss(item("1", "Solana has a great day"))
    vader = settings.model_copy(update={"sentiment_model": SentimentModel.VADER})
    by_vader = run(vader, site, "/a").rows[0]
    assert by_vader.origin["model"] == "vader"
    assert by_vader.payload["sentiment"]["score"] != 0.5


def test_an_article_without_a_date_keeps_the_time_it_was_first_seen(settings: Settings, site: Site) -> None:
    site.routes["/a"] = rss(item("1", date=""))
    first = run(settings, site, "/a")
    assert first.rows[0].payload["published_at"] == "2026-10-03T12:00:00Z"
    assert first.rows[0].payload["published_known"] is False
    assert first.outcomes[0].dates_unknown == 1
    assert not run(settings, site, "/a", now=NOW + MINUTE).rows
    assert select(settings, "select published_at, first_seen from article_revisions") == [(NOW, NOW)]
    site.routes["/a"] = rss(item("1", "With a date at last", date="Sat, 03 Oct 2026 09:00:00 GMT"))
    (row,) = run(settings, site, "/a", now=NOW + 2 * MINUTE).rows
    assert (row.payload["published_at"], row.payload["published_known"]) == ("2026-10-03T12:00:00Z", False)


def test_an_unclear_date_is_a_warning_of_the_gate_and_is_sent(settings: Settings, site: Site) -> None:
    summary = "<description>Good news</description>"
    unclear = item("2", "Another title", date="Sat, 03 Oct 2026 10:00:00", more=summary)
    site.routes["/a"] = rss(item("1", more=summary), unclear)
    run(settings, site, "/a")
    with connect(Role.WRITER, settings) as connection:
        report = judge_staged(connection, "articles", "test", "poll/articles")
    assert [(result.name, result.severity, result.unexpected_count) for result in report.results if result.counts] == [
        ("publication_known", Severity.WARNING, 1)
    ]
    assert (report.counts.passed, report.counts.quarantined) == (2, 0)


def test_nothing_is_dropped_because_it_looks_wrong(settings: Settings, site: Site) -> None:
    """The gate judges: no title, no address, a date in the year 2031."""
    site.routes["/a"] = rss("<item><guid>1</guid></item>", item("2", date="Wed, 01 Jan 2031 00:00:00 GMT"))
    assert len(run(settings, site, "/a").rows) == 2


# Revisions


def test_a_changed_article_is_a_further_revision(settings: Settings, site: Site) -> None:
    site.routes["/a"] = rss(item("1", "First words"), item("2"))
    assert run(settings, site, "/a").outcomes[0].new == 2
    site.routes["/a"] = rss(item("1", "Other words", date="Sat, 03 Oct 2026 11:00:00 GMT"), item("2"))
    second = run(settings, site, "/a", now=NOW + MINUTE)
    assert (second.outcomes[0].new, second.outcomes[0].revised, keys(second)) == (0, 1, ["example.com|1|2"])
    assert second.rows[0].payload["published_at"] == "2026-10-03T10:00:00Z", "the date of the first revision"
    assert select(settings, "select article_id, revision, title from article_revisions order by 1, 2") == [
        ("1", 1, "First words"),
        ("1", 2, "Other words"),
        ("2", 1, "A title"),
    ]


def test_an_article_changed_back_is_nothing_new(settings: Settings, site: Site) -> None:
    for title in ("one", "two", "one", "two"):
        site.routes["/a"] = rss(item("1", title))
        run(settings, site, "/a")
    assert select(settings, "select count(*) from article_revisions") == [(2,)]
    assert select(settings, "select count(*) from staging") == [(2,)]


def test_one_guid_twice_in_a_feed_is_numbered_from_the_oldest(settings: Settings, site: Site) -> None:
    site.routes["/a"] = rss(item("1", "newer"), item("1", "older"), item("1", "newer"))
    found = run(settings, site, "/a")
    assert [(row.key, row.payload["title"]) for row in found.rows] == [
        ("example.com|1|1", "older"),
        ("example.com|1|2", "newer"),
    ]


def test_an_article_keeps_the_date_of_its_first_revision_and_each_revision_its_own(
    settings: Settings, site: Site
) -> None:
    site.routes["/a"] = rss(item("1", date="Fri, 02 Oct 2026 10:00:00 GMT"))
    run(settings, site, "/a")
    site.routes["/a"] = rss(item("1", date="Sat, 03 Oct 2026 08:00:00 GMT"))
    (row,) = run(settings, site, "/a").rows
    assert (row.payload["revision"], row.payload["published_at"]) == (2, "2026-10-02T10:00:00Z")
    statement = "select published_at at time zone 'UTC' from article_revisions order by revision"
    assert [str(when) for (when,) in select(settings, statement)] == ["2026-10-02 10:00:00", "2026-10-03 08:00:00"]


def test_articles_that_share_a_guid_are_articles_of_their_own(settings: Settings, site: Site) -> None:
    """A guid that is the home page of the site."""
    dates = [f"Sat, 03 Oct 2026 0{hour}:00:00 GMT" for hour in (9, 8, 7)]
    links = [f"https://example.com/{number}" for number in (1, 2, 3)]
    entries = [
        item(str(number), f"Title {number}", date).replace(f"<guid>{number}<", "<guid>https://example.com/<")
        for number, date in enumerate(dates, 1)
    ]
    site.routes["/a"] = rss(*entries)
    found = run(settings, site, "/a")
    told = {row.payload["article_id"]: (row.payload["revision"], row.payload["published_at"]) for row in found.rows}
    assert told == {link: (1, f"2026-10-03T0{hour}:00:00Z") for link, hour in zip(links, (9, 8, 7), strict=True)}
    assert found.outcomes[0].new == 3
    site.routes["/a"] = rss(*entries[1:])
    assert not run(settings, site, "/a").rows


def test_an_article_keeps_its_name_when_others_take_its_guid(settings: Settings, site: Site) -> None:
    first, second, third = (
        item(str(number), f"Title {number}").replace(f"<guid>{number}<", "<guid>latest<") for number in (1, 2, 3)
    )
    for entries, new in (([first], "latest"), ([second, first], "https://example.com/2"), ([second], None)):
        site.routes["/a"] = rss(*entries)
        assert [row.payload["article_id"] for row in run(settings, site, "/a").rows] == ([new] if new else [])
    site.routes["/a"] = rss(third)
    assert keys(run(settings, site, "/a")) == ["example.com|https://example.com/3|1"]
    assert select(settings, "select website, name from shared_article_names") == [("example.com", "latest")]


def test_two_feeds_of_one_site_bring_an_article_once(settings: Settings, site: Site) -> None:
    site.routes |= {"/a": rss(item("1")), "/b": rss(item("1"), item("2"))}
    assert sorted(keys(run(settings, site, "/a", "/b"))) == ["example.com|1|1", "example.com|2|1"]


def snapshots(shared_data: Path) -> list[Path]:
    """The recorded polls in the order in which they were made."""
    return sorted((shared_data / "rss" / "snapshots").glob("*.xml"), key=lambda file: file.name.split(".")[1])


def test_replaying_recorded_polls_twice_stores_each_revision_once(
    settings: Settings, site: Site, shared_data: Path
) -> None:
    """Real polls of three feeds over six days: entries are republished with new titles and dates under their guids."""
    expected: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    counted: Counter[str] = Counter()
    for round_ in range(2):
        for file in snapshots(shared_data):
            name = file.name.split(".")[0].lower()
            site.routes[f"/{name}"] = page(file.read_bytes(), content_type="application/rss+xml")
            found = run(settings, site, f"/{name}", website=f"{name}.com")
            counted.update(row.payload["source"] for row in found.rows)
            if round_:
                assert not found.rows
            else:
                for guid, words in independent(file.read_text(encoding="utf-8")):
                    expected.setdefault((name, guid), set()).add(words)
    revisions = {
        (website.removesuffix(".com"), guid): count
        for website, guid, count in select(
            settings, "select website, article_id, count(*) from article_revisions group by 1, 2"
        )
    }
    assert revisions == {key: len(words) for key, words in expected.items()}
    assert max(revisions.values()) > 1
    assert counted.total() == sum(revisions.values())
    assert select(settings, "select count(*), count(distinct key) from staging") == [(counted.total(),) * 2]
    numbers = select(settings, "select max(revision), count(*) from article_revisions group by website, article_id")
    assert all(highest == count for highest, count in numbers)


def independent(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Guid, and what a revision is made of, read from these simple files without any of our code."""
    for entry in re.findall(r"<item>(.*?)</item>", text, re.DOTALL):
        found = {
            tag: re.search(rf"<{tag}>(.*?)</{tag}>", entry, re.DOTALL)
            for tag in ("guid", "title", "link", "description", "pubDate")
        }
        words = {tag: match[1].replace("&amp;", "&").strip() if match else "" for tag, match in found.items()}
        yield words.pop("guid"), tuple(" ".join(word.split()) for word in words.values())


# State


def test_what_did_not_change_is_asked_for_and_not_sent(settings: Settings, site: Site) -> None:
    site.routes["/a"] = rss(item("1")).replace(b"\r\n", b'\r\netag: "7"\r\n', 1)
    run(settings, site, "/a")
    site.routes["/a"] = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    second = run(settings, site, "/a", now=NOW + MINUTE)
    assert (second.outcomes[0].status, second.rows) == (FeedStatus.UNCHANGED, ())
    assert 'if-none-match: "7"' in site.requests[-1]
    assert select(settings, "select etag, status, failures, succeeded_at from news_feed_states") == [
        ('"7"', "unchanged", 0, NOW + MINUTE)
    ]
    run(settings, site, "/a")
    assert 'if-none-match: "7"' in site.requests[-1]


def test_failures_are_counted_until_the_feed_is_back(settings: Settings, site: Site) -> None:
    site.routes["/a"] = page(b"", "500 Oops")
    for _ in range(3):
        run(settings, site, "/a")
    assert select(settings, "select status, failures, reason, succeeded_at from news_feed_states") == [
        ("failed", 3, "status_500: the site answered with status 500", None)
    ]
    site.routes["/a"] = rss(item("1"))
    run(settings, site, "/a")
    assert select(settings, "select status, failures, reason, succeeded_at from news_feed_states") == [
        ("read", 0, "", NOW)
    ]


def test_a_busy_feed_is_left_alone_across_polls(settings: Settings, site: Site) -> None:
    site.routes["/a"] = page(b"", "429 Busy", retry_after="90")
    run(settings, site, "/a")
    asked = site.asked().count("/a")
    assert run(settings, site, "/a", now=NOW + MINUTE).outcomes[0].status is FeedStatus.POSTPONED
    assert site.asked().count("/a") == asked
    site.routes["/a"] = rss(item("1"))
    assert run(settings, site, "/a", now=NOW + 2 * MINUTE).outcomes[0].status is FeedStatus.READ


def test_robots_txt_is_remembered_across_polls(settings: Settings, site: Site) -> None:
    site.routes |= {"/a": rss(item("1")), "/robots.txt": page(b"User-agent: *\nDisallow: /b\0")}
    run(settings, site, "/a", "/b")
    second = run(settings, site, "/a", "/b", now=NOW + MINUTE)
    assert [outcome.status for outcome in second.outcomes] == [FeedStatus.READ, FeedStatus.FORBIDDEN]
    assert site.asked().count("/robots.txt") == 1
    run(settings, site, "/a", now=NOW + timedelta(days=2))
    assert site.asked().count("/robots.txt") == 2
    with serving({"/a": rss(item("1"))}) as other:
        moved = settings.model_copy(update={"web_private_hosts": [other.host]})
        run(moved, other, "/a", now=NOW + timedelta(days=60))
    assert select(settings, "select origin from robots_cache") == [(f"http://{other.host}",)]


# Isolation, crashes, concurrency


def test_hostile_neighbours_change_nothing_for_the_others(settings: Settings, site: Site) -> None:
    declared = b'<!DOCTYPE rss [<!ENTITY site "A site">]><rss>&site;</rss>'
    small = settings.model_copy(update={"web_max_bytes": 20_000})
    site.routes |= {
        "/good": rss(item("1"), item("2")),
        "/hang": hang,
        "/huge": page(bytes(25_000)),
        "/inside": redirect("http://192.0.2.1/"),
        "/declared": page(declared),
        "/odd": rss(
            item("x" * 5000, "a\0b"), item("&#0;&#xD800;", "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"))
        ),
        "/also-good": rss(item("3")),
    }
    found = run(small, site, *(path for path in site.routes))
    assert {outcome.feed: outcome.reason for outcome in found.outcomes} == {
        "good": "",
        "hang": "timeout",
        "huge": "too_large",
        "inside": "private_address",
        "declared": "entity_declarations",
        "odd": "",
        "also-good": "",
    }
    assert {"example.com|1|1", "example.com|2|1", "example.com|3|1"} <= set(keys(found))
    assert found.staged == len(found.rows) == 5
    statuses = dict(select(settings, "select name, status from news_feed_states"))
    assert statuses == {"good": "read", "also-good": "read", "odd": "read"} | dict.fromkeys(
        ("hang", "huge", "inside", "declared"), "failed"
    )


def test_an_article_that_breaks_the_scoring_costs_itself_and_is_read_again(
    settings: Settings, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = poll_module.mentions

    def mentions(text: str) -> tuple[str, ...]:
        if "poison" in text:
            raise IndexError("out of words")
        return right(text)

    site.routes |= {"/good": rss(item("1")), "/bad": rss(item("2"), item("3", "poison"))}
    site.routes["/bad"] = site.routes["/bad"].replace(b"\r\n", b'\r\netag: "7"\r\n', 1)  # type: ignore[union-attr]
    monkeypatch.setattr(poll_module, "mentions", mentions)
    found = run(settings, site, "/good", "/bad")
    assert sorted(keys(found)) == ["example.com|1|1", "example.com|2|1"]
    assert [outcome.reason for outcome in found.outcomes] == ["", ""]
    assert [outcome.entries_refused for outcome in found.outcomes] == [{}, {"IndexError": 1}]
    monkeypatch.undo()
    assert keys(run(settings, site, "/good", "/bad")) == ["example.com|3|1"]


def test_a_summary_that_is_a_whole_page_is_text(settings: Settings, site: Site) -> None:
    whole = "<description>&lt;!DOCTYPE html&gt;&lt;html&gt;&lt;body&gt;Solana&lt;/body&gt;&lt;/html&gt;</description>"
    site.routes["/a"] = rss(
        item("1", more=whole), item("2", more="<description>&lt;html&gt;&lt;/html&gt;</description>")
    )
    found = run(settings, site, "/a")
    assert [row.payload["summary"] for row in found.rows] == ["", "Solana"]


class Killed(BaseException):
    """As a signal would come."""


@pytest.mark.parametrize("statement", ["news_lock", "article_revisions_insert", "shared_names_insert", "robots_forget"])
def test_a_killed_poll_leaves_no_trace_and_loses_nothing(
    settings: Settings, site: Site, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    site.routes["/a"] = rss(item("1"), item("2")).replace(b"\r\n", b'\r\netag: "7"\r\n', 1)
    right = poll_module.query

    def query(name: str) -> Any:
        if name == statement:
            raise Killed
        return right(name)

    monkeypatch.setattr(poll_module, "query", query)
    with pytest.raises(Killed):
        run(settings, site, "/a")
    monkeypatch.undo()
    for table in ("staging", "article_revisions", "shared_article_names", "news_feed_states", "robots_cache"):
        assert select(settings, f"select count(*) from {table}") == [(0,)]
    assert run(settings, site, "/a").staged == 2
    assert run(settings, site, "/a").staged == 0


def test_polls_at_the_same_time_store_everything_once(settings: Settings, site: Site) -> None:
    site.routes["/a"] = rss(*(item(str(number), f"Title {number}") for number in range(50)))
    together = threading.Barrier(4)

    def one(_: int) -> NewsPoll:
        together.wait()
        return run(settings, site, "/a")

    with ThreadPoolExecutor(4) as threads:
        polls = list(threads.map(one, range(4)))
    assert sum(found.staged for found in polls) == 50
    assert select(settings, "select count(*), max(revision) from article_revisions") == [(50, 1)]


def test_no_transaction_is_open_while_the_web_is_asked(settings: Settings, site: Site) -> None:
    seen: list[str] = []
    with connect(Role.WRITER, settings) as connection:

        def answer(conversation, _over: threading.Event) -> None:
            with connect(Role.WRITER, settings, autocommit=True) as watcher:
                [state] = watcher.execute(
                    "select state from pg_stat_activity where pid = %s", [connection.info.backend_pid]
                ).fetchone() or [""]
            seen.append(state)
            conversation.sendall(rss(item("1")))

        site.routes["/a"] = answer
        feeds = [Feed("a", "example.com", site.url("/a"))]
        poll(connection, settings, run="test", feeds=feeds)
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
    assert seen == ["idle"]


def test_a_poll_ends_in_time(settings: Settings, site: Site) -> None:
    site.routes |= {"/a": rss(*(item(str(number)).replace("https://example.com", site.url("")) for number in range(9)))}
    site.routes |= {f"/{number}": hang for number in range(9)} | {"/b": hang}
    hurried = settings.model_copy(update={"news_poll_s": 3, "web_timeout_s": 60, "news_pages_per_feed": 9})
    found = run(hurried, site, "/a", "/b")
    assert found.seconds < 10
    assert found.staged == 9, "without the text of their pages"
    assert found.outcomes[0].pages_refused == {"timeout": 9}
    assert found.outcomes[1].reason == "timeout"


def test_every_edition_can(each_database: Settings, site: Site) -> None:
    site.routes["/a"] = rss(item("1"))
    settings = each_database.model_copy(update={"mode": Mode.LIVE, "web_private_hosts": [site.host]})
    assert run(settings, site, "/a").staged == 1
    assert run(settings, site, "/a").staged == 0
