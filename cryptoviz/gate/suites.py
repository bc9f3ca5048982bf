"""The suites of expectations: what must hold before data of a subject is published, as committed JSON.

    great_expectations/expectations/<subject>.json -> Suite

The files are Great Expectations' own format, with `name`, `scope` and `why` in each expectation's `meta`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptoviz.gate.report import Scope, Severity, SuiteError
from cryptoviz.settings import PROJECT_ROOT

SUITES: Final = PROJECT_ROOT / "great_expectations" / "expectations"

_META: Final = ("name", "scope", "why")


@dataclass(frozen=True)
class Expectation:
    """One expectation. `name` is unique in its suite; `why` says in a sentence what it is for."""

    name: str
    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    scope: Scope
    why: str

    @property
    def columns(self) -> list[str]:
        """The columns it looks at, those of its condition last."""
        named = [self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs]
        return list(dict.fromkeys([*named, *self.kwargs.get("column_list", []), *_conditions(self.kwargs)]))


@dataclass(frozen=True)
class Suite:
    """The expectations of one subject, in the order of their file."""

    name: str
    file: Path
    expectations: tuple[Expectation, ...]

    def of(self, scope: Scope) -> Suite:
        """The part of it that has this scope."""
        return Suite(
            self.name, self.file, tuple(expectation for expectation in self.expectations if expectation.scope is scope)
        )


def read(name: str, folder: Path = SUITES) -> Suite:
    """The suite of a subject, read anew each time: a change needs no restart.

    Raises:
        SuiteError: there is no such file, or it is no suite; the message names the file and the reason.
    """
    file = folder / f"{name}.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SuiteError(f"{_shown(file)} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SuiteError(f"{_shown(file)} is not JSON: {error}") from error
    try:
        return _suite(name, file, content)
    except SuiteError as error:
        raise SuiteError(f"{_shown(file)}: {error}") from error


def names(folder: Path = SUITES) -> list[str]:
    """The subjects that have a suite."""
    return sorted(file.stem for file in folder.glob("*.json"))


def _suite(name: str, file: Path, content: Any) -> Suite:
    if not isinstance(content, dict) or content.get("name") != name:
        raise SuiteError(f'the file should hold an object with "name": "{name}"')
    entries = content.get("expectations")
    if not isinstance(entries, list) or not entries:
        raise SuiteError("it has no expectations")
    found = tuple(_expectation(number, entry) for number, entry in enumerate(entries, start=1))
    seen: set[str] = set()
    for expectation in found:
        if expectation.name in seen:
            raise SuiteError(f"two expectations are named {expectation.name}")
        seen.add(expectation.name)
    return Suite(name, file, found)


def _expectation(number: int, entry: Any) -> Expectation:
    where = f"expectation {number}"
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("type"), str)
        or not isinstance(entry.get("kwargs"), dict)
    ):
        raise SuiteError(f"{where} has no type or kwargs")
    meta = entry.get("meta")
    if not isinstance(meta, dict) or not all(isinstance(meta.get(word), str) and meta[word] for word in _META):
        raise SuiteError(f"{where} ({entry['type']}) needs {', '.join(_META)} in its meta")
    where = f"{where} ({meta['name']})"
    if isinstance(entry["kwargs"].get("row_condition"), str):
        raise SuiteError(f"{where}: write row_condition as an object such as {_EXAMPLE}")
    try:
        severity, scope = Severity(entry.get("severity", "")), Scope(meta["scope"])
    except ValueError as error:
        allowed = "severity is critical, warning or info; scope is row or batch"
        raise SuiteError(f"{where}: {error}; {allowed}") from None
    return Expectation(meta["name"], entry["type"], entry["kwargs"], severity, scope, meta["why"])


_EXAMPLE: Final = '{"type": "comparison", "column": {"name": "rank"}, "operator": "==", "parameter": 1}'


def _conditions(value: Any) -> Iterator[str]:
    """The columns of a row condition, however nested."""
    if isinstance(value, Mapping):
        column = value.get("column")
        if isinstance(column, Mapping) and isinstance(column.get("name"), str):
            yield column["name"]
        for inner in value.values():
            yield from _conditions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _conditions(inner)


def _shown(file: Path) -> Path:
    return file.relative_to(PROJECT_ROOT) if file.is_relative_to(PROJECT_ROOT) else file
