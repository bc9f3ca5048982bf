"""A feed's bytes to entries; the only importer of feedparser.

    bytes -> text in its charset -> is it a feed, without entity declarations? -> libxml2, bounded, repairing
          -> feedparser (entry by entry, where one of them breaks it) -> Entry

feedparser starts again with a slow parser of its own where a feed is not well-formed, and a few hundred kilobytes of
attributes keep it busy for minutes. So libxml2 repairs the feed first, refuses what no newspaper would publish, and
feedparser always reads a small, well-formed document (docs/decisions/0009).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Set
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from lxml import etree

from cryptoviz.news.charset import decoded
from cryptoviz.news.dates import Dates
from cryptoviz.news.identity import Entry, article_id, names, shared_names
from cryptoviz.news.text import own_words, plain, plain_text, visible

MAX_ELEMENTS: Final = 20_000
"""XML elements of one feed; fifty entries with pictures have about two thousand."""
MAX_MARKS: Final = 200_000
"""Angle brackets and ampersands of one feed, those in its texts included; recorded feeds have one in thirty characters
at most, which would be 140,000 in the largest page that is accepted by default."""
MAX_ENTRIES: Final = 1_000
MAX_ATTRIBUTES: Final = 64
MAX_CONTENT: Final = 20_000
"""Characters kept of an article's text."""
MAX_SUMMARY: Final = 2_000
MAX_TAGS: Final = 30

_TEXT_TYPES: Final = re.compile(r"(text/[\w.+-]+|[\w.-]+/(?:[\w.-]+\+)?xml|application/octet-stream|)$")
_DECLARATION: Final = re.compile(r"\A\s*<\?xml\b[^>]*?\?>")
_DECLARED_CHARSET: Final = re.compile(rb"""\A\s*<\?xml\b[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
_SKIPPED: Final = (("<?", "?>"), ("<!--", "-->"))
_DOCTYPE: Final = re.compile(r"<!DOCTYPE[^>\[]*(\[|>)", re.IGNORECASE)
_FEED: Final = re.compile(r"<(?:rss|feed|rdf:RDF)[\s>/]", re.IGNORECASE)
_PAGE: Final = re.compile(r"<(?:!doctype\s+)?html\b", re.IGNORECASE)
_AMPERSAND: Final = re.compile(r"&(?:#(?:(\d{1,7})|x([0-9a-f]{1,6}));|(amp|lt|gt|quot|apos);)?", re.IGNORECASE)
_UNDECLARED: Final = {
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "atom": "http://www.w3.org/2005/Atom",
    "media": "http://search.yahoo.com/mrss/",
}
"""Namespaces of prefixes that feeds use without saying what they stand for."""
_DC_DESCRIPTION: Final = "{http://purl.org/dc/elements/1.1/}description"
_SAFE: Final = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
_ENTRIES: Final = frozenset({"item", "entry"})

_TRACKING: Final = re.compile(
    r"(?:utm_\w+|fbclid|gclid|gbraid|wbraid|msclkid|yclid|igshid|mc_[ce]id)(?:=|$)", re.IGNORECASE
)


class FeedProblem(StrEnum):
    """Why nothing can be read from a feed."""

    EMPTY = "empty"
    CONTENT_TYPE = "content_type"
    HTML_PAGE = "html_page"
    NOT_A_FEED = "not_a_feed"
    ENTITIES = "entity_declarations"
    TOO_COMPLEX = "too_complex"
    NO_ENTRIES = "no_entries"
    UNREADABLE = "unreadable_entries"


class FeedError(Exception):
    """Nothing can be read from a feed; `reason` says why in a word, the message in a sentence."""

    def __init__(self, reason: FeedProblem, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class ParsedFeed:
    """The entries of a feed, in its order. `salvaged` says what had to be repaired; empty: nothing.

    `unreadable` has the error of each entry that is left out because it breaks a parser. `shared` are the guids and
    links that stand for several entries.
    """

    entries: tuple[Entry, ...]
    salvaged: str = ""
    unreadable: tuple[str, ...] = ()
    shared: frozenset[str] = frozenset()


def parse(body: bytes, content_type: str = "", url: str = "", time_zone: str = "") -> ParsedFeed:
    """The entries in a feed that was fetched from `url` with that Content-Type header.

    `time_zone`, by its name in the IANA database, is where its dates are at home that do not say.

    Raises:
        FeedError: there is nothing to be read, or reading it would cost too much.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if not _TEXT_TYPES.match(media_type):
        raise FeedError(FeedProblem.CONTENT_TYPE, f"{media_type[:100]} instead of a feed")
    if not body.strip():
        raise FeedError(FeedProblem.EMPTY, "not one byte of a feed")
    text, repairs = _decoded(body, content_type)
    feed = _FEED.search(text, _beginning(text))
    if feed is None:
        if _PAGE.search(text):
            raise FeedError(FeedProblem.HTML_PAGE, "an HTML page instead of a feed")
        raise FeedError(FeedProblem.NOT_A_FEED, f"it begins with {text[:40]!r}")
    if text.count("<") + text.count("&") > MAX_MARKS:
        raise FeedError(FeedProblem.TOO_COMPLEX, f"more than {MAX_MARKS} angle brackets and ampersands")
    root, problem = _tree(text[feed.start() :])
    _prepare(root)
    if problem:
        _well_formed(etree.tostring(root, encoding="utf-8"))
    own = _Own({url, *_own_addresses(root)}, Dates(time_zone))
    found = [_read(entry, own) for entry in _raw_entries(root, url)]
    read = [entry for entry in found if isinstance(entry, Entry)]
    shared = shared_names(read)
    entries = tuple(replace(entry, article_id=article_id(entry, shared)) for entry in read)
    unreadable = tuple(repr(error)[:200] for error in found if isinstance(error, Exception))
    if not found:
        raise FeedError(FeedProblem.NO_ENTRIES, "a feed without entries")
    if not entries:
        raise FeedError(FeedProblem.UNREADABLE, f"none of its {len(found)} entries can be read: {unreadable[0]}")
    return ParsedFeed(entries, "; ".join(filter(None, [repairs, problem])), unreadable, shared)


def without_tracking(url: str) -> str:
    """The address without parameters that only say where a reader came from."""
    address, mark, query = url.strip().partition("?")
    query, sharp, fragment = query.partition("#")
    kept = "&".join(part for part in query.split("&") if part and not _TRACKING.match(part))
    return f"{address}{mark if kept else ''}{kept}{sharp}{fragment}"


def _decoded(body: bytes, content_type: str) -> tuple[str, str]:
    """The document as text without its declaration, and what was wrong with its charset."""
    declared = _DECLARED_CHARSET.search(body[:1024])
    text, repairs = decoded(body, declared[1].decode("ascii") if declared else "", content_type)
    return _DECLARATION.sub("", text), repairs


def _beginning(text: str) -> int:
    """Where the document begins, after comments and document type.

    Raises:
        FeedError: the document type declares something. No feed has a use for that.
    """
    start = _after_prolog(text)
    doctype = _DOCTYPE.match(text, start)
    if doctype is None:
        return start
    if doctype[1] == "[":
        raise FeedError(FeedProblem.ENTITIES, "a document type with declarations")
    return doctype.end()


def _after_prolog(text: str) -> int:
    at = 0
    while True:
        while text[at : at + 1].isspace():
            at += 1
        closing = next((closing for opening, closing in _SKIPPED if text.startswith(opening, at)), "")
        end = text.find(closing, at) if closing else -1
        if end < 0:
            return at
        at = end + len(closing)


def _tree(text: str) -> tuple[etree._Element, str]:
    """The document as a tree, and what was wrong with it."""
    try:
        return _well_formed(text.encode("utf-8", "replace")), ""
    except FeedError as error:
        problem = error.detail
    repaired = "".join(_escaped(visible(text))).encode("utf-8", "replace")
    root = etree.fromstring(repaired, etree.XMLParser(**_SAFE, recover=True))
    if root is None:
        raise FeedError(FeedProblem.NOT_A_FEED, problem)
    return root, problem


def _well_formed(document: bytes) -> etree._Element:
    try:
        return etree.fromstring(document, etree.XMLParser(**_SAFE))
    except etree.XMLSyntaxError as error:
        raise FeedError(FeedProblem.NOT_A_FEED, f"not well-formed: {error.msg}") from None


def _escaped(text: str) -> Iterator[str]:
    """The text with every ampersand escaped that begins no entity of XML, but for CDATA, where none does."""
    at = 0
    while (start := text.find("<![CDATA[", at)) >= 0 and (end := text.find("]]>", start)) >= 0:
        yield _AMPERSAND.sub(_entity, text[at:start])
        yield text[start : end + 3]
        at = end + 3
    yield _AMPERSAND.sub(_entity, text[at:])


def _entity(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if decimal or hexadecimal:
        code = int(decimal or hexadecimal, 10 if decimal else 16)
        return found[0] if code <= 0x10FFFF and visible(chr(code)) else "&#xFFFD;"
    return found[0] if name else "&amp;"


def _prepare(root: etree._Element) -> None:
    """Bring a tree into the form in which feedparser reads it as its publisher meant it.

    Raises:
        FeedError: it is larger than any newspaper's.
    """
    entries = 0
    for number, element in enumerate(root.iter(etree.Element)):
        name = str(element.tag)
        entries += _is_entry(element)
        if number >= MAX_ELEMENTS or entries > MAX_ENTRIES or len(element.attrib) > MAX_ATTRIBUTES:
            raise FeedError(FeedProblem.TOO_COMPLEX, f"more than {MAX_ELEMENTS} elements or {MAX_ENTRIES} entries")
        if ":" in name and not name.startswith("{"):
            prefix, _, local = name.partition(":")
            element.tag = f"{{{_UNDECLARED.get(prefix, 'urn:undeclared')}}}{local.replace(':', '_')}"
        for attribute in [key for key in element.attrib if ":" in key and not str(key).startswith("{")]:
            del element.attrib[attribute]
        # feedparser would make an address of any guid, one that depends on where the feed was read.
        if name == "guid" and not (element.text or "").strip().startswith(("http://", "https://")):
            element.set("isPermaLink", "false")
        # feedparser lets an empty dc:description take the place of a description that says something (CoinDesk).
        if name == _DC_DESCRIPTION and not (element.text or "").strip():
            element.tag = "{urn:ignored}description"


def _raw_entries(root: etree._Element, url: str) -> Iterator[Any]:
    """What feedparser makes of each entry; where one breaks it, each is read alone, and that one is the exception."""
    try:
        yield from _feedparser_entries(root, url)
    except Exception:  # noqa: BLE001 - feedparser lets errors of any kind out
        alone = list(_alone(root))
    else:
        return
    for single in alone:
        try:
            yield from _feedparser_entries(single, url)
        except Exception as error:  # noqa: BLE001 - as above
            yield error


def _feedparser_entries(root: etree._Element, url: str) -> list[Any]:
    import feedparser  # noqa: PLC0415 - only who reads a feed pays for the import

    headers = {"content-type": "application/xml; charset=utf-8", "content-location": url}
    # In a buffer: feedparser would take bytes for the name of a file first.
    document = io.BytesIO(etree.tostring(root, encoding="utf-8"))
    found = feedparser.parse(document, response_headers=headers, sanitize_html=False, resolve_relative_uris=False)
    return list(found.entries)


def _alone(root: etree._Element) -> Iterator[etree._Element]:
    """A document for each entry, with what its feed's elements say of language and addresses, and nothing else."""
    for entry in list(root.iter(etree.Element)):
        parents = list(entry.iterancestors())
        if not _is_entry(entry) or any(map(_is_entry, parents)):
            continue
        inner = deepcopy(entry)
        for parent in parents:
            outer = etree.Element(parent.tag, dict(parent.attrib), nsmap=parent.nsmap)
            outer.append(inner)
            inner = outer
        yield inner


def _is_entry(element: etree._Element) -> bool:
    return str(element.tag).rpartition("}")[2] in _ENTRIES


@dataclass(frozen=True)
class _Own:
    """What an entry is read by: the addresses of its feed and site, and how the feed writes dates."""

    addresses: Set[str]
    dates: Dates


def _own_addresses(root: etree._Element) -> Iterator[str]:
    """Where a feed and its site are, as the feed says."""
    for parent in (root, *root.iterchildren("{*}channel")):
        for element in parent.iterchildren("{*}link", "{*}id"):
            yield (element.get("href") or element.text or "").strip()


def _read(entry: Any, own: _Own) -> Entry | Exception:
    """An entry, or what was raised in the attempt to read it."""
    if isinstance(entry, Exception):
        return entry
    try:
        return _entry(entry, own)
    except Exception as error:  # noqa: BLE001 - the border between entries: one that breaks us costs itself only
        return error


def _entry(entry: Any, own: _Own) -> Entry:
    title = plain_text(plain(entry.get("title", "")), MAX_SUMMARY)
    url = without_tracking(visible(entry.get("link", "")))
    contents = [plain(part.get("value", "")) for part in entry.get("content", [])]
    content = plain_text(own_words(max(contents, key=len, default=""), title), MAX_CONTENT)
    summary = plain_text(own_words(plain(entry.get("summary", "")), title), MAX_SUMMARY)
    guid = visible(entry.get("id", "")).strip()
    return Entry(
        article_id="",
        names=names(guid, url, (title, summary, content), own.addresses),
        title=title,
        url=url,
        summary=summary,
        content=content,
        tags=_tags(tag.get("term") for tag in entry.get("tags", [])),
        published_at=_published(entry, own.dates),
    )


def _published(entry: Any, dates: Dates) -> datetime | None:
    """By the entry's date of publication, else by that of its last change. feedparser's own reading guesses zones."""
    texts = (str(dict.get(entry, name) or "") for name in ("published", "updated"))
    return next((instant for text in texts if (instant := dates.instant(visible(text)))), None)


def _tags(terms: Iterable[str | None]) -> tuple[str, ...]:
    tags: dict[str, str] = {}
    for term in terms:
        tag = plain_text(plain(term or ""), 100)
        if tag:
            tags.setdefault(tag.casefold(), tag)
    return tuple(tags.values())[:MAX_TAGS]
