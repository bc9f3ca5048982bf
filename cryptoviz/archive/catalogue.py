"""The catalogue of the archive: what there is, whether it is sound, and rows brought back for a while."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.archive import rows
from cryptoviz.archive.contents import read
from cryptoviz.archive.export import exclusively, read_verified
from cryptoviz.archive.files import DamagedError, checksum
from cryptoviz.archive.store import Store
from cryptoviz.archive.subjects import LAYOUT, SUBJECTS, Piece
from cryptoviz.storage.queries import fetch_rows, query

if TYPE_CHECKING:
    from psycopg import Connection

KEEP: Final = timedelta(days=7)
"""How long rows that were brought back stay."""
_NAME: Final = re.compile(r"(?P<piece>.+)-r(?P<revision>\d+)-(?P<sha256>[0-9a-f]{12})\.parquet")


@dataclass(frozen=True)
class FileFilter:
    """Which files: those that match every field that is not None, and touch the range."""

    subject: str | None = None
    exchange: str | None = None
    symbol: str | None = None
    timeframe: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    status: str | None = None


@dataclass(frozen=True)
class Verified:
    """A file that was read again; `reason` is empty where it is sound."""

    path: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Adopted:
    """A file that the catalogue has now, in the place of one that is absent."""

    path: str
    instead_of: str


@dataclass(frozen=True)
class Restored:
    """A file whose rows are back: how many of them were not there."""

    path: str
    rows: int
    until: datetime


def list_files(connection: Connection[Any], wanted: FileFilter) -> list[dict[str, Any]]:
    """The files of the catalogue, by subject, series and time."""
    return fetch_rows(connection, "archive_files_list", vars(wanted))


def verify(connection: Connection[Any], store: Store, wanted: FileFilter) -> Iterator[Verified]:
    """Read every file again, compare it with the catalogue, and write down what was found.

    Raises:
        OSError: the storage does not answer: that says nothing of its files.
    """
    for entry in list_files(connection, wanted):
        found = _verified(store, entry)
        connection.execute(query("archive_files_verified"), {"path": found.path, "status": found.status})
        yield found


def _verified(store: Store, entry: dict[str, Any]) -> Verified:
    path = entry["path"]
    try:
        data = store.get(path)
    except FileNotFoundError:
        return Verified(path, "absent", f"it is not in {store.root}")
    if checksum(data) != entry["sha256"]:
        return Verified(path, "damaged", f"its checksum is not that of what was written ({len(data):,} bytes)")
    try:
        file = read(data, SUBJECTS[entry["subject"]].time)
    except DamagedError as error:
        return Verified(path, "damaged", str(error))
    if (file.rows, file.first, file.last) != (entry["rows"], entry["first_at"], entry["last_at"]):
        return Verified(path, "damaged", f"the catalogue says {entry['rows']:,} rows, it has {file.rows:,}")
    return Verified(path, "sound")


def adopt(connection: Connection[Any], store: Store, wanted: FileFilter) -> Iterator[Adopted]:
    """Enter later revisions in the place of absent files, after the database was restored from an older backup.

    A later revision of a file has all rows of those before. Raises:
        BusyError: another process changes the archive.
        OSError: the storage does not answer.
    """
    with exclusively(connection):
        there = set(store.paths())
        latest: dict[str, tuple[int, str]] = {}
        for path in there:
            if name := _NAME.fullmatch(path):
                latest[name["piece"]] = max(latest.get(name["piece"], (0, "")), (int(name["revision"]), path))
        for entry in list_files(connection, wanted):
            name = _NAME.fullmatch(entry["path"])
            revision, path = latest.get(name["piece"], (0, "")) if name else (0, "")
            if entry["path"] in there or revision <= entry["revision"]:
                continue
            if taken := _taken(store, entry | {"revision": revision, "path": path}):
                connection.execute(query("archive_files_upsert"), taken)
                yield Adopted(path, entry["path"])


def _taken(store: Store, entry: dict[str, Any]) -> dict[str, Any] | None:
    """The entry of a file whose content matches its name; None: it does not."""
    data = store.get(entry["path"])
    name = _NAME.fullmatch(entry["path"])
    if name is None or not checksum(data).startswith(name["sha256"]):
        return None
    try:
        file = read(data, SUBJECTS[entry["subject"]].time)
    except DamagedError:
        return None
    found = {"rows": file.rows, "first_at": file.first, "last_at": file.last, "bytes": len(data)}
    return entry | found | {"sha256": file.sha256, "schema_version": LAYOUT}


def uncatalogued_files(connection: Connection[Any], store: Store) -> list[str]:
    """Files that are in the storage and not in the catalogue: left by a killed run, or by another database."""
    known = {entry["path"] for entry in list_files(connection, FileFilter())}
    return [path for path in store.paths() if path not in known]


def restore(
    connection: Connection[Any], store: Store, wanted: FileFilter, *, now: datetime, keep: timedelta = KEEP
) -> Iterator[Restored]:
    """Bring rows back into the database, file by file, each in a transaction of its own; repeating it changes nothing.

    They stay until `keep` from now, and later by another call. The connection must be in autocommit mode. Raises:
        BusyError: another process changes the archive.
        ArchiveError: a file is absent or damaged; those before it are back.
        OSError: the storage does not answer.
    """
    with exclusively(connection):
        for entry in list_files(connection, wanted):
            data = read_verified(store, entry["path"], entry["sha256"])
            subject = SUBJECTS[entry["subject"]]
            since = max(entry["since"], wanted.since or entry["since"]).astimezone(UTC)
            piece = Piece(subject, since, min(entry["until"], wanted.until or entry["until"]))
            with connection.transaction():
                if subject.hot:
                    connection.execute(query("archive_lock_tiering"))
                rows.load_file(connection, subject, data)
                count = rows.restore_rows(connection, piece)
                parameters = {"path": entry["path"], "until": now + keep}
                found = connection.execute(query("archive_files_restored"), parameters).fetchone()
            yield Restored(entry["path"], count, found[0] if found else now + keep)
