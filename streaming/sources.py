"""Where the jobs read from: Kafka topics, from the earliest message on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from pyspark.sql import DataFrame, SparkSession

from cryptoviz.settings import Settings

_FETCH_WAIT_MS: Final = 2


def kafka_options(settings: Settings) -> dict[str, str]:
    """Address and security of the Kafka cluster, as Spark's Kafka source wants them."""
    options = {
        "kafka.bootstrap.servers": settings.bootstrap_servers,
        "kafka.security.protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_ca_file is not None:
        options |= {
            "kafka.ssl.truststore.type": "PEM",
            "kafka.ssl.truststore.location": str(settings.kafka_ca_file.resolve()),
        }
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {
            "kafka.sasl.mechanism": settings.kafka_sasl_mechanism,
            "kafka.sasl.jaas.config": _jaas(settings),
        }
    return options


def _jaas(settings: Settings) -> str:
    module = (
        "org.apache.kafka.common.security.plain.PlainLoginModule"
        if settings.kafka_sasl_mechanism == "PLAIN"
        else "org.apache.kafka.common.security.scram.ScramLoginModule"
    )
    user, password = (
        value.replace("\\", "\\\\").replace('"', '\\"')
        for value in (settings.kafka_username, settings.kafka_password.get_secret_value())
    )
    return f'{module} required username="{user}" password="{password}";'


def messages(spark: SparkSession, settings: Settings, topics: Iterable[str]) -> DataFrame:
    """The messages of `topics` as a stream, from the earliest on: key, value, topic, partition, offset, timestamp.

    A query fails when messages that it has not read are gone from the broker (``failOnDataLoss``): going on in
    silence would be a hole that nobody knows of. The job records the loss and rereads what is left.
    """
    return (
        spark.readStream.format("kafka")
        .options(**kafka_options(settings))
        .option("subscribe", ",".join(topics))
        .option("startingOffsets", "earliest")
        .option("failOnDataLoss", "true")
        # A task reads up to a known offset, partition after partition. Kafka's default lets the broker hold each answer
        # for half a second in the hope of more: ten partitions made a batch of 300 messages take three seconds.
        .option("kafka.fetch.max.wait.ms", str(_FETCH_WAIT_MS))
        .option("maxOffsetsPerTrigger", settings.spark_max_offsets_per_trigger)
        .load()
    )


def messages_between(
    spark: SparkSession, settings: Settings, topic: str, since: datetime, until: datetime
) -> DataFrame:
    """The messages that `topic` got from `since` until before `until`, as far as the broker still has them."""
    return (
        spark.read.format("kafka")
        .options(**kafka_options(settings))
        .option("subscribe", topic)
        .option("startingTimestamp", _milliseconds(since))
        .option("endingTimestamp", _milliseconds(until))
        # No message since then is an empty range, not an error.
        .option("startingOffsetsByTimestampStrategy", "latest")
        .option("kafka.fetch.max.wait.ms", str(_FETCH_WAIT_MS))
        .load()
    )


def _milliseconds(instant: datetime) -> str:
    return str(round(instant.timestamp() * 1000))
