"""Connections to PostgreSQL, one way for everybody: a role, UTC, and a name that administrators recognise."""

from __future__ import annotations

from typing import Any

import psycopg

from cryptoviz.settings import Role, Settings

CONNECT_TIMEOUT_S = 10


def connect(
    role: Role, settings: Settings, *, autocommit: bool = False, application_name: str = "cryptoviz"
) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection in a role's name. Its time zone is UTC: every instant read from it is aware and in UTC.

    Raises:
        psycopg.OperationalError: the database cannot be reached or refuses the role.
    """
    return psycopg.connect(
        settings.database(role),
        autocommit=autocommit,
        application_name=application_name,
        connect_timeout=CONNECT_TIMEOUT_S,
        options="-c timezone=UTC",
        keepalives_idle=30,
    )
