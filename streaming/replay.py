"""Read a topic's messages of a range of time into their table once more.

    range -> slices of some thousand messages -> Spark's batch source -> codec -> sink, one transaction each
                                                                           |
                                                  candles that changed -> topic `candle`

Rows that are there stay, candles follow from the trades: to replay twice is to replay once. What the codec refuses is
in `deadletter` since it was read first, and is only counted. One replay at a time, beside the streams: it has an epoch
and a fence of its own.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import psycopg
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from cryptoviz.bus import Producer
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query
from cryptoviz.streams.ownership import Ownership
from streaming.rows import MESSAGE_COLUMNS, Message, Rows, messages
from streaming.session import session
from streaming.sink import Fence, Sink, Stored, UnstorableError
from streaming.sources import messages_between

NAME: Final = "replay"
BUSY: Final = 75
"""Exit status when another replay is under way (EX_TEMPFAIL)."""

SLICE_MESSAGES: Final = 20_000
_FIRST_SLICE: Final = timedelta(minutes=1)
_SHORTEST: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(hours=6)
_PATIENCE_S: Final = 60
_FLUSH_S: Final = 30


@dataclass
class Slices:
    """A range in pieces, each as long as the one before makes believe that it holds `SLICE_MESSAGES`."""

    since: datetime
    until: datetime
    length: timedelta = _FIRST_SLICE

    def next(self) -> tuple[datetime, datetime] | None:
        """The next piece; None after the last."""
        if self.since >= self.until:
            return None
        piece = (self.since, min(self.until, self.since + self.length))
        self.since = piece[1]
        return piece

    def held(self, count: int) -> None:
        """The last piece held so many messages."""
        if count > SLICE_MESSAGES:
            self.length = max(_SHORTEST, self.length / 2)
        elif count < SLICE_MESSAGES / 2:
            self.length = min(_LONGEST, self.length * 2)


@dataclass
class Replay:
    """One replay. Raises from `slices`: psycopg.Error and PySparkException when what it needs stays away."""

    settings: Settings
    topic: str
    since: datetime
    until: datetime
    epoch: int
    figures: dict[str, Any] = field(default_factory=lambda: {"messages": 0, "refused": 0, "candles changed": 0})

    def __post_init__(self) -> None:
        self._query_id = f"{NAME}-{uuid.uuid4()}"
        self._sink = Sink(partial(connect, Role.WRITER, self.settings, application_name=NAME))
        self._producer = Producer(self.settings)
        self._producer.start()

    def slices(self, spark: SparkSession) -> Iterator[dict[str, Any]]:
        """Store slice after slice; the figures so far after each, when it is committed."""
        pieces, batch = Slices(self.since, self.until), 0
        while piece := pieces.next():
            frame = messages_between(spark, self.settings, self.topic, *piece).select(*MESSAGE_COLUMNS)
            count = self._store(list(messages(frame.toArrow())), batch)
            pieces.held(count)
            batch += 1
            yield {"until": piece[1].isoformat(), **self.figures}

    def close(self) -> None:
        """Send the changed candles that are still on their way; forget the fence."""
        self._producer.close(_FLUSH_S)
        self._sink.close()
        with connect(Role.WRITER, self.settings, autocommit=True, application_name=NAME) as connection:
            connection.execute(query("replay_forget"), {"query_id": self._query_id})

    def _store(self, batch: list[Message], number: int) -> int:
        rows = Rows.judged(batch, datetime.now(UTC))
        fence = Fence(NAME, self.epoch, self._query_id, 0, number)
        try:
            stored = self._patiently(fence, rows)
        except UnstorableError:
            lines = [bytes(line) for line in rows.lines[self.topic]]
            bad = self._sink.refused_lines(self.topic, lines)
            rows.lines[self.topic] = [line for index, line in enumerate(lines) if index not in bad]
            self.figures["refused"] += len(bad)
            stored = self._patiently(fence, rows)
        for candle in stored.candles:
            self._producer.send("candle", candle)
        self._producer.poll()
        self.figures["messages"] += rows.count
        self.figures["refused"] += len(rows.refused)
        self.figures["candles changed"] += len(stored.candles)
        return rows.count

    def _patiently(self, fence: Fence, rows: Rows) -> Stored:
        for attempt in Retrying(
            retry=retry_if_exception_type((psycopg.OperationalError, psycopg.InterfaceError)),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            stop=stop_after_delay(_PATIENCE_S),
            reraise=True,
        ):
            with attempt:
                stored = self._sink.store(fence, rows.lines, rows.touched)
        return stored


def run(settings: Settings, topic: str, since: datetime, until: datetime) -> int:
    """Replay, telling the progress on standard output as JSON lines; returns the exit status: 75 another one runs."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ownership = Ownership(NAME, settings)
    with closing(ownership):
        if not ownership.claim():
            _say({"error": "another replay is under way"})
            return BUSY
        try:
            return _run(Replay(settings, topic, since, until, ownership.epoch), ownership, stop)
        except (psycopg.Error, PySparkException) as error:
            _say({"error": (str(error).strip().splitlines() or [type(error).__name__])[0]})
            return 1
        finally:
            # With the database away the row grows old instead; what came of the replay is told all the same.
            with suppress(psycopg.Error):
                ownership.beat("stopped")


def _run(replay: Replay, ownership: Ownership, stop: threading.Event) -> int:
    spark = session(replay.settings, NAME)
    with closing(replay):
        for figures in replay.slices(spark):
            _say(figures)
            ownership.beat("running", figures={"rows_total": figures["messages"], "topic": replay.topic})
            if stop.is_set():
                _say({**figures, "cancelled": True})
                return 128 + signal.SIGTERM
    spark.stop()
    return 0


def _say(figures: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()
