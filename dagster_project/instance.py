"""Dagster's own state in PostgreSQL, through connections that are kept.

`dagster.yaml` names the class. Dagster's own opens a connection for every statement, dozens a second: with the checking
of the password and a process of the server for each, more than half a core of an idle platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Self

from dagster._serdes import ConfigurableClassData
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

KEPT: Final = 3
"""So many connections a process keeps open; it opens more while it needs them."""

_POOLS: Final[dict[str, Engine]] = {}


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
        # The first instance of a process has looked for the tables; one is made for every tick of a sensor.
        first = postgres_url not in _POOLS
        super().__init__(postgres_url, should_autocreate_tables and first, inst_data, token_provider)
        if first:
            _POOLS[postgres_url] = create_pg_engine(
                postgres_url,
                token_provider,
                isolation_level="AUTOCOMMIT",
                pool_size=KEPT,
                max_overflow=-1,
                pool_pre_ping=True,
            )
        pool = _POOLS[postgres_url]
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
