"""The reader of feeds: what it asks for, what it leaves alone, and that no feed harms another."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cryptoviz.news import parse as parse_module
from cryptoviz.news import reader as reader_module
from cryptoviz.news import robots as robots_module
from cryptoviz.news.feeds import FEEDS_FILE, Feed, load_feeds
from cryptoviz.news.identity import Entry
from cryptoviz.news.reader import FeedOutcome, FeedReading, FeedState, FeedStatus, Reader
from cryptoviz.news.robots import KEPT, Robots, RobotsText, Turns
from cryptoviz.remote.errors import FetchError, Reason
from cryptoviz.remote.web import Policy
from cryptoviz.settings import Mode, Settings, SettingsError
from tests.unit.raw_web import Answer, Site, drip, hang, page, redirect, serving

NOW = datetime(2026, 10, 3, 12, tzinfo=UTC)
FEED = b"""<rss version="2.0"><channel><title>t</title>
<item><title>Bitcoin rises</title><link>/1</link><guid>1</guid><pubDate>Sat, 03 Oct 2026 10:00:00 GMT</pubDate>
<description>Good news</description></item>
<item><title>Ether falls</title><link>/2</link><guid>2</guid></item></channel></rss>"""
ARTICLE = "".join(
    f"<p>Paragraph {n} says something about bitcoin, in a whole and honest sentence.</p>" for n in range(6)
)
ARTICLE_PAGE = page(
    f"<html><body><article><h1>Bitcoin rises</h1>{ARTICLE}</article></body></html>".encode(), content_type="text/html"
)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving({"/feed": page(FEED, content_type="application/rss+xml")}) as running:
        yield running


def settings(site: Site, **changes) -> Settings:
    values = {"mode": Mode.LIVE, "web_private_hosts": [site.host], "web_timeout_s": 3, "news_host_delay_s": 0}
    return Settings(**(values | changes))


def make_reader(
    site: Site, *, states: dict | None = None, robots: dict | None = None, seconds: float = 30, **changes
) -> Reader:
    return Reader(settings(site, **changes), states or {}, robots or {}, NOW, end=time.monotonic() + seconds)


def feed(site: Site, path: str = "/feed", name: str = "example") -> Feed:
    return Feed(name, "example.com", site.url(path))


# A feed


def test_a_feed_is_read(site: Site) -> None:
    site.routes["/feed"] = page(FEED, content_type="application/rss+xml", etag='"7"', last_modified="yesterday")
    reading = make_reader(site).read(feed(site))
    assert [entry.article_id for entry in reading.entries] == ["1", "2"]
    assert reading.entries[0].url == site.url("/1")
    assert reading.state == FeedState(site.url("/feed"), '"7"', "yesterday")
    outcome = reading.outcome
    assert (outcome.status, outcome.http_status, outcome.entries, outcome.trouble) == (FeedStatus.READ, 200, 2, None)
    assert outcome.wire_bytes == len(FEED)
    assert outcome.newest == datetime(2026, 10, 3, 10, tzinfo=UTC)
    assert outcome.seconds > 0


def test_what_did_not_change_is_not_sent_again(site: Site) -> None:
    site.routes["/feed"] = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    state = FeedState(site.url("/feed"), '"7"', "yesterday")
    reading = make_reader(site, states={"example": state}).read(feed(site))
    assert (reading.outcome.status, reading.entries, reading.state) == (FeedStatus.UNCHANGED, (), state)
    assert 'if-none-match: "7"\r\n' in site.requests[-1]
    assert "if-modified-since: yesterday\r\n" in site.requests[-1]


def test_validators_of_another_address_are_not_used(site: Site) -> None:
    reader = make_reader(site, states={"example": FeedState("https://example.com/old", '"7"')})
    assert reader.read(feed(site)).outcome.status is FeedStatus.READ
    assert "if-none-match" not in site.requests[-1]


def test_a_failure_keeps_the_validators(site: Site) -> None:
    site.routes["/feed"] = page(b"", "500 Oops")
    state = FeedState(site.url("/feed"), '"7"')
    reading = make_reader(site, states={"example": state}).read(feed(site))
    assert (reading.outcome.status, reading.outcome.reason, reading.state) == (FeedStatus.FAILED, "status_500", state)


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        ("429 Slow down", "120", NOW + timedelta(seconds=120)),
        ("503 Later", "Sat, 03 Oct 2026 12:30:00 GMT", NOW + timedelta(minutes=30)),
        ("429 Slow down", "99999999999", NOW + timedelta(days=1)),
        ("429 Slow down", "soon", None),
        ("429 Slow down", "", None),
        ("502 Bad gateway", "120", NOW + timedelta(seconds=120)),
        ("500 Oops", "", None),
        ("404 Gone", "120", None),
        ("403 Forbidden", "120", None),
    ],
)
def test_a_busy_site_is_left_alone_as_long_as_it_asks(
    site: Site, status: str, said: str, expected: datetime | None
) -> None:
    site.routes["/feed"] = page(b"", status, **({"retry_after": said} if said else {}))
    reading = make_reader(site).read(feed(site))
    assert reading.outcome.reason == f"status_{status[:3]}"
    assert reading.state is not None
    assert reading.state.not_before == expected
    assert [path for path in site.asked() if path == "/feed"] == ["/feed"], "a poll asks once, whatever the answer is"
    again = make_reader(site, states={"example": reading.state})
    asked = len(site.requests)
    second = again.read(feed(site))
    assert (second.outcome.status is FeedStatus.POSTPONED) is (expected is not None)
    if expected is not None:
        assert len(site.requests) == asked
        assert second.state == reading.state


# Hostile feeds

SMALL = 64 * 1024
"""The limit of these tests; what is over it is so by a little."""
OVER = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(SMALL // 32 + 500))
DECLARED = b'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY site "A site">]><rss>&site;</rss>'
HOSTILE: dict[str, tuple[Answer, str]] = {
    "hang": (hang, "timeout"),
    "drip": (drip(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n"), "timeout"),
    "huge": (b"HTTP/1.1 200 OK\r\n\r\n" + OVER, "too_large"),
    "announced": (page(OVER), "too_large"),
    "huge-gzip": (page(gzip.compress(FEED + b" " * SMALL), content_encoding="gzip"), "too_large"),
    "entity": (page(DECLARED, content_type="application/xml"), "entity_declarations"),
    "to-loopback": (redirect("http://127.0.0.1:1/feed"), "private_address"),
    "to-inside": (redirect("http://192.0.2.1/feed"), "private_address"),
    "to-inside-6": (redirect("http://[2001:db8::1]/feed"), "private_address"),
    "to-file": (redirect("file:///feed.xml"), "bad_address"),
    "loop": (redirect("/loop"), "redirect_loop"),
    "image": (page(FEED, content_type="image/png"), "content_type"),
    "empty": (page(b"", content_type="application/rss+xml"), "empty"),
    "html": (page(b"<!doctype html><html><body>Just a moment...</body></html>", content_type="text/html"), "html_page"),
    "json": (page(b"{}", content_type="text/plain"), "not_a_feed"),
    "error": (page(b"<rss/>", "503 Busy"), "status_503"),
    "cut": (b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n<rss>", "protocol"),
    "garbage": (b"\x16\x03\x01\x02\x00", "protocol"),
    "brotli": (page(b"x", content_encoding="br"), "encoding"),
}


def read_all(reader: Reader, feeds: Sequence[Feed]) -> dict[str, FeedReading]:
    with ThreadPoolExecutor(len(feeds)) as threads:
        return {reading.feed.name: reading for reading in threads.map(reader.read, feeds)}


def test_each_hostile_feed_is_refused_with_its_reason_and_the_good_ones_are_read(site: Site) -> None:
    site.routes |= {f"/{name}": answer for name, (answer, _) in HOSTILE.items()}
    feeds = [feed(site, f"/{name}", name) for name in HOSTILE]
    feeds = [feed(site, name="first"), *feeds, feed(site, name="last")]
    readings = read_all(make_reader(site, web_timeout_s=2, web_max_bytes=SMALL), feeds)
    assert {name: reading.outcome.reason for name, reading in readings.items()} == {
        "first": "",
        **{name: reason for name, (_, reason) in HOSTILE.items()},
        "last": "",
    }
    assert len(readings["first"].entries) == len(readings["last"].entries) == 2
    assert all(reading.outcome.detail for name, reading in readings.items() if name in HOSTILE)
    assert all(reading.outcome.seconds < 15 for reading in readings.values())


def test_a_name_that_resolves_to_an_inner_address_is_refused(site: Site) -> None:
    reader = Reader(settings(site), {}, {}, NOW, end=time.monotonic() + 9, resolve=lambda *_: ["8.8.8.8", "127.0.0.1"])
    outcome = reader.read(Feed("evil", "evil.example", f"http://evil.example:{site.port}/feed")).outcome
    assert (outcome.status, outcome.reason) == (FeedStatus.FAILED, "private_address")
    assert not site.requests


def test_a_broken_feed_is_salvaged_and_says_so(site: Site) -> None:
    site.routes["/feed"] = page(FEED.replace(b"/2<", b"/2?a=1&b=2<").replace(b"Good", "Übel ".encode("cp1252")))
    reading = make_reader(site).read(feed(site))
    assert reading.entries[1].url.endswith("/2?a=1&b=2")
    assert "not well-formed" in reading.outcome.salvaged
    assert "charset" in reading.outcome.salvaged
    assert reading.outcome.trouble is None


def test_a_parser_that_breaks_costs_one_feed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    right = reader_module.parse

    def parse(body: bytes, *rest: str):
        if b"poison" in body:
            raise RecursionError("too deep")
        return right(body, *rest)

    monkeypatch.setattr(reader_module, "parse", parse)
    site.routes["/poison"] = page(FEED + b"<!-- poison -->")
    readings = read_all(make_reader(site), [feed(site, "/poison", "bad"), feed(site, name="good")])
    assert readings["bad"].outcome.reason == "crashed"
    assert "too deep" in readings["bad"].outcome.detail
    assert readings["good"].outcome.status is FeedStatus.READ


def test_dates_that_name_no_zone_are_counted_unless_the_list_of_feeds_names_it(site: Site) -> None:
    site.routes["/feed"] = page(FEED.replace(b" GMT", b" IST"))
    unknown = make_reader(site).read(feed(site))
    assert (unknown.outcome.entries, unknown.outcome.dates_unknown, unknown.outcome.newest) == (2, 2, None)
    indian = make_reader(site).read(replace(feed(site), time_zone="Asia/Kolkata"))
    assert (indian.outcome.dates_unknown, indian.outcome.newest) == (1, datetime(2026, 10, 3, 4, 30, tzinfo=UTC))


def test_an_entry_that_cannot_be_read_is_counted_and_its_feed_is_asked_for_in_full_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = parse_module._entry

    def read(entry: Any, own: Any) -> Entry:
        if entry["id"] == "1":
            raise KeyError("where")
        return right(entry, own)

    monkeypatch.setattr(parse_module, "_entry", read)
    site.routes["/feed"] = page(FEED, etag='"7"')
    reading = make_reader(site).read(feed(site))
    assert (reading.outcome.status, reading.outcome.trouble) == (FeedStatus.READ, None)
    assert (reading.outcome.entries, reading.outcome.entries_refused) == (1, {"KeyError": 1})
    assert reading.state == FeedState(site.url("/feed"))


def test_nothing_is_asked_after_the_end_of_the_poll(site: Site) -> None:
    outcome = make_reader(site, seconds=-1).read(feed(site)).outcome
    assert outcome.trouble
    assert not site.requests


# Pages


def pages(site: Site, reader: Reader, count: int = 1, content: str = "") -> tuple[list[str], list[str]]:
    reading = reader.read(feed(site))
    entries = (reading.entries * count)[:count]
    texts = reader.texts(reading.feed, entries)
    return [text.source for text in texts], [text.content for text in texts]


def test_the_text_that_a_feed_lacks_is_read_from_the_page(site: Site) -> None:
    site.routes["/1"] = ARTICLE_PAGE
    [source], [content] = pages(site, make_reader(site))
    assert source == "page"
    assert content.startswith("Paragraph 0 says")
    assert "Paragraph 5" in content


def test_a_text_in_the_feed_needs_no_page(site: Site) -> None:
    site.routes["/feed"] = page(
        FEED.replace(b"<guid>1</guid>", b"<guid>1</guid><content:encoded>Long</content:encoded>")
    )
    assert pages(site, make_reader(site)) == (["feed"], ["Long"])
    assert "/1" not in site.asked()


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        (page(b"", "404 Gone"), "status_404"),
        (page(b"<html></html>"), "no_text"),
        (hang, "timeout"),
        (redirect("http://192.0.2.1/"), "private_address"),
        (b"", "protocol"),
    ],
)
def test_a_page_that_gives_nothing_costs_its_text_only(site: Site, answer: Answer, source: str) -> None:
    site.routes["/1"] = answer
    assert pages(site, make_reader(site, web_timeout_s=1)) == ([source], [""])


def test_a_page_that_breaks_the_extractor_costs_its_text_only(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise AssertionError("lost in the tree")

    site.routes["/1"] = ARTICLE_PAGE
    monkeypatch.setattr(reader_module, "article_text", broken)
    assert pages(site, make_reader(site)) == (["crashed"], [""])


def test_a_long_page_is_read_to_a_point(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MAX_PAGE", 2_000)
    monkeypatch.setattr(reader_module, "MAX_CONTENT", 200)
    site.routes["/1"] = ARTICLE_PAGE.replace(b"content-length", b"x-length") + b"<p>more and more of it</p>" * 200
    [source], [content] = pages(site, make_reader(site))
    assert source == "page"
    assert "Paragraph 0" in content
    assert len(content) <= 200


def test_only_so_many_pages_are_read_in_one_poll(site: Site) -> None:
    site.routes |= {"/1": ARTICLE_PAGE, "/2": ARTICLE_PAGE}
    assert pages(site, make_reader(site, news_pages_per_feed=1), 2)[0] == ["page", "too_many_pages"]
    assert pages(site, make_reader(site, news_pages_per_feed=0), 2)[0] == ["too_many_pages", "too_many_pages"]


def test_pages_of_other_sites_are_left_alone(site: Site) -> None:
    site.routes["/feed"] = page(FEED.replace(b"<link>/1</link>", b"<link>https://elsewhere.example/1</link>"))
    assert pages(site, make_reader(site))[0] == ["other_site"]


# robots.txt


def robots_page(*lines: str) -> bytes:
    return page("\n".join(["User-agent: *", *lines]).encode(), content_type="text/plain")


def test_what_robots_txt_forbids_is_not_asked_for(site: Site) -> None:
    site.routes["/robots.txt"] = robots_page("Disallow: /feed")
    outcome = make_reader(site).read(feed(site)).outcome
    assert (outcome.status, outcome.reason) == (FeedStatus.FORBIDDEN, "not_permitted")
    assert site.asked() == ["/robots.txt"]


def test_rules_for_us_by_name_come_first(site: Site) -> None:
    site.routes["/robots.txt"] = page(b"User-agent: *\nAllow: /\n\nUser-agent: CryptoViz\nDisallow: /1\n")
    site.routes["/1"] = ARTICLE_PAGE
    assert pages(site, make_reader(site))[0] == ["not_permitted"]


def test_a_redirect_into_what_is_forbidden_is_not_followed(site: Site) -> None:
    site.routes |= {
        "/robots.txt": robots_page("Disallow: /secret"),
        "/feed": redirect("/secret"),
        "/secret": page(FEED),
    }
    assert make_reader(site).read(feed(site)).outcome.reason == "not_permitted"
    assert "/secret" not in site.asked()


@pytest.mark.parametrize("status", ["404 None", "403 No", "410 Gone"])
def test_without_robots_txt_everything_may_be_read(site: Site, status: str) -> None:
    site.routes["/robots.txt"] = page(b"User-agent: *\nDisallow: /", status)
    reader = make_reader(site)
    assert reader.read(feed(site)).outcome.status is FeedStatus.READ
    assert {key: text.body for key, text in reader.robots.fetched.items()} == {f"http://{site.host}": ""}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (page(b"", "503 Busy"), "not_permitted"),
        (page(b"", "429 Busy"), "not_permitted"),
        (hang, "timeout"),
        (b"", "protocol"),
        (redirect("http://192.0.2.1/"), "private_address"),
    ],
)
def test_where_robots_txt_cannot_be_asked_nothing_may_be_read(site: Site, answer: Answer, reason: str) -> None:
    site.routes["/robots.txt"] = answer
    reader = make_reader(site, web_timeout_s=0.5)
    outcome = reader.read(feed(site)).outcome
    assert outcome.reason == reason
    assert "robots.txt cannot be read" in outcome.detail
    assert site.asked() == ["/robots.txt"]
    assert not reader.robots.fetched


def known(body: str, age: timedelta) -> RobotsText:
    return RobotsText(body, NOW - age, NOW - age + KEPT)


def test_a_robots_txt_is_remembered_for_a_day(site: Site) -> None:
    site.routes["/robots.txt"] = robots_page("Disallow:")
    forbidden = "User-agent: *\nDisallow: /"
    young = make_reader(site, robots={f"http://{site.host}": known(forbidden, timedelta(hours=23))})
    assert young.read(feed(site)).outcome.status is FeedStatus.FORBIDDEN
    assert not site.requests
    old = make_reader(site, robots={f"http://{site.host}": known(forbidden, timedelta(hours=25))})
    assert old.read(feed(site)).outcome.status is FeedStatus.READ
    assert old.robots.fetched[f"http://{site.host}"].expires_at == NOW + KEPT


def test_an_old_robots_txt_counts_while_the_site_cannot_be_asked(site: Site) -> None:
    site.routes["/robots.txt"] = page(b"", "503 Busy")
    old = {f"http://{site.host}": known("User-agent: *\nDisallow: /private", timedelta(days=3))}
    assert make_reader(site, robots=old).read(feed(site)).outcome.status is FeedStatus.READ


def test_robots_txt_is_asked_for_once_by_all_feeds_of_a_site(site: Site) -> None:
    read_all(make_reader(site), [feed(site, name=f"f{number}") for number in range(6)])
    assert site.asked().count("/robots.txt") == 1


def test_the_beginning_of_a_long_robots_txt_counts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots_module, "MAX_BYTES", 200)
    site.routes["/robots.txt"] = robots_page("Disallow: /feed", *["# nothing"] * 50, "Allow: /feed/")
    assert make_reader(site).read(feed(site)).outcome.status is FeedStatus.FORBIDDEN


def test_a_compressed_robots_txt_is_read(site: Site) -> None:
    site.routes["/robots.txt"] = page(gzip.compress(b"User-agent: *\nDisallow: /feed"), content_encoding="gzip")
    assert make_reader(site).read(feed(site)).outcome.status is FeedStatus.FORBIDDEN


# Turns


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def turns(clock: Clock, body: str = "", *, private: bool = False, delay: float = 1, longest: float = 10) -> Turns:
    texts = {origin: RobotsText(body, NOW, NOW + KEPT) for origin in ("https://a.com:443", "https://b.com:443")}
    return Turns(
        Robots(Policy("CryptoViz/1"), texts, NOW),
        delay=delay,
        longest=longest,
        private_hosts=frozenset({"a.com"} if private else ()),
        clock=clock,
        sleep=clock.sleep,
    )


def arrivals(waiting: Turns, clock: Clock, *urls: str) -> list[float]:
    times = []
    for url in urls:
        waiting.wait(url, until=1000)
        times.append(clock() - 100)
    return times


A, B = "https://a.com/x", "https://b.com/x"


def test_requests_to_one_host_keep_their_distance_and_others_do_not_wait_for_it() -> None:
    clock = Clock()
    assert arrivals(turns(clock), clock, A, B, A, B, A) == [0, 0, 1, 1, 2]


def test_a_site_that_asks_for_more_gets_more_within_our_patience() -> None:
    clock = Clock()
    assert arrivals(turns(clock, "User-agent: *\nCrawl-delay: 4"), clock, A, A, A) == [0, 4, 8]
    impatient = turns(clock, "User-agent: *\nCrawl-delay: 60")
    with pytest.raises(FetchError, match=r"a\.com wants 60 s"):
        impatient.check_patience(A)
    turns(clock, "User-agent: *\nCrawl-delay: 10").check_patience(A)


def test_our_own_hosts_need_no_rest() -> None:
    clock = Clock()
    assert arrivals(turns(clock, private=True), clock, A, A, A) == [0, 0, 0]


def test_a_turn_that_would_come_too_late_is_not_waited_for() -> None:
    clock = Clock()
    waiting = turns(clock, delay=30)
    waiting.wait(A, until=120)
    with pytest.raises(FetchError) as caught:
        waiting.wait(A, until=120)
    assert caught.value.reason is Reason.TIMEOUT
    assert clock() == 100


def test_turns_hold_for_threads(site: Site) -> None:
    clock, lock, taken = Clock(), threading.Lock(), []
    texts = {"https://a.com:443": RobotsText("", NOW, NOW + KEPT)}
    waiting = Turns(Robots(Policy("CryptoViz/1"), texts, NOW), delay=1, longest=10, clock=clock, sleep=taken.append)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: waiting.wait(A, until=1000), range(8)))
    with lock:
        assert sorted(taken) == [1, 2, 3, 4, 5, 6, 7]


# The list of feeds


def test_six_feeds_are_read_by_default() -> None:
    feeds = load_feeds(Settings(mode=Mode.LIVE))
    assert [feed.name for feed in feeds] == [
        *("coindesk", "cointelegraph", "decrypt", "theblock", "cryptoslate", "bitcoinmagazine")
    ]
    assert all(feed.url.startswith("https://") and feed.publishes(feed.url) for feed in feeds)


@pytest.mark.parametrize("host", ["127.0.0.1", "simulated-web"])
def test_in_a_demo_the_same_feeds_are_read_at_the_simulated_web(host: str) -> None:
    feeds = load_feeds(Settings(mode=Mode.DEMO, web_simulator_host=host, web_simulator_port=8111))
    assert feeds[0].url == f"http://{host}:8111/coindesk/arc/outboundfeeds/rss/"
    assert [feed.website for feed in feeds] == [feed.website for feed in load_feeds(Settings(mode=Mode.LIVE))]
    assert feeds[0].publishes(f"http://{host}:8111/coindesk/x")
    assert not feeds[0].publishes(f"http://{host}:8112/coindesk/x")
    assert not feeds[0].publishes("https://www.coindesk.com/x"), "a demo leaves the machine alone"


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://www.decrypt.co/1", True),
        ("https://decrypt.co/1", True),
        ("https://feeds.example.net/1", True),
        ("https://notdecrypt.co/1", False),
        ("https://decrypt.co.evil.example/1", False),
        ("javascript:void", False),
        ("https://[decrypt.co", False),
        ("", False),
    ],
)
def test_a_feed_knows_its_own_site(url: str, own: bool) -> None:
    assert Feed("decrypt", "decrypt.co", "https://feeds.example.net/decrypt").publishes(url) is own


def test_the_list_may_be_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "feeds.json"
    file.write_text(json.dumps(json.loads(FEEDS_FILE.read_text())[:1]))
    assert len(load_feeds(Settings(news_feeds_file=file))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '[{"name": "a"}]',
        '[{"name": "a", "website": "a.com", "url": "ftp://a.com/"}]',
        '[{"name": "A B", "website": "a.com", "url": "https://a.com/"}]',
        '[{"name": "a", "website": "a.com", "url": "https://a.com/", "time_zone": "Mars/Olympus"}]',
        '[{"name": "a", "website": "a.com", "url": "https://a.com/"}, {"name": "a", "website": "a.com", "url": "https://a.com/"}]',
    ],
)
def test_a_list_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "feeds.json"
    file.write_text(text)
    with pytest.raises(SettingsError, match="CRYPTOVIZ_NEWS_FEEDS_FILE"):
        load_feeds(Settings(news_feeds_file=file))


def test_an_outcome_says_its_trouble_in_words() -> None:
    assert FeedOutcome("a", "u", FeedStatus.READ).trouble is None
    assert FeedOutcome("a", "u", FeedStatus.FAILED, "timeout", "took too long").trouble == "timeout: took too long"
