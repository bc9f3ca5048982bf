"""Candles of a file, and of trades that have no id or side, into `candles` with source `rest`.

    chunk -> rows (or the minutes that trades come to) -> known already? -> staged_candles -> suite candles_rest
          -> one transaction: quarantine, position, mark of what passed -> candles, gaps: as every published batch

They are the exchange's own: they win over what was made of streamed trades. A fetched candle that is stored stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from cryptoviz.backfill import publish
from cryptoviz.gaps.rulings import Gap, unanswered
from cryptoviz.gaps.tables import rule_candle_gaps
from cryptoviz.gate.audit import RowFault
from cryptoviz.imports import held, values
from cryptoviz.imports.chunks import Chunk, Position, chunks
from cryptoviz.imports.files import File, ImportRefusedError
from cryptoviz.imports.gate import Judge, Judgement, Origin, contradiction, hold_back, nonsense, refuse_nonsense
from cryptoviz.imports.layouts import Format, Kind, Layout
from cryptoviz.imports.plausible import refuse_no_candles
from cryptoviz.imports.progress import ImportProgress, ImportState, Target
from cryptoviz.imports.trades import Connect, ImportedRows, ReportProgress, copy, drop, lines
from cryptoviz.imports.windows import FileCandle, LastClose, Piece, Reach, filled, pieces, quiet_after, with_held
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.storage.queries import fetch_rows, query

if TYPE_CHECKING:
    from psycopg import Connection

ASSET: Final = "import/candles"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_STAGED: Final = ("row_number", "microseconds", "age_s", "price", "volume", "trade_count", "unreadable")
_COPY_CANDLES: Final = (
    "COPY staged_candles (exchange, symbol, timeframe, origin, window_start, window_end,"
    " open, high, low, close, volume, trade_count) FROM STDIN"
)
_WHOLE_ARCHIVES: Final = (Format.KRAKEN, Format.BINANCE)
"""Files of these begin and end between two minutes; any other may begin or end in the middle of one."""

_PARTS: Final = 8
"""What is made of rows here takes ten times as much memory as the rows themselves."""

_SAME: Final = Decimal("1e-12")
"""Up to so small a part two numbers are one: a floating-point copy of a decimal differs in its last digit."""


@dataclass(frozen=True)
class ChunkCandles:
    """The candles of a chunk in the order of time, and its rows at fault."""

    rows: Sequence[FileCandle]
    faults: Mapping[int, RowFault]
    judgement: Judgement | None = None
    """Of the trades, where the candles are made of trades."""
    reaches: Sequence[Reach] = ()
    """Which minutes the trades at fault may belong to."""

    @property
    def unplaced(self) -> Iterable[int]:
        """The rows at fault that may belong to any window between those beside them."""
        if self.judgement is None:
            return self.faults
        return self.faults.keys() - {reach.row for reach in self.reaches if reach.placed}


class CandlesImport:
    """One file on its way into the candles of one series."""

    def __init__(
        self,
        file: File,
        layout: Layout,
        target: Target,
        progress: ImportProgress,
        run: str,
        *,
        report_progress: ReportProgress,
    ) -> None:
        self._file, self._layout, self._target, self._progress = file, layout, target, progress
        self._run, self._report_progress = run, report_progress
        self._series = Series(target.exchange, target.pair, target.timeframe or Timeframe.M1)
        self._length = self._series.timeframe.length
        self._batch = publish.Batch(f"import {progress.fingerprint[:12]}", self._series)
        self._done = ImportedRows()
        self._last: LastClose | None = None
        self._share = 0.0
        self._judge: Judge | None = None

    def run(self, _connect: Connect, connection: Connection[Any]) -> ImportedRows:
        """Store what is not stored yet. `connection` commits by itself.

        Raises:
            ImportRefusedError: the file is not what it claims to be; what was committed stays.
            SuiteError, GateError: the gate itself failed.
        """
        standing = self._progress.begin(connection)
        if standing.completed:
            return self._done
        self._resume(connection, standing)
        self._last = self._read_last(connection, standing)
        with ExitStack() as judging:
            for chunk in self._chunks(standing.position):
                self._store(connection, chunk, self._read(connection, chunk, judging))
        self._progress.finish(connection)
        return self._done

    def _resume(self, connection: Connection[Any], standing: ImportState) -> None:
        """Publish what passed before the position was committed; what comes after it is read again."""
        span = (standing.first, standing.last) if standing.first and standing.last else None
        self._done.candles.update(publish.resume(connection, self._batch, span))
        publish.forget(connection, self._batch)
        held.settle(connection)

    def _chunks(self, since: Position) -> Iterator[Chunk]:
        whole = None if self._layout.kind is Kind.CANDLES else self._whole_minutes
        return chunks(self._file, self._layout, since, whole, parts=_PARTS)

    def _whole_minutes(self, table: pa.Table, rows: pa.Array) -> int:
        """How many of the trades belong to minutes that are over: no following row can be of the same minute."""
        instants = values.instants(table[self._layout.fields["time"]].combine_chunks())
        minutes = pc.divide(instants, 60_000_000)
        newest = pc.max(minutes).as_py()
        while newest is not None:
            first = int(pc.index(minutes, newest).as_py())
            if first == 0 or (minutes[first - 1].is_valid and rows[first].as_py() - rows[first - 1].as_py() == 1):
                return first
            newest = pc.max(minutes[:first]).as_py()
        return 0 if minutes.null_count < len(minutes) else int(table.num_rows)

    def _read_last(self, connection: Connection[Any], standing: ImportState) -> LastClose | None:
        if standing.last is None:
            return None
        at = standing.last - self._length
        found = connection.execute(query("import_candle_close"), {**self._names, "at": at}).fetchone()
        return (at, found[0]) if found else None

    @property
    def _names(self) -> dict[str, str]:
        series = self._series
        return {"exchange": series.exchange, "symbol": series.pair, "timeframe": series.timeframe.value}

    def _read(self, connection: Connection[Any], chunk: Chunk, judging: ExitStack) -> ChunkCandles:
        staged = values.columns(chunk, self._layout)
        if self._layout.kind is Kind.CANDLES:
            return self._candles(staged)
        if self._judge is None:
            connection.execute(query("import_trades_staging"))
            self._judge = judging.enter_context(Judge(connection, "trades_import", "import_trades"))
        return self._minutes(connection, self._judge, chunk, staged)

    def _candles(self, staged: pa.Table) -> ChunkCandles:
        refuse_no_candles(self._file, self._layout.format, self._target, staged)
        faults: dict[int, RowFault] = {}
        found = []
        for row in staged.to_pylist():
            if row["unreadable"]:
                faults[row["row_number"]] = RowFault("readable", f"{row['unreadable']}.")
                continue
            prices = {name: row[name] for name in values.PRICES[Kind.CANDLES]}
            start = _EPOCH + row["microseconds"] * _MICROSECOND
            found.append(FileCandle(row["row_number"], start, **prices, trade_count=row.get("trade_count") or 0))
        found.sort(key=lambda row: row.start)
        return ChunkCandles(found, faults)

    def _minutes(self, connection: Connection[Any], judge: Judge, chunk: Chunk, staged: pa.Table) -> ChunkCandles:
        self._refuse_disorder(staged)
        connection.execute("TRUNCATE import_trades")
        names = tuple(name for name in _STAGED if name in (*staged.column_names, "age_s"))
        copy(connection, f"COPY import_trades ({', '.join(names)}) FROM STDIN (FORMAT csv)", lines(staged, names))
        judgement = judge.rows(staged.num_rows)
        refuse_nonsense(self._file, judgement.faults, staged.num_rows)
        reaches = self._reaches(connection, judgement.faults)
        drop(connection, "import_trades_drop", judgement.faults)
        rows = fetch_rows(connection, "import_minutes", {"counted": not self._layout.aggregated})
        found = with_held([FileCandle(**row) for row in rows], reaches)
        if self._layout.format not in _WHOLE_ARCHIVES:
            begins = chunk.until.rows == chunk.count
            found = found[1 if begins else 0 : -1 if chunk.last else None]
        return ChunkCandles(found, judgement.faults, judgement, reaches)

    def _reaches(self, connection: Connection[Any], faults: Mapping[int, RowFault]) -> list[Reach]:
        if not faults:
            return []
        found = connection.execute(query("import_minutes_held"), {"rows": list(faults)}).fetchall()
        return [Reach(*row) for row in found]

    def _refuse_disorder(self, staged: pa.Table) -> None:
        made = staged["microseconds"].combine_chunks().drop_null()
        ordered = pc.all(pc.greater_equal(made[1:], made[:-1])).as_py() is not False
        if ordered and self._last and len(made):
            ordered = _EPOCH + made[0].as_py() * _MICROSECOND >= self._last[0]
        if not ordered:
            raise ImportRefusedError(
                f"{self._file.name} has trades without ids that are not in the order of their times:"
                " no candles can be made of them"
            )

    def _store(self, connection: Connection[Any], chunk: Chunk, read: ChunkCandles) -> None:
        """Store the candles of a chunk piece by piece, each committed: two of its rows may be years apart."""
        if read.judgement is None:
            refuse_nonsense(self._file, read.faults, chunk.count)
        windows: Iterable[FileCandle] = read.rows
        ordered = all(before.number < after.number for before, after in pairwise(read.rows))
        if self._layout.format is Format.KRAKEN and ordered:  # leaves windows without trades out
            windows = filled(read.rows, self._last, self._length, read.unplaced)
        end = read.rows[-1].start if read.rows else None
        for number, piece in enumerate(pieces(chunk, windows, self._share, end, ordered=ordered)):
            self._store_piece(connection, chunk, read, piece, number)
            self._share = piece.share
            self._report_progress(piece.count, piece.share)

    def _store_piece(
        self, connection: Connection[Any], chunk: Chunk, read: ChunkCandles, piece: Piece, number: int
    ) -> None:
        fresh, differing = self._compared(connection, [row for row in piece.rows if not row.held])
        faults = {**piece.within(read.faults), **differing}
        if read.judgement is None:
            refuse_nonsense(self._file, faults, piece.count)
        key = self._progress.fingerprint
        batch = f"{key[:12]}:{chunk.until.rows}" + (f":{number}" if number else "")
        origin = Origin(self._run, self._layout.kind.value, self._file.name, key, batch, self._place)

        def on_verdict(published: publish.Published) -> None:
            refused = self._refused(connection, origin, fresh, published)
            if read.judgement is not None and piece.first:
                read.judgement.write_results(connection, origin)
            hold_back(connection, origin, faults, lambda row: values.fields_of(chunk, self._layout, row))
            self._hold(connection, read, piece)
            self._advance(connection, piece, fresh, faults=len(faults), differing=len(differing), held=refused)

        def on_published(_published: publish.Published) -> None:
            at, reason = datetime.now(UTC), f"rows of {self._file.name} are in quarantine"
            gaps = [Gap(self._series, row.start, row.start + self._length) for row in piece.rows if row.held]
            rule_candle_gaps(connection, self._series, [unanswered(gap, at, reason) for gap in gaps])

        copy(connection, _COPY_CANDLES, self._lines(fresh))
        try:
            span = piece.span(self._length)
            published = publish.publish(
                connection,
                self._batch,
                origin.attempt,
                ASSET,
                span=span,
                on_verdict=on_verdict,
                on_published=on_published,
            )
        except ImportRefusedError:
            publish.forget(connection, self._batch)
            raise
        self._done.candles.update(published.changed)
        if piece.rows:
            price = piece.rows[-1].price_after
            self._last = None if price is None else (piece.rows[-1].start, price)

    def _hold(self, connection: Connection[Any], read: ChunkCandles, piece: Piece) -> None:
        """Keep what is known of minutes of which some rows are in quarantine, until these are decided."""
        minutes = {row.start for row in piece.rows if row.held}
        if not minutes:
            return
        quiet = quiet_after(read.rows, read.unplaced) if self._layout.format is Format.KRAKEN else {}
        faults = [(reach.row, at) for reach in read.reaches for at in sorted({reach.since, reach.until} & minutes)]
        parameters = {
            "fingerprint": self._progress.fingerprint,
            "counted": not self._layout.aggregated,
            "minutes": sorted(minutes),
            "quiet_until": [quiet.get(minute) for minute in sorted(minutes)],
            "rows": [row for row, _minute in faults],
            "of_minutes": [minute for _row, minute in faults],
        }
        connection.execute(query("held_trades_insert"), {**self._names, **parameters})

    def _compared(
        self, connection: Connection[Any], whole: Sequence[FileCandle]
    ) -> tuple[list[FileCandle], dict[int, RowFault]]:
        """The candles whose windows have no fetched candle yet, and the rows that contradict a fetched one."""
        if not whole:
            return [], {}
        bounds = {"since": min(row.start for row in whole), "until": max(row.start for row in whole)}
        stored = connection.execute(query("import_candles_known"), {**self._names, **bounds}).fetchall()
        known = {start: ("stored", tuple(figures)) for start, *figures, _count in stored}
        fresh: list[FileCandle] = []
        differing: dict[int, RowFault] = {}
        for row in whole:
            place, figures = known.setdefault(row.start, ("", ()))
            if not figures:
                fresh.append(row)
                known[row.start] = "in the file before", row.figures
            elif not row.made and not _same(row.figures, figures):
                numbers = ", ".join(map(str, figures))
                differing[row.number] = contradiction(f"the candle of {row.start:%Y-%m-%d %H:%M} is {place}: {numbers}")
        return fresh, differing

    @property
    def _place(self) -> dict[str, Any]:
        place = {"exchange": self._target.exchange, "symbol": self._target.pair}
        return {**place, "aggregated": True} if self._layout.aggregated else place

    def _refused(
        self, connection: Connection[Any], origin: Origin, fresh: Sequence[FileCandle], published: publish.Published
    ) -> int:
        """How many candles the gate held back; the rows of the file that they come from are added in quarantine."""
        report = published.report
        if report is None:
            return 0
        held = report.counts.quarantined
        if published.blocked or nonsense(held, len(fresh)):
            failed = "; ".join(f"{result.why} {result.observed or ''}".strip() for result in report.failed)
            raise ImportRefusedError(
                f"{self._file.name} is not what it should be: {held} of {len(fresh)} candles are at fault: {failed}"
            )
        if held:
            names = "|".join(self._names.values())
            origins = {
                "key": [f"{names}|{row.start.isoformat()}" for row in fresh],
                "row": [row.number for row in fresh],
            }
            connection.execute(
                query("import_candles_origin"), {"run": origin.attempt, "file": self._file.name, **origins}
            )
        return held

    def _advance(
        self,
        connection: Connection[Any],
        piece: Piece,
        fresh: Sequence[FileCandle],
        *,
        faults: int,
        differing: int,
        held: int,
    ) -> None:
        counts = {"stored": len(fresh) - held, "quarantined": faults + held, "known": 0}
        if self._layout.kind is Kind.CANDLES:
            counts["known"] = sum(not row.made for row in piece.rows) - sum(not row.made for row in fresh) - differing
        span = (piece.rows[0].start, piece.rows[-1].start + self._length) if piece.rows else None
        self._progress.advance(connection, piece.until, **counts, span=span, candles=False)
        self._done.rows += piece.count
        self._done.stored += counts["stored"]
        self._done.known += counts["known"]
        self._done.quarantined += counts["quarantined"]
        self._done.reaches((fresh[0].start, fresh[-1].start + self._length) if fresh else None)

    def _lines(self, rows: Sequence[FileCandle]) -> memoryview:
        names = "\t".join((*self._names.values(), self._batch.origin))
        return memoryview(
            "".join(
                f"{names}\t{row.start}\t{row.start + self._length}\t{row.open}\t{row.high}\t{row.low}\t{row.close}"
                f"\t{row.volume}\t{row.trade_count}\n"
                for row in rows
            ).encode()
        )


def _same(figures: Sequence[Decimal], stored: Sequence[Decimal]) -> bool:
    return all(abs(new - old) <= abs(old) * _SAME for new, old in zip(figures, stored, strict=True))
