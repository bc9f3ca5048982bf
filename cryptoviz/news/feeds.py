"""Which feeds are read: data, `feeds.json` or a file of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import msgspec

from cryptoviz.records import Name
from cryptoviz.settings import PREFIX, Mode, Settings, SettingsError

FEEDS_FILE: Final = Path(__file__).with_name("feeds.json")


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One feed. `website` is the domain of its site, which articles are listed under.

    `time_zone` (Asia/Kolkata) is that of its dates that say none, or one by an abbreviation such as IST that means
    several; empty: the time of such articles is unknown.
    """

    name: Name
    website: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/\s]+/\S*$")]
    time_zone: str = ""

    def __post_init__(self) -> None:
        if self.time_zone and self.time_zone not in available_timezones():
            raise ValueError(f"time_zone {self.time_zone[:50]!r} is none of the IANA database, such as Europe/Berlin")

    def publishes(self, url: str) -> bool:
        """Whether an address is on the feed's own site; of one on loopback, its very host and port."""
        own = urlsplit(self.url)
        try:
            host = urlsplit(url)
        except ValueError:
            return False
        if host.scheme not in ("http", "https") or host.hostname is None:
            return False
        if own.hostname == "127.0.0.1":
            return host.netloc == own.netloc
        return host.hostname == own.hostname or f".{host.hostname}".endswith(f".{self.website}")


class SimulatedFeed(Feed, frozen=True):
    """A feed of the demo, at the simulated web: nothing leaves that."""

    def publishes(self, url: str) -> bool:
        """Whether an address is on the simulated web."""
        try:
            address = urlsplit(url)
        except ValueError:
            return False
        return address.scheme in ("http", "https") and address.netloc == urlsplit(self.url).netloc


def load_feeds(settings: Settings) -> tuple[Feed, ...]:
    """The feeds to read; in demo mode the same at the simulated web.

    Raises:
        SettingsError: the list makes no sense.
    """
    file = settings.news_feeds_file or FEEDS_FILE
    try:
        feeds = msgspec.json.decode(file.read_bytes(), type=tuple[Feed, ...])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{PREFIX}NEWS_FEEDS_FILE: {file} is no list of feeds: {error}") from None
    names = [feed.name for feed in feeds]
    if not feeds or len(set(names)) != len(names):
        raise SettingsError(f"{PREFIX}NEWS_FEEDS_FILE: {file} must list at least one feed, and each name once")
    if settings.mode is Mode.DEMO:
        return tuple(_simulated(feed, settings) for feed in feeds)
    return feeds


def _simulated(feed: Feed, settings: Settings) -> SimulatedFeed:
    url = f"http://{settings.simulated_web}/{feed.name}{urlsplit(feed.url).path}"
    return SimulatedFeed(feed.name, feed.website, url, feed.time_zone)
