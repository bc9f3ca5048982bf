"""What is to be read: files, folders, patterns and the members of zips, each with a fingerprint of its content.

paths -> File (plain, or one member of a zip) -> bytes as they were before they were packed
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import itertools
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Final, cast

KNOWN_SUFFIXES: Final = (".csv", ".csv.gz", ".json", ".json.gz", ".feather", ".parquet")
"""What is looked for in folders and zips; a file that is named is read whatever its name."""

_BLOCK: Final = 1 << 20


class ImportRefusedError(Exception):
    """A file is not what it should be, or does not fit what was asked for; the message names it and the reason."""


class NotWantedError(ImportRefusedError):
    """A file holds something else than what was asked for: in a folder, a pattern or an archive it is left out."""


@dataclass(frozen=True)
class File:
    """One file, or one member of a zip. `size` counts its bytes as they are read; `named`: somebody asked for it.

    `within`: where it lies in the folder that was asked for. `root`: that folder, or what a pattern begins with; else
    the folder of the file.
    """

    path: Path
    member: str | None
    size: int
    named: bool
    within: str = ""
    root: Path | None = None

    @property
    def name(self) -> str:
        """The name to show to people."""
        name = self.within or self.path.name
        return f"{name}:{self.member}" if self.member else name

    @property
    def stem(self) -> str:
        """The last part of the name, without what says the format."""
        return _bare(PurePosixPath(self.member).name if self.member else self.path.name)

    @property
    def above(self) -> tuple[str, ...]:
        """The names of the folder that was asked for, or that files were, and of those above, from the outermost on."""
        return _absolute(self.root or self.path.parent).parts[1:]

    @property
    def inside(self) -> tuple[str, ...]:
        """The names of the folders below, of its zip and those in it, and its own: none has a suffix that says a
        format."""
        folders = _absolute(self.path).parent.parts[len(self.above) + 1 :]
        zipped = (_bare(self.path.name), *PurePosixPath(self.member).parent.parts) if self.member else ()
        return (*folders, *zipped, self.stem)

    def fingerprint(self) -> str:
        """A digest of the content: the same file under another name has the same one."""
        state = self.path.stat()
        return _digest(self.path, state.st_size, state.st_mtime_ns) + (f"!{self.member}" if self.member else "")

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its content from the first byte on, unpacked while it is read.

        Raises:
            ImportRefusedError: it cannot be read.
        """
        try:
            if self.member is None:
                with self.path.open("rb") as raw:
                    if self.path.name.lower().endswith(".gz"):
                        with gzip.open(raw) as unpacked:
                            yield cast("IO[bytes]", unpacked)
                    else:
                        yield raw
            else:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as unpacked:
                    yield unpacked
        except (OSError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
            raise ImportRefusedError(f"{self.name} cannot be read: {error}") from error

    @contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """The same, so that any part of it can be read at any time: what is packed is unpacked to disk first."""
        with self.open() as source:
            if self.member is None and not self.path.name.lower().endswith(".gz"):
                yield source
                return
            with tempfile.TemporaryFile(prefix="cryptoviz-import-") as copy:
                shutil.copyfileobj(source, copy, _BLOCK)
                copy.seek(0)
                yield copy


def files(paths: Iterable[str]) -> list[File]:
    """Every file that the paths, folders and patterns mean, in the order of their names; zips are looked into.

    Raises:
        ImportRefusedError: a path means nothing, or a zip cannot be read.
    """
    found: dict[tuple[Path, str | None], File] = {}
    for text in paths:
        for file in _meant(text):
            key = file.path, file.member
            if file.named or key not in found:
                found[key] = file
    return list(found.values())


def _meant(text: str) -> Iterator[File]:
    path = Path(text).expanduser()
    if path.is_dir():
        inside = sorted(entry for entry in path.rglob("*") if entry.is_file() and _known(entry.name))
        if not inside:
            raise ImportRefusedError(f"there is nothing in {text} that could be imported")
        for entry in inside:
            yield from _files_at(entry, named=False, within=entry.relative_to(path).as_posix(), root=path)
    elif path.exists():
        yield from _files_at(path, named=True)
    else:
        matching = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - any pattern
        if not matching:
            raise ImportRefusedError(f"there is no file {text}")
        inside = [entry for entry in matching if entry.is_file() and _known(entry.name)]
        if not inside:
            raise ImportRefusedError(f"there is nothing that could be imported among what {text} names")
        for entry in inside:
            yield from _files_at(entry, named=False, root=_fixed(path))


def _fixed(pattern: Path) -> Path:
    """The folder that a pattern begins with."""
    fixed = itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parent.parts)
    return Path(*fixed)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links keep their names


def _bare(name: str) -> str:
    """A name without what says the format."""
    for suffix in sorted((*KNOWN_SUFFIXES, ".zip"), key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _known(name: str) -> bool:
    return name.lower().endswith((*KNOWN_SUFFIXES, ".zip"))


def _files_at(path: Path, *, named: bool, within: str = "", root: Path | None = None) -> Iterator[File]:
    if not zipfile.is_zipfile(path):
        yield File(path, None, path.stat().st_size, named, within, root)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir() and _importable(member.filename)]
    except (OSError, zipfile.BadZipFile) as error:
        raise ImportRefusedError(f"{path.name} is a zip that cannot be read: {error}") from error
    if not members:
        raise ImportRefusedError(f"there is nothing in {path.name} that could be imported")
    for member in sorted(members, key=lambda member: member.filename):
        yield File(path, member.filename, member.file_size, named and len(members) == 1, within, root)


def _importable(name: str) -> bool:
    return name.lower().endswith(KNOWN_SUFFIXES) and not name.startswith("__MACOSX/")


@cache
def _digest(path: Path, _size: int, _changed_at: int) -> str:
    """SHA-256 of a file: a zip of many members is read for it once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
