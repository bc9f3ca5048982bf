"""The feeds, pages and robots.txt of the simulated sites as text, each feed in the style of its original."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from simulators.web.news import Item, Site

_TEMPLATES: Final = Path(__file__).with_name("templates")
_STALE: Final = timedelta(hours=9)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["rfc822"] = format_datetime
    return environment


def feed_text(site: Site, items: Sequence[Item], root: str) -> str:
    """A feed; `root` is the site's address without a slash at the end."""
    built = max(item.updated for item in items)
    if site.name == "cryptoslate":
        built -= _STALE  # the original's lastBuildDate is older than its newest item
    return _environment().get_template(f"{site.name}.xml").render(items=items, root=root, built=built)


def page_text(site: Site, item: Item, root: str, now: datetime) -> str:
    """An article's page: the text, and around it everything that is not the text."""
    return _environment().get_template("article.html").render(site=site, item=item, root=root, now=now)


def robots_text() -> str:
    """What robots may read."""
    return _environment().get_template("robots.txt").render()
