"""The house stays as it is drawn: rooms, lock files, documents."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from cryptoviz.settings import PROJECT_ROOT
from tests.conftest import LONGEST

ROOMS = (
    "dagster_project",
    "assets",
    "jobs",
    "sensors",
    "simulators",
    "streaming",
    "sql",
    "great_expectations",
    "cryptoviz",
    "tests",
    "benchmarks",
    "docs",
)


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--", *patterns], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    return [path for line in listing.stdout.splitlines() if (path := PROJECT_ROOT / line).exists()]


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_stands_at_the_top(room: str) -> None:
    assert (PROJECT_ROOT / room).is_dir()


@pytest.mark.parametrize(
    "room", ["dagster_project", "assets", "jobs", "sensors", "simulators", "streaming", "cryptoviz"]
)
def test_every_package_resolves_inside_the_repository(room: str) -> None:
    spec = importlib.util.find_spec(room)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(PROJECT_ROOT)


def test_the_suites_never_shadow_great_expectations() -> None:
    assert not list((PROJECT_ROOT / "great_expectations").rglob("__init__.py"))


def test_lock_files_are_hashed_and_name_no_download_address() -> None:
    locks = sorted((PROJECT_ROOT / "requirements").glob("*.txt"))
    assert [lock.name for lock in locks] == ["base.txt", "bench.txt", "dev.txt"]
    for lock in locks:
        lines = [line for line in lock.read_text().splitlines() if not line.lstrip().startswith("#")]
        assert not [line for line in lines if re.search(r"https?://|--index|--find-links| @ ", line)]
        requirements = re.findall(
            r"^[a-z0-9][a-z0-9._-]*(?:\[[a-z,]+\])?==.*?(?=^[a-z0-9]|\Z)", "\n".join(lines), re.S | re.M
        )
        assert len(requirements) > 50
        assert not [requirement for requirement in requirements if "--hash=sha256:" not in requirement]


def test_the_locks_are_made_from_what_is_asked_for() -> None:
    for name in ("base", "dev", "bench"):
        asked = (PROJECT_ROOT / "requirements" / f"{name}.in").read_text()
        locked = (PROJECT_ROOT / "requirements" / f"{name}.txt").read_text()
        for line in asked.splitlines():
            package = re.match(r"[A-Za-z0-9_.-]+", line)
            if package and not line.startswith("-r"):
                assert re.search(rf"^{package[0].lower().replace('_', '-')}(\[.*\])?==", locked, re.M), (
                    f"{package[0]}: run make lock"
                )


def test_every_relative_link_in_the_documents_leads_somewhere() -> None:
    broken = [
        f"{document.relative_to(PROJECT_ROOT)}: {target}"
        for document in tracked("*.md")
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert not broken


def test_every_command_of_the_readme_exists() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text()
    makefile = (PROJECT_ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", readme)) | set(
        re.findall(r"\bmake ([a-z][a-z-]*)", (PROJECT_ROOT / "CONTRIBUTING.md").read_text())
    )
    assert named
    assert named <= targets


def test_code_names_no_place_of_one_machine() -> None:
    found = [
        f"{path.relative_to(PROJECT_ROOT)}:{number}"
        for path in tracked(
            "*.py", "*.sql", "*.toml", "*.yaml", "*.yml", "*.sh", "*.md", "Makefile", ".ci/run", "pom.xml"
        )
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if re.search(r"(?<![\w.-])/(work|home|root)/\w", line)
    ]
    assert not found


def defined(file: Path, name: str) -> bool:
    """Whether a Python or SQL file defines the name, or a document has it as a heading."""
    word = re.escape(name)
    forms = {
        ".py": rf"^\s*(?:def|class) {word}\b|^{word}\b[^=\n]*=",
        ".sql": rf"^create (?:or replace )?(?:table|function|view) {word}\b",
        ".md": rf"^#+ {word}$",
    }
    return re.search(forms[file.suffix], file.read_text(), re.MULTILINE) is not None


def test_the_table_of_where_to_look_is_true() -> None:
    text = (PROJECT_ROOT / "docs" / "architecture.md").read_text()
    section = text.partition("## Where to look\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+\?) \| `([^`]+)` \| `([^`]+)` \|$", section, re.MULTILINE)
    assert len(rows) == len(section.strip().splitlines()) - 2 == 8
    wrong = [
        f"{question} {path}: {name}"
        for question, path, name in rows
        if not (PROJECT_ROOT / path).is_file() or not defined(PROJECT_ROOT / path, name)
    ]
    assert wrong == []


def test_the_files_of_tests_that_begin_first_are_there() -> None:
    assert [name for name in LONGEST if not (PROJECT_ROOT / "tests" / name).is_file()] == []


MOST_LINES = 400


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    rooms = ("assets", "benchmarks", "cryptoviz", "dagster_project", "jobs", "sensors", "simulators", "streaming")
    files = tracked(*(f"{room}/*.py" for room in rooms), "sql/functions/*.sql", "sql/queries/*.sql")
    assert len(files) > 200
    long = [str(file.relative_to(PROJECT_ROOT)) for file in files if len(file.read_text().splitlines()) > MOST_LINES]
    assert long == []
