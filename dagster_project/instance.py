"""Dagster's own state in PostgreSQL, through connections that are kept.

`dagster.yaml` names the class. Dagster's own opens a connection for every statement, dozens a second: with the checking
of the password and a process of the server for each, more than half a core of an idle platform.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from dagster._serdes import ConfigurableClassData
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import (
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
    retry_pg_connection_fn,
)
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

KEPT: Final = 3
"""So many connections a process keeps open; it opens more while it needs them."""

_POOLS: Final[dict[str, Engine]] = {}


@contextmanager
def _alone(pool: Engine) -> Iterator[None]:
    """Of processes that begin at the same time one makes the tables: Dagster's way of doing it bears no other."""
    key = {"key": "dagster:tables"}
    with retry_pg_connection_fn(pool.connect) as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtextextended(:key, 0))"), key)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(hashtextextended(:key, 0))"), key)


class PooledStorage(DagsterPostgresStorage):
    """Runs, events and ticks in one database. All instances of a process share its connections.

    A connection that the server has ended meanwhile is replaced before it is used.
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: Any = None,
    ) -> None:
        pool = _POOLS.get(postgres_url)
        if pool is not None:
            # The first instance of a process has looked for the tables; one is made for every tick of a sensor.
            super().__init__(postgres_url, False, inst_data, token_provider)
        else:
            pool = create_pg_engine(
                postgres_url,
                token_provider,
                isolation_level="AUTOCOMMIT",
                pool_size=KEPT,
                max_overflow=-1,
                pool_pre_ping=True,
            )
            with _alone(pool):
                super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
            _POOLS[postgres_url] = pool
        # Dagster offers a pool to its web server only.
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = pool

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """As Dagster calls it, with what `dagster.yaml` says."""
        return cls(
            pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )
