"""What Spark must know of the records, derived from their classes: typed schemas and the canonical wire form.

    record class -> spark_schema     -> StructType with exact decimals, for jobs that compute
    record class -> canonical_pattern -> regular expression: messages that match are valid records

A message is canonical when it is byte for byte what `cryptoviz.codec.encode` writes for a plain record of its class.
Its form then proves nearly all of the record's rules, so that one native pass of Spark validates it and cuts it into
columns. The pattern is narrower than the record (no zero or negative amounts unless said, no huge ids): what does not
match is not wrong, it only has to be judged by the codec.
"""

from __future__ import annotations

import re
import types
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from cryptoviz.records import FRACTION_DIGITS, INTEGER_DIGITS, Record

_PLAIN: dict[type, DataType] = {
    str: StringType(),
    bool: BooleanType(),
    float: DoubleType(),
    datetime: TimestampType(),
    Decimal: DecimalType(INTEGER_DIGITS + FRACTION_DIGITS, FRACTION_DIGITS),
}
_LARGEST_INTEGER = 2**31 - 1

_INSTANT = r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z)"'
_PAIR = r'"((?!XBT/|XDG/)[A-Z0-9]{1,20}/(?!XBT"|XDG")[A-Z0-9]{1,20})"'
# Python writes amounts below a millionth with an exponent; ten places are then left of the eighteen.
_AMOUNT = rf'(?![0.]*["E])(?:\d{{1,{INTEGER_DIGITS}}}(?:\.\d{{1,{FRACTION_DIGITS}}})?|\d(?:\.\d{{1,8}})?E-(?:[7-9]|10))'
_POSITIVE = f'"({_AMOUNT})"'
_SIGNED = f'"(-?{_AMOUNT})"'
_WORD = re.compile(r"\^(\[[^\]]+\])\+\$")


def spark_schema(record: type[msgspec.Struct]) -> StructType:
    """The schema of `record` with exact decimals and timestamps; a field may be null where the record says so."""
    hints = get_type_hints(record, include_extras=True)
    return StructType([_spark_field(name, hints[name]) for name in record.__struct_fields__])


def _spark_field(name: str, hint: Any) -> StructField:
    plain, optional, meta = _unwrap(hint)
    return StructField(name, _spark_type(plain, meta), nullable=optional)


def _unwrap(hint: Any) -> tuple[Any, bool, msgspec.Meta | None]:
    """The bare type behind Annotated and None, whether None is allowed, and the rules attached to it."""
    optional, meta = False, None
    while True:
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
            meta = next((note for note in notes if isinstance(note, msgspec.Meta)), meta)
        elif get_origin(hint) in {Union, types.UnionType}:
            optional = True
            (hint,) = (choice for choice in get_args(hint) if choice is not type(None))
        else:
            return hint, optional, meta


def _spark_type(plain: Any, meta: msgspec.Meta | None) -> DataType:
    if get_origin(plain) is tuple:
        return ArrayType(_spark_type(get_args(plain)[0], None), containsNull=False)
    if plain is int:
        return (
            IntegerType() if meta is not None and (meta.le or _LARGEST_INTEGER + 1) <= _LARGEST_INTEGER else LongType()
        )
    if issubclass(plain, msgspec.Struct):
        return spark_schema(plain)
    return StringType() if issubclass(plain, StrEnum) else _PLAIN[plain]


def canonical_pattern(record: type[Record], signed: Collection[str] = ()) -> str:
    """The regular expression of canonical messages of `record`, one group for each field, in the record's order.

    `signed` names the amounts that may be negative. That instants exist in the calendar and lie in the record's
    bounds is not in the pattern.

    Raises:
        TypeError: a field has no canonical form: free text, lists, nested records.
    """
    hints = get_type_hints(record, include_extras=True)
    fields = ",".join(f'"{name}":{_canonical(name, hints[name], signed)}' for name in record.__struct_fields__)
    return rf"\A\{{{fields}\}}\z"


def _canonical(name: str, hint: Any, signed: Collection[str]) -> str:
    plain, optional, meta = _unwrap(hint)
    if optional:
        raise TypeError(f"{name} may be null: it has no canonical form")
    if plain is datetime:
        return _INSTANT
    if plain is Decimal:
        return _SIGNED if name in signed else _POSITIVE
    if plain is int and meta is not None and meta.ge == 0 and meta.le == 2**63 - 1:
        return r"(0|[1-9]\d{0,17})"
    if isinstance(plain, type) and issubclass(plain, StrEnum):
        return f'"({"|".join(plain)})"'
    if plain is str and name in {"pair", "symbol"}:
        return _PAIR
    word = _WORD.fullmatch(meta.pattern) if plain is str and meta is not None and meta.pattern else None
    if word is None or meta is None:
        raise TypeError(f"{name} has no canonical form")
    return f'"({word[1]}{{{meta.min_length},{meta.max_length}}})"'
