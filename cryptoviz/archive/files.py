"""A file of the archive as its catalogue knows it: rows, first and last time, checksum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime


class DamagedError(Exception):
    """A file is not what was written; the message says in what."""


@dataclass(frozen=True)
class File:
    """A file whole, and what the catalogue says of it."""

    data: bytes
    rows: int
    first: datetime
    last: datetime

    @property
    def sha256(self) -> str:
        """Its checksum, in hexadecimal."""
        return checksum(self.data)


def checksum(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
