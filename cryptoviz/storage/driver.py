"""The database driver, loaded by the first who uses it and not by whoever imports a module that may.

Dagster's code location and the command line import the whole library, most of their processes never connect, and
psycopg takes longer to load than all the rest. A program that connects in any case imports psycopg as usual.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from psycopg import ClientCursor, Error, OperationalError, connect, sql
    from psycopg.errors import LockNotAvailable, QueryCanceled, SerializationFailure, UniqueViolation
    from psycopg.pq import TransactionStatus
    from psycopg.rows import class_row, dict_row
    from psycopg.types.json import Jsonb

__all__ = [
    "ClientCursor",
    "Error",
    "Jsonb",
    "LockNotAvailable",
    "OperationalError",
    "QueryCanceled",
    "SerializationFailure",
    "TransactionStatus",
    "UniqueViolation",
    "class_row",
    "connect",
    "dict_row",
    "sql",
]

_MODULES: Final = {
    "ClientCursor": "psycopg",
    "Error": "psycopg",
    "Jsonb": "psycopg.types.json",
    "LockNotAvailable": "psycopg.errors",
    "OperationalError": "psycopg",
    "QueryCanceled": "psycopg.errors",
    "SerializationFailure": "psycopg.errors",
    "TransactionStatus": "psycopg.pq",
    "UniqueViolation": "psycopg.errors",
    "class_row": "psycopg.rows",
    "connect": "psycopg",
    "dict_row": "psycopg.rows",
    "sql": "psycopg",
}


def __getattr__(name: str) -> Any:
    """Python asks this for the names that the module has not got yet: each is looked up once."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found
