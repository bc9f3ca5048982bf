"""Which article an entry is, by its document and by what is stored."""

from __future__ import annotations

import pytest

from cryptoviz.news.identity import Entry, Stored, article_id
from cryptoviz.news.parse import ParsedFeed, parse

HOME = "https://example.com/"
FEED = "https://example.com/feed.xml"


def item(guid: str | None, link: str | None, title: str = "A title", text: str = "") -> str:
    parts = [f"<title>{title}</title>", f"<description>{text}</description>"]
    parts += [] if guid is None else [f"<guid>{guid}</guid>"]
    parts += [] if link is None else [f"<link>{link}</link>"]
    return f"<item>{''.join(parts)}</item>"


def feed(*items: str, site: str = HOME) -> ParsedFeed:
    head = f"<title>t</title><link>{site}</link>"
    return parse(f"<rss version='2.0'><channel>{head}{''.join(items)}</channel></rss>".encode(), "", FEED)


def ids(found: ParsedFeed) -> list[str]:
    return [entry.article_id for entry in found.entries]


LINKS = [f"https://example.com/{number}" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    "guid",
    [
        HOME,
        "https://example.com",
        "http://www.example.com/",
        "https://EXAMPLE.com/",
        "https://other.example/",
        FEED,
        "http://example.com/feed.xml/",
        "",
        " ",
        "one and the same",
    ],
)
def test_a_guid_that_says_nothing_gives_way_to_the_link(guid: str) -> None:
    assert ids(feed(*(item(guid, link) for link in LINKS))) == LINKS


@pytest.mark.parametrize("guid", [HOME, FEED, "https://blog.example.com/news"])
def test_the_address_of_a_site_or_feed_names_no_entry_not_even_one(guid: str) -> None:
    assert ids(feed(item(guid, LINKS[0]), site="https://blog.example.com/news/")) == LINKS[:1]


@pytest.mark.parametrize("guid", ["https://example.com/?p=17", "https://example.com/#17", "tag:example.com,2026:17"])
def test_a_guid_that_says_something_is_kept(guid: str) -> None:
    assert ids(feed(item(guid, LINKS[0]), item(guid + "0", LINKS[1]))) == [guid, guid + "0"]


def test_without_a_link_of_its_own_an_entry_is_known_by_its_words() -> None:
    first, second, third = ids(feed(*(item(HOME, HOME, title) for title in "abc")))
    assert len({first, second, third}) == 3
    assert all(name.startswith("sha256:") for name in (first, second, third))
    assert ids(feed(*(item("same", None, title) for title in "abc"))) == [first, second, third]
    assert ids(feed(*(item(None, "https://example.com/live", title) for title in "abc"))) == [first, second, third]


def test_the_feeds_own_address_in_an_atom_link_names_no_entry() -> None:
    entry = "<entry><id>{0}</id><title>{1}</title><link href='https://a.com/{1}'/><updated>2026-10-01T10:00:00Z</updated></entry>"
    body = f"""<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:feed</id><link rel="self" href="https://a.com/atom"/>
      {entry.format("https://a.com/atom", 1)}{entry.format("urn:feed", 2)}{entry.format("urn:3", 3)}</feed>"""
    assert ids(parse(body.encode())) == ["https://a.com/1", "https://a.com/2", "urn:3"]


def test_an_entry_that_is_listed_twice_is_one_article() -> None:
    assert ids(feed(item("1", LINKS[0], "newer"), item("1", f"{LINKS[0]}?utm_source=rss", "older"))) == ["1", "1"]
    assert ids(feed(item(None, LINKS[0]), item(None, f"{LINKS[0]}?utm_source=rss"))) == [LINKS[0]] * 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("https://example.com/1?ref=1", "https://example.com/1?ref=2"),
        ("https://example.com/1?id=7&amp;ref=rss", "https://example.com/1/?id=7"),
        ("https://example.com/1", "http://example.com/1"),
        ("https://example.com/1", "https://www.example.com/1/"),
        ("https://example.com/1/?utm_source=a", "http://EXAMPLE.com/1?utm_source=b&amp;source=c"),
    ],
)
def test_an_entry_that_is_listed_twice_by_two_spellings_of_its_address_is_one_article(first: str, second: str) -> None:
    found = feed(item("17", first), item("17", second))
    assert (ids(found), found.shared) == (["17", "17"], frozenset())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("https://example.com/?p=1", "Prices today"), ("https://example.com/?p=2", "Prices today")),
        (("https://example.com/live?ref=1", "a"), ("https://example.com/live?ref=2", "b")),
        (("https://example.com/live#1", "a"), ("https://example.com/live#2", "a")),
    ],
)
def test_other_parameters_or_titles_are_other_articles(first: tuple[str, str], second: tuple[str, str]) -> None:
    found = feed(*(item("latest", link, title) for link, title in (first, second)))
    assert (ids(found), found.shared) == ([first[0], second[0]], {"latest"})


def test_articles_of_one_link_are_told_apart_by_their_guids() -> None:
    assert ids(feed(item("1", "https://example.com/live"), item("2", "https://example.com/live"))) == ["1", "2"]


# What is stored


class Archive:
    """What polls of one website would store."""

    def __init__(self) -> None:
        self.stored: dict[str, Stored] = {}
        self.shared: set[str] = set()

    def poll(self, *items: str) -> list[str]:
        found = feed(*items)
        self.shared |= found.shared
        return [self._store(entry) for entry in found.entries]

    def _store(self, entry: Entry) -> str:
        name = article_id(entry, self.shared, self.stored)
        self.stored.setdefault(name, Stored()).add(entry)
        return name


def test_a_guid_that_is_shared_later_stays_the_name_of_its_article() -> None:
    archive = Archive()
    first, second, third = (item("latest", link, title) for link, title in zip(LINKS, "abc", strict=True))
    assert archive.poll(first) == ["latest"]
    assert archive.poll(second, first) == [LINKS[1], "latest"]
    assert archive.poll(second) == [LINKS[1]], "alone again"
    assert archive.poll(item("latest", LINKS[0], "other words")) == ["latest"]
    assert archive.poll(third) == [LINKS[2]], "the guid has been shared: it names nothing new"


def test_a_site_that_moves_to_https_keeps_the_names_of_its_articles() -> None:
    archive = Archive()
    old, new = ([link.replace("https", scheme) for link in LINKS] for scheme in ("http", "https"))
    archive.poll(item("latest", old[0], "a"))
    assert archive.poll(item("latest", old[1], "b"), item("latest", old[0], "a")) == [old[1], "latest"]
    assert archive.poll(item("latest", new[0], "a")) == ["latest"]


def test_without_guids_an_article_stays_the_same_when_its_site_moves_to_https() -> None:
    archive = Archive()
    old, new = "http://example.com/1", "https://example.com/1"
    assert archive.poll(item(None, old, "a")) == [old]
    assert archive.poll(item(None, new, "a")) == [old]
    assert archive.poll(item(None, old, "a"), item(None, new, "a")) == [old, old]
    assert archive.poll(item(None, new, "b")) == [new], "another title is another article"


def test_without_links_the_title_says_whose_guid_it_was() -> None:
    archive = Archive()
    assert archive.poll(item("latest", None, "a")) == ["latest"]
    other, same = archive.poll(item("latest", None, "b"), item("latest", None, "a"))
    assert same == "latest"
    assert archive.poll(item("latest", None, "b")) == [other]


def test_a_guid_that_is_given_later_does_not_make_a_second_article() -> None:
    archive = Archive()
    assert archive.poll(item(None, LINKS[0])) == [LINKS[0]]
    assert archive.poll(item("17", LINKS[0], text="more")) == [LINKS[0]]
    assert archive.poll(item("18", LINKS[0], "another article that leads to the same page")) == ["18"]


def test_what_was_mixed_up_under_one_guid_is_stored_anew() -> None:
    """Revisions of several articles that were stored under the guid that they share, before addresses were kept."""
    archive = Archive()
    archive.stored["latest"] = Stored({"x": 1, "y": 2}, {None}, {"a", "b"})
    assert archive.poll(item("latest", LINKS[0], "a"), item("latest", LINKS[1], "b")) == LINKS[:2]
    assert archive.poll(item("latest", LINKS[0], "a")) == LINKS[:1]
