"""The one place that reads the environment.

    defaults < <state_dir>/secrets.env (written by the local stack) < .env < environment -> Settings

Every setting is the field below in upper case with the prefix ``CRYPTOVIZ_``. `.env.example` is written from the
descriptions (``cryptoviz settings --example``); a test holds the two together. Nonsense is refused at start, naming
the setting and the fix.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import quote

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cryptoviz.pairs import is_pair
from cryptoviz.sentiment import SentimentModel
from cryptoviz.settings.ages import Ages
from cryptoviz.settings.ages import parse as parse_ages
from cryptoviz.settings.quotas import parse as parse_quotas

PREFIX: Final = "CRYPTOVIZ_"
EXCHANGES: Final = ("kraken", "binance")
"""The exchanges that have a collector."""
PROJECT_ROOT: Final = Path(__file__).resolve().parents[2]

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class Mode(StrEnum):
    """Where data comes from: simulators on loopback, or the real sources."""

    DEMO = "demo"
    LIVE = "live"


class Role(StrEnum):
    """The database roles. No running service is superuser."""

    OWNER = "owner"
    WRITER = "writer"
    READER = "reader"


class SettingsError(Exception):
    """The environment makes no sense; the message names each setting and its fix."""


def _list(value: object) -> object:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _pairs(value: list[str]) -> list[str]:
    for pair in value:
        if not is_pair(pair):
            raise ValueError(f"{pair!r} is not a pair; write BASE/QUOTE in upper case with BTC and DOGE, as in BTC/USD")
    if len(set(value)) != len(value):
        raise ValueError("a pair is listed twice; list each once")
    return value


def _exchanges(value: list[str]) -> list[str]:
    unknown = [name for name in value if name not in EXCHANGES]
    if unknown:
        raise ValueError(f"no collector for {', '.join(unknown)}; choose from {', '.join(EXCHANGES)}")
    if len(set(value)) != len(value):
        raise ValueError("an exchange is listed twice; list each once")
    return value


def _readable(value: Path | None) -> Path | None:
    if value is not None and not os.access(value, os.R_OK):
        raise ValueError(f"{value} cannot be read; give the path of an existing file that this user may read")
    return value


def _hosts(value: list[str]) -> list[str]:
    for host in value:
        name, _, port = host.rpartition(":")
        if not name or not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ValueError(f"{host!r} is not host:port; write a name or an address and a port, as in 10.0.0.5:8080")
    return value


def _quota(value: str) -> str:
    parse_quotas(value)
    return value


def _history(value: str) -> str:
    parse_ages(value)
    return value


Names = Annotated[list[str], NoDecode, BeforeValidator(_list)]
Pairs = Annotated[list[str], NoDecode, BeforeValidator(_list), AfterValidator(_pairs), Field(min_length=1)]
Quota = Annotated[str, AfterValidator(_quota)]
History = Annotated[str, AfterValidator(_history)]
ReadableFile = Annotated[Path | None, AfterValidator(_readable)]

_COINS = ("BTC", "ETH", "SOL", "ADA", "DOT", "XRP", "LTC", "DOGE")


class Settings(BaseSettings):
    """Everything that can be set. Instances are cheap to pass on and safe to print: secrets are masked."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    # General
    mode: Mode = Field(
        Mode.LIVE,
        description="demo: simulated sources on loopback; live: the real ones. Set by `make demo` and `make up`.",
    )
    state_dir: Path = Field(
        Path(".local"), description="Where the local stack keeps its state; relative to the project."
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")
    log_json: bool = Field(True, description="Logs as JSON lines (true) or for people (false).")

    # What is collected
    exchanges: Annotated[Names, AfterValidator(_exchanges), Field(min_length=1)] = Field(
        ["kraken", "binance"], description="Exchanges to collect from, separated by commas."
    )
    kraken_pairs: Pairs = Field(
        [f"{coin}/USD" for coin in _COINS],
        description="Kraken's pairs, BASE/QUOTE, separated by commas; "
        "coins as everybody calls them: LUNC/USD for what Kraken calls LUNA/USD.",
    )
    binance_pairs: Pairs = Field(
        [f"{coin}/USDT" for coin in _COINS], description="Binance's pairs, BASE/QUOTE, separated by commas."
    )

    # History
    history: History = Field(
        "1m:90d,1h:365d,1d:all",
        description="How much history is fetched and kept complete, for each timeframe; 5m and 15m follow from 1m.",
    )
    kraken_history: History = Field(
        "", description="The same for Kraken alone; in demo mode by default what its OHLC gives."
    )
    binance_history: History = Field("", description="The same for Binance alone.")

    # Sources; empty addresses mean: the simulators in demo mode, the real ones in live mode
    kraken_ws_url: str = Field("", description="Kraken's WebSocket v2 address.")
    kraken_rest_url: str = Field("", description="Kraken's REST address, without /0/public.")
    binance_ws_url: str = Field("", description="Binance's WebSocket address, without /stream.")
    binance_rest_url: str = Field("", description="Binance's REST address, without /api/v3.")

    # Collectors
    collector_silence_s: Seconds = Field(
        30, description="Seconds without any frame (heartbeats included) after which a socket counts as dead."
    )
    collector_quiet_s: Seconds = Field(
        300,
        description="Seconds without a trade of one pair after which REST is asked whether it is quiet or dead.",
    )
    collector_reconnect_min_s: Seconds = Field(0.5, description="First delay before a reconnect; it grows with jitter.")
    collector_reconnect_max_s: Seconds = Field(30, description="Longest delay before a reconnect.")
    collector_buffer_messages: int = Field(
        200_000,
        ge=1,
        description="Messages kept while the broker is away; beyond, the gap is recorded and healed afterwards.",
    )
    collector_record_dir: Path | None = Field(
        None, description="Folder to record raw frames into; empty: do not record."
    )
    rest_timeout_s: Seconds = Field(10, description="Longest wait for one REST answer of an exchange.")
    kraken_history_per_minute: Annotated[float, Field(gt=0)] = Field(
        30,
        description="Requests a minute for Kraken's history, all runs together. Kraken allows an address about 60; "
        "the collector needs some.",
    )
    binance_history_per_minute: Annotated[float, Field(gt=0)] = Field(
        3000, description="Request weight a minute for Binance's history, all runs together."
    )
    binance_weight_per_minute: Annotated[float, Field(gt=0)] = Field(
        5000,
        description="Weight a minute used by all at this address, as Binance counts it (it allows 6000), from which on "
        "its history waits for the next minute.",
    )
    other_history_per_minute: Annotated[float, Field(gt=0)] = Field(
        30, description="Requests a minute for the history of each other exchange, all runs together."
    )
    alert_threshold_percent: Annotated[float, Field(gt=0, le=100)] = Field(
        0.5, description="Alert when a price moves by at least this many percent."
    )
    alert_window_s: Seconds = Field(60, description="Seconds within which the move must happen.")
    alert_cooldown_s: Seconds = Field(
        300, description="Seconds without a further alert of the same pair and direction."
    )

    # The web: how feeds, article pages and APIs are fetched
    web_user_agent: str = Field(
        "CryptoViz/0.1 (self-hosted market data platform)",
        pattern=r"^[A-Za-z][\w-]*/[!-~ ]+$",
        description="How we introduce ourselves: product/version, then anything; robots.txt is read for the product.",
    )
    web_timeout_s: Seconds = Field(20, description="Longest time for one page, from its name to its last byte.")
    web_max_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, le=1024**3, description="Largest page accepted, decompressed, in bytes."
    )
    web_private_hosts: Annotated[Names, AfterValidator(_hosts)] = Field(
        [],
        description="host:port, separated by commas, that may be fetched though the address is private; "
        "all others must be public.",
    )

    # Market overviews and mood; empty addresses mean: the simulated web in demo mode, the real services in live mode
    market_coins: int = Field(
        100, ge=1, le=5000, description="Coins to ask for in each market overview, the largest first."
    )
    coingecko_url: str = Field("", description="CoinGecko's address, without /coins/markets.")
    coingecko_key: SecretStr = Field(SecretStr(""), description="API key of CoinGecko; it may be asked without one.")
    coingecko_pro: bool = Field(False, description="The key of CoinGecko is one of a paid plan.")
    coingecko_quota: Quota = Field(
        "",
        description="Most requests to CoinGecko, as in 30/minute,10000/month (that is the default with a free key).",
    )
    coingecko_every_s: Seconds = Field(60, description="Seconds between two polls of CoinGecko.")
    coinmarketcap_url: str = Field("", description="CoinMarketCap's address, without /v1.")
    coinmarketcap_key: SecretStr = Field(
        SecretStr(""),
        description="API key of CoinMarketCap; without one only the simulated one is asked.",
    )
    coinmarketcap_quota: Quota = Field(
        "", description="Most requests to CoinMarketCap a minute, and credits a day or month; 30/minute,10000/month."
    )
    coinmarketcap_every_s: Seconds = Field(120, description="Seconds between two polls of CoinMarketCap.")
    fear_greed_url: str = Field("", description="Address of the fear and greed index, without /fng.")
    fear_greed_quota: Quota = Field(
        "", description="Most requests for the fear and greed index; default: 6/minute,1000/day."
    )
    fear_greed_every_s: Seconds = Field(300, description="Seconds between two polls of the fear and greed index.")
    poller_timeout_s: Seconds = Field(10, description="Longest wait for one answer of these three.")
    poller_failures: int = Field(
        3, ge=1, le=100, description="Failed polls in a row after which one of them is left alone for a while."
    )
    poller_rest_s: Seconds = Field(180, description="How long it is left alone.")

    # News
    news_feeds_file: ReadableFile = Field(
        None,
        description="A JSON file with the feeds to read, instead of cryptoviz/news/feeds.json and written like it; "
        "`time_zone`, such as Asia/Kolkata, for a feed whose dates name no zone.",
    )
    news_poll_s: Seconds = Field(
        90, description="Longest time of one poll of all feeds; what is slower is left for the next."
    )
    news_pages_per_feed: int = Field(
        5,
        ge=0,
        le=100,
        description="Most article pages read in one poll of a feed whose entries have no text of their own; 0: none.",
    )
    news_host_delay_s: Annotated[float, Field(ge=0)] = Field(
        1, description="Shortest time between two requests to one host, in seconds."
    )
    news_crawl_delay_max_s: Annotated[float, Field(ge=0)] = Field(
        10, description="Longest Crawl-delay that is waited for; of sites that ask for more only the feed is read."
    )
    sentiment_model: SentimentModel = Field(
        SentimentModel.TEXTBLOB, description="What scores the news: textblob or vader."
    )

    # PostgreSQL with TimescaleDB
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

    # Archive: what has left the database
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

    # Kafka
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

    # Spark
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

    # Streams
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

    # Dagster
    dagster_port: Port = Field(3000, description="Port of the Dagster web server.")
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

    # Supervision
    supervisor_lag_messages: int = Field(
        50_000, ge=1, description="A stream with more unprocessed messages than this counts as lagging."
    )
    supervisor_restarts_per_hour: int = Field(
        5, ge=0, le=60, description="Most restarts of one stream by the supervisor within an hour; 0: it only alerts."
    )

    # Reports
    reports_port: Port = Field(8300, description="Port of the reports: what the gate found, in words.")

    # Simulators
    simulator_port: Port = Field(8100, description="Port of the simulated exchanges.")
    simulator_rate: Annotated[float, Field(gt=0, le=20_000)] = Field(
        40, description="Trades a second of each simulated exchange, all pairs together."
    )
    simulator_listed_from: date = Field(
        date(2025, 1, 1), description="Since when (UTC) the simulated exchanges have their pairs; not before 2020."
    )
    simulator_seed: int = Field(1, ge=0, description="Seed of the simulated market.")
    web_simulator_port: Port = Field(8101, description="Port of the simulated news sites and market APIs.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.collector_reconnect_min_s > self.collector_reconnect_max_s:
            raise ValueError(
                f"{PREFIX}COLLECTOR_RECONNECT_MIN_S exceeds {PREFIX}COLLECTOR_RECONNECT_MAX_S; make it smaller"
            )
        if self.stream_restart_min_s > self.stream_restart_max_s:
            raise ValueError(f"{PREFIX}STREAM_RESTART_MIN_S exceeds {PREFIX}STREAM_RESTART_MAX_S; make it smaller")
        secret = self.archive_s3_secret.get_secret_value()
        for name, value, other in (("KEY", self.archive_s3_key, "SECRET"), ("SECRET", secret, "KEY")):
            if value and not (secret and self.archive_s3_key):
                raise ValueError(f"{PREFIX}ARCHIVE_S3_{name} has no {PREFIX}ARCHIVE_S3_{other}; set both or neither")
        for name in ("endpoint", "region", "key"):
            if getattr(self, f"archive_s3_{name}") and not self.archive_s3_bucket:
                raise ValueError(
                    f"{PREFIX}ARCHIVE_S3_{name.upper()} is set, but no {PREFIX}ARCHIVE_S3_BUCKET: the archive would "
                    "be a local folder; name the bucket, or leave both empty"
                )
        ports: dict[int, str] = {}
        for name in (
            "postgres_port",
            "kafka_port",
            "kafka_controller_port",
            "dagster_port",
            "dagster_code_port",
            "reports_port",
            "simulator_port",
            "web_simulator_port",
        ):
            other = ports.setdefault(getattr(self, name), name)
            if other != name:
                raise ValueError(f"{PREFIX}{name.upper()} and {PREFIX}{other.upper()} are the same port; change one")
        return self

    @property
    def state(self) -> Path:
        """The state folder as an absolute path."""
        return PROJECT_ROOT / self.state_dir

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka answers."""
        return self.kafka_bootstrap_servers or f"127.0.0.1:{self.kafka_port}"

    @property
    def checkpoints(self) -> str:
        """The root of the streaming checkpoints."""
        return self.checkpoint_dir or str(self.state / "checkpoints")

    @property
    def archive_folder(self) -> Path:
        """Where the archive is unless it is in a bucket."""
        return PROJECT_ROOT / self.archive_dir if self.archive_dir else self.state / "archive"

    @property
    def coingecko_address(self) -> str:
        """Where CoinGecko's API is in this mode, for this kind of key."""
        real = "https://pro-api.coingecko.com/api/v3" if self.coingecko_pro else "https://api.coingecko.com/api/v3"
        return self.coingecko_url.rstrip("/") or self._polled("coingecko/api/v3", real)

    @property
    def coinmarketcap_address(self) -> str:
        """Where CoinMarketCap's API is in this mode."""
        return self.coinmarketcap_url.rstrip("/") or self._polled("coinmarketcap", "https://pro-api.coinmarketcap.com")

    @property
    def fear_greed_address(self) -> str:
        """Where the fear and greed index is in this mode."""
        return self.fear_greed_url.rstrip("/") or self._polled("fear_greed", "https://api.alternative.me")

    def _polled(self, path: str, real: str) -> str:
        return f"http://127.0.0.1:{self.web_simulator_port}/{path}" if self.mode is Mode.DEMO else real

    @property
    def private_hosts(self) -> list[str]:
        """The `host:port` inside our own network that may be fetched; in demo mode the simulated web is one."""
        simulated = [f"127.0.0.1:{self.web_simulator_port}"] if self.mode is Mode.DEMO else []
        return [*self.web_private_hosts, *simulated]

    def pairs(self, exchange: str) -> list[str]:
        """The configured pairs of an exchange."""
        return list({"kraken": self.kraken_pairs, "binance": self.binance_pairs}[exchange])

    def ages(self, exchange: str) -> Ages:
        """How much history of an exchange is kept complete."""
        own = str(getattr(self, f"{exchange}_history", ""))
        if not own and self.mode is Mode.DEMO:
            own = _DEMO_HISTORY.get(exchange, "")
        return parse_ages(own or self.history)

    def ws_url(self, exchange: str) -> str:
        """The WebSocket address of an exchange in this mode."""
        return str(getattr(self, f"{exchange}_ws_url")) or self._source(exchange, "ws")

    def rest_url(self, exchange: str) -> str:
        """The REST address of an exchange in this mode."""
        return str(getattr(self, f"{exchange}_rest_url")) or self._source(exchange, "rest")

    def _source(self, exchange: str, kind: str) -> str:
        if self.mode is Mode.LIVE:
            return _REAL_SOURCES[exchange, kind]
        scheme, path = {"ws": ("ws", _SIMULATED_WS_PATHS[exchange]), "rest": ("http", f"/{exchange}")}[kind]
        return f"{scheme}://127.0.0.1:{self.simulator_port}{path}"

    def database(self, role: Role) -> str:
        """The address of the database for a role, password included: never log it."""
        external = {
            Role.OWNER: self.database_url,
            Role.WRITER: self.database_writer_url or self.database_url,
            Role.READER: self.database_reader_url or self.database_url,
        }[role]
        if external is not None:
            return external.get_secret_value()
        password: SecretStr = getattr(self, f"postgres_{role}_password")
        return self._local_database(f"cryptoviz_{role}", password, self.postgres_database)

    def dagster_database(self) -> str:
        """The address of Dagster's own database, password included: never log it."""
        if self.dagster_database_url is not None:
            return self.dagster_database_url.get_secret_value()
        return self._local_database("dagster", self.dagster_database_password, "dagster")

    def _local_database(self, user: str, password: SecretStr, database: str) -> str:
        secret = quote(password.get_secret_value(), safe="")
        return f"postgresql://{user}:{secret}@{self.postgres_host}:{self.postgres_port}/{database}"


_REAL_SOURCES: Final = {
    ("kraken", "ws"): "wss://ws.kraken.com/v2",
    ("kraken", "rest"): "https://api.kraken.com",
    ("binance", "ws"): "wss://data-stream.binance.vision",
    ("binance", "rest"): "https://data-api.binance.vision",
}
# Older candles are made of trades, 1,000 in each request: more are simulated in a second than may be asked for.
_DEMO_HISTORY: Final = {"kraken": "1m:11h,1h:28d,1d:90d"}
_SIMULATED_WS_PATHS: Final = {"kraken": "/kraken/v2", "binance": "/binance"}


def load(**overrides: Any) -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: something makes no sense; the message names each setting and the fix.
    """
    dotenv = PROJECT_ROOT / ".env"
    state = overrides.get("state_dir") or os.environ.get(f"{PREFIX}STATE_DIR") or _from_file(dotenv) or ".local"
    files = (PROJECT_ROOT / state / "secrets.env", dotenv)
    try:
        return Settings(_env_file=files, **overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(error))) from None


def _from_file(path: Path) -> str | None:
    return dotenv_values(path).get(f"{PREFIX}STATE_DIR") if path.exists() else None


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in problem["loc"][:1]).upper()
        message = problem["msg"].removeprefix("Value error, ")
        field = Settings.model_fields.get(name.lower())
        fix = f" ({field.description})" if field is not None else ""
        yield f"{PREFIX}{name}: {message}.{fix}" if name else message


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return load()
