"""The records' schemas for strangers: JSON Schema for the messages as they are, Avro for archives and registries."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect as types

from cryptoviz.records import FRACTION_DIGITS, INTEGER_DIGITS, Record
from cryptoviz.topics import Topic


def json_schema(topic: Topic) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the messages of a topic that has a record."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(topic.record)}


def avro_schema(record: type[Record]) -> dict[str, Any]:
    """The Avro schema (1.11) of a record: decimals as decimal(38, 18), instants as timestamp-micros in UTC."""
    return dict(_avro_type(types.type_info(record)))


def _avro_type(kind: types.Type) -> Any:  # noqa: PLR0911  # one line for each kind of type
    match kind:
        case types.StructType(cls=cls, fields=fields):
            return {
                "type": "record",
                "name": cls.__name__,
                "namespace": "cryptoviz",
                "doc": (cls.__doc__ or "").strip(),
                "fields": [_avro_field(field) for field in fields],
            }
        case types.UnionType(types=alternatives):
            return [_avro_type(alternative) for alternative in alternatives]
        case types.VarTupleType(item_type=item):
            return {"type": "array", "items": _avro_type(item)}
        case types.EnumType(cls=cls):
            # Avro's enum symbols cannot start with a digit (1m), so enums travel as strings.
            return {"type": "string", "doc": ", ".join(member.value for member in cls)}
        case types.DecimalType():
            precision = INTEGER_DIGITS + FRACTION_DIGITS
            return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": FRACTION_DIGITS}
        case types.DateTimeType():
            return {"type": "long", "logicalType": "timestamp-micros"}
        case _:
            return _AVRO_PRIMITIVES[type(kind)]


_AVRO_PRIMITIVES = {
    types.StrType: "string",
    types.IntType: "long",
    types.FloatType: "double",
    types.BoolType: "boolean",
    types.NoneType: "null",
}


def _avro_field(field: types.Field) -> dict[str, Any]:
    avro = _avro_type(field.type)
    if isinstance(avro, list) and field.default is None:
        nullable = ["null", *(alternative for alternative in avro if alternative != "null")]
        return {"name": field.name, "type": nullable, "default": None}
    # Without a default older messages, which lack the field, could not be read.
    default = {} if field.default is msgspec.NODEFAULT else {"default": field.default}
    return {"name": field.name, "type": avro, **default}


def avro_row(record: msgspec.Struct) -> dict[str, Any]:
    """The record as the mapping that Avro writers take: nested records and enums made plain."""
    return {name: _avro_value(getattr(record, name)) for name in record.__struct_fields__}


def _avro_value(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return avro_row(value)
    if isinstance(value, tuple):
        return [_avro_value(item) for item in value]
    if isinstance(value, str):
        return str(value)
    return value
