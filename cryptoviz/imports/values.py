"""Values of a file as the platform writes them: exact decimals, instants in microseconds, the taker's side.

    chunk, layout -> columns of one name and type for every format; what cannot be read is nothing, with the reason

Digits stay as they stand in the file; a floating-point number becomes the shortest decimal that means it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from cryptoviz.imports.chunks import Chunk
from cryptoviz.imports.files import ImportRefusedError
from cryptoviz.imports.layouts import Kind, Layout

_NUMBER: Final = r"^-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]{1,3})?$"
_WHOLE: Final = r"^[0-9]{1,18}(\.0+)?$"
_COUNTED: Final = r"^-?([0-9]{1,18}|[1-8][0-9]{18})$"
_POINT: Final = r"^(?P<sign>-?)(?P<whole>[0-9]{1,18})\.(?P<part>[0-9]*)$"
_EXPONENT: Final = r"^-?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]{1,2}$"
_EXACT: Final = 2**53
"""Up to this size a floating-point number stands for one whole number only."""
_ISO: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?$"
_ISO_ZONE: Final = r"(Z|z| ?UTC|[+-][0-9]{2}(:?[0-9]{2})?)$"
_SIDES: Final[Mapping[str, tuple[str, ...]]] = {"buy": ("buy", "b", "bid"), "sell": ("sell", "s", "ask")}
_MAKER: Final[Mapping[str, tuple[str, ...]]] = {"sell": ("true", "1", "t"), "buy": ("false", "0", "f")}
"""The buyer made the offer: it was the seller who took it."""

_FIRST: Final = 100
_WHOLE_DATE: Final = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{4}|\d{6})?")
"""20221216, 202212161530, 20221216153000: as counts they would be times of 1970, 1976 or 2610."""
_UNITS: Final = ((10**11, 6), (10**14, 3), (10**17, 0))
"""Below which size a time counts seconds, milliseconds or microseconds (above: nanoseconds), and its digits left."""

PRICES: Final = {Kind.TRADES: ("price", "volume"), Kind.CANDLES: ("open", "high", "low", "close", "volume")}


def columns(chunk: Chunk, layout: Layout) -> pa.Table:
    """The rows of a chunk: row_number, microseconds, prices and volumes as text, and what else their kind has.

    Trades: trade_id, side, and trade_count where a row stands for several. Candles: trade_count. `unreadable` says why
    a row cannot be read; its values are then nothing.

    Raises:
        ImportRefusedError: the times are dates written as whole numbers (20221216).
    """
    raw = {field: chunk.table[name].combine_chunks() for field, name in layout.fields.items()}
    _refuse_whole_dates(raw["time"], layout)
    read: dict[str, pa.Array] = {"microseconds": instants(raw["time"])}
    words = {"microseconds": ("time", "is no time")}
    for field in PRICES[layout.kind]:
        read[field] = _numbers(raw[field])
        words[field] = (field, "is no number")
    if layout.kind is Kind.CANDLES:
        if "trade_count" in raw:
            read["trade_count"] = _whole(raw["trade_count"])
            words["trade_count"] = ("trade_count", "is no number of trades")
    elif layout.of_single_trades:
        read["trade_id"] = _whole(raw["trade_id"])
        words["trade_id"] = ("trade_id", "is no id")
        field, meanings = ("side", _SIDES) if "side" in raw else ("maker", _MAKER)
        read["side"] = _one_of(raw[field], meanings)
        words["side"] = (field, "is no side")
    elif {"first_id", "last_id"} <= raw.keys():
        read["trade_count"] = _span(raw["first_id"], raw["last_id"])
        words["trade_count"] = ("last_id", "is not after the first id")
    table = pa.table({"row_number": chunk.rows, **read, "unreadable": _unreadable(raw, read, words)})
    if table["unreadable"].null_count < table.num_rows:
        table = table.filter(_written(raw))
    if not chunk.broken:
        return table
    broken = pa.Table.from_pylist(
        [{"row_number": line.row, "unreadable": line.reason} for line in chunk.broken], schema=table.schema
    )
    return pa.concat_tables([table, broken]).combine_chunks()


def _refuse_whole_dates(times: pa.Array, layout: Layout) -> None:
    """Refuse dates that would be read as seconds of 1970: which day or zone they are of is not ours to guess."""
    first = [text for text in _text(times.slice(0, _FIRST)).to_pylist() if text]
    dates = [text for text in map(_plain, first) if _WHOLE_DATE.fullmatch(text)]
    if 2 * len(dates) > len(first):
        raise ImportRefusedError(
            f"the column {layout.fields['time']!r} has dates written as whole numbers, such as {dates[0]}, which would"
            " count seconds or milliseconds to another time: write them as 2022-12-16 or 2022-12-16T00:00:00Z"
        )


def _plain(text: str) -> str:
    """A number without its empty decimals or exponent; any other text as it is."""
    try:
        return f"{Decimal(text):.0f}" if Decimal(text) == int(Decimal(text)) else text
    except (ArithmeticError, ValueError):
        return text


def _written(raw: dict[str, pa.Array]) -> pa.Array:
    """Whether there is anything in a row: files end in empty lines."""
    written, *others = (pc.is_valid(column) for column in raw.values())
    for filled in others:
        written = pc.or_(written, filled)
    return written


def fields_of(chunk: Chunk, layout: Layout, row: int) -> dict[str, Any]:
    """A row as it stands in the file."""
    for line in chunk.broken:
        if line.row == row:
            return {"text": line.text}
    [found] = chunk.table.slice(pc.index(chunk.rows, row).as_py(), 1).to_pylist()
    return {field: found[name] for field, name in layout.fields.items()}


def blank(column: pa.ChunkedArray) -> int:
    """How many values of a column are nothing: missing, empty or not a number."""
    text = pc.fill_null(_text(column.combine_chunks()), "")
    return int(pc.sum(pc.is_in(text, pa.array(("", "nan", "NaN")))).as_py() or 0)


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pc.utf8_trim_whitespace(column.cast(pa.string()))


def _where(condition: pa.Array, column: pa.Array) -> pa.Array:
    return pc.if_else(condition, column, pa.scalar(None, column.type))


def _numbers(column: pa.Array) -> pa.Array:
    text = _text(column)
    return _where(pc.match_substring_regex(text, _NUMBER), text)


def _whole(column: pa.Array) -> pa.Array:
    if pa.types.is_floating(column.type):
        exact = pc.and_(pc.equal(pc.floor(column), column), pc.less_equal(pc.abs(column), _EXACT))
        found = _where(exact, column).cast(pa.int64())
        return _where(pc.greater_equal(found, 0), found)
    text = _text(column)
    fitting = _where(pc.match_substring_regex(text, _WHOLE), text)
    return pc.replace_substring_regex(fitting, r"\.0+$", "").cast(pa.int64())


def _span(first: pa.Array, last: pa.Array) -> pa.Array:
    count = pc.add(pc.subtract(_whole(last), _whole(first)), 1)
    return _where(pc.greater(count, 0), count)


def _one_of(column: pa.Array, meanings: Mapping[str, tuple[str, ...]]) -> pa.Array:
    text = pc.utf8_lower(_text(column))
    found = pa.nulls(len(text), pa.string())
    for meaning, words in meanings.items():
        found = pc.if_else(pc.is_in(text, pa.array(words)), meaning, found)
    return found


def instants(column: pa.Array) -> pa.Array:
    """Microseconds since the epoch. Instants without a zone are UTC."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us")).cast(pa.int64())
    if pa.types.is_integer(column.type):
        return _scaled(column.cast(pa.int64(), safe=False))
    if pa.types.is_floating(column.type):
        integral = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), 2.0**63))
        whole = _scaled(_where(integral, column).cast(pa.int64()))
        return whole if whole.null_count == column.null_count else pc.coalesce(whole, _decimals(_text(column)))
    text = _text(column)
    counted = pc.match_substring_regex(text, _COUNTED)
    whole = _scaled(_where(counted, text).cast(pa.int64()))
    if pc.all(pc.fill_null(counted, False), skip_nulls=False).as_py():
        return whole
    return pc.coalesce(whole, _decimals(text), _dates(text))


def _scaled(count: pa.Array) -> pa.Array:
    size = pc.abs(count)
    scaled = pc.divide(count, 1_000)
    for limit, digits in reversed(_UNITS):
        # What is not of this size is left out before it is multiplied: it would not fit.
        fitting = pc.less(size, limit)
        scaled = pc.if_else(fitting, pc.multiply(pc.if_else(fitting, count, 0), 10**digits), scaled)
    return scaled


def _decimals(text: pa.Array) -> pa.Array:
    """Numbers with a point or an exponent, as `1699999999.123456`, `1671166800000.0` or `1.6711668e+12`."""
    parts = pc.extract_regex(text, _POINT)
    whole = pc.struct_field(parts, "whole").cast(pa.int64())
    made = _scaled(whole)
    least = 0
    for limit, digits in _UNITS[:2]:
        first = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.struct_field(parts, "part"), digits, "0"), 0, digits)
        of_unit = pc.and_(pc.less(whole, limit), pc.greater_equal(whole, least))
        made = pc.if_else(of_unit, pc.add(made, first.cast(pa.int64())), made)
        least = limit
    pointed = pc.if_else(pc.equal(pc.struct_field(parts, "sign"), "-"), pc.negate(made), made)
    exponents = _where(pc.match_substring_regex(text, _EXPONENT), text)
    if exponents.null_count == len(exponents):
        return pointed
    return pc.coalesce(pointed, pa.array([_microseconds(number) for number in exponents.to_pylist()], pa.int64()))


def _microseconds(text: str | None) -> int | None:
    if text is None:
        return None
    count = Decimal(text)
    digits = next((digits for limit, digits in _UNITS if abs(count) < limit), -3)
    found = int(count.scaleb(digits))
    return found if abs(found) < 2**63 else None


def _dates(text: pa.Array) -> pa.Array:
    plain = _where(pc.match_substring_regex(text, _ISO), text)
    zoned = _where(pc.is_null(plain), text)
    readers: tuple[tuple[pa.Array, Callable[[pa.Array], pa.Array]], ...] = (
        (plain, lambda dates: dates.cast(pa.timestamp("ns")).cast(pa.timestamp("us"), safe=False)),
        (_where(pc.match_substring_regex(zoned, _ISO_ZONE), zoned), _zoned),
    )
    found = []
    for column, read in readers:
        try:
            found.append(read(column).cast(pa.int64()))
        except pa.ArrowInvalid:
            found.append(pa.array([_instant(date) for date in column.to_pylist()], pa.int64()))
    return pc.coalesce(*found)


def _zoned(text: pa.Array) -> pa.Array:
    bare = pc.replace_substring_regex(text, r"( ?UTC|z)$", "Z")
    return bare.cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("us", "UTC"), safe=False)


def _instant(text: str | None) -> int | None:
    try:
        found = datetime.fromisoformat((text or "").removesuffix("UTC").strip())
    except ValueError:
        return None
    whole = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    since = whole - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _unreadable(raw: dict[str, pa.Array], read: dict[str, pa.Array], words: dict[str, tuple[str, str]]) -> pa.Array:
    """Why a row cannot be read: the first of its values that is not what it should be."""
    found = pa.nulls(len(read["microseconds"]), pa.string())
    for field, (name, fault) in words.items():
        if read[field].null_count:
            shown = pc.fill_null(pc.utf8_slice_codeunits(raw[name].cast(pa.string()), 0, 100), "(nothing)")
            reason = pc.binary_join_element_wise(name, shown, fault, " ")
            found = pc.coalesce(found, _where(pc.is_null(read[field]), reason))
    return found
