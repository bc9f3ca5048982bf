"""What Spark accepts by pattern is what the codec accepts, and comes to the same row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from cryptoviz.codec import RefusedError, encode
from cryptoviz.records import Side, Ticker, Trade
from cryptoviz.topics import TOPICS
from streaming.rows import Message, Rows, by_partition, copy_line, judge
from streaming.transforms import NATIVE, copy_lines
from tests.spark.mutations import mutated, valid_records

pytestmark = [pytest.mark.services, pytest.mark.slow]

_SCHEMA = "topic string, partition int, offset long, key binary, value binary"
_INSTANTS = {"received_at", "timestamp"}
_TEXTS = {"exchange", "pair", "side"}


def lines_of(spark: SparkSession, messages: Sequence[tuple[str, bytes | None]]) -> pa.Table:
    """The messages through `copy_lines`, offsets counting from 0 in their order."""
    rows = [(topic, 0, offset, b"key", value) for offset, (topic, value) in enumerate(messages)]
    return copy_lines(spark.createDataFrame(rows, _SCHEMA)).toArrow().sort_by("offset")


def values_of(topic: str, line: str) -> dict[str, Any]:
    """A COPY line read back, as values rather than spellings."""
    assert line.endswith("\n")
    texts = dict(zip(TOPICS[topic].columns(), line[:-1].split("\t"), strict=True))
    return {
        name: datetime.fromisoformat(text) if name in _INSTANTS else text if name in _TEXTS else Decimal(text)
        for name, text in texts.items()
    }


def trade(**changes: Any) -> Trade:
    now = datetime.now(UTC)
    values = {
        "received_at": now, "timestamp": now, "exchange": "kraken", "pair": "BTC/USD", "price": Decimal("93120.50"),
        "volume": Decimal("0.00000010"), "side": Side.BUY, "trade_id": 12,
    }  # fmt: skip
    return Trade(**{**values, **changes})


def test_ten_thousand_spoilt_messages_are_judged_as_the_codec_judges(spark: SparkSession) -> None:
    now = datetime.now(UTC)
    messages = list(islice(mutated(7, now), 10_000))
    table = lines_of(spark, messages)
    assert table.num_rows == len(messages)
    native = left = 0
    for (topic, value), line in zip(messages, table["line"].to_pylist(), strict=True):
        if line is None:
            left += 1
            continue
        native += 1
        record = judge(Message(topic, 0, 0, b"key", value), now)  # raises where Spark took what the codec refuses
        assert values_of(topic, line) == values_of(topic, copy_line(TOPICS[topic], record).decode())
    assert native > 1_500
    assert left > 5_000


def test_each_spoilt_message_becomes_a_row_or_is_refused_with_its_bytes(spark: SparkSession) -> None:
    now = datetime.now(UTC)
    messages = list(islice(mutated(8, now), 2_000))
    rows = Rows.of(lines_of(spark, messages), now)
    lines = sum(bytes(piece).count(b"\n") for pieces in rows.lines.values() for piece in pieces)
    assert rows.count == len(messages) == lines + len(rows.refused)
    assert len(rows.refused) > 500
    for item in rows.refused:
        assert (item.message.topic, item.message.value) == messages[item.message.offset]
        assert item.message.key == b"key"
        assert item.reason
        with pytest.raises(RefusedError):
            judge(item.message, now)


def test_ordinary_trades_and_tickers_need_no_codec(spark: SparkSession) -> None:
    now = datetime.now(UTC)
    records = [(topic, record) for topic, record in islice(valid_records(9, now), 500) if topic in NATIVE]
    table = lines_of(spark, [(topic, encode(record)) for topic, record in records])
    assert table["line"].null_count == 0
    assert table["value"].null_count == len(records)


@pytest.mark.parametrize("text", ["93120.50", "0.00000010", "1E-18", "99999999999999999999.999999999999999999", "7"])
def test_amounts_keep_every_digit(spark: SparkSession, text: str) -> None:
    rows = Rows.of(lines_of(spark, [("rawtrade", encode(trade(price=Decimal(text))))]), datetime.now(UTC))
    [piece] = rows.lines["rawtrade"]
    [price] = [line.split("\t")[4] for line in bytes(piece).decode().splitlines()]
    assert Decimal(price) == Decimal(text)
    assert Decimal(price).as_tuple().exponent == Decimal(text).as_tuple().exponent


def test_clocks_may_be_off_by_seconds_but_not_by_hours(spark: SparkSession) -> None:
    now = datetime.now(UTC)
    skews = [timedelta(seconds=5), timedelta(seconds=-5), timedelta(hours=2)]
    message = encode(trade()).decode()
    shifted = [message.replace(message[16:43], (now + skew).isoformat().replace("+00:00", "Z")) for skew in skews]
    table = lines_of(spark, [("rawtrade", text.encode()) for text in shifted])
    assert [line is not None for line in table["line"].to_pylist()] == [True, True, False]
    rows = Rows.of(table, now)
    assert [item.message.offset for item in rows.refused] == [2]
    assert "future" in rows.refused[0].reason


def test_a_trade_a_day_late_touches_its_own_minute(spark: SparkSession) -> None:
    then = datetime.now(UTC) - timedelta(days=1)
    table = lines_of(spark, [("rawtrade", encode(trade(timestamp=then)))])
    touched = Rows.of(table, datetime.now(UTC)).touched()
    assert list(touched.minutes) == [then]
    assert (list(touched.exchanges), list(touched.pairs)) == (["kraken"], ["BTC/USD"])


def test_a_message_without_a_value_is_refused(spark: SparkSession) -> None:
    rows = Rows.of(lines_of(spark, [("rawtrade", None)]), datetime.now(UTC))
    assert [(item.kind, item.message.value) for item in rows.refused] == [("undecodable", None)]


def test_a_touched_minute_is_named_by_its_first_trade(spark: SparkSession) -> None:
    start = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    times = [start + timedelta(seconds=seconds) for seconds in (30, 10, 70, 50)]
    values = [encode(trade(timestamp=time, trade_id=number)) for number, time in enumerate(times)]
    natively = Rows.of(lines_of(spark, [("rawtrade", value) for value in values]), datetime.now(UTC)).touched()
    by_codec = Rows.judged((Message("rawtrade", 0, 0, None, value) for value in values), datetime.now(UTC)).touched()
    assert list(natively.minutes) == list(by_codec.minutes) == [times[1], times[2]]


def test_partitions_follow_each_other_and_never_come_back() -> None:
    def frame(*partitions: int) -> pa.RecordBatch:
        topics = pa.array(["rawtrade"] * len(partitions))
        return pa.record_batch({"topic": topics, "partition": pa.array(partitions, pa.int32())})

    parts = [
        (part.topic, part.partition, sum(batch.num_rows for batch in part.batches))
        for part in by_partition([frame(0, 0), frame(0, 1), frame(1), frame(2)])
    ]
    assert parts == [("rawtrade", 0, 3), ("rawtrade", 1, 2), ("rawtrade", 2, 1)]
    with pytest.raises(ValueError, match="partition 0 of rawtrade"):
        list(by_partition([frame(0), frame(1), frame(0)]))


def test_every_native_topic_is_ingested() -> None:
    assert {name for name in NATIVE if TOPICS[name].table is not None} == set(NATIVE)
    assert issubclass(Ticker, TOPICS["rawticker"].record or int)
