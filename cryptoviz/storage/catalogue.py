"""The tables as ``sql/schema.sql`` describes them, for who explains the database without a connection to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from cryptoviz.storage.queries import SQL_DIR

_TABLE: Final = re.compile(r"^CREATE TABLE public\.(\w+) \((.*?)^\)", re.MULTILINE | re.DOTALL)
_COLUMN: Final = re.compile(r'^    "?([a-z_][a-z0-9_]*)"? ([a-z ]+(?:\[\])?)([^\n]*?),?$', re.MULTILINE)
_COMMENT: Final = re.compile(r"^COMMENT ON (?:TABLE|COLUMN) public\.([\w.\"]+) IS '((?:[^']|'')*)';", re.MULTILINE)
_SHORT: Final = {"timestamp with time zone": "timestamptz"}


@dataclass(frozen=True)
class Column:
    """One column: its type as people write it, and what it means."""

    name: str
    type: str
    nullable: bool
    meaning: str


@dataclass(frozen=True)
class Table:
    """One table with its columns in order."""

    name: str
    meaning: str
    columns: tuple[Column, ...]


@cache
def tables() -> Mapping[str, Table]:
    """Every table of schema `public`, by name."""
    text = (SQL_DIR / "schema.sql").read_text(encoding="utf-8")
    meanings = {name.replace('"', ""): comment.replace("''", "'") for name, comment in _COMMENT.findall(text)}
    return {
        name: Table(
            name,
            meanings.get(name, ""),
            tuple(
                Column(column, _SHORT.get(kind.strip(), kind.strip()), "NOT NULL" not in rest, meaning)
                for column, kind, rest in _COLUMN.findall(body)
                for meaning in (meanings.get(f"{name}.{column}", ""),)
            ),
        )
        for name, body in _TABLE.findall(text)
    }
