"""PostgreSQL's programs as this machine has them: where they are, their version, and whether they offer TimescaleDB."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptoviz.stack.errors import StackError, last_lines

SUPPORTED: Final = (18, 17, 16, 15)
Say = Callable[[str], None]
"""Tells the user in one line what is going on."""


class Edition(StrEnum):
    """Which TimescaleDB there is: the community one, the Apache part of it, or none."""

    COMMUNITY = "community"
    APACHE = "apache"
    PLAIN = "plain"


class PostgresError(StackError):
    """PostgreSQL could not be installed, started or provisioned."""


@dataclass(frozen=True)
class Installation:
    """PostgreSQL's programs on this machine. `edition` is the best that a database of it can have."""

    bin_dir: Path
    major: int
    edition: Edition
    warning: str = ""


def best_installation() -> Installation | None:
    """The newest PostgreSQL with the extension, else the newest without."""
    found = [installation for installation in map(inspect_programs, _bin_dirs()) if installation is not None]
    with_extension = [installation for installation in found if installation.edition is not Edition.PLAIN]
    return max(with_extension or found, key=lambda installation: installation.major, default=None)


def _bin_dirs() -> list[Path]:
    known = [Path(f"/usr/lib/postgresql/{major}/bin") for major in SUPPORTED]
    known += [Path(f"/usr/pgsql-{major}/bin") for major in SUPPORTED]
    on_path = shutil.which("postgres")
    if on_path:
        known.append(Path(on_path).resolve().parent)
    return [path for path in dict.fromkeys(known) if all((path / name).exists() for name in ("postgres", "initdb"))]


def inspect_programs(bin_dir: Path) -> Installation | None:
    """The installation in a folder of programs, or None where its version is not supported."""
    version = re.match(r"postgres \(PostgreSQL\) (\d+)", output_of([bin_dir / "postgres", "--version"]))
    major = int(version[1]) if version else 0
    if major not in SUPPORTED:
        return None
    return Installation(bin_dir, major, _edition_of(bin_dir))


def _edition_of(bin_dir: Path) -> Edition:
    config = bin_dir / "pg_config"
    if not config.exists():
        return Edition.PLAIN
    share, library = (Path(output_of([config, flag]).strip()) for flag in ("--sharedir", "--pkglibdir"))
    if not (share / "extension" / "timescaledb.control").exists():
        return Edition.PLAIN
    return Edition.COMMUNITY if any(library.glob("timescaledb-tsl-*.so")) else Edition.APACHE


def output_of(command: Sequence[str | Path]) -> str:
    """What a command prints; whether it succeeds does not matter."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def run_logged(
    command: Sequence[str | Path],
    log: Path,
    advice: str,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a command and append its output to `log`.

    Raises:
        PostgresError: it failed; the error shows the end of the log and the advice.
    """
    with log.open("a") as output:
        start = output.tell()
        output.write(f"$ {' '.join(map(str, command))}\n")
        output.flush()
        result = subprocess.run(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            check=False,
        )
    if result.returncode:
        with log.open() as lines:
            lines.seek(start)
            tail = last_lines(lines.read())
        raise PostgresError(f"`{command[0]}` failed; the whole log is {log}", detail=tail, fix=advice)
