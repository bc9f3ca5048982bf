"""Frames in, frames out: what happens to messages between Kafka and the sink.

messages -> canonical? yes: a finished COPY line, and the minute it touches
                       no: the message itself, for the codec to judge (`streaming.rows`)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name that every Spark programme uses

from cryptoviz.records import EARLIEST, MAX_FUTURE, Record
from cryptoviz.topics import TOPICS, Topic
from streaming.schemas import canonical_pattern

NATIVE: Final[Mapping[str, tuple[str, ...]]] = {"rawtrade": (), "rawticker": ("pct_change",)}
"""The topics with so many messages that Spark judges them natively, and their amounts that may be negative."""


def copy_lines(messages: DataFrame) -> DataFrame:
    """The messages of all topics as COPY lines.

    `line` is the row of the topic's table in PostgreSQL's COPY text format, its newline included, columns in the order
    of `Topic.columns`; null where the codec has to judge. `key` and `value` are the message's, null where the line is
    there. `exchange`, `pair`, `minute` and `happened_at` say which candles a canonical trade touches.
    """
    # A column of its own: within one expression Spark would apply the pattern to each message twice.
    rearranged = messages.select(
        "*", F.col("value").cast("string").alias("text"), _rearranged(F.col("topic"), F.col("text")).alias("new")
    )
    fields = F.split("cut", "\t")
    timed = rearranged.select(
        "*", F.when(F.col("text").startswith("{") & ~F.col("new").startswith("{"), F.col("new")).alias("cut")
    ).select(
        "*",
        fields[0].try_cast("timestamp").alias("received_at"),
        fields[1].try_cast("timestamp").alias("happened_at"),
        fields.alias("fields"),
    )
    valid = F.col("cut").isNotNull() & _possible("happened_at", "received_at")
    trade = valid & (F.col("topic") == "rawtrade")
    doubtful = ~F.coalesce(valid, F.lit(False))
    return timed.select(
        "topic",
        "partition",
        "offset",
        F.when(doubtful, F.col("key")).alias("key"),
        F.when(doubtful, F.col("value")).alias("value"),
        F.when(valid, F.col("cut")).alias("line"),
        F.when(trade, F.col("fields")[2]).alias("exchange"),
        F.when(trade, F.col("fields")[3]).alias("pair"),
        F.when(trade, F.date_trunc("minute", "happened_at")).alias("minute"),
        F.when(trade, F.col("happened_at")).alias("happened_at"),
    )


def _rearranged(topic: Column, text: Column) -> Column:
    """One pass of the pattern validates and rearranges; a text that does not match comes back unchanged."""
    branches = reduce(
        lambda chain, name: chain.when(
            topic == name,
            F.regexp_replace(text, canonical_pattern(_record(TOPICS[name]), NATIVE[name]), _line(TOPICS[name])),
        ),
        NATIVE,
        F,
    )
    return branches.otherwise(None)


def _line(topic: Topic) -> str:
    """The COPY line of a canonical message, its values as the groups of the pattern."""
    fields = _record(topic).__struct_fields__
    return "\t".join(f"${fields.index(source) + 1}" for source in topic.columns().values()) + "\n"


def _record(topic: Topic) -> type[Record]:
    if topic.record is None:
        raise TypeError(f"{topic.name} has no record")
    return topic.record


def _possible(instant: str, received_at: str) -> Column:
    """The record's rule on instants, and ours: what was received later than now was not received."""
    latest = F.expr(f"interval {MAX_FUTURE.seconds} seconds")
    return (
        (F.col(instant) >= F.lit(EARLIEST))
        & (F.col(instant) <= F.col(received_at) + latest)
        & (F.col(received_at) <= F.current_timestamp() + latest)
    )
