"""Rows into PostgreSQL, exactly once: one transaction advances the fence, copies, refreshes the candles.

    begin -> fence and epoch -> COPY each table -> refresh_candles -> commit
                 |                  | unique violation: staging, INSERT ... ON CONFLICT
                 +- batch stored before: nothing is written, the touched candles are reported again

Three nets under each other: the fence (keyed by the checkpoint's own query id, so that a deleted checkpoint, whose
batches count from 0 again, is another query), the epoch (a driver whose successor has started cannot write) and the
tables' keys (whatever is read twice is stored once).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cryptoviz.logs import logger
from cryptoviz.records import Candle
from cryptoviz.storage.queries import query
from cryptoviz.topics import INGESTED, TOPICS

_log = logger(__name__)

Payload = Iterable[bytes | memoryview]
"""COPY lines of one table, in pieces that each end with a newline. It can be gone through again."""


class Arriving:
    """Lines that are still on their way: passed on at once, and kept in case they have to be gone through again."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._kept: list[bytes | memoryview] = []

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """The pieces from the first on."""
        yield from self._kept
        for piece in self._pieces:
            self._kept.append(piece)
            yield piece


class StaleEpochError(RuntimeError):
    """Another process has taken this stream over: this one must stop writing, and end."""


class TruncatedError(RuntimeError):
    """A part of a batch ended before its last message. Nothing of it was stored; the batch will come again."""


class UnstorableError(ValueError):
    """The database refuses a row for what is in it. Retrying cannot help; the row has to be found and set aside."""


@dataclass(frozen=True)
class Table:
    """How rows that are there already meet rows that come again: kept, unless `newer` says which one wins."""

    key: tuple[str, ...]
    newer: str | None = None
    latest_first: str = "received_at DESC"


TABLES: Final[Mapping[str, Table]] = {
    "ticker_data": Table(("timestamp", "exchange", "pair")),
    "trade_data": Table(("timestamp", "exchange", "pair", "trade_id")),
    "exchange_candles": Table(
        ("window_start", "exchange", "symbol", "timeframe"),
        newer="(excluded.closed, excluded.received_at) > (stored.closed, stored.received_at)",
        latest_first="closed DESC, received_at DESC",
    ),
    "alert_data": Table(("timestamp", "exchange", "pair", "alert_type")),
    "article_data": Table(
        ("timestamp", "website", "article_id"),
        newer="excluded.revision > stored.revision",
        latest_first="revision DESC, received_at DESC",
    ),
    "market_data": Table(("timestamp", "source", "symbol")),
    "fear_greed_data": Table(("timestamp",)),
}


@dataclass(frozen=True)
class Statements:
    """The three statements of one table."""

    copy: sql.Composed
    stage: sql.Composed
    copy_staged: sql.Composed
    merge: sql.Composed


def statements(topic: str) -> Statements:
    """How the rows of `topic` get into their table."""
    name = TOPICS[topic].table
    if name is None:
        raise ValueError(f"topic {topic} has no table")
    table = TABLES[name]
    columns = tuple(TOPICS[topic].columns())
    words = {
        "table": sql.Identifier(name),
        "staging": sql.Identifier("pg_temp", f"staging_{name}"),
        "staging_name": sql.Identifier(f"staging_{name}"),
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
        "key": sql.SQL(", ").join(map(sql.Identifier, table.key)),
        "latest_first": sql.SQL(table.latest_first),
        "conflict": _conflict(table, columns),
    }
    return Statements(
        copy=sql.SQL("COPY {table} ({columns}) FROM STDIN").format(**words),
        stage=sql.SQL(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {staging_name} (LIKE {table} INCLUDING DEFAULTS)"
            " ON COMMIT DELETE ROWS"
        ).format(**words),
        copy_staged=sql.SQL("COPY {staging} ({columns}) FROM STDIN").format(**words),
        merge=sql.SQL(
            "INSERT INTO {table} AS stored ({columns})"
            " SELECT DISTINCT ON ({key}) {columns} FROM {staging} ORDER BY {key}, {latest_first}"
            " ON CONFLICT ({key}) {conflict}"
        ).format(**words),
    )


def _conflict(table: Table, columns: Sequence[str]) -> sql.Composable:
    if table.newer is None:
        return sql.SQL("DO NOTHING")
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns if name not in table.key
    )
    return sql.SQL("DO UPDATE SET {} WHERE {}").format(changes, sql.SQL(table.newer))


_STATEMENTS: Final = {topic.name: statements(topic.name) for topic in INGESTED}


@dataclass(frozen=True)
class Fence:
    """Which part of which batch of which query is to be stored, and on whose behalf."""

    stream: str
    epoch: int
    query_id: str
    part: int
    batch: int


@dataclass(frozen=True)
class Touched:
    """The minutes of each pair in which trades were stored, each named by the earliest of those trades.

    Three columns of one length.
    """

    exchanges: Sequence[str] = ()
    pairs: Sequence[str] = ()
    minutes: Sequence[datetime] = ()


@dataclass(frozen=True)
class Stored:
    """What a batch came to: whether it was new, and the candles it changed (if not new: all that it touches)."""

    fresh: bool
    candles: Sequence[Candle]


@dataclass
class Sink:
    """One connection, kept open between batches.

    Raises from `store`: psycopg.OperationalError when the database is away (nothing was stored; call again),
    StaleEpochError, UnstorableError.
    """

    connect: Callable[[], psycopg.Connection[Any]]
    _connection: psycopg.Connection[Any] | None = None
    _conflicting: set[str] = field(default_factory=set)

    def store(self, fence: Fence, payloads: Mapping[str, Payload], touched: Callable[[], Touched]) -> Stored:
        """Store a batch in one transaction: the lines of each topic in its table, and the candles they touch.

        `touched` is asked after the last line.
        """
        connection = self._open()
        try:
            with connection.transaction():
                fresh = _advance(connection, fence)
                for topic, payload in payloads.items():
                    if fresh:
                        self._write(connection, topic, payload)
                    else:
                        deque(payload, maxlen=0)
                refreshed = "refresh_candles" if fresh else "touched_candles"
                return Stored(fresh, _candles(connection, refreshed, touched()))
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise UnstorableError(str(error)) from error

    def has_stored(self, fence: Fence) -> bool:
        """Whether the batch of a fence has been stored."""
        connection = self._open()
        with connection.transaction():
            row = connection.execute(query("batch_is_stored"), vars(fence)).fetchone()
        return bool(row and row[0])

    def close_candles(self) -> list[Candle]:
        """Close the candles whose window has ended and that are known whole, and return them."""
        connection = self._open()
        with connection.transaction():
            return _rows(connection, "close_candles", {})

    def refused_lines(self, topic: str, lines: Sequence[bytes]) -> dict[int, str]:
        """Which of `lines` the database would not take, and why. Nothing is stored."""
        connection = self._open()
        refused: dict[int, str] = {}
        with connection.transaction(force_rollback=True):
            self._rehearse(connection, topic, lines, 0, refused)
        return refused

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = self.connect()
        return self._connection

    def _write(self, connection: psycopg.Connection[Any], topic: str, payload: Payload) -> None:
        if topic not in self._conflicting:
            try:
                with connection.transaction():
                    _copy(connection, _STATEMENTS[topic].copy, payload)
            except psycopg.errors.UniqueViolation:
                self._conflicting.add(topic)
            else:
                return
        if _merge(connection, _STATEMENTS[topic], payload):
            # Duplicates come in stretches (a replay, a healed gap): try the shorter way again after one clean batch.
            self._conflicting.discard(topic)

    def _rehearse(
        self,
        connection: psycopg.Connection[Any],
        topic: str,
        lines: Sequence[bytes],
        first: int,
        refused: dict[int, str],
    ) -> None:
        try:
            with connection.transaction():
                _merge(connection, _STATEMENTS[topic], lines)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(lines) == 1:
                refused[first] = str(error).splitlines()[0]
                return
            middle = len(lines) // 2
            self._rehearse(connection, topic, lines[:middle], first, refused)
            self._rehearse(connection, topic, lines[middle:], first + middle, refused)


def _advance(connection: psycopg.Connection[Any], fence: Fence) -> bool:
    row = connection.execute(query("advance_fence"), vars(fence), prepare=True).fetchone()
    current, fresh = row or (False, False)
    if not current:
        raise StaleEpochError(f"epoch {fence.epoch} of stream {fence.stream} is over")
    return bool(fresh)


def _copy(connection: psycopg.Connection[Any], statement: sql.Composed, payload: Payload) -> int:
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for piece in payload:
                copy.write(piece)
        return cursor.rowcount


def _merge(connection: psycopg.Connection[Any], how: Statements, payload: Payload) -> bool:
    """Whether every row was new."""
    connection.execute(how.stage)
    staged = _copy(connection, how.copy_staged, payload)
    return connection.execute(how.merge).rowcount == staged


def _candles(connection: psycopg.Connection[Any], name: str, touched: Touched) -> list[Candle]:
    if not touched.minutes:
        return []
    return _rows(connection, name, {column: list(values) for column, values in vars(touched).items()})


def _rows(connection: psycopg.Connection[Any], name: str, values: dict[str, Any]) -> list[Candle]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows: Iterable[dict[str, Any]] = cursor.execute(query(name), values, prepare=True)
        return [candle for row in rows if (candle := _candle(row)) is not None]


def _candle(row: dict[str, Any]) -> Candle | None:
    try:
        return msgspec.convert(row, Candle)
    except msgspec.ValidationError as error:
        # Trades within the bounds of their record can add up to a volume beyond those of a candle. The table keeps
        # the sum; to fail here would stop the stream for ever.
        series = {column: str(row[column]) for column in ("exchange", "symbol", "timeframe", "window_start")}
        _log.warning("candle_not_publishable", reason=str(error), **series)
        return None
