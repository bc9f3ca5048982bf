"""The rows of a file, piece by piece: memory stays the same however large the file is.

    bytes -> whole lines, 16 MiB at a time -> columns of text        (csv, json)
    row groups -> columns as they are typed                          (parquet, feather)

Each piece says where it ends, so that whoever comes later goes on there: as a number of bytes of the unpacked content
where there are lines, and as a number of rows everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from cryptoviz.imports.files import File, ImportRefusedError
from cryptoviz.imports.layouts import Layout, Packing

BLOCK_BYTES: Final = 16 << 20
BLOCK_ROWS: Final = 250_000
_LONGEST_LINE: Final = 1 << 20
_AFTER_COMMA: Final = re.compile(rb",[ \t\r\n]+")
_BETWEEN_ARRAYS: Final = re.compile(rb"\]\s*,\s*\[")


@dataclass(frozen=True)
class Position:
    """How far a file has been read: bytes of its unpacked content (0 where rows are not lines), and rows."""

    bytes: int = 0
    rows: int = 0


@dataclass(frozen=True)
class BrokenLine:
    """A line that has not as many cells as the others."""

    row: int
    text: str
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Some rows after a position: `table` has the columns of the layout, `rows` their numbers in the file, from 1 on.

    `share` of the file has been read when this chunk is done. `ends`: where each row ends, in bytes from `since` on.
    """

    since: Position
    table: pa.Table
    rows: pa.Array
    broken: tuple[BrokenLine, ...]
    until: Position
    share: float
    last: bool
    ends: Any = None

    @property
    def count(self) -> int:
        """Rows of any kind."""
        return int(self.table.num_rows) + len(self.broken)

    def before(self, row: int) -> Position:
        """Where to go on for a row to be the next."""
        done = row - 1 - self.since.rows
        if self.ends is None or not done:
            return Position(self.since.bytes, row - 1)
        return Position(self.since.bytes + int(self.ends[done - 1]), row - 1)


WholeRows = Callable[["pa.Table", "pa.Array"], int]
"""How many of some rows (of these numbers) need nothing that follows; the others are given with the next piece."""


def chunks(
    file: File, layout: Layout, since: Position, whole: WholeRows | None = None, *, parts: int = 1
) -> Iterator[Chunk]:
    """The rows of a file after a position, in order. `whole` says how many may be given yet; of the last chunk all are.

    `parts`: a piece is to be so many times smaller than usual.

    Raises:
        ImportRefusedError: it cannot be read any further.
    """
    match layout.packing:
        case Packing.LINES:
            with file.open() as source:
                yield from _lines(file, layout, source, since, whole, size=BLOCK_BYTES // parts)
        case Packing.ARRAYS:
            with file.open() as source:
                yield from _lines(file, layout, _ArraysAsLines(file, source), since, whole, size=BLOCK_BYTES // parts)
        case Packing.PARQUET | Packing.ARROW:
            with file.seekable() as source:
                yield from _columnar(file, layout, source, since, whole, size=BLOCK_ROWS // parts)


class _ArraysAsLines:
    """JSON that is one array of arrays, read as if it were lines: `[[1,2],[3,4]]` as `1,2` and `3,4`."""

    def __init__(self, file: File, source: IO[bytes]) -> None:
        self._file, self._source = file, source
        self._begun = self._ended = False
        self._left = b""

    def read(self, size: int) -> bytes:
        """Some lines, roughly `size` bytes; nothing at the end."""
        while not self._ended:
            block = self._source.read(size)
            text = self._left + block
            if not self._begun and text.strip():
                text = re.sub(rb"^\s*\[\s*\[", b"", text, count=1)
                self._begun = True
            if not block:
                self._ended = True
                return self._end(text)
            following = text.rfind(b"[")
            end = text.rfind(b"]", 0, max(following, 0))
            if end >= 0:
                self._left = text[following + 1 :]
                return self._as_lines(text[:end]) + b"\n"
            self._left = text
            if len(text) > _LONGEST_LINE + size:
                raise ImportRefusedError(f"{self._file.name} is no list of rows")
        return b""

    def _end(self, text: bytes) -> bytes:
        rows, closed = re.subn(rb"\]\s*\]\s*$", b"\n", text)
        if not closed:
            raise ImportRefusedError(f"{self._file.name} ends in the middle of its JSON")
        return self._as_lines(rows)

    @staticmethod
    def _as_lines(rows: bytes) -> bytes:
        # A blank before a quote would make the quote a part of the value.
        return _AFTER_COMMA.sub(b",", _BETWEEN_ARRAYS.sub(b"\n", rows))


def _lines(
    file: File, layout: Layout, source: Any, since: Position, whole: WholeRows | None, *, size: int
) -> Iterator[Chunk]:
    at, rest = since, b""
    if since.bytes:
        rest = _skip(source, since.bytes)
    elif layout.header:
        rest, header = _first_line(file, source)
        at = Position(header, 0)
    block = source.read(size)
    while rest or block:
        text, block = rest + block, source.read(size)
        last = not block
        cut = text.rfind(b"\n") + 1
        if last and cut < len(text):
            text, cut = text + b"\n", len(text) + 1
        if cut == 0 and len(text) > _LONGEST_LINE:
            raise ImportRefusedError(f"{file.name} has a line of more than {_LONGEST_LINE} bytes: it holds no rows")
        if cut:
            chunk = _parsed(layout, text[:cut], at, _share(file, source, at.bytes + cut), last=last)
            if whole is not None and not last:
                cut, chunk = _shortened(chunk, whole(chunk.table, chunk.rows))
            if chunk.count:
                at = chunk.until
                yield chunk
        rest = text[cut:]


def _shortened(chunk: Chunk, rows: int) -> tuple[int, Chunk]:
    """The first rows of a chunk, and the bytes that they take."""
    until = chunk.before(chunk.rows[rows - 1].as_py() + 1) if rows else chunk.since
    broken = tuple(line for line in chunk.broken if line.row <= until.rows)
    shorter = replace(chunk, table=chunk.table[:rows], rows=chunk.rows[:rows], broken=broken, until=until)
    return until.bytes - chunk.since.bytes, shorter


def _skip(source: Any, count: int) -> bytes:
    """Read past `count` bytes; returns what was read beyond them."""
    if getattr(source, "seekable", lambda: False)():
        source.seek(count)
        return b""
    while count > 0:
        block = source.read(min(count, BLOCK_BYTES))
        if not block:
            return b""
        if len(block) > count:
            return bytes(block[count:])
        count -= len(block)
    return b""


def _first_line(file: File, source: Any) -> tuple[bytes, int]:
    """What follows the first line, and its length."""
    start = source.read(_LONGEST_LINE)
    end = start.find(b"\n") + 1
    if end == 0:
        raise ImportRefusedError(f"{file.name} has a header and no rows")
    return start[end:], end


def _share(file: File, source: Any, position: int) -> float:
    raw = getattr(getattr(source, "fileobj", None), "tell", None)
    done = raw() if raw is not None else position
    return min(1.0, done / file.size) if file.size else 1.0


def _parsed(layout: Layout, text: bytes, at: Position, share: float, *, last: bool) -> Chunk:
    broken: list[BrokenLine] = []

    def keep(row: Any) -> str:
        reason = f"{row.actual_columns} cells where there should be {row.expected_columns}"
        broken.append(BrokenLine(at.rows + row.number, row.text, reason))
        return "skip"

    table = csv.read_csv(
        pa.BufferReader(text),
        # With several threads a line that does not fit would have no number.
        csv.ReadOptions(column_names=list(layout.names), use_threads=False, block_size=len(text) + 1),
        csv.ParseOptions(invalid_row_handler=keep, ignore_empty_lines=False),
        csv.ConvertOptions(
            column_types=dict.fromkeys(layout.names, pa.string()),
            include_columns=list(dict.fromkeys(layout.fields.values())),
            strings_can_be_null=True,
            null_values=["", "null", "NULL", "None"],
        ),
    )
    count = table.num_rows + len(broken)
    numbers = np.arange(at.rows + 1, at.rows + 1 + count, dtype=np.int64)
    if broken:
        numbers = np.setdiff1d(numbers, [line.row for line in broken])
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    until = Position(at.bytes + len(text), at.rows + count)
    return Chunk(at, table, pa.array(numbers), tuple(broken), until, share, last, ends)


def _columnar(
    file: File, layout: Layout, source: Any, since: Position, whole: WholeRows | None, *, size: int
) -> Iterator[Chunk]:
    try:
        total, batches = _batches(layout, source, size)
        read, at = 0, since.rows
        held: pa.Table | None = None
        for batch in batches:
            before, read = read, read + batch.num_rows
            if read <= since.rows:
                continue
            fresh = batch.slice(max(0, since.rows - before))
            table = fresh if held is None else pa.concat_tables([held, fresh])
            last = read == total
            numbers = pa.array(range(at + 1, at + table.num_rows + 1), pa.int64())
            rows = table.num_rows if last or whole is None else whole(table, numbers)
            held = table.slice(rows)
            if rows:
                begin, at = Position(0, at), at + rows
                yield Chunk(begin, table.slice(0, rows), numbers.slice(0, rows), (), Position(0, at), at / total, last)
    except (pa.ArrowException, OSError) as error:
        raise ImportRefusedError(f"{file.name} cannot be read any further: {str(error).splitlines()[0]}") from error


def _batches(layout: Layout, source: Any, size: int) -> tuple[int, Iterator[pa.Table]]:
    wanted = list(dict.fromkeys(layout.fields.values()))
    if layout.packing is Packing.PARQUET:
        parquet = pq.ParquetFile(source)
        found = parquet.iter_batches(size, columns=wanted)
        return parquet.metadata.num_rows, (pa.Table.from_batches([batch]) for batch in found)
    arrow = pa.ipc.open_file(source)
    total = sum(arrow.get_batch(number).num_rows for number in range(arrow.num_record_batches))
    return total, (
        pa.Table.from_batches([arrow.get_batch(number)]).select(wanted).slice(start, size)
        for number in range(arrow.num_record_batches)
        for start in range(0, max(1, arrow.get_batch(number).num_rows), size)
    )
