"""Brings the database to the state of ``sql/``: numbered files, applied in order, once, and only forward.

    sql/migrations/000N_*.sql --(advisory lock, one transaction each)--> tables + row in schema_migrations
    sql/functions/*.sql       --(whenever their text changed)----------> functions and views, replaced

A migration is never edited once applied: its checksum is kept, and a changed or missing file is refused. Functions
hold no data: their files say the current state and are applied again when they change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, LiteralString

from cryptoviz.exchanges import EXCHANGES
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import SQL_DIR, query

if TYPE_CHECKING:
    import psycopg

_CONSECUTIVE_IDS: Final = ":consecutive_ids"
_LOCK: Final = 0x43525950  # "CRYP": one migration at a time in a database


class MigrationError(Exception):
    """The files and the database contradict each other; the message says where and what to do."""


@dataclass(frozen=True)
class Migration:
    """One file. `repeatable` files are applied again when their text changes."""

    name: str
    text: LiteralString
    repeatable: bool = False

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read(folder: Path = SQL_DIR) -> list[Migration]:
    """The migrations of a folder in the order they apply.

    Raises:
        MigrationError: the numbers are not 1, 2, 3 ...
    """
    files = sorted((folder / "migrations").glob("*.sql"))
    for number, file in enumerate(files, start=1):
        if not file.name.startswith(f"{number:04}_"):
            raise MigrationError(f"{file.name} should start with {number:04}_: numbers must follow each other")
    numbered = [Migration(file.stem, file.read_text(encoding="utf-8")) for file in files]
    functions = sorted((folder / "functions").glob("*.sql"))
    return numbered + [
        Migration(f"functions/{file.stem}", _filled(file.read_text(encoding="utf-8")), repeatable=True)
        for file in functions
    ]


def _filled(text: LiteralString) -> LiteralString:
    """A file of functions with the exchanges that number their trades without a hole."""
    return text.replace(_CONSECUTIVE_IDS, _consecutive_ids())


def _consecutive_ids() -> LiteralString:
    # Names are lower-case letters and digits: nothing to escape.
    return ", ".join(f"'{name}'" for name, spec in EXCHANGES.items() if spec.consecutive_ids)


def pending(migrations: Sequence[Migration], applied: Mapping[str, str]) -> list[Migration]:
    """What of `migrations` is still to be applied, given name -> checksum of what was.

    Raises:
        MigrationError: an applied file was changed or is missing, or a new one would go before an applied one.
    """
    known = {migration.name: migration for migration in migrations}
    numbered = [migration for migration in migrations if not migration.repeatable]
    for name, checksum in sorted(applied.items()):
        if name not in known:
            if not name.startswith("functions/"):
                raise MigrationError(
                    f"migration {name} was applied to this database but its file is missing: "
                    "this code is older than the database; use the newer code"
                )
        elif not known[name].repeatable and known[name].checksum != checksum:
            raise MigrationError(
                f"migration {name} was changed after it was applied: restore the file and write a new migration"
            )
    done = [migration.name in applied for migration in numbered]
    if sorted(done, reverse=True) != done:
        first = numbered[done.index(False)].name
        raise MigrationError(f"migration {first} comes before one that is applied already: give it a later number")
    return [
        migration
        for migration in migrations
        if migration.name not in applied or (migration.repeatable and applied[migration.name] != migration.checksum)
    ]


def migrate(settings: Settings, *, folder: Path = SQL_DIR) -> list[str]:
    """Apply what is lacking as the owner; the names of what was applied. Several at once wait for each other.

    Raises:
        MigrationError: see `pending`; nothing was changed.
        psycopg.Error: a statement failed; the files before it stay applied, its own file left no trace.
    """
    migrations = read(folder)
    with connect(Role.OWNER, settings, autocommit=True, application_name="cryptoviz migrate") as connection:
        connection.execute("select pg_advisory_lock(%s)", [_LOCK])
        try:
            connection.execute(query("schema_migrations"))
            applied = dict(_rows(connection, "select name, checksum from schema_migrations"))
            waiting = pending(migrations, applied)
            for migration in waiting:
                _apply(connection, migration)
        finally:
            if not connection.closed and not connection.broken:
                connection.execute("select pg_advisory_unlock(%s)", [_LOCK])
    return [migration.name for migration in waiting]


def shortcomings(settings: Settings) -> list[str]:
    """Settings of this server that do not suit the platform, a sentence each with what to set; empty: none.

    Raises:
        psycopg.Error: the database does not answer.
    """
    with connect(Role.OWNER, settings, autocommit=True, application_name="cryptoviz migrate") as connection:
        return [sentence for (sentence,) in connection.execute(query("server_shortcomings"))]


def notes(settings: Settings, applied: Sequence[str]) -> list[str]:
    """What these migrations wrote to `action_log`, such as what somebody should put right by hand, a sentence each.

    Raises:
        psycopg.Error: the database does not answer.
    """
    with connect(Role.OWNER, settings, autocommit=True, application_name="cryptoviz migrate") as connection:
        return [sentence for (sentence,) in connection.execute(query("upgrade_notes"), {"names": list(applied)})]


def _rows(connection: psycopg.Connection[Any], statement: LiteralString) -> Iterable[tuple[str, str]]:
    return connection.execute(statement).fetchall()


def _apply(connection: psycopg.Connection[Any], migration: Migration) -> None:
    with connection.transaction():
        # Without parameters psycopg sends the whole file as one script, in this transaction.
        connection.execute(migration.text)
        connection.execute(
            "insert into schema_migrations (name, checksum) values (%s, %s)"
            " on conflict (name) do update set checksum = excluded.checksum, applied_at = now()",
            [migration.name, migration.checksum],
        )
