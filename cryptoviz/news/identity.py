"""Which article an entry is: by its guid, else its link, else its words.

    names of an entry -> without those that stand for several entries -> which one is stored already? -> article_id

Feeds give the address of their site, of themselves or one constant as guid of everything. So a name is an identity only
while all entries that bear it are one article. A name that once stood for several in one document is none any more for
entries to come (`shared_names`); the article that is stored under it keeps it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

MAX_ID: Final = 500
"""Characters of a guid or link, which becomes a key in the database; a longer one is replaced by its digest."""

_REFERRALS: Final = frozenset(
    {"ref", "ref_src", "referrer", "source", "src", "from", "via", "cmp", "cmpid", "campaign"}
)


class Names(NamedTuple):
    """What an entry may be known by, best first; empty: it has none, or one that says nothing."""

    guid: str
    link: str
    words: str
    """The digest of title, summary and text: nobody else has it."""


@dataclass(frozen=True)
class Entry:
    """One entry as the feed has it now, as text: no markup, no tracking parameters, no empty or repeated tags.

    `article_id` is what its feed alone says of its identity, this module what the store adds to that.
    `published_at` is None where the feed does not say, or in words that may mean several moments.
    """

    article_id: str
    names: Names
    title: str
    url: str
    summary: str
    content: str
    tags: tuple[str, ...]
    published_at: datetime | None

    @property
    def digest(self) -> str:
        """Changes when the publisher changes title, address, summary, text or date."""
        words = (self.title, self.url, self.summary, self.content, str(self.published_at or ""))
        return hashlib.sha256("\0".join(words).encode()).hexdigest()


@dataclass
class Stored:
    """What is stored of one article: the number of each revision by its digest, their addresses and titles.

    An address is None where a revision was stored before addresses were.
    """

    revisions: dict[str, int] = field(default_factory=dict)
    urls: set[str | None] = field(default_factory=set)
    titles: set[str] = field(default_factory=set)

    @property
    def addresses(self) -> set[str | None]:
        """Where it can be read, however its feed wrote that."""
        return {url if url is None else _address(url) for url in self.urls}

    def add(self, entry: Entry) -> int:
        """Count an entry as the next revision; its number."""
        self.urls.add(entry.url)
        self.titles.add(entry.title)
        number = self.revisions[entry.digest] = max(self.revisions.values(), default=0) + 1
        return number


def names(guid: str, link: str, words: Iterable[str], addresses: Collection[str]) -> Names:
    """The names of an entry of a feed whose own `addresses` (its site, itself) name none of its entries."""
    own = {_address(address) for address in addresses}
    return Names(_usable(guid, own), _usable(link, own), digest("\0".join(words)))


def _usable(name: str, own: Set[str]) -> str:
    return _key(name) if name and not _is_home_page(name) and _address(name) not in own else ""


def shared_names(entries: Iterable[Entry]) -> frozenset[str]:
    """The names that stand for several articles in one document.

    A guid is shared by entries of different addresses (without links: titles), a link by entries of different guids
    (without guids: titles). An entry that is listed twice is one article, whatever the scheme, "www.", the slash at the
    end and, under one title, the parameters that say where a reader came from.
    """
    entries = list(entries)
    bearers: dict[str, list[Entry]] = {}
    for entry in entries:
        bearers.setdefault(entry.names.guid, []).append(entry)
    guids = frozenset(guid for guid, each in bearers.items() if guid and not _is_one_article(each))
    links = _of_several(
        (entry.names.link, entry.title if entry.names.guid in guids | {""} else entry.names.guid) for entry in entries
    )
    return guids | links


def _is_one_article(entries: Collection[Entry]) -> bool:
    """Whether entries of one guid are one article: by address, or by title and what of the address names a page."""
    bearers = {_bearer(entry) for entry in entries}
    titles = {entry.title for entry in entries}
    return len(bearers) == 1 or (len(titles) == 1 and len(set(map(_page, bearers))) == 1)


def _bearer(entry: Entry) -> str:
    return _address(entry.url) if entry.names.link else entry.title


def article_id(entry: Entry, shared: Set[str], stored: Mapping[str, Stored] | None = None) -> str:
    """The first name of an entry that is not shared, or the one under which the same article is `stored` already."""
    known = stored or {}
    usable = [name for name in entry.names if name]
    first = next(number for number, name in enumerate(usable) if name not in shared)
    for name in usable[:first]:
        if name in known and _is_about(entry, known[name], shared):
            return name
    if usable[first] not in known:
        # It was seen before its publisher gave it a better name, or moved to https.
        for name in [*usable[first + 1 :], *_of_other_scheme(usable[first:])]:
            if (
                name in known
                and entry.title in known[name].titles
                and known[name].addresses <= {_address(entry.url), None}
            ):
                return name
    return usable[first]


def looked_up(names: Names) -> list[str]:
    """Every name under which an entry may be stored."""
    usable = [name for name in names if name]
    return [*usable, *_of_other_scheme(usable)]


def _of_other_scheme(names: Iterable[str]) -> list[str]:
    """The addresses among names, with http for https and the other way round."""
    pairs = (("https://", "http://"), ("http://", "https://"))
    return [there + name.removeprefix(here) for name in names for here, there in pairs if name.startswith(here)]


def digest(text: str) -> str:
    """A name for what has none, or too long a one."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _is_about(entry: Entry, stored: Stored, shared: Set[str]) -> bool:
    """Whether what is stored under a name that is shared is this entry, and nothing else."""
    if entry.names.link and entry.names.link not in shared:
        return stored.addresses == {_address(entry.url)}
    return stored.titles == {entry.title}


def _of_several(pairs: Iterable[tuple[str, str]]) -> frozenset[str]:
    bearers: dict[str, set[str]] = {}
    for name, bearer in pairs:
        bearers.setdefault(name, set()).add(bearer)
    return frozenset(name for name, each in bearers.items() if name and len(each) > 1)


def _key(name: str) -> str:
    return name if len(name) <= MAX_ID else digest(name)


def _is_home_page(name: str) -> bool:
    """Whether a name is the address of a whole site."""
    try:
        parts = urlsplit(name)
    except ValueError:
        return False
    bare = parts.path in ("", "/") and not (parts.query or parts.fragment)
    return parts.scheme.lower() in ("http", "https") and bool(parts.netloc) and bare


def _address(name: str) -> str:
    """An address as its readers mean it: whatever its scheme, "www." and the slash at its end."""
    scheme, mark, rest = name.strip().partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return name.strip()
    host, slash, path = rest.partition("/")
    return f"{host.lower().removeprefix('www.')}{slash}{path}".rstrip("/")


def _page(address: str) -> str:
    """An address without parameters by which sites tell where a reader came from, and some sites their pages."""
    page, mark, query = address.partition("?")
    query, sharp, fragment = query.partition("#")
    kept = "&".join(part for part in query.split("&") if part.partition("=")[0].lower() not in _REFERRALS)
    return f"{page.rstrip('/')}{mark if kept else ''}{kept}{sharp}{fragment}"
