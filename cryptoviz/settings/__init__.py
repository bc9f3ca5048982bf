"""The one place that reads the environment.

    defaults < <state_dir>/secrets.env (written by the local stack) < .env < environment -> Settings

Every setting is the field below in upper case with the prefix ``CRYPTOVIZ_``. `.env.example` is written from the
descriptions (``cryptoviz settings --example``); a test holds the two together. Nonsense is refused at start, naming
the setting and the fix.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError, model_validator

from cryptoviz.exchanges import EXCHANGES
from cryptoviz.settings.ages import Ages
from cryptoviz.settings.ages import parse as parse_ages
from cryptoviz.settings.collection import CollectionSettings, CollectorSettings, GeneralSettings
from cryptoviz.settings.exchanges import ExchangeSettings
from cryptoviz.settings.services import (
    ArchiveSettings,
    DagsterSettings,
    DatabaseSettings,
    KafkaSettings,
    ReportsSettings,
    SimulatorSettings,
    SparkSettings,
    StreamSettings,
    SupervisionSettings,
)
from cryptoviz.settings.values import PREFIX, Mode
from cryptoviz.settings.web import NewsSettings, PollerSettings, WebSettings

__all__ = ["PREFIX", "PROJECT_ROOT", "Mode", "Role", "Settings", "SettingsError", "load", "settings"]

PROJECT_ROOT: Final = Path(__file__).resolve().parents[2]


class Role(StrEnum):
    """The database roles. No running service is superuser."""

    OWNER = "owner"
    WRITER = "writer"
    READER = "reader"


class SettingsError(Exception):
    """The environment makes no sense; the message names each setting and its fix."""


# In pydantic fields of the last base come first.
class Settings(
    SimulatorSettings,
    ReportsSettings,
    SupervisionSettings,
    DagsterSettings,
    StreamSettings,
    SparkSettings,
    KafkaSettings,
    ArchiveSettings,
    DatabaseSettings,
    NewsSettings,
    PollerSettings,
    WebSettings,
    CollectorSettings,
    ExchangeSettings,
    CollectionSettings,
    GeneralSettings,
):
    """Everything that can be set. Instances are cheap to pass on and safe to print: secrets are masked."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if nowhere := [name for name in self.exchanges if not (self.ws_url(name) and self.rest_url(name))]:
            raise ValueError(
                f"{', '.join(nowhere)} has no simulator, and the demo never leaves loopback; "
                f"leave it out of {PREFIX}EXCHANGES, or set its addresses"
            )
        if self.collector_reconnect_min_s > self.collector_reconnect_max_s:
            raise ValueError(
                f"{PREFIX}COLLECTOR_RECONNECT_MIN_S exceeds {PREFIX}COLLECTOR_RECONNECT_MAX_S; make it smaller"
            )
        if self.stream_restart_min_s > self.stream_restart_max_s:
            raise ValueError(f"{PREFIX}STREAM_RESTART_MIN_S exceeds {PREFIX}STREAM_RESTART_MAX_S; make it smaller")
        secret = self.archive_s3_secret.get_secret_value()
        for name, value, partner in (("KEY", self.archive_s3_key, "SECRET"), ("SECRET", secret, "KEY")):
            if value and not (secret and self.archive_s3_key):
                raise ValueError(f"{PREFIX}ARCHIVE_S3_{name} has no {PREFIX}ARCHIVE_S3_{partner}; set both or neither")
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
            taken_by = ports.setdefault(getattr(self, name), name)
            if taken_by != name:
                raise ValueError(f"{PREFIX}{name.upper()} and {PREFIX}{taken_by.upper()} are the same port; change one")
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
        return f"http://{self.simulated_web}/{path}" if self.mode is Mode.DEMO else real

    @property
    def simulated_web(self) -> str:
        """`host:port` of the simulated news sites and market APIs."""
        return f"{self.web_simulator_host}:{self.web_simulator_port}"

    @property
    def private_hosts(self) -> list[str]:
        """The `host:port` inside our own network that may be fetched; in demo mode the simulated web is one."""
        simulated = [self.simulated_web] if self.mode is Mode.DEMO else []
        return [*self.web_private_hosts, *simulated]

    def pairs(self, exchange: str) -> list[str]:
        """The configured pairs of an exchange."""
        return list(getattr(self, f"{EXCHANGES[exchange].name}_pairs"))

    def ages(self, exchange: str) -> Ages:
        """How much history of an exchange is kept complete."""
        own = str(getattr(self, f"{exchange}_history", ""))
        if not own and self.mode is Mode.DEMO:
            spec = EXCHANGES.get(exchange)
            own = spec.simulator.history if spec and spec.simulator else ""
        return parse_ages(own or self.history)

    def ws_url(self, exchange: str) -> str:
        """The WebSocket address of an exchange in this mode; empty where it has no simulator in the demo."""
        own = str(getattr(self, f"{exchange}_ws_url"))
        simulator = EXCHANGES[exchange].simulator
        if own or self.mode is Mode.LIVE:
            return own or EXCHANGES[exchange].ws.url
        return f"ws://{self.simulator_host}:{self.simulator_port}{simulator.ws_path}" if simulator else ""

    def rest_url(self, exchange: str) -> str:
        """The REST address of an exchange in this mode; empty where it has no simulator in the demo."""
        own = str(getattr(self, f"{exchange}_rest_url"))
        if own or self.mode is Mode.LIVE:
            return own or EXCHANGES[exchange].rest.url
        simulated = EXCHANGES[exchange].simulator is not None
        return f"http://{self.simulator_host}:{self.simulator_port}/{exchange}" if simulated else ""

    def history_per_minute(self, exchange: str) -> float:
        """What all runs together may ask of an exchange's past in a minute, in its own unit."""
        return float(getattr(self, f"{exchange}_history_per_minute", self.other_history_per_minute))

    def used_weight_at_most(self, exchange: str) -> float | None:
        """From which weight on, used by all at this address, an exchange's past waits; None: it does not say."""
        found = getattr(self, f"{exchange}_weight_per_minute", None)
        return None if found is None else float(found)

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
