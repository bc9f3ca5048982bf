"""Connections to PostgreSQL, one way for everybody: a role, a name that administrators recognise, and one session.

server, database and role have settings of their own --> SESSION overrides those that our statements rely on
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.settings import Role, Settings
from cryptoviz.storage import driver

if TYPE_CHECKING:
    import psycopg

CONNECT_TIMEOUT_S: Final = 10

SESSION: Final[Mapping[str, str]] = {
    # Every instant read is aware and in UTC; "a day" in SQL is one of UTC.
    "timezone": "UTC",
    # What the driver can read.
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "client_encoding": "UTF8",
    # Statements over many chunks look costly and are compiled anew each time, for longer than they run.
    "jit": "off",
    # The fence and the order of locks rest on each statement seeing what was committed before it.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    # A statement takes as long as it needs; who cannot wait for a lock says so itself.
    "statement_timeout": "0",
    "lock_timeout": "0",
    # Whoever is stopped within a transaction gives its locks back in the end.
    "idle_in_transaction_session_timeout": "10min",
    "idle_session_timeout": "0",
}
"""What a session of ours relies on, whatever the server, the database or the role say."""

# Set after connecting: a pooler refuses most settings as startup parameters.
_SET_SQL: Final = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS wanted (name, value)"


def connect(
    role: Role, settings: Settings, *, autocommit: bool = False, application_name: str = "cryptoviz"
) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection in a role's name, with `SESSION`. Its time zone is UTC: every instant read from it is aware, in UTC.

    Raises:
        psycopg.OperationalError: the database cannot be reached or refuses the role.
    """
    connection = driver.connect(
        settings.database(role),
        autocommit=True,
        application_name=application_name,
        connect_timeout=CONNECT_TIMEOUT_S,
        keepalives_idle=30,
    )
    try:
        connection.execute(_SET_SQL, [[*SESSION], [*SESSION.values()]])
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection
