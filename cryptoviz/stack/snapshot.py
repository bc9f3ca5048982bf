"""What the migrations come to, as two generated files: ``sql/schema.sql`` and ``docs/data-dictionary.md``.

    sql/migrations + sql/functions -> a database of edition plain -> pg_dump, comments -> files

`python -m cryptoviz.stack.snapshot` writes both; tests hold them to the migrated schema. Edition plain, because it
is the same everywhere; the others differ in storage only, never in columns or results.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import psycopg

from cryptoviz.settings import PROJECT_ROOT, Role, Settings, load
from cryptoviz.stack.postgres.cluster import LocalPostgres
from cryptoviz.stack.postgres.install import find_or_install
from cryptoviz.stack.postgres.passwords import ensure_secrets
from cryptoviz.storage.database import connect
from cryptoviz.storage.migrations import migrate
from cryptoviz.storage.queries import SQL_DIR, query
from cryptoviz.topics import TOPICS

SCHEMA_FILE: Final = SQL_DIR / "schema.sql"
DICTIONARY_FILE: Final = PROJECT_ROOT / "docs" / "data-dictionary.md"

_HEADER: Final = "-- Generated from sql/migrations and sql/functions by `python -m cryptoviz.stack.snapshot`.\n\n"
_NOISE: Final = re.compile(r"^(--|SET |SELECT pg_catalog\.set_config|\\(un)?restrict|CREATE SCHEMA public)")


def schema(settings: Settings, pg_dump: Path) -> str:
    """The schema of a database without what depends on the version and options of `pg_dump`.

    Raises:
        subprocess.CalledProcessError: pg_dump refused.
    """
    command = [str(pg_dump), "--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces"]
    result = subprocess.run(
        [*command, "--dbname", settings.database(Role.OWNER)],
        capture_output=True, text=True, check=True, cwd="/", env={**os.environ, "PGTZ": "UTC"},
    )  # fmt: skip
    lines = [line for line in result.stdout.splitlines() if not _NOISE.match(line)]
    return _HEADER + re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def data_dictionary(connection: psycopg.Connection[Any]) -> str:
    """Every table, view and topic with what its columns and fields mean, as Markdown."""
    return "\n".join(_dictionary(connection)) + "\n"


def _dictionary(connection: psycopg.Connection[Any]) -> Iterator[str]:
    yield "# Data dictionary"
    yield ""
    yield "Generated from the comments of the schema and from `cryptoviz/topics.py`; do not edit."
    yield "Instants are UTC. Facts (what a source said) are `numeric`, computed values `double precision`."
    yield ""
    yield "## Tables and views"
    rows = connection.execute(query("data_dictionary")).fetchall()
    for (relation, meaning), columns in groupby(rows, key=lambda row: (row[0], row[1])):
        yield from (
            "",
            f"### {relation}",
            "",
            meaning or "",
            "",
            "| column | type | key | meaning |",
            "|---|---|---|---|",
        )
        for _, _, name, kind, key, comment in columns:
            yield f"| {name} | {kind} | {key or ''} | {comment or ''} |"
    yield from ("", "## Topics")
    for topic in TOPICS.values():
        yield from ("", f"### {topic.name}", "", f"{topic.description} Kept {topic.retention.days} days.")
        if topic.record is not None:
            yield from ("", f"Record `{topic.record.__name__}`: {(topic.record.__doc__ or '').splitlines()[0]}")
            yield from ("", ", ".join(f"`{name}`" for name in topic.record.__struct_fields__))
        if topic.table is not None:
            yield from ("", f"Stored in `{topic.table}`.")


def write() -> None:
    """Migrate an empty database of a temporary cluster and write both files."""

    folder = Path(tempfile.mkdtemp(prefix="cryptoviz-snapshot-"))
    folder.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    installation = find_or_install(folder / "install.log", load().state / "cache")
    server = LocalPostgres(installation, folder / "postgres", port, ensure_secrets(folder), durable=False)
    try:
        server.prepare()
        server.start()
        server.provision("cryptoviz", extension=False)
        settings = load(state_dir=folder, postgres_port=port, postgres_database="cryptoviz", database_url=None)
        migrate(settings)
        SCHEMA_FILE.write_text(schema(settings, installation.bin_dir / "pg_dump"), encoding="utf-8")
        with connect(Role.OWNER, settings) as connection:
            DICTIONARY_FILE.parent.mkdir(exist_ok=True)
            DICTIONARY_FILE.write_text(data_dictionary(connection), encoding="utf-8")
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    write()
