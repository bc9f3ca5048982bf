"""Pages from templates: everything that is filled in is escaped, and nothing is left out silently."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cryptoviz.reports.facts import KEEP

TEMPLATES: Final = Path(__file__).parent / "templates"
STYLE: Final = "style.css"

__all__ = ["STYLE", "TEMPLATES", "Markup", "page"]


def page(template: str, path: str, **values: Any) -> str:
    """The page at `path` within the site, from a template. `root` leads from it to the top of the site."""
    return _environment().get_template(template).render(root="../" * path.count("/"), keep_days=KEEP.days, **values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
