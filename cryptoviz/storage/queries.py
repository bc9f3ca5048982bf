"""The statements of ``sql/queries``, by name. Their parameters are always bound, never pasted in.

One file for each subject; a statement begins with a line ``-- name: NAME`` (the form of aiosql) and ends where the next
one begins. A name stands once in all files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, LiteralString, NamedTuple

from cryptoviz.settings import PROJECT_ROOT
from cryptoviz.storage import driver

if TYPE_CHECKING:
    from psycopg import Connection

SQL_DIR: Final = PROJECT_ROOT / "sql"
_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


class Statement(NamedTuple):
    """A statement of ``sql/queries``: the file it stands in, relative to the project, and its text."""

    file: str
    text: LiteralString


@cache
def statements() -> Mapping[str, Statement]:
    """Every statement by its name.

    Raises:
        ValueError: two statements have one name.
    """
    found: dict[str, Statement] = {}
    for path in sorted((SQL_DIR / "queries").glob("*.sql")):
        _head, *parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"two statements are named {name}: in {found[name].file} and {path.name}")
            found[name] = Statement(f"sql/queries/{path.name}", text.strip())
    return found


def query(name: str) -> LiteralString:
    """The text of a statement.

    Raises:
        KeyError: there is no statement of that name.
    """
    return statements()[name].text


def fetch_rows(
    connection: Connection[Any], name: str, parameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The rows that a statement returns, each as column name -> value.

    Raises:
        KeyError: there is no statement of that name.
    """
    return connection.cursor(row_factory=driver.dict_row).execute(query(name), parameters).fetchall()
