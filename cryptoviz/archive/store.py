"""Where the files of the archive are: a local folder, or a bucket of S3-compatible storage.

settings -> store -> put under a temporary name, get, move into place
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cryptoviz.settings import Settings

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem


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
    return Bucket.of(settings) if settings.archive_s3_bucket else Folder(settings.archive_folder)


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


class Bucket:
    """A bucket, or what is below a prefix in it."""

    def __init__(self, filesystem: S3FileSystem, prefix: str) -> None:
        self._filesystem = filesystem
        self._prefix = prefix.strip("/")

    @classmethod
    def of(cls, settings: Settings) -> Bucket:
        """The bucket that the settings name; without a key as the environment or the machine is known to AWS."""
        from pyarrow.fs import S3FileSystem  # noqa: PLC0415 - only who archives loads the engine

        key = settings.archive_s3_key
        secret = settings.archive_s3_secret.get_secret_value()
        return cls(
            S3FileSystem(
                access_key=key or None,
                secret_key=secret or None,
                region=settings.archive_s3_region or None,
                endpoint_override=settings.archive_s3_endpoint or None,
                connect_timeout=10,
                request_timeout=60,
            ),
            settings.archive_s3_bucket,
        )

    @property
    def root(self) -> str:
        """Bucket and prefix."""
        return f"s3://{self._prefix}"

    def put(self, path: str, data: bytes) -> None:
        """Upload; the storage shows the object when it is whole."""
        with self._filesystem.open_output_stream(self._at(path)) as file:
            file.write(data)

    def get(self, path: str) -> bytes:
        """Download the whole object."""
        with self._filesystem.open_input_stream(self._at(path)) as file:
            return bytes(file.read())

    def move(self, path: str, target: str) -> None:
        """Copy within the storage, then remove."""
        self._filesystem.move(self._at(path), self._at(target))

    def remove(self, path: str) -> None:
        """Remove the object if there is one."""
        with suppress(FileNotFoundError):
            self._filesystem.delete_file(self._at(path))

    def paths(self) -> Iterator[str]:
        """Every object, in order."""
        from pyarrow.fs import FileSelector, FileType  # noqa: PLC0415

        selector = FileSelector(self._prefix, recursive=True, allow_not_found=True)
        for found in sorted(self._filesystem.get_file_info(selector), key=lambda info: str(info.path)):
            if found.type == FileType.File:
                yield str(found.path).removeprefix(f"{self._prefix}/")

    def _at(self, path: str) -> str:
        return f"{self._prefix}/{path}"
