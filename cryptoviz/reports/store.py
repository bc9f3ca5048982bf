"""The folder of the reports: one site is published, the next is made beside it, and the documents outlive both.

    <folder>/builds/<id>/...       a site; being made, published, or the one before
    <folder>/site -> builds/<id>   what is published; changed by one rename
    <folder>/documents/...         rendered documents, each written beside its place and renamed; every site links there

A build that is killed leaves the published site as it was; the next one removes what it left behind.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptoviz.file_lock import LockHeldError, file_lock

SITE: Final = "site"
_BUILT: Final = "built.json"
DOCUMENTS: Final = "documents"
_BUILDS: Final = "builds"


class BusyError(Exception):
    """Another build is under way and did not end in time."""


@dataclass
class Build:
    """A site that is being made in `made`."""

    folder: Path
    made: Path
    published: bool = False

    def publish(self) -> None:
        """Let readers see it instead of the site before, in one step."""
        pointer = self.folder / f"{SITE}.new"
        pointer.unlink(missing_ok=True)
        pointer.symlink_to(Path(_BUILDS, self.made.name))
        pointer.replace(self.folder / SITE)
        self.published = True


@contextmanager
def building(folder: Path, wait_s: float) -> Iterator[Build]:
    """A new, empty site beside the published one; it is thrown away unless the block publishes it.

    One build at a time: another waits up to `wait_s`. The lock is the kernel's, so a killed build holds none.

    Raises:
        BusyError: the other build did not end.
        OSError: the folder cannot be written.
    """
    (folder / _BUILDS).mkdir(parents=True, exist_ok=True)
    (folder / DOCUMENTS).mkdir(exist_ok=True)
    with _alone(folder / "build.lock", wait_s):
        before = _published(folder)
        _sweep(folder, keep={before})
        build = Build(folder, folder / _BUILDS / str(time.time_ns()))
        build.made.mkdir()
        (build.made / DOCUMENTS).symlink_to(Path("..", "..", DOCUMENTS))
        try:
            yield build
        finally:
            # A reader of the previous site's page may still request its style sheet.
            _sweep(folder, keep={before, build.made.name if build.published else None})


def mark_built(made: Path, at: datetime) -> None:
    """Write down when a site was built."""
    write(made / _BUILT, json.dumps({"built_at": at.isoformat()}))


def built_at(folder: Path) -> datetime | None:
    """When the published site was built; None when there is none."""
    try:
        return datetime.fromisoformat(json.loads((folder / SITE / _BUILT).read_text(encoding="utf-8"))["built_at"])
    except (OSError, ValueError, KeyError):
        return None


def write(path: Path, text: str) -> None:
    """Write a file so that it is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


@contextmanager
def _alone(path: Path, wait_s: float) -> Iterator[None]:
    with ExitStack() as lock:
        try:
            lock.enter_context(file_lock(path, wait_s))
        except LockHeldError:
            raise BusyError(f"another build is under way, and was after {wait_s:.0f} s") from None
        yield


def _published(folder: Path) -> str | None:
    try:
        return (folder / SITE).readlink().name
    except OSError:
        return None


def _sweep(folder: Path, keep: set[str | None]) -> None:
    for path in (folder / _BUILDS).iterdir():
        if path.name not in keep:
            shutil.rmtree(path, ignore_errors=True)
