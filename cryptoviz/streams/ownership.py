"""The right to run a stream, and its row in stream_status.

    advisory lock (may start a worker) -> epoch (may write rows) -> a heartbeat each second (returns stream_control)

The lock lives as long as its connection. The worker goes on when the connection is lost: the row still names this
runner until another runner takes the lock.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query

_LOCK_SQL: Final = "SELECT pg_try_advisory_lock(hashtextextended('cryptoviz.stream.' || %(name)s, 0)) AS locked"
# The previous worker's batch locks the epoch until it ends: rather send heartbeats in between than wait for it.
_LOCK_TIMEOUT_SQL: Final = "SET lock_timeout = '2s'"
_COLUMNS: Final = ("lag", "rows_total", "batch_rows", "batch_ms", "last_error")
_VITALS: Final = (
    "pid", "restarts", "next_start_s", "heartbeat_age", "ready_age", "progressed_age", "rows_age", "lag_zero_age"
)  # fmt: skip


@dataclass(frozen=True)
class StreamControl:
    """What stream_control asks of a stream."""

    desired: str = "running"
    generation: int = 0


@dataclass(frozen=True)
class PreviousRun:
    """The stream as its last runner left it: its `state` (None: there was no runner), its worker (`pid` on `host`)."""

    state: str | None
    pid: int | None
    host: str | None
    runner_pid: int | None
    epoch: int
    restarts: int
    silent_s: float | None
    control: StreamControl


@dataclass(frozen=True)
class StreamEvent:
    """Something that happened to a worker, for stream_events."""

    at: datetime
    event: str
    epoch: int
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Ownership:
    """One runner's claim to a stream. Every method may raise psycopg.Error: nothing happened, call again."""

    name: str
    settings: Settings
    epoch: int = 0
    _connection: psycopg.Connection[dict[str, Any]] | None = None
    _locked: bool = False

    def take(self) -> PreviousRun | None:
        """Take the lock and enter this runner in the row; None when another process owns the stream."""
        if not self._lock():
            return None
        row = self._fetch_one("stream_take", self._signature())
        self.epoch = row["epoch"]
        control = StreamControl(row.pop("desired"), row.pop("generation"))
        return PreviousRun(**row, control=control)

    def claim(self, generation: int = 0) -> bool:
        """Raise the epoch for a new worker; False while another process, or a dead connection, holds the lock.

        Raises:
            psycopg.errors.LockNotAvailable: a batch of the previous worker is still being stored.
        """
        if not self._lock():
            return False
        self.epoch = self._fetch_one("claim_stream", {**self._signature(), "generation": generation})["epoch"]
        return True

    def beat(
        self, state: str, vitals: Mapping[str, Any] | None = None, figures: Mapping[str, Any] | None = None
    ) -> StreamControl | None:
        """Write a heartbeat with the worker's figures; figures without a column of their own go to `detail`.

        Returns stream_control, or None when the stream has another owner by now.
        """
        self._lock()
        vitals, figures = vitals or {}, figures or {}
        values = {
            **self._signature(),
            "epoch": self.epoch,
            "state": state,
            "detail": _json({name: value for name, value in figures.items() if name not in _COLUMNS}),
            **{name: _text(figures.get(name)) for name in _COLUMNS},
            **{name: vitals.get(name) for name in _VITALS},
            "restarts": vitals.get("restarts", 0),
        }
        row = self._fetch_one("stream_heartbeat", values)
        if row is None and self._adopt():
            row = self._fetch_one("stream_heartbeat", values | {"epoch": self.epoch})
        return StreamControl(**row) if row is not None else None

    def _adopt(self) -> bool:
        """Whether the row is this runner's under a newer epoch: it raised that epoch and the answer was lost."""
        row = self._fetch_one("stream_epoch", {"name": self.name})
        if row is None or (row["runner_pid"], row["host"]) != (os.getpid(), socket.gethostname()):
            return False
        self.epoch = row["epoch"]
        return True

    def write_event(self, event: StreamEvent) -> None:
        """Store an event; storing it twice does no harm."""
        values = {**vars(event), "name": self.name, "reason": _text(event.reason), "detail": _json(event.detail)}
        self._open()
        self._run(query("stream_event"), values)

    def close(self) -> None:
        """Give the stream up."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._locked = None, False

    def _signature(self) -> dict[str, Any]:
        return {"name": self.name, "runner_pid": os.getpid(), "host": socket.gethostname()}

    def _lock(self) -> bool:
        self._open()
        if not self._locked:
            self._locked = bool((self._run(_LOCK_SQL, {"name": self.name}).fetchone() or {}).get("locked"))
        return self._locked

    def _open(self) -> None:
        if self._connection is None:
            opened = connect(Role.WRITER, self.settings, autocommit=True, application_name=f"stream_{self.name}")
            opened.execute(_LOCK_TIMEOUT_SQL)
            opened.row_factory = dict_row  # type: ignore[assignment]
            self._connection = opened  # type: ignore[assignment]

    def _fetch_one(self, name: str, values: Mapping[str, Any]) -> Any:
        return self._run(query(name), values).fetchone()

    def _run(self, statement: Any, values: Mapping[str, Any]) -> psycopg.Cursor[dict[str, Any]]:
        if self._connection is None:
            raise psycopg.OperationalError("not connected")
        try:
            return self._connection.execute(statement, values)
        except psycopg.errors.LockNotAvailable:
            raise
        except (psycopg.OperationalError, psycopg.InterfaceError):
            self.close()
            raise


def _text(value: Any) -> Any:
    """PostgreSQL stores no NUL, and an error's text can quote anything."""
    return value.replace("\0", "") if isinstance(value, str) else value


def _json(values: Mapping[str, Any]) -> Jsonb:
    return Jsonb(dict(values), dumps=lambda found: json.dumps(found).replace("\\u0000", ""))
