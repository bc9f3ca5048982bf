"""The statements of ``sql/queries``, by name. Their parameters are always bound, never pasted in."""

from __future__ import annotations

from functools import cache
from typing import Final, LiteralString

from cryptoviz.settings import PROJECT_ROOT

SQL_DIR: Final = PROJECT_ROOT / "sql"


@cache
def query(name: str) -> LiteralString:
    """The text of ``sql/queries/<name>.sql``.

    Raises:
        FileNotFoundError: there is no statement of that name.
    """
    return (SQL_DIR / "queries" / f"{name}.sql").read_text(encoding="utf-8")
