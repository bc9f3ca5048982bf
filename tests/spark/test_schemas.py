"""Spark's schemas are the records'."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cryptoviz.codec import encode
from cryptoviz.records import Article, FearGreed, MarketSnapshot, Record, Side, Trade, record_types
from cryptoviz.schemas import avro_schema
from streaming.schemas import canonical_pattern, spark_schema

_AVRO_TO_SPARK = {
    "string": "string", "long": ("bigint", "int"), "double": "double", "boolean": "boolean",
    "timestamp-micros": "timestamp", "decimal": "decimal(38,18)", "array": "array<string>", "record": "struct",
}  # fmt: skip


@pytest.mark.parametrize("record", list(record_types()), ids=lambda record: record.__name__)
def test_fields_types_and_nulls_are_those_of_the_avro_schema(record: type[Record]) -> None:
    schema = spark_schema(record)
    assert tuple(schema.names) == record.__struct_fields__
    for field, avro in zip(schema.fields, avro_schema(record)["fields"], strict=True):
        kinds = avro["type"] if isinstance(avro["type"], list) else [avro["type"]]
        assert field.nullable == ("null" in kinds), field.name
        [kind] = [kind for kind in kinds if kind != "null"]
        word = kind.get("logicalType", kind["type"]) if isinstance(kind, dict) else kind
        assert field.dataType.simpleString().startswith(_AVRO_TO_SPARK[word]), field.name


def test_a_canonical_message_matches_its_pattern_field_by_field() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    trade = Trade(
        received_at=now, timestamp=now.replace(microsecond=0), exchange="kraken", pair="BTC/USD", price=Decimal("1.50"),
        volume=Decimal("0.0000001"), side=Side.SELL, trade_id=0,
    )  # fmt: skip
    match = re.match(canonical_pattern(Trade).replace(r"\z", r"\Z"), encode(trade).decode())
    assert match is not None
    assert match.groups() == (
        "2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05Z", "kraken", "BTC/USD", "1.50", "1E-7", "sell", "0"
    )  # fmt: skip


@pytest.mark.parametrize("record", [Article, MarketSnapshot, FearGreed])
def test_free_text_and_optional_fields_have_no_canonical_form(record: type[Record]) -> None:
    with pytest.raises(TypeError):
        canonical_pattern(record)
