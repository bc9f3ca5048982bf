"""Names say what they name: the rules of CONTRIBUTING.md that a program can hold, and the glossary's places."""

import ast
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from cryptoviz.gaps.labels import GapLabel
from cryptoviz.settings import PROJECT_ROOT

PACKAGES = ("assets", "cryptoviz", "dagster_project", "jobs", "sensors", "simulators", "streaming")

CLASSES = frozenset((
    *("Asked", "Before", "Data", "Info", "Left", "Means", "Object", "Outcome", "Read", "Result", "Row", "Source"),
    *("State", "Status", "Stuff", "Thing", "Told", "Treated"),
))  # fmt: skip
"""Names of classes that say nothing without their module."""

VARIABLES = frozenset(("asked", "judged", "listed", "one", "other", "said", "told"))
"""Names of variables, parameters and functions that say nothing of what they hold."""

TO_BE_NAMED = ("simulators", "streaming", "cryptoviz/exchanges")
"""Rooms whose names are still to be looked over; a room that leaves this list does not come back."""


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((PROJECT_ROOT / package).rglob("*.py")):
            if not path.relative_to(PROJECT_ROOT).as_posix().startswith(TO_BE_NAMED):
                yield path


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Where each variable, parameter and function of a module is named."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store(), lineno=line) | ast.arg(arg=name, lineno=line):
                yield line, name
            case ast.FunctionDef(name=name, lineno=line) | ast.AsyncFunctionDef(name=name, lineno=line):
                yield line, name
            case ast.ExceptHandler(name=str(name), lineno=line):
                yield line, name


def classes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Classes and aliases of types at the top of a module."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name, lineno=line):
                yield line, name
            case ast.Assign(targets=[ast.Name(id=name)], lineno=line):
                yield line, name


@pytest.mark.parametrize(("found", "forbidden"), [(names, VARIABLES), (classes, CLASSES)], ids=["variables", "classes"])
def test_names_say_what_they_name(
    found: Callable[[ast.Module], Iterator[tuple[int, str]]], forbidden: Collection[str]
) -> None:
    wrong = [
        f"{path.relative_to(PROJECT_ROOT)}:{line}: {name}"
        for path in modules()
        for line, name in found(ast.parse(path.read_text()))
        if name.lstrip("_") in forbidden
    ]
    assert wrong == []


def test_rooms_that_are_still_to_be_named_exist() -> None:
    gone = [room for room in TO_BE_NAMED if not any(PROJECT_ROOT.glob(f"{room}*"))]
    assert gone == []


def test_sql_names_say_what_they_name() -> None:
    """Aliases of `sql/functions` and `sql/queries`, and the parameters of statements."""
    words = "|".join(sorted(VARIABLES))
    alias = re.compile(
        rf"\b(?:{words})\.\w|\) (?:as )?(?:{words})\b|\bas (?:{words}) \(|%\((?:{words})\)s", re.IGNORECASE
    )
    wrong = [
        f"{path.relative_to(PROJECT_ROOT)}:{number}: {line.strip()}"
        for folder in ("functions", "queries")
        for path in sorted((PROJECT_ROOT / "sql" / folder).glob("*.sql"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if not line.lstrip().startswith(("--", "'", "('")) and alias.search(line)
    ]
    assert wrong == []


def test_no_module_is_a_bag() -> None:
    bags = {"common", "helpers", "misc", "util", "utils"}
    assert not [path for package in PACKAGES for path in (PROJECT_ROOT / package).rglob("*.py") if path.stem in bags]


def test_the_glossary_names_places_that_exist() -> None:
    text = (PROJECT_ROOT / "docs" / "glossary.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([^`|]+)` \|$", text, re.MULTILINE)
    assert len(rows) > 50
    assert [place for _word, _meaning, place in rows if not (PROJECT_ROOT / place).is_file()] == []
    words = [word for word, _meaning, _place in rows]
    assert sorted(set(words)) == sorted(words), "a word has one meaning"


def test_every_gap_label_is_in_the_glossary() -> None:
    text = (PROJECT_ROOT / "docs" / "glossary.md").read_text()
    assert [label for label in GapLabel if f"`{label}`" not in text] == []
