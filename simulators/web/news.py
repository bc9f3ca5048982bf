"""What the simulated news sites publish: a pure function of (seed, site, time).

    story number -> title, text, tone, coins, first time -> revisions (a new title, a new date) -> the feed at a time

Nothing starts at the start: a restarted simulator tells the same stories, and a test can say what a feed held when.
"""

from __future__ import annotations

import random
import re
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from simulators.web import words
from simulators.web.words import Tone

ORIGIN: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""When every site published its first story."""

WINDOW: Final = 15
"""Stories in a feed."""

_EARLIEST_REVISION_S: Final = 60
_LATEST_REVISION_S: Final = 1500
_RECURRING_S: Final = 1200
_PAID_SHARE: Final = 0.1
_SLUG: Final = re.compile(r"[^a-z0-9]+")
_SLUG_LENGTH: Final = 70


@dataclass(frozen=True)
class Site:
    """A news site: its habits, and where its feed is below its own root."""

    name: str
    title: str
    feed: str
    interval_s: int
    offset: int
    guids: str
    """`uuid`, `number` (WordPress' ``?p=``) or `link`."""
    recurring: bool = False
    """Publishes a daily round-up again and again under one guid."""
    members: bool = False
    """Has pages that its robots.txt forbids."""


SITES: Final = {
    site.name: site
    for site in (
        Site("coindesk", "CoinDesk", "arc/outboundfeeds/rss/", 260, 0, "uuid"),
        Site("cointelegraph", "Cointelegraph", "rss", 240, 71, "link", recurring=True),
        Site("decrypt", "Decrypt", "feed", 340, 133, "number"),
        Site("theblock", "The Block", "rss.xml", 300, 29, "uuid", members=True),
        Site("cryptoslate", "CryptoSlate", "feed/", 380, 201, "number"),
        Site("bitcoinmagazine", "Bitcoin Magazine", "feed", 420, 97, "number"),
    )
}


@dataclass(frozen=True)
class Item:
    """One entry of a feed as it is at a time. `revision` counts from 1; `path` is below the site's root."""

    number: int
    guid: str
    path: str
    revision: int
    title: str
    summary: str
    paragraphs: tuple[str, ...]
    author: str
    section: str
    tags: tuple[str, ...]
    tone: Tone
    published: datetime
    updated: datetime


def feed(site: Site, seed: int, now: datetime) -> list[Item]:
    """The newest stories of a site, newest first by what they say of themselves."""
    last = _numbers_before(site, now)
    recent = [story(site, seed, number, now) for number in range(last, max(last - WINDOW - 1, -1), -1)]
    items = [item for item in recent if item.updated <= now][:WINDOW]
    if site.recurring:
        items = [*items[: WINDOW - 1], _round_up(site, now)]
    return sorted(items, key=lambda item: item.published, reverse=True)


def article(site: Site, seed: int, path: str, now: datetime) -> Item | None:
    """The story at a path of the site, None when there is none (yet)."""
    found = re.search(r"-(\d+)/?$", path)
    if found is None:
        round_up = _round_up(site, now)
        return round_up if site.recurring and path == round_up.path else None
    number = int(found[1])
    if number > _numbers_before(site, now):
        return None
    item = story(site, seed, number, now)
    return item if item.path == path and item.updated <= now else None


def story(site: Site, seed: int, number: int, now: datetime) -> Item:
    """One story as it is at a time; before its publication, as it will be then."""
    *_, current = [item for item in _told(site, seed, number) if item.updated <= now] or _told(site, seed, number)[:1]
    return current


def _numbers_before(site: Site, now: datetime) -> int:
    return int((now - ORIGIN).total_seconds() - site.offset) // site.interval_s


@lru_cache(maxsize=512)
def _told(site: Site, seed: int, number: int) -> tuple[Item, ...]:
    """All revisions of a story."""
    draw = random.Random(f"{seed}|{site.name}|{number}")  # noqa: S311 - reproducible news, not a secret
    at = ORIGIN + timedelta(seconds=site.offset + number * site.interval_s + draw.randrange(site.interval_s * 4 // 5))
    text = words.tell(draw)
    guid, path = _identity(site, number, text.title, at, draw)
    first = Item(
        number=number,
        guid=guid,
        path=path,
        revision=1,
        published=at,
        updated=at,
        **vars(text),
    )
    revisions = [first]
    for change in draw.choices(((), ("title",), ("date",), ("title", "date"), ("title", "both")), (64, 12, 9, 9, 6))[0]:
        before = revisions[-1]
        moment = before.updated + timedelta(seconds=draw.randrange(_EARLIEST_REVISION_S, _LATEST_REVISION_S))
        title = before.title if change == "date" else words.retold(draw, before.title)
        published = before.published if change == "title" else moment
        revisions.append(
            replace(before, revision=before.revision + 1, title=title, published=published, updated=moment)
        )
    return tuple(revisions)


def _identity(site: Site, number: int, title: str, at: datetime, draw: random.Random) -> tuple[str, str]:
    """Guid and path of a story: both are given once, from its first title."""
    slug = f"{_SLUG.sub('-', title.lower())[:_SLUG_LENGTH].strip('-')}-{number}"
    day = at.strftime("%Y/%m/%d")
    paths = {
        "coindesk": f"markets/{day}/{slug}",
        "cointelegraph": f"news/{slug}",
        "decrypt": f"{300_000 + number}/{slug}",
        "theblock": f"{'pro' if draw.random() < _PAID_SHARE else 'news/markets'}/{at:%Y-%m-%d}-{slug}",
        "cryptoslate": f"{slug}/",
        "bitcoinmagazine": f"news/{slug}",
    }
    path = paths[site.name]
    if site.guids == "uuid":
        return str(uuid.UUID(int=draw.getrandbits(128), version=4)), path
    return (f"?p={300_000 + number}" if site.guids == "number" else path), path


def _round_up(site: Site, now: datetime) -> Item:
    """What happened today: one guid, one title, a new date each time."""
    number = int((now - ORIGIN).total_seconds()) // _RECURRING_S
    at = ORIGIN + timedelta(seconds=number * _RECURRING_S)
    path = "news/what-happened-in-crypto-today"
    text = words.round_up(random.Random(f"{site.name}|{number}"))  # noqa: S311
    return Item(
        number=number,
        guid=path,
        path=path,
        revision=number + 1,
        published=at,
        updated=at + timedelta(seconds=250),
        **vars(text),
    )
