"""Rows of a piece in the database: counted, copied out, and brought back into a table of this transaction.

What is temporary is gone with the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.archive.subjects import Piece, Subject
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed, Identifier

COPY: Final = "archive_copy"
MERGED: Final = "archive_merged"
"""Temporary tables: the rows of a file, and what a piece has in the database."""


@dataclass(frozen=True)
class Digest:
    """The number of rows and a digest of their content, which does not depend on their order."""

    rows: int
    content: Decimal


def columns(connection: Connection[Any], subject: Subject) -> dict[str, str]:
    """The columns of a subject's table: name -> type of PostgreSQL, in order."""
    found = connection.execute(query("archive_columns"), {"relation": subject.relation}).fetchall()
    return dict(found)


def digest(connection: Connection[Any], piece: Piece, table: str | None = None) -> Digest:
    """The digest of the rows of a piece, in its own table or in a temporary one."""
    bound = {**parameters(piece), "relation": table or piece.subject.relation}
    row = connection.execute(query("archive_digest"), bound).fetchone()
    if row is None:
        raise LookupError(bound["relation"])
    return Digest(*row)


def parameters(piece: Piece) -> dict[str, Any]:
    """A piece as the functions of `sql/functions/archive.sql` ask for it."""
    return {
        "relation": piece.subject.relation,
        "time": piece.subject.time,
        "since": piece.since,
        "until": piece.until,
        "series": driver.Jsonb(dict(piece.series)),
    }


def series(connection: Connection[Any], piece: Piece) -> list[Piece]:
    """A piece split by the series that the database has: each series has a file of its own."""
    subject = piece.subject
    if piece.series or not subject.series:
        return [piece]
    statement = driver.sql.SQL("select distinct {} from {} where {} order by {}").format(
        _names(subject.series), _table(subject), _where(piece), _names(subject.series)
    )
    rows = connection.execute(statement, _bounds(piece)).fetchall()
    return [
        Piece(subject, piece.since, piece.until, dict(zip(subject.series, map(str, row), strict=True))) for row in rows
    ]


def copied(connection: Connection[Any], piece: Piece, columns: Mapping[str, str], table: str | None = None) -> bytes:
    """The rows of a piece as csv, in the order of their key."""
    ordered = (*piece.subject.series, *(name for name in piece.subject.key if name not in piece.subject.series))
    statement = driver.sql.SQL("copy (select {} from {} where {} order by {}) to stdout (format csv)").format(
        _names(tuple(columns)),
        driver.sql.Identifier(table) if table else _table(piece.subject),
        _where(piece),
        _names(ordered),
    )
    with connection.cursor() as cursor, cursor.copy(statement, _bounds(piece)) as copy:
        return b"".join(bytes(part) for part in copy)


def load_file(connection: Connection[Any], subject: Subject, data: bytes) -> None:
    """Load the rows of a file into the temporary table COPY, after emptying it."""
    from cryptoviz.archive import contents  # noqa: PLC0415 - only who reads a file loads pyarrow

    _create(connection, subject, COPY)
    statement = driver.sql.SQL("copy {} ({}) from stdin (format csv)").format(
        driver.sql.Identifier(COPY), _names(tuple(contents.columns(data)))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for part in contents.lines(data):
            copy.write(part)


def merge(connection: Connection[Any], piece: Piece) -> int:
    """Merge the rows of a piece with those of COPY into the temporary table MERGED.

    Of two rows with one key that of the database is taken, except for candles and indicators of less than is in the
    archive already. Returns how many rows are not what the archive has.
    """
    subject = piece.subject
    _create(connection, subject, MERGED)
    merged, copy = driver.sql.Identifier(MERGED), driver.sql.Identifier(COPY)
    connection.execute(
        driver.sql.SQL("insert into {} select * from {} where {}").format(merged, _table(subject), _where(piece)),
        _bounds(piece),
    )
    if subject.name in {"candles", "indicators"}:
        connection.execute(query(f"archive_poorer_{subject.name}"))
    found = connection.execute(
        driver.sql.SQL("select count(*) from (select * from {} except all select * from {}) as new").format(
            merged, copy
        )
    ).fetchone()
    connection.execute(
        driver.sql.SQL(
            "insert into {merged} select * from {copy} as old where not exists "
            "(select from {merged} as new where ({new}) = ({old}))"
        ).format(
            merged=merged,
            copy=copy,
            new=driver.sql.SQL(", ").join(driver.sql.Identifier("new", name) for name in subject.key),
            old=driver.sql.SQL(", ").join(driver.sql.Identifier("old", name) for name in subject.key),
        )
    )
    return int(found[0]) if found else 0


def restore_rows(connection: Connection[Any], piece: Piece) -> int:
    """Put rows of COPY that are in the range into the subject's table, where they are not there or hot already."""
    subject = piece.subject
    elsewhere = driver.sql.Identifier(subject.hot) if subject.hot else _table(subject)
    statement = driver.sql.SQL(
        "insert into {table} select * from {copy} as old where {where} and not exists "
        "(select from {elsewhere} as new where ({new}) = ({old})) on conflict do nothing"
    ).format(
        table=_table(subject),
        copy=driver.sql.Identifier(COPY),
        elsewhere=elsewhere,
        where=_where(piece),
        new=driver.sql.SQL(", ").join(driver.sql.Identifier("new", name) for name in subject.key),
        old=driver.sql.SQL(", ").join(driver.sql.Identifier("old", name) for name in subject.key),
    )
    return connection.execute(statement, _bounds(piece)).rowcount


def _create(connection: Connection[Any], subject: Subject, name: str) -> None:
    table = driver.sql.Identifier(name)
    connection.execute(driver.sql.SQL("drop table if exists pg_temp.{}").format(table))
    connection.execute(
        driver.sql.SQL("create temporary table {} (like {} including defaults) on commit drop").format(
            table, _table(subject)
        )
    )


def _table(subject: Subject) -> Identifier:
    return driver.sql.Identifier(*subject.table)


def _names(names: tuple[str, ...]) -> Composed:
    return driver.sql.SQL(", ").join(map(driver.sql.Identifier, names))


def _where(piece: Piece) -> Composed:
    time = driver.sql.Identifier(piece.subject.time)
    return driver.sql.SQL(" and ").join(
        [
            driver.sql.SQL("{} >= %(since)s").format(time),
            driver.sql.SQL("{} < %(until)s").format(time),
            *(
                driver.sql.SQL("{} = {}").format(driver.sql.Identifier(name), driver.sql.Placeholder(f"of_{name}"))
                for name in piece.series
            ),
        ]
    )


def _bounds(piece: Piece) -> dict[str, Any]:
    named = {f"of_{name}": value for name, value in piece.series.items()}
    return {"since": piece.since, "until": piece.until, **named}
