"""From markup to text: the summaries of feeds, and the pages of articles whose feed has no text."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from lxml import etree, html

from cryptoviz.news.charset import decoded

MAX_MARKUP: Final = 200_000
"""Characters of one piece of markup that are looked at; the longest real articles have a quarter of it."""

MAX_ELEMENTS: Final = 20_000
"""Elements of a page that is looked at; those of newspapers have a few thousand."""
MAX_TAG: Final = 10_000
"""Characters of one tag: libxml2 compares each attribute with all before it."""

_META_CHARSET: Final = re.compile(rb"""<meta[^>]{1,200}?charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_TAG: Final = re.compile(
    r"""<[a-z][^\s/>]*+(?>[\s/]++|[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>]*+))?)*+>?""",
    re.IGNORECASE | re.ASCII,
)
"""A tag by the rules of HTML 5: a value in quotes may contain anything."""
_UNSEEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u200b\u2060\ufeff\ud800-\udfff\ufffe\uffff]")
_BLOCK: Final = re.compile(
    r"<(?=/?(?:p|br|div|li|ul|ol|h[1-6]|tr|td|th|table|blockquote|figure|figcaption|section|article|hr|pre)\b)",
    re.IGNORECASE,
)
_TAIL: Final = re.compile(
    r"\bTh(?:e|is) post (?:(?!\bTh(?:e|is) post ).){1,500}?\b(?:appeared first|first appeared) on\b"
)
_END_OF_PAGE: Final = re.compile(r"</(?:html|body)\s*>", re.IGNORECASE)
"""libxml2 reads nothing after it."""
_SILENT: Final = ("script", "style", "noscript", "template", "iframe", "object", "svg", "head", "title")


def visible(text: str) -> str:
    """The text without characters that nobody sees, or that no database stores."""
    return _UNSEEN.sub("", text)


def plain(markup: str) -> str:
    """The text of a piece of HTML, or of no HTML at all, on one line."""
    text = visible(markup[:MAX_MARKUP])
    if len(text) > MAX_TAG:
        text = without_giants(text, MAX_TAG)
    if "<" in text or "&" in text:
        # A whole page in place of a fragment is fine too: its own html and body tags are repeated ones here.
        page = "<html><body>" + _BLOCK.sub(" <", _END_OF_PAGE.sub(" ", text))
        root = html.document_fromstring(page, parser=_parser())
        etree.strip_elements(root, etree.Comment, etree.ProcessingInstruction, *_SILENT, with_tail=False)
        text = visible(str(root.text_content()))
    return " ".join(text.split())


def _parser() -> html.HTMLParser:
    return html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False)


def article_text(page: bytes, content_type: str, url: str, longest: int) -> str:
    """The article in a page, at most `longest` characters; empty where none is found.

    The extractor never sees bytes: it would decompress them if they look compressed, however large they become.
    """
    from trafilatura import extract, load_html  # noqa: PLC0415 - takes a second to import: only who reads a page pays

    declared = _META_CHARSET.search(page[:2048])
    text, _ = decoded(page, declared[1].decode("ascii") if declared else "", content_type)
    tree = load_html(without_giants(visible(text), MAX_TAG))
    if tree is None or sum(1 for _ in islice(tree.iter(), MAX_ELEMENTS + 1)) > MAX_ELEMENTS:
        return ""
    found = extract(tree, url=url, include_comments=False, include_tables=False, favor_precision=True)
    return plain_text(found or "", longest)


def without_giants(markup: str, longest: int = MAX_TAG) -> str:
    """Markup without the tags that are longer than any honest one."""
    return _TAG.sub(lambda tag: tag[0] if len(tag[0]) <= longest else "", markup)


def own_words(text: str, title: str) -> str:
    """The text without what publishing software puts around it: site and title before, where it appeared after."""
    at = text.find(title, 0, len(title) + 60) if title else -1
    if at >= 0 and len(text) > at + len(title):
        text = text[at + len(title) :].lstrip(" .:-\u2013\u2014")
    tail = _TAIL.search(text, max(0, len(text) - 700))
    return text[: tail.start()].rstrip() if tail else text


def plain_text(text: str, longest: int) -> str:
    """Text on one line, cut at a word."""
    line = " ".join(visible(text).split())
    if len(line) <= longest:
        return line
    return line[: longest + 1].rpartition(" ")[0] or line[:longest]
