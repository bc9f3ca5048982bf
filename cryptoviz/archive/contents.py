"""Rows of a table as a Parquet file and back, with every digit.

    COPY (csv) --kinds of columns--> Arrow --> Parquet, zstd --> Arrow --> COPY (csv)

A `numeric` becomes a decimal(18, 8) where all of a file's values fit, else a decimal(38, 18), else text as PostgreSQL
writes it: the value is the same, only zeros at its end may differ. Arrays and JSON are text as PostgreSQL writes them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from cryptoviz.archive.files import DamagedError, File

_DECIMALS: Final = ((18, 8), (38, 18))
_ROWS_AT_ONCE: Final = 65_536
_LEVEL: Final = 9


def written(copied: bytes, columns: Mapping[str, str], time: str) -> File:
    """The file of rows as COPY gave them (csv, in the order of `columns`: name -> type of PostgreSQL)."""
    table = _table(copied, columns)
    plain = [name for name, kind in columns.items() if kind not in {"text", "text[]", "jsonb"}]
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=[name for name in columns if name not in plain],
        column_encoding={name: _encoding(table.schema.field(name).type) for name in plain},
        store_decimal_as_integer=True,
        write_statistics=True,
    )
    first, last = _range(table, time)
    return File(sink.getvalue(), table.num_rows, first, last)


def read(data: bytes, time: str) -> File:
    """What a file says of its rows.

    Raises:
        DamagedError: it cannot be read to its end.
    """
    table = _parsed(data)
    if not table.num_rows or time not in table.column_names:
        raise DamagedError("it has no rows of this kind")
    first, last = _range(table, time)
    return File(data, table.num_rows, first, last)


def columns(data: bytes) -> list[str]:
    """The names of a file's columns, in order."""
    return list(pq.read_schema(io.BytesIO(data)).names)


def lines(data: bytes) -> Iterator[bytes]:
    """The rows of a file as COPY takes them (csv), some at a time."""
    options = csv.WriteOptions(include_header=False)
    for batch in _parsed(data).to_batches(max_chunksize=_ROWS_AT_ONCE):
        sink = io.BytesIO()
        csv.write_csv(pa.table(batch), sink, options)
        yield sink.getvalue()


def _parsed(data: bytes) -> pa.Table:
    try:
        return pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise DamagedError(f"it cannot be read: {error}") from error


def _table(copied: bytes, columns: Mapping[str, str]) -> pa.Table:
    kinds = {
        "timestamp with time zone": pa.timestamp("us", "UTC"),
        "double precision": pa.float64(),
        "bigint": pa.int64(),
        "integer": pa.int32(),
        "boolean": pa.bool_(),
    }
    table = csv.read_csv(
        io.BytesIO(copied),
        read_options=csv.ReadOptions(column_names=list(columns), block_size=max(1 << 20, len(copied) + 1)),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types={name: kinds.get(kind, pa.string()) for name, kind in columns.items()},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    for place, (name, kind) in enumerate(columns.items()):
        if kind == "numeric":
            table = table.set_column(place, name, _exact(table[name]))
    return table


def _exact(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    point = pc.find_substring(texts, ".")
    whole = pc.max(pc.if_else(pc.less(point, 0), pc.utf8_length(texts), point)).as_py() or 0
    for precision, scale in _DECIMALS:
        if whole > precision - scale:  # the cast would go round the largest number without a word
            continue
        try:
            return pc.cast(texts, pa.decimal128(precision, scale))
        except pa.ArrowInvalid:
            continue
    return texts


def _encoding(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return "DELTA_BINARY_PACKED"
    if pa.types.is_decimal(kind) and kind.precision <= _DECIMALS[0][0]:
        return "DELTA_BINARY_PACKED"
    if pa.types.is_floating(kind):
        return "BYTE_STREAM_SPLIT"
    return "PLAIN"


def _range(table: Any, time: str) -> tuple[datetime, datetime]:
    ends = pc.min_max(table[time])
    return ends["min"].as_py(), ends["max"].as_py()
