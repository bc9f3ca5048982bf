"""The statements of `sql/queries`: every name that code asks for exists, and every one that exists is asked for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptoviz.settings import PROJECT_ROOT
from cryptoviz.storage.queries import query, statements

ROOMS = ("assets", "benchmarks", "cryptoviz", "dagster_project", "jobs", "sensors", "simulators", "streaming")
COMPUTED = ("archive_poorer_", "check_window_", "forget_", "tier_old_")
"""The beginnings of names that are completed with a table's or a subject's."""


def trees(*rooms: str) -> Iterator[tuple[Path, ast.Module]]:
    for room in rooms:
        for path in sorted((PROJECT_ROOT / room).rglob("*.py")):
            yield path.relative_to(PROJECT_ROOT), ast.parse(path.read_text())


def asked_for(tree: ast.AST) -> Iterator[ast.expr]:
    """The names that are given to `query` or `fetch_rows` there, as constants or f-strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("query", "fetch_rows"):
            yield node.args[0 if node.func.id == "query" else 1]


def pattern(text: ast.JoinedStr) -> str:
    """What an f-string can come to, as a regular expression."""
    return "".join(re.escape(part.value) if isinstance(part, ast.Constant) else r"\w+" for part in text.values)


def test_every_name_that_is_asked_for_exists() -> None:
    missing = [
        f"{path}:{name.lineno}: {ast.unparse(name)}"
        for path, tree in trees(*ROOMS, "tests")
        if path.name != Path(__file__).name
        for name in asked_for(tree)
        if (isinstance(name, ast.Constant) and name.value not in statements())
        or (isinstance(name, ast.JoinedStr) and not any(re.fullmatch(pattern(name), known) for known in statements()))
    ]
    assert missing == []


def test_every_statement_is_used() -> None:
    words: set[str] = set()
    patterns: set[str] = set()
    for _path, tree in trees(*ROOMS):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                patterns.add(pattern(node))
    computed = {f"{beginning}\\w+" for beginning in COMPUTED}
    assert computed <= patterns
    unused = [
        name for name in statements() if name not in words and not any(re.fullmatch(each, name) for each in computed)
    ]
    assert unused == []


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="no_such_statement"):
        query("no_such_statement")


def test_every_file_says_what_it_is_about_and_holds_statements() -> None:
    for path in sorted((PROJECT_ROOT / "sql" / "queries").glob("*.sql")):
        first, *rest = path.read_text().splitlines()
        assert re.fullmatch(r"-- [A-Z].*\.", first), path.name
        assert any(line.startswith("-- name: ") for line in rest), path.name
