"""Where the files of the archive are: a local folder, or a bucket of S3-compatible storage.

settings -> store -> put under a temporary name, get, move into place
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cryptoviz.settings import Settings


class Store(Protocol):
    """Files by their path below a root. Every method raises OSError where the storage does not do as asked."""

    @property
    def root(self) -> str:
        """Where it is, for people."""

    def put(self, path: str, data: bytes) -> None:
        """Write a file; on return it outlives a power cut."""

    def get(self, path: str) -> bytes:
        """The whole file. Raises FileNotFoundError where there is none."""

    def move(self, path: str, target: str) -> None:
        """Give a file another name, in the place of what has it."""

    def remove(self, path: str) -> None:
        """Remove a file, or nothing where there is none."""

    def paths(self) -> Iterator[str]:
        """Every file."""


def store(settings: Settings) -> Store:
    """The archive's storage, for these settings."""
    if not settings.archive_s3_bucket:
        return Folder(settings.archive_folder)
    from cryptoviz.archive.bucket import Bucket  # noqa: PLC0415 - only who archives to S3 loads pyarrow

    return Bucket.of(settings)


class Folder:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def root(self) -> str:
        """The folder."""
        return str(self._folder)

    def put(self, path: str, data: bytes) -> None:
        """Write and flush to the disk."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def get(self, path: str) -> bytes:
        """The whole file."""
        return (self._folder / path).read_bytes()

    def move(self, path: str, target: str) -> None:
        """Rename, and flush the folders above: a new one is not there until its parent says so."""
        moved = self._folder / target
        (self._folder / path).replace(moved)
        for folder in (moved.parent, *moved.parent.parents):
            _flush(folder)
            if folder == self._folder:
                break

    def remove(self, path: str) -> None:
        """Remove the file if there is one."""
        (self._folder / path).unlink(missing_ok=True)

    def paths(self) -> Iterator[str]:
        """Every file, in order."""
        for file in sorted(self._folder.rglob("*")):
            if file.is_file():
                yield file.relative_to(self._folder).as_posix()


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
