"""db: the database's address, its schema, and a shell."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from cryptoviz.commands.output import explained, say
from cryptoviz.settings import Role, load
from cryptoviz.stack.errors import StackError

app = typer.Typer(help="The database: address, migrations, shell.", no_args_is_help=True)

_START = "is the database up? `make status` says; `make demo` or `make up` starts it"


@app.command()
def url(
    role: Annotated[Role, typer.Option(help="Whose address.")] = Role.READER,
) -> None:
    """Print the database address for a role, ready for psql."""
    say(load().database(role))


@app.command()
def migrate() -> None:
    """Bring the schema up to date."""
    import psycopg

    from cryptoviz.storage.migrations import MigrationError, notes, shortcomings
    from cryptoviz.storage.migrations import migrate as apply

    settings = load()
    with explained("the schema could not be brought up to date", _START, psycopg.Error, MigrationError):
        applied = apply(settings)
        noted, lacking = notes(settings, applied), shortcomings(settings)
    say("\n".join(applied) if applied else "the schema is up to date")
    _warn(noted, lacking)


def _warn(noted: list[str], lacking: list[str]) -> None:
    for sentence in noted:
        say(f"note: {sentence}")
    for sentence in lacking:
        say(f"warning: {sentence} (docs/servers.md)")


@app.command()
def shell(
    role: Annotated[Role, typer.Option(help="In whose name.")] = Role.READER,
    command: Annotated[str | None, typer.Option("-c", "--command", help="Run one statement and leave.")] = None,
) -> None:
    """Open psql on the database."""
    psql = shutil.which("psql")
    if psql is None:
        raise StackError("psql is missing", fix="install it (Debian, Ubuntu: apt-get install postgresql-client)")
    settings = load()
    # The address goes through the environment: in the command line every user of the machine could read the password.
    os.environ |= _connection_variables(settings.database(role))
    os.execv(psql, [psql, "-v", "ON_ERROR_STOP=1", *(["-c", command] if command else [])])  # noqa: S606 - becomes psql


@app.command()
def secrets() -> None:
    """Make the local passwords that lack, and the superuser's password file for a database container."""
    from cryptoviz.stack.postgres.passwords import ensure_secrets

    state = load().state
    password = ensure_secrets(state)["postgres_superuser_password"]
    path = state / "postgres_superuser_password"
    path.touch(mode=0o600)
    path.write_text(password)
    say("the passwords are in place")


@app.command()
def setup() -> None:
    """Make roles, databases, schema and topics on servers that run already (containers); safe to repeat."""
    import psycopg

    from cryptoviz.bus import BusError, create_topics
    from cryptoviz.stack.postgres.cluster import LocalPostgres
    from cryptoviz.stack.postgres.installation import Edition, Installation
    from cryptoviz.storage.migrations import MigrationError, notes, shortcomings
    from cryptoviz.storage.migrations import migrate as apply

    settings = load()
    elsewhere = Installation(Path(), 0, Edition.COMMUNITY)
    server = LocalPostgres.of_settings(elsewhere, settings, host=settings.postgres_host)
    with explained("the database could not be set up", _START, psycopg.Error, MigrationError):
        server.provision(settings.postgres_database)
        applied = apply(settings)
        noted, lacking = notes(settings, applied), shortcomings(settings)
    with explained("the topics could not be made", "is Kafka up?", BusError):
        created = create_topics(settings)
    say(f"{len(applied)} migrations applied, {len(created)} topics created or set right")
    _warn(noted, lacking)


@app.command()
def schema() -> None:
    """Print the schema of the database as SQL."""
    pg_dump = shutil.which("pg_dump")
    if pg_dump is None:
        raise StackError("pg_dump is missing", fix="install it (Debian, Ubuntu: apt-get install postgresql-client)")
    os.environ |= _connection_variables(load().database(Role.OWNER))
    os.execv(pg_dump, [pg_dump, "--schema-only", "--no-owner", "--no-privileges", "--schema=public"])  # noqa: S606 - becomes pg_dump


def _connection_variables(address: str) -> dict[str, str]:
    from psycopg.conninfo import conninfo_to_dict

    names = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD"}
    names |= {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
    return {names[key]: str(value) for key, value in conninfo_to_dict(address).items() if key in names}
