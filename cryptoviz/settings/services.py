"""The services that the platform runs or finds: database, archive, Kafka, Spark, Dagster, simulators."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from cryptoviz.settings.values import Port, ReadableFile, Seconds, SettingsGroup


class DatabaseSettings(SettingsGroup):
    """PostgreSQL with TimescaleDB."""

    postgres_host: str = Field("127.0.0.1", description="Host of the database; the local stack listens here.")
    postgres_port: Port = Field(5433, description="Port of the database.")
    postgres_database: str = Field("cryptoviz", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="Name of the database.")
    postgres_superuser_password: SecretStr = Field(
        SecretStr(""), description="Password of the local stack's superuser `cryptoviz_admin`; made by the stack."
    )
    postgres_owner_password: SecretStr = Field(
        SecretStr(""), description="Password of role cryptoviz_owner; made by the stack."
    )
    postgres_writer_password: SecretStr = Field(
        SecretStr(""), description="Password of role cryptoviz_writer; made by the stack."
    )
    postgres_reader_password: SecretStr = Field(
        SecretStr(""), description="Password of role cryptoviz_reader; made by the stack."
    )
    dagster_database_password: SecretStr = Field(
        SecretStr(""), description="Password of role dagster; made by the stack."
    )
    database_url: SecretStr | None = Field(
        None, description="An external database (postgresql://owner:...@host/name) instead of the local one."
    )
    database_writer_url: SecretStr | None = Field(
        None, description="The same database for the writer role; default: database_url."
    )
    database_reader_url: SecretStr | None = Field(
        None, description="The same database, or a read-only twin, for the reader role; default: database_url."
    )
    dagster_database_url: SecretStr | None = Field(None, description="An external database for Dagster's own storage.")
    test_community_url: SecretStr | None = Field(
        None, description="An empty database of TimescaleDB's community edition that tests may fill and clear."
    )


class ArchiveSettings(SettingsGroup):
    """Where what has left the database is kept."""

    archive_dir: Path | None = Field(
        None, description="Folder of the archive's Parquet files; default: archive in state_dir."
    )
    archive_s3_bucket: str = Field(
        "",
        pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w./=-]+)?)?$",
        description="Bucket of S3-compatible storage, or bucket/prefix, to archive to instead of a folder.",
    )
    archive_s3_endpoint: str = Field(
        "", description="Address of that storage, as in https://s3.example.org; empty: Amazon's."
    )
    archive_s3_region: str = Field("", description="Region of the bucket, where it has one.")
    archive_s3_key: str = Field(
        "", description="Access key; empty: whatever the machine offers, as AWS's tools find it."
    )
    archive_s3_secret: SecretStr = Field(SecretStr(""), description="Secret of that key.")


class KafkaSettings(SettingsGroup):
    """Kafka."""

    kafka_port: Port = Field(9092, description="Port of the local broker.")
    kafka_controller_port: Port = Field(9093, description="Port of the local broker's KRaft controller.")
    kafka_bootstrap_servers: str = Field(
        "", description="An external Kafka cluster (host:port, separated by commas) instead of the local broker."
    )
    kafka_security_protocol: str = Field(
        "PLAINTEXT",
        pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$",
        description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    kafka_sasl_mechanism: str = Field("SCRAM-SHA-512", description="SASL mechanism, where the protocol has SASL.")
    kafka_username: str = Field("", description="SASL user.")
    kafka_password: SecretStr = Field(SecretStr(""), description="SASL password.")
    kafka_ca_file: ReadableFile = Field(None, description="CA certificates of the Kafka cluster, PEM.")
    kafka_partitions: int = Field(3, ge=1, le=1000, description="Partitions of each topic.")
    kafka_replication: int = Field(1, ge=1, le=9, description="Replicas of each topic.")


class SparkSettings(SettingsGroup):
    """Spark."""

    spark_master: str = Field("local[2]", description="Spark master: local[N], spark://..., yarn or k8s://...")
    spark_driver_memory: str = Field("768m", pattern=r"^\d+[mg]$", description="Heap of a Spark driver.")
    spark_trigger_ms: int = Field(
        50, ge=0, le=600_000, description="Shortest time between two micro-batches, in milliseconds."
    )
    spark_max_offsets_per_trigger: int = Field(600_000, ge=1, description="Most messages in one micro-batch.")
    spark_bulk_rows: int = Field(
        10_000,
        ge=0,
        description="Micro-batches with more messages than this are written by the executors, others by the driver.",
    )
    checkpoint_dir: str = Field(
        "", description="Where streaming queries keep their checkpoints (path or s3a://...); default: in state_dir."
    )


class StreamSettings(SettingsGroup):
    """How long-running processes are kept running."""

    stream_hang_s: Seconds = Field(
        10, description="Seconds without a sign of life after which a stream's worker counts as hung and is replaced."
    )
    stream_start_s: Seconds = Field(
        300, description="Longest time between the start of a stream's worker and the beginning of its work."
    )
    stream_stall_s: Seconds = Field(
        120,
        description=(
            "Seconds without progress, though nothing that it needs is away and the database does nothing for it, "
            "after which a worker is replaced."
        ),
    )
    stream_stop_s: Seconds = Field(
        20, description="Time that a stream's worker has for finishing what it does before it is killed."
    )
    stream_restart_min_s: Seconds = Field(
        0.5, description="First delay before a worker that ended is started again; it doubles, with jitter."
    )
    stream_restart_max_s: Seconds = Field(30, description="Longest delay before a worker is started again.")
    stream_healthy_s: Seconds = Field(
        60, description="Time that a worker must have worked for the delay to be short again."
    )


class DagsterSettings(SettingsGroup):
    """Dagster."""

    dagster_port: Port = Field(3000, description="Port of the Dagster web server.")
    dagster_code_host: str = Field("127.0.0.1", min_length=1, description="Host of the Dagster code server.")
    dagster_code_port: Port = Field(4266, description="Port of the Dagster code server.")
    dagster_keep_days: int = Field(
        14, ge=1, le=3650, description="Days that runs and their events are kept; the newest of each asset stay longer."
    )
    dagster_keep_poll_days: int = Field(
        3, ge=1, le=3650, description="Days that polls that went well are kept in Dagster: there is one every minute."
    )
    dagster_keep_observation_days: int = Field(
        7, ge=1, le=3650, description="Days that what sensors report of streams, topics and tables is kept."
    )


class SupervisionSettings(SettingsGroup):
    """When a stream is restarted from outside."""

    supervisor_lag_messages: int = Field(
        50_000, ge=1, description="A stream with more unprocessed messages than this counts as lagging."
    )
    supervisor_restarts_per_hour: int = Field(
        5, ge=0, le=60, description="Most restarts of one stream by the supervisor within an hour; 0: it only alerts."
    )


class ReportsSettings(SettingsGroup):
    """The reports' web server."""

    reports_port: Port = Field(8300, description="Port of the reports: what the gate found, in words.")


class SimulatorSettings(SettingsGroup):
    """The simulated sources."""

    simulator_host: str = Field("127.0.0.1", min_length=1, description="Host of the simulated exchanges.")
    simulator_port: Port = Field(8100, description="Port of the simulated exchanges.")
    simulator_rate: Annotated[float, Field(gt=0, le=20_000)] = Field(
        40, description="Trades a second of each simulated exchange, all pairs together."
    )
    simulator_listed_from: date = Field(
        date(2025, 1, 1), description="Since when (UTC) the simulated exchanges have their pairs; not before 2020."
    )
    simulator_seed: int = Field(1, ge=0, description="Seed of the simulated market.")
    web_simulator_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Host of the simulated news sites and market APIs; in demo mode it may be fetched though private.",
    )
    web_simulator_port: Port = Field(8101, description="Port of the simulated news sites and market APIs.")
