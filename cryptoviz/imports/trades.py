"""Trades of a file into `trade_data`, and the candles that they make.

    chunk -> COPY into a table of the connection -> suite trades_import -> one transaction: trades, quarantine, position
          -> refresh_candles, some minutes at a time

Two connections take turns: while one publishes, the other stages and judges what comes next. Positions are committed in
the order of the file; whoever is killed goes on behind the last one, and makes the candles that were still due.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from cryptoviz.candles.rebuild import rebuild_pair
from cryptoviz.candles.settle import settle
from cryptoviz.gaps.tables import record_candle_gaps
from cryptoviz.imports import values
from cryptoviz.imports.aggregates import refuse_other_numbering
from cryptoviz.imports.chunks import Chunk, chunks
from cryptoviz.imports.files import File
from cryptoviz.imports.gate import Judge, Judgement, Origin, refuse_nonsense
from cryptoviz.imports.layouts import Layout
from cryptoviz.imports.progress import ImportProgress, Target
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

Connect = Callable[[], AbstractContextManager["Connection[Any]"]]
ReportProgress = Callable[[int, float], None]
"""Is told how many rows were stored or set aside, and which share of the file has been read."""

CONNECTIONS: Final = 2
_STAGED: Final = ("row_number", "microseconds", "age_s", "trade_id", "price", "volume", "side", "unreadable")
_COPY: Final = f"COPY import_trades ({', '.join(_STAGED)}) FROM STDIN (FORMAT csv)"
Span = tuple[datetime, datetime]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass
class ImportedRows:
    """What became of the rows of one file, this time."""

    rows: int = 0
    stored: int = 0
    known: int = 0
    quarantined: int = 0
    candles: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    def reaches(self, span: Span | None) -> None:
        """Extend the time of what was stored."""
        if span is not None:
            self.first = min(self.first or span[0], span[0])
            self.last = max(self.last or span[1], span[1])


class AbandonedError(Exception):
    """Another piece of the same work failed; its error is the one to report."""


class TurnQueue:
    """Lets numbered pieces of work through in order, however fast each of them comes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._following = 0
        self._broken = False

    @contextmanager
    def take(self, number: int) -> Iterator[None]:
        """Wait until every piece with a lower number is done.

        Raises:
            AbandonedError: one of them failed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._broken or self._following == number)
            if self._broken:
                raise AbandonedError
        try:
            yield
        except BaseException:
            self.abandon()
            raise
        with self._changed:
            self._following += 1
            self._changed.notify_all()

    def abandon(self) -> None:
        """Refuse every piece that waits or comes."""
        with self._changed:
            self._broken = True
            self._changed.notify_all()


class TradesImport:
    """One file of single trades, on its way into `trade_data`."""

    def __init__(
        self,
        file: File,
        layout: Layout,
        target: Target,
        progress: ImportProgress,
        run: str,
        *,
        report_progress: ReportProgress,
        candles: bool = True,
    ) -> None:
        self._file, self._layout, self._target, self._progress = file, layout, target, progress
        self._run, self._report_progress, self._with_candles = run, report_progress, candles
        self._reading = threading.Lock()
        self._publishing, self._refreshing = TurnQueue(), TurnQueue()
        self._due: dict[int, Span] = {}
        self._counting_due = threading.Lock()
        self._done = ImportedRows()
        self._pieces: Iterator[tuple[int, Chunk]] = iter(())

    def run(self, connect: Connect, connection: Connection[Any]) -> ImportedRows:
        """Store what is not stored yet. `connection` commits by itself, and `connect` gives more of its kind.

        Raises:
            ImportRefusedError: the file is not what it claims to be; what was committed stays.
            SuiteError, GateError: the gate itself failed.
        """
        standing = self._progress.begin(connection)
        if standing.candles is not None and self._with_candles:
            self._make_candles(connection, standing.candles)
            self._progress.candles_due(connection, None)
        if not standing.completed:
            self._pieces = enumerate(chunks(self._file, self._layout, standing.position))
            with ThreadPoolExecutor(CONNECTIONS) as pool:
                working = [pool.submit(self._work, connect) for _ in range(CONNECTIONS)]
                try:
                    failures = [error for future in working if (error := future.exception()) is not None]
                finally:
                    self._publishing.abandon()
            for error in sorted(failures, key=lambda error: isinstance(error, AbandonedError)):
                raise error
            self._progress.finish(connection)
        self._look(connection)
        return self._done

    def _look(self, connection: Connection[Any]) -> None:
        """Bring gaps and completeness in line with the candles of the time that was touched."""
        if self._done.first is None or self._done.last is None or not self._with_candles:
            return
        settle(connection, self._target.exchange, self._target.pair, self._done.first, self._done.last + _MICROSECOND)
        for timeframe in Timeframe:
            series = Series(self._target.exchange, self._target.pair, timeframe)
            record_candle_gaps(connection, series, self._done.first, self._done.last)

    def _work(self, connect: Connect) -> None:
        try:
            with connect() as connection:
                connection.execute(query("import_trades_staging"))
                with Judge(connection, "trades_import", "import_trades") as judge:
                    while (piece := self._next()) is not None:
                        self._store(connection, judge, *piece)
        except BaseException:
            self._publishing.abandon()
            self._refreshing.abandon()
            raise

    def _next(self) -> tuple[int, Chunk] | None:
        with self._reading:
            return next(self._pieces, None)

    def _store(self, connection: Connection[Any], judge: Judge, number: int, chunk: Chunk) -> None:
        staged = values.columns(chunk, self._layout)
        connection.execute("TRUNCATE import_trades")
        copy(connection, _COPY, lines(staged, _STAGED))
        found = judge.rows(staged.num_rows)
        refuse_nonsense(self._file, found.faults, staged.num_rows)
        with self._publishing.take(number):
            span = self._publish(connection, found, number, chunk, staged)
        with self._refreshing.take(number):
            if span is not None and self._with_candles:
                self._make_candles(connection, span)
                with self._counting_due:
                    del self._due[number]
                    left = list(self._due.values())
                    due = (min(since for since, _until in left), max(until for _since, until in left)) if left else None
                    self._progress.candles_due(connection, due)

    def _publish(
        self, connection: Connection[Any], found: Judgement, number: int, chunk: Chunk, staged: pa.Table
    ) -> Span | None:
        pair = {"exchange": self._target.exchange, "pair": self._target.pair}
        with ExitStack() as until_committed, connection.transaction():
            drop(connection, "import_trades_drop", found.faults)
            left = staged if not found.faults else _without(staged, found.faults)
            span = _span(left)
            if span is not None:
                refuse_other_numbering(connection, self._file, self._target, *span)
            known = self._known(connection, found, left, span)
            refuse_nonsense(self._file, found.faults, staged.num_rows)
            drop(connection, "import_trades_drop", known)
            try:
                with connection.transaction():
                    stored = connection.execute(query("import_trades_insert"), pair).rowcount
            except driver.UniqueViolation:  # a collector was faster
                stored = connection.execute(query("import_trades_insert_new"), pair).rowcount
            found.write(connection, self._origin(chunk), lambda row: values.fields_of(chunk, self._layout, row))
            counts = {"stored": stored, "quarantined": len(found.faults)}
            counts["known"] = staged.num_rows - sum(counts.values())
            span = span if stored else None
            # Whoever writes down what is left meanwhile would leave this part out.
            until_committed.enter_context(self._counting_due)
            if span is not None:
                self._due[number] = span
            self._progress.advance(connection, chunk.until, **counts, span=span, candles=True)
        self._done.rows += staged.num_rows
        self._done.stored += counts["stored"]
        self._done.known += counts["known"]
        self._done.quarantined += counts["quarantined"]
        self._done.reaches(span)
        self._report_progress(staged.num_rows, chunk.share)
        return span

    def _known(self, connection: Connection[Any], found: Judgement, left: pa.Table, span: Span | None) -> list[int]:
        """The rows that are stored already, as they are; those that contradict what is stored join the faults."""
        if span is None:
            return []
        parameters = {
            "exchange": self._target.exchange,
            "pair": self._target.pair,
            "since": span[0],
            "until": span[1],
        }
        ids = left["trade_id"].combine_chunks()
        ascending = pc.all(pc.greater(ids[1:], ids[:-1])).as_py() is not False
        stored = connection.execute(query("import_trades_overlap"), parameters).fetchone() == (True,)
        rows = (
            connection.execute(query("import_trades_compare"), parameters).fetchall() if stored or not ascending else []
        )
        found.contradict({row: difference for row, difference in rows if difference})
        return [row for row, _difference in rows]

    def _origin(self, chunk: Chunk) -> Origin:
        key = self._progress.fingerprint
        place = {"exchange": self._target.exchange, "symbol": self._target.pair}
        return Origin(self._run, self._layout.kind.value, self._file.name, key, f"{key[:12]}:{chunk.until.rows}", place)

    def _make_candles(self, connection: Connection[Any], span: Span) -> None:
        since, until = span[0].replace(second=0, microsecond=0), span[1] + _MICROSECOND
        for step in rebuild_pair(connection, self._target.exchange, self._target.pair, since, until):
            self._done.candles.update(step.changed)


def lines(table: pa.Table, names: tuple[str, ...]) -> memoryview:
    """The columns as COPY reads them; `age_s` is how many seconds ago a row was made."""
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    age = pc.divide(pc.subtract(now, table["microseconds"]).cast(pa.float64()), 1e6)
    whole = table.append_column("age_s", age).select(list(names))
    sink = pa.BufferOutputStream()
    csv.write_csv(whole, sink, csv.WriteOptions(include_header=False, quoting_style="needed"))
    return memoryview(sink.getvalue())


def copy(connection: Connection[Any], statement: str, rows: memoryview) -> None:
    """Send rows to the server."""
    size = 1 << 20
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as stream:
        for start in range(0, len(rows), size):
            stream.write(rows[start : start + size])


def drop(connection: Connection[Any], statement: str, rows: Any) -> None:
    """Take rows out of what is staged."""
    numbers = list(rows)
    if numbers:
        connection.execute(query(statement), {"rows": numbers})


def _without(table: pa.Table, rows: Any) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["row_number"], pa.array(list(rows), pa.int64()))))


def _span(table: pa.Table) -> Span | None:
    ends = pc.min_max(table["microseconds"]).as_py()
    if ends["min"] is None:
        return None
    return _EPOCH + ends["min"] * _MICROSECOND, _EPOCH + ends["max"] * _MICROSECOND
