#!/usr/bin/env bash
# great-expectations 1.24.1, SQLAlchemy 2.1.9: a data source closes the caller's connection when it is forgotten.
#
# Expected: a connection that the caller opened and handed over with creator=lambda: connection stays the caller's, as
# with an engine of SQLAlchemy alone, which leaves it open when the engine is dropped.
# Seen: it is open after the checks and after data_sources.delete(name). Once the garbage is collected it is closed, at
# a moment that nothing in the caller's code points to. The engine has a StaticPool, whose only connection is the
# caller's.
# Why it matters: a gate that judges a table within a transaction, so that rows it refuses are never seen, loses that
# transaction before it could commit; which statement fails first depends on the garbage collector.
# What to do: give the checks a connection of their own, or a creator whose connection ignores close.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check great-expectations==1.24.1 \
  sqlalchemy==2.1.9 pandas==2.3.3

"$folder/venv/bin/python" - <<'PY'
import gc
import logging
import sqlite3
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable()

import great_expectations as gx
import sqlalchemy
from sqlalchemy.pool import StaticPool


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def table() -> sqlite3.Connection:
    """A connection of the caller's with a table of two prices."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("CREATE TABLE prices (price real)")
    connection.execute("INSERT INTO prices VALUES (1), (2)")
    connection.commit()
    return connection


def state(connection: sqlite3.Connection) -> str:
    """Whether the connection can still be used."""
    try:
        return f"{connection.execute('SELECT count(*) FROM prices').fetchone()[0]} rows"
    except sqlite3.ProgrammingError as error:
        return str(error)


print("great-expectations", gx.__version__, "SQLAlchemy", sqlalchemy.__version__)
lent = table()
engine = sqlalchemy.create_engine("sqlite://", creator=lambda: lent, poolclass=StaticPool)
with engine.connect() as session:
    session.execute(sqlalchemy.text("SELECT price FROM prices")).all()
del engine, session
gc.collect()
expect("SQLAlchemy alone, engine dropped", state(lent), "2 rows")

context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False, "metric_calculations": False}
lent = table()
source = context.data_sources.add_sqlite("lent", connection_string="sqlite://", kwargs={"creator": lambda: lent})
whole = source.add_table_asset("prices", table_name="prices").add_batch_definition_whole_table("all")
check = gx.expectations.ExpectColumnValuesToBeBetween(column="price", min_value=0)
expect("check", bool(whole.get_batch().validate(check).success), True)
expect("after the check", state(lent), "2 rows")
context.data_sources.delete("lent")
expect("after delete", state(lent), "2 rows")
del source, whole
gc.collect()
expect("after garbage collection", state(lent), "Cannot operate on a closed database.")
PY
