"""The archive in a bucket of S3-compatible storage: a `Store`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from pyarrow.fs import FileSelector, FileType, S3FileSystem

from cryptoviz.settings import Settings


class Bucket:
    """A bucket, or what is below a prefix in it."""

    def __init__(self, filesystem: S3FileSystem, prefix: str) -> None:
        self._filesystem = filesystem
        self._prefix = prefix.strip("/")

    @classmethod
    def of(cls, settings: Settings) -> Bucket:
        """The bucket that the settings name; without a key as the environment or the machine is known to AWS."""
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
        selector = FileSelector(self._prefix, recursive=True, allow_not_found=True)
        for found in sorted(self._filesystem.get_file_info(selector), key=lambda info: str(info.path)):
            if found.type == FileType.File:
                yield str(found.path).removeprefix(f"{self._prefix}/")

    def _at(self, path: str) -> str:
        return f"{self._prefix}/{path}"
