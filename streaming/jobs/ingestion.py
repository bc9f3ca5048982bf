"""Kafka to tables: the job `ingestion`.

    seven topics -> one query -> micro-batch -> COPY lines -> sink (one transaction) -> topic `candle`
                                     |
                                     +- refused: topic `deadletter`, before the batch counts as done

One query for all topics, so that the cost of a trigger is paid once and a micro-batch is one transaction. Batches of up
to `spark_bulk_rows` messages are stored by the driver; larger ones (catching up) by the executors, one transaction for
each partition of a topic, through the same code. Whatever is away (database, broker) is waited for; nothing is skipped.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import starmap
from typing import Any, Final

import psycopg
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from tenacity import Retrying, before_sleep_nothing, retry_if_exception_type, stop_never, wait_random_exponential

from cryptoviz import codec
from cryptoviz.bus import Ends, Follower, Producer
from cryptoviz.logs import logger
from cryptoviz.records import Candle
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.streams.progress import ReportFigures
from cryptoviz.topics import INGESTED
from streaming.batch_report import Clock, dead_letter, lag_of, reason_of
from streaming.checkpoints import Checkpoint, size
from streaming.executors import EXECUTOR_ROWS, refused, write_partitions
from streaming.pauses import Pauses
from streaming.rows import MESSAGE_COLUMNS, Message, Refused, Rows, messages
from streaming.session import session
from streaming.sink import Fence, Sink, StaleEpochError, UnstorableError
from streaming.sources import kafka_options
from streaming.sources import messages as stream_of_messages
from streaming.transforms import copy_lines

NAME: Final = "ingestion"
DRIVER_PART: Final = -1
"""The fence part of batches stored by the driver; the executors' parts are numbered from 0 (`streaming.executors`)."""
_LONGEST_WAIT_S: Final = 10
_FLUSH_S: Final = 5
_CLOSE_EVERY_S: Final = 5
"""A trade of the next minute proves that a candle is whole, and may come at any time."""

_REPORT_S: Final = 1
_DEAD_LETTERS: Final = "topic string, key binary, value binary, headers array<struct<key: string, value: binary>>"

_log = logger(__name__)


class StoppingError(Exception):
    """The process was told to stop while a batch waited for something that is away. The batch will come again."""


class BrokerAwayError(Exception):
    """The broker did not acknowledge in time."""


def application_name(epoch: int) -> str:
    """The name of one worker's connections: those of its predecessors may still be ending."""
    return f"spark_{NAME}_{epoch}"


@dataclass
class Ingestion:
    """The job, for one epoch of the stream. `run` returns when `stop` is set.

    Raises from `run`: StaleEpochError when another process has taken over.
    """

    settings: Settings
    epoch: int
    stop: threading.Event
    report: ReportFigures
    figures: dict[str, Any] = field(
        default_factory=lambda: {"rows_total": 0, "data_losses": 0, "refused": 0, "waits": 0, "steps": 0}
    )

    def __post_init__(self) -> None:
        self._between_batches = threading.Lock()
        self._connect = partial(connect, Role.WRITER, self.settings, application_name=application_name(self.epoch))
        self._sink = Sink(self._connect)
        # By a name of its own: that candles are closed is no sign that the query moves.
        closing = f"{application_name(self.epoch)} closing"
        self._closer = Sink(partial(connect, Role.WRITER, self.settings, application_name=closing))
        self._unsent: list[tuple[str, Any]] = []
        self._producer = Producer(self.settings, on_lost=lambda topic, _key, record, _why: self._lost(topic, record))
        self._follower = Follower(self.settings, self.settings.spark_bulk_rows)
        self._fatal: Exception | None = None
        self._pauses = Pauses(self._follower, self.settings.spark_trigger_ms / 1000, self.figures, self._goes_on)
        self._may_come_again = True
        self._close_at = 0.0
        self._batch_began: float | None = None

    def run(self) -> None:
        """Run the query until told to stop; start it again, with growing delay, when something it needs is away."""
        spark = session(self.settings, NAME)
        self._producer.start()
        checkpoint = Checkpoint(spark, f"{self.settings.checkpoints}/{NAME}")
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(PySparkException),
                wait=wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT_S),
                stop=stop_never,
                sleep=self._wait,
                before_sleep=before_sleep_nothing,
            ):
                with attempt:
                    self._run_query(spark, checkpoint)
        except StoppingError:
            return
        finally:
            self._producer.close(timeout=2)
            self._sink.close()
            self._closer.close()
            self._follower.close()
            spark.stop()

    def _run_query(self, spark: SparkSession, checkpoint: Checkpoint) -> None:
        source = stream_of_messages(spark, self.settings, [topic.name for topic in INGESTED]).select(*MESSAGE_COLUMNS)
        query = (
            source.writeStream.queryName(NAME)
            .foreachBatch(partial(self._batch, checkpoint))
            .option("checkpointLocation", checkpoint.path)
            # `_batch` returns when there is more (`streaming.pauses`): the next trigger comes at once.
            .trigger(processingTime="0 seconds")
            .start()
        )
        self.figures["last_error"] = None
        self._pauses.following = False
        self._may_come_again = True
        ended = threading.Event()
        threading.Thread(target=self._close_candles_until, args=(ended,), name="close candles", daemon=True).start()
        try:
            while self._fatal is None and query.isActive and not self.stop.wait(0.2):
                self._report(query)
            if self._fatal is not None:
                raise self._fatal
            if self.stop.is_set():
                return
            query.awaitTermination()
        except PySparkException as error:
            if self._fatal is not None:
                raise self._fatal from None
            self._explain(error, checkpoint)
            raise
        finally:
            ended.set()
            # A batch in progress is allowed to finish: it would only have to be stored again.
            with self._between_batches:
                query.stop()

    def _explain(self, error: PySparkException, checkpoint: Checkpoint) -> None:
        reason = reason_of(error)
        _log.error("query_failed", reason=reason)
        self.figures["last_error"] = reason
        self.figures["waits"] += 1  # it will be tried again: that is not standing still
        if "KAFKA_DATA_LOSS" in str(error):
            # Messages went from the broker unread. What is left is read again from the earliest on, under a new query
            # id; the keys of the tables keep out what is there already.
            self.figures["data_losses"] += 1
            _log.error("messages_lost_before_they_were_read", checkpoint=checkpoint.set_aside())
        self.report(dict(self.figures))

    def _report(self, query: StreamingQuery) -> None:
        if not self._pauses.following:
            # PySpark's own `lastProgress` is a hundred calls into the JVM.
            progress = query._jsq.lastProgress()
            if progress is not None:
                told = json.loads(progress.json())
                self.figures["trigger"] = told["timestamp"]
                self.figures["lag"] = lag_of(told["sources"][0])
        began = self._batch_began
        self.figures["batch_for_s"] = 0.0 if began is None else round(time.perf_counter() - began, 1)
        self.report(dict(self.figures))

    def _goes_on(self) -> bool:
        return self._fatal is None and not self.stop.is_set()

    def _moved(self) -> None:
        """A batch has come a step further."""
        self.figures["steps"] += 1

    def _close_candles_until(self, ended: threading.Event) -> None:
        """Beside the loop that reports: a database that hangs must not look like a query that does."""
        try:
            while not ended.wait(0.2):
                self._close_candles()
        except StoppingError:
            return
        except Exception as error:  # noqa: BLE001 - raised again by the loop
            self._fatal = error

    def _close_candles(self) -> None:
        """Every few seconds close the candles that are known whole by now."""
        if time.monotonic() < self._close_at or not self._between_batches.acquire(blocking=False):
            return
        try:
            self._publish(self._closer.close_candles())
            self._close_at = time.monotonic() + _CLOSE_EVERY_S
        except psycopg.OperationalError as error:
            self._complain(error)
        finally:
            self._between_batches.release()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A batch has its turn, once candles are not being closed; while it waits for that it does not stand still."""
        while not self._between_batches.acquire(timeout=_CLOSE_EVERY_S):
            self._moved()
        try:
            yield
        finally:
            self._between_batches.release()

    def _batch(self, checkpoint: Checkpoint, frame: DataFrame, batch: int) -> None:
        with self._turn():
            if self.stop.is_set():
                raise StoppingError
            started = self._batch_began = time.perf_counter()
            self._moved()
            fence = Fence(NAME, self.epoch, checkpoint.query_id, DRIVER_PART, batch)
            begins, ends = checkpoint.range_of(batch)
            bulk = size(begins, ends) > self.settings.spark_bulk_rows
            try:
                if bulk:
                    self._pauses.in_bulk()
                count = self._store(frame, fence, begins, ends, bulk=bulk)
            except Exception as error:
                if not isinstance(error, PySparkException | StoppingError):
                    self._fatal = error
                raise
            finally:
                self._batch_began = None
            self.figures["last_error"] = None
            self.figures["rows_total"] += count
            self.figures["batch_rows"] = count
            self.figures["batch_ms"] = round((time.perf_counter() - started) * 1000, 1)
        if bulk:
            self._pauses.after_bulk(started)
        else:
            self._pauses.until_more(started, ends)

    def _store(self, frame: DataFrame, fence: Fence, begins: Ends, ends: Ends, *, bulk: bool) -> int:
        try:
            # Only the first batch of a query can be one that was stored before, and not yet committed by Spark.
            again, self._may_come_again = self._may_come_again, False
            if bulk:
                return self._store_in_bulk(frame, fence, ends)
            if again and self._patiently(lambda: self._sink.has_stored(fence)):
                return self._publish_again(frame, fence)
            return self._store_here(frame, fence, begins, ends)
        except UnstorableError as error:
            _log.warning("batch_with_unstorable_rows", batch=fence.batch, reason=reason_of(error))
            return self._store_carefully(frame, fence)

    def _store_here(self, frame: DataFrame, fence: Fence, begins: Ends, ends: Ends) -> int:
        """The driver takes the messages as they are, judges them itself and stores them in one transaction.

        With few messages the work of Spark's planner, compiler and tasks would cost more than the messages: where all
        of the batch's offsets have been read ahead already, no task reads them.
        """
        clock = Clock(self._moved)
        ahead = self._follower.take(begins, ends)
        batch = messages(_collected(frame)) if ahead is None else starmap(Message, ahead)
        self.figures["ahead"] = ahead is not None
        clock.lap("collect_ms")
        rows = Rows.judged(batch, datetime.now(UTC))
        clock.lap("judge_ms")
        self._dead_letters(frame.sparkSession, rows.refused)
        stored = self._patiently(lambda: self._sink.store(fence, rows.lines, rows.touched))
        clock.lap("store_ms")
        self._publish(stored.candles)
        clock.lap("publish_ms")
        self.figures["phases"] = clock.laps
        return rows.count

    def _publish_again(self, frame: DataFrame, fence: Fence) -> int:
        """The batch is stored, and what was refused of it was sent; its candles may not have been published."""
        try:
            rows = Rows.judged(messages(_collected(frame)), datetime.now(UTC))
        except PySparkException as error:
            # After a long stop its messages may be gone from the broker. They are in the tables.
            _log.warning("stored_batch_not_read_again", batch=fence.batch, reason=reason_of(error))
            return 0
        self._publish(self._patiently(lambda: self._sink.store(fence, rows.lines, rows.touched)).candles)
        return 0

    def _store_in_bulk(self, frame: DataFrame, fence: Fence, ends: Ends) -> int:
        """The executors store the batch; candles and refused messages come back to be sent from here."""
        write = partial(write_partitions, self._connect, fence, ends)
        lines = copy_lines(frame)
        try:
            answers = self._patiently(lambda: lines.mapInArrow(write, EXECUTOR_ROWS).toArrow())
        except PySparkException as error:
            for kind in (UnstorableError, StaleEpochError):
                if kind.__name__ in str(error):
                    raise kind(reason_of(error)) from None
            raise
        self._moved()
        rows = answers.to_pylist()
        self._dead_letters(frame.sparkSession, [refused(row) for row in rows if row["kind"] not in {"candle", "count"}])
        self._publish(codec.decode("candle", row["value"]) for row in rows if row["kind"] == "candle")
        return sum(row["offset"] for row in rows if row["kind"] == "count")

    def _store_carefully(self, frame: DataFrame, fence: Fence) -> int:
        """Find the rows that the database will not take, set them aside, store the others."""
        now = datetime.now(UTC)
        table = _collected(frame)
        rows = Rows(count=table.num_rows)
        origins: dict[str, list[Message]] = {}
        for message in messages(table):
            before = len(rows.refused)
            rows.judge(message, now)
            if len(rows.refused) == before:
                origins.setdefault(message.topic, []).append(message)
        for topic, lines in rows.lines.items():
            bad = self._patiently(partial(self._sink.refused_lines, topic, [bytes(line) for line in lines]))
            rows.lines[topic] = [line for index, line in enumerate(lines) if index not in bad]
            rows.refused += [Refused(origins[topic][index], "unstorable", reason) for index, reason in bad.items()]
            self._moved()
        self._dead_letters(frame.sparkSession, rows.refused)
        stored = self._patiently(lambda: self._sink.store(fence, rows.lines, rows.touched))
        self._publish(stored.candles)
        return rows.count

    def _patiently(self, action: Callable[[], Any]) -> Any:
        """Do it, again and again with growing delay while the database or the broker is away."""
        return Retrying(
            retry=retry_if_exception_type((psycopg.OperationalError, psycopg.InterfaceError, BrokerAwayError)),
            wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_WAIT_S),
            stop=stop_never,
            sleep=self._wait,
            before_sleep=lambda state: self._complain(state.outcome.exception() if state.outcome else None),
        )(action)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.report(dict(self.figures))
            if self.stop.wait(min(left, _REPORT_S)):
                raise StoppingError

    def _complain(self, error: BaseException | None) -> None:
        reason = reason_of(error) if error is not None else "unknown"
        _log.warning("waiting", reason=reason)
        self.figures["last_error"] = reason
        self.figures["waits"] += 1

    def _dead_letters(self, spark: SparkSession, refused: Iterable[Refused]) -> None:
        letters = [dead_letter(item) for item in refused]
        if letters:
            frame = spark.createDataFrame(letters, _DEAD_LETTERS)
            frame.write.format("kafka").options(**kafka_options(self.settings)).save()
            self.figures["refused"] += len(letters)

    def _publish(self, candles: Iterable[Candle]) -> None:
        self._unsent = [("candle", candle) for candle in candles]
        self._patiently(self._flush)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        for topic, record in unsent:
            self._producer.send(topic, record)
        if not self._producer.flush(_FLUSH_S) or self._unsent:
            raise BrokerAwayError(f"{self.settings.bootstrap_servers} does not acknowledge")

    def _lost(self, topic: str, record: Any) -> None:
        self._unsent.append((topic, record))


def _collected(frame: DataFrame) -> pa.Table:
    """The messages of a small batch: a task for each partition of each topic would cost more than what it reads."""
    return frame.coalesce(2).toArrow()
