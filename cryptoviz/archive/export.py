"""Rows leave the database: to a file first, which is read back and compared, and only then out of the table.

    piece --snapshot--> file under a temporary name --read back, into a table--> same rows? --> moved into place
          --one transaction--> rows removed if they are still those, row of archive_files

Killed anywhere, the rows are either in the table or in a file of the catalogue: what has no entry is written again.
Rows that come later for a piece that has left make a new file with those of the old one, which then takes its place.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.archive import rows
from cryptoviz.archive.files import File, checksum
from cryptoviz.archive.rows import COPY, MERGED
from cryptoviz.archive.store import Store
from cryptoviz.archive.subjects import LAYOUT, SUBJECTS, TIERED, Piece, Subject
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

_ATTEMPTS: Final = 3


class BusyError(Exception):
    """Another process archives or restores."""


class ArchiveError(Exception):
    """Pieces stay in the database: a copy is not what it should be. The message names them, and says why."""


@dataclass(frozen=True)
class ArchivedPiece:
    """What became of one piece. `late`: it joined rows that had left before."""

    piece: Piece
    rows: int
    files: int
    bytes: int
    seconds: float
    late: bool = False


@dataclass(frozen=True)
class _Kept:
    """The file that a series has in the catalogue."""

    path: str
    revision: int
    sha256: str


@dataclass(frozen=True)
class _Draft:
    """A file that was compared with the rows it is of, still under its temporary name."""

    piece: Piece
    file: File
    path: str
    revision: int
    instead_of: str | None

    @property
    def temporary(self) -> str:
        """Where it is until it counts."""
        return f"{self.path}.tmp"


def archive(
    connection: Connection[Any],
    store: Store,
    subjects: Iterable[Subject],
    now: datetime,
    *,
    until: datetime | None = None,
) -> Iterator[ArchivedPiece]:
    """Archive everything that is due, piece by piece, each committed by itself; no piece begins after `until`.

    A piece that cannot leave stays, and the others go on. The connection must be in autocommit mode. Raises:
        BusyError: somebody else is at it.
        ArchiveError: at the end, with the pieces that stayed: a copy is not what it should be.
        OSError: the storage does not answer or refuses.
    """
    stayed: list[str] = []
    with exclusively(connection):
        for piece in (piece for subject in subjects for piece in due(connection, subject, now)):
            if until is not None and datetime.now(tz=now.tzinfo) >= until:
                break
            if _restored(connection, piece, now):
                continue
            try:
                left = archive_piece(connection, store, piece)
            except ArchiveError as error:
                stayed.append(f"{piece}: {error}")
            else:
                yield left
    if stayed:
        raise ArchiveError("\n".join(stayed))


@contextmanager
def exclusively(connection: Connection[Any]) -> Iterator[None]:
    """Keep every other process from changing the archive of this database.

    Raises:
        BusyError: another does.
    """
    row = connection.execute(query("archive_lock")).fetchone()
    if not row or not row[0]:
        raise BusyError("the archive is being written by another process")
    try:
        yield
    finally:
        if not connection.closed and not connection.broken:
            connection.execute(query("archive_unlock"))


def due(connection: Connection[Any], subject: Subject, now: datetime) -> Iterator[Piece]:
    """The pieces that are to leave, as they are found."""
    if subject.series and subject.name in TIERED:
        found = connection.execute(query("archive_due"), {"subject": subject.name, "now": now}).fetchall()
        for *values, since, until in found:
            yield Piece(subject, since, until, dict(zip(subject.series, values, strict=True)))
        return
    row = connection.execute(query("archive_border"), {"subject": subject.name, "now": now}).fetchone()
    border = row[0] if row else None
    start = datetime(1900, 1, 1, tzinfo=UTC)
    while border is not None:
        parameters = {"relation": subject.relation, "time": subject.time, "since": start, "until": border}
        row = connection.execute(query("archive_oldest"), parameters).fetchone()
        if row is None or row[0] is None:
            return
        start, end = subject.unit.around(row[0])
        if end > border:
            return
        yield Piece(subject, start, end)
        start = end


def archive_piece(connection: Connection[Any], store: Store, piece: Piece) -> ArchivedPiece:
    """Archive one piece. Raises what `archive` raises; then its rows are where they were."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _archive_piece(connection, store, piece)
        except driver.LockNotAvailable as error:
            raise ArchiveError(str(error).splitlines()[0]) from error
        except driver.SerializationFailure as error:
            if attempt == _ATTEMPTS:
                raise ArchiveError(f"its rows change all the time: {error}") from error
    raise AssertionError("unreachable")


def _archive_piece(connection: Connection[Any], store: Store, piece: Piece) -> ArchivedPiece:
    began = time.monotonic()
    with connection.transaction():
        connection.execute(query("archive_snapshot"))
        there = rows.digest(connection, piece)
        kept = [(part, _kept(connection, part)) for part in rows.series(connection, piece)]
        drafts = [draft for part, file in kept if (draft := _drafted(connection, store, part, file)) is not None]
    for draft in drafts:
        store.move(draft.temporary, draft.path)
    try:
        _commit(connection, piece, there, drafts)
    except (driver.SerializationFailure, driver.LockNotAvailable):
        for draft in drafts:
            store.remove(draft.path)
        raise
    for draft in drafts:
        if draft.instead_of is not None:
            store.remove(draft.instead_of)
    return ArchivedPiece(
        piece,
        there.rows,
        len(drafts),
        sum(len(draft.file.data) for draft in drafts),
        time.monotonic() - began,
        late=any(file is not None for _, file in kept),
    )


def _commit(connection: Connection[Any], piece: Piece, there: rows.Digest, drafts: Iterable[_Draft]) -> None:
    with connection.transaction():
        parameters = {**rows.parameters(piece), "rows": there.rows, "digest": there.content}
        connection.execute(query("archive_remove"), parameters)
        connection.execute(query("archive_left"), {"subject": piece.subject.name, "since": piece.since, **piece.named})
        for draft in drafts:
            connection.execute(query("archive_files_upsert"), _entry(draft))


def _drafted(connection: Connection[Any], store: Store, piece: Piece, kept: _Kept | None) -> _Draft | None:
    """A new file of the rows of a series, compared with them; None: its present file has all of them already."""
    from cryptoviz.archive.contents import written  # noqa: PLC0415 - only who writes a file loads pyarrow

    columns = rows.columns(connection, piece.subject)
    table = None
    if kept is not None:
        rows.load_file(connection, piece.subject, read_verified(store, kept.path, kept.sha256))
        if rows.merge(connection, piece) == 0:
            return None
        table = MERGED
    wanted = rows.digest(connection, piece, table)
    file = written(rows.copied(connection, piece, columns, table), columns, piece.subject.time)
    revision = kept.revision + 1 if kept else 1
    draft = _Draft(piece, file, piece.path(revision, file.sha256), revision, kept.path if kept else None)
    store.put(draft.temporary, file.data)
    rows.load_file(connection, piece.subject, read_verified(store, draft.temporary, file.sha256))
    if rows.digest(connection, piece, COPY) != wanted:
        raise ArchiveError("the file read back does not have the rows of the database")
    return draft


def read_verified(store: Store, path: str, sha256: str) -> bytes:
    """The bytes of a file whose checksum is that of the catalogue.

    Raises:
        ArchiveError: it is absent, or not what was written.
    """
    try:
        data = store.get(path)
    except FileNotFoundError as error:
        raise ArchiveError(f"{path} is absent from {store.root}") from error
    if checksum(data) != sha256:
        raise ArchiveError(f"{path} in {store.root} is damaged: its checksum is not that of what was written")
    return data


def _kept(connection: Connection[Any], piece: Piece) -> _Kept | None:
    parameters = {"subject": piece.subject.name, "since": piece.since, **piece.named}
    row = connection.execute(query("archive_files_of"), parameters).fetchone()
    return _Kept(*row) if row else None


def _restored(connection: Connection[Any], piece: Piece, now: datetime) -> bool:
    parameters = {"subject": piece.subject.name, "since": piece.since, "now": now, **piece.named}
    return connection.execute(query("archive_restored"), parameters).fetchone() is not None


def _entry(draft: _Draft) -> Mapping[str, Any]:
    piece, file = draft.piece, draft.file
    return {
        "subject": piece.subject.name,
        **piece.named,
        "since": piece.since,
        "until": piece.until,
        "revision": draft.revision,
        "path": draft.path,
        "rows": file.rows,
        "first_at": file.first,
        "last_at": file.last,
        "bytes": len(file.data),
        "sha256": file.sha256,
        "schema_version": LAYOUT,
    }


def tiered() -> list[Subject]:
    """The subjects that leave by `tiering_policy`."""
    return [SUBJECTS[name] for name in TIERED]


def retained() -> list[Subject]:
    """The subjects that leave by `retention_policy`."""
    return [subject for name, subject in SUBJECTS.items() if name not in TIERED]
