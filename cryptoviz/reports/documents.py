"""The stored validations as pages: rendered by Great Expectations once each, cleaned, and kept beside the sites.

    stored documents - pages that are there -> GX -> sections, cleaned -> documents/<edition>/<asset>/<time>.html

GX's templates escape little, and what was judged is hostile: it goes through them in disguise, and of their HTML only
known elements and attributes are kept, without any address, style or script.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gate import docs
from cryptoviz.reports import store
from cryptoviz.reports.address import report_page, slug
from cryptoviz.reports.facts import Document
from cryptoviz.reports.pages import TEMPLATES, Markup, page
from cryptoviz.reports.view import findings_of_document, plain

if TYPE_CHECKING:
    from lxml.html import HtmlElement

Load = Callable[[Document], Mapping[str, Any] | None]
Render = Callable[[Mapping[str, Any]], str]

MOST_AT_ONCE: Final = 400
"""Pages that one build renders: the newest first, the next build goes on."""

_ELEMENTS: Final = {
    *("b", "br", "code", "dd", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol"),
    *("p", "pre", "small", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "u", "ul"),
}
_CLASSES: Final = {
    *("alert", "badge", "fa-check-circle", "fa-exclamation-triangle", "fa-times", "ge-section", "h5", "h6"),
    "table-responsive",
}
"""Those that style.css knows."""

_SPANS: Final = {"colspan", "rowspan"}
_SPACE: Final = re.compile(r"\s+")
_DROPPED: Final = {
    *("script", "style", "iframe", "object", "embed", "svg", "math", "template", "noscript"),
    *("form", "input", "button", "select"),
}
_DEPENDS_ON: Final = ("document.html", "base.html", "parts.html")
_LONGEST: Final = 20_000
_DISGUISE: Final = str.maketrans(
    "<>&\"'\ue000\ue001\ue002\ue003\ue004", "\ue000\ue001\ue002\ue003\ue004\ufffd\ufffd\ufffd\ufffd\ufffd"
)
_OPERATORS: Final = frozenset({"<", "<=", ">", ">="})
"""GX knows them by their names in conditions."""

_REVEAL: Final = str.maketrans(
    {"\ue000": "&lt;", "\ue001": "&gt;", "\ue002": "&amp;", "\ue003": "&quot;", "\ue004": "&#39;"}
)


@dataclass(frozen=True)
class Synced:
    """What became of the pages: rendered now, still to be rendered, those that are there, and what went wrong."""

    rendered: int
    left: int
    pages: Mapping[Document, str]
    trouble: str = ""


def sync(
    folder: Path,
    documents: Sequence[Document],
    load: Load,
    *,
    make: Callable[[], Render] | None = None,
    most: int = MOST_AT_ONCE,
) -> Synced:
    """Render what of `documents` (the newest first) is not there yet. Great Expectations is loaded only for that.

    Nothing is taken away: pages that the published site links to stay until it is replaced (see `tidy`).
    """
    wanted = {document: location(document) for document in documents}
    missing = [document for document, path in wanted.items() if not (folder / path).exists()]
    written, trouble = 0, ""
    try:
        written = _render(folder, missing[:most], load, make or docs.renderer)
    except docs.DocumentError as error:
        trouble = str(error)
    there = {document: path for document, path in wanted.items() if (folder / path).exists()}
    return Synced(written, len(wanted) - len(there), there, trouble)


def _render(folder: Path, missing: Sequence[Document], load: Load, make: Callable[[], Render]) -> int:
    if not missing:
        return 0
    render, written = make(), 0
    for document in missing:
        text = load(document)
        if text is not None:
            store.write(folder / location(document), _page(document, text, render))
            written += 1
    return written


def tidy(folder: Path, pages: Mapping[Document, str]) -> int:
    """Remove every document that is none of `pages`; returns how many."""
    kept = {folder / path for path in pages.values()}
    root, removed = folder / store.DOCUMENTS, 0
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in kept:
            path.unlink()
            removed += 1
    return removed


def location(document: Document) -> str:
    """The page of a document, as a path within the site."""
    at = document.evaluated_at.strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{store.DOCUMENTS}/{edition()}/{slug(document.asset)}/{at}.html"


@cache
def edition() -> str:
    """A fingerprint of what all pages depend on beside their documents: when it changes, all are rendered again."""
    digest = hashlib.sha256(version("great-expectations").encode())
    files = [Path(__file__), Path(docs.__file__), *(TEMPLATES / name for name in _DEPENDS_ON)]
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _page(document: Document, text: Mapping[str, Any], render: Render) -> str:
    try:
        sections = revealed(cleaned(render(disguised(_findings(document, text)))))
    except docs.DocumentError as error:
        # Kept as it is: tried again, it would break again, with every build.
        sections = str(
            Markup("<p>Great Expectations cannot show this document:</p><pre>{}</pre><pre>{}</pre>").format(
                error, plain(text, _LONGEST)
            )
        )
    return page(
        "document.html",
        location(document),
        asset=document.asset,
        evaluated_at=document.evaluated_at,
        page=report_page(document.asset),
        told=findings_of_document(text),
        sections=Markup(sections),
    )


def _findings(document: Document, text: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what the database knows beside it, where GX shows it."""
    meta = {
        "run_id": {"run_name": document.run, "run_time": document.evaluated_at.isoformat()},
        "batch_spec": {"data_asset_name": document.asset},
        "great_expectations_version": "not recorded",
    }
    return {**text, "meta": meta | dict(text.get("meta") or {})}


def disguised(value: Any) -> Any:
    """The value without a character that means something in HTML: GX would show `<b>` as markup, or as nothing."""
    if isinstance(value, str):
        return value if value in _OPERATORS else value.translate(_DISGUISE)
    if isinstance(value, Mapping):
        return {str(disguised(name)): disguised(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [disguised(inner) for inner in value]
    return value


def revealed(html: str) -> str:
    """HTML with what was disguised, escaped."""
    return html.translate(_REVEAL)


def cleaned(html: str) -> str:
    """The sections of a page by GX, with harmless elements and attributes only."""
    import nh3  # noqa: PLC0415 - only where documents are rendered
    from lxml import html as parser  # noqa: PLC0415

    sections = parser.document_fromstring(html).find_class("ge-section")
    for section in sections:
        _compact(section)
    return nh3.clean(
        "\n".join(parser.tostring(section, encoding="unicode", with_tail=False) for section in sections),
        tags=_ELEMENTS,
        clean_content_tags=_DROPPED,
        attributes={"td": _SPANS, "th": _SPANS},
        allowed_classes=dict.fromkeys(_ELEMENTS, _CLASSES),
    )


def _compact(section: HtmlElement) -> None:
    """Leave out what shows nothing: GX's templates indent with most of the bytes of a page."""
    for head in list(section.iter("thead")):
        if not head.text_content().strip():
            head.drop_tree()
    for element in section.iter():
        if element.text and element.tag != "pre":
            element.text = _SPACE.sub(" ", element.text)
        if element.tail:
            element.tail = _SPACE.sub(" ", element.tail)
