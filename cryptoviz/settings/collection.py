"""What is collected from exchanges, how, and since when; what belongs to one exchange is in `exchanges`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from cryptoviz.exchanges import EXCHANGES
from cryptoviz.settings.values import ExchangeNames, History, Mode, Positive, Seconds, SettingsGroup


class GeneralSettings(SettingsGroup):
    """What concerns everything."""

    mode: Mode = Field(
        Mode.LIVE,
        description="demo: simulated sources on loopback; live: the real ones. Set by `make demo` and `make up`.",
    )
    state_dir: Path = Field(
        Path(".local"), description="Where the local stack keeps its state; relative to the project."
    )
    listen_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address that our own servers listen on: reports, Dagster, simulators. 0.0.0.0 in a container.",
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")
    log_json: bool = Field(True, description="Logs as JSON lines (true) or for people (false).")


class CollectionSettings(SettingsGroup):
    """Which exchanges, and how much of their history."""

    exchanges: ExchangeNames = Field(
        [spec.name for spec in EXCHANGES.values() if spec.simulator is not None],
        description="Exchanges to collect from, separated by commas.",
    )
    history: History = Field(
        "1m:90d,1h:365d,1d:all",
        description="How much history is fetched and kept complete, for each timeframe; 5m and 15m follow from 1m.",
    )
    other_history_per_minute: Positive = Field(
        30, description="Requests a minute for the history of each other exchange, all runs together."
    )


class CollectorSettings(SettingsGroup):
    """How every exchange is collected."""

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
    alert_threshold_percent: Annotated[float, Field(gt=0, le=100)] = Field(
        0.5, description="Alert when a price moves by at least this many percent."
    )
    alert_window_s: Seconds = Field(60, description="Seconds within which the move must happen.")
    alert_cooldown_s: Seconds = Field(
        300, description="Seconds without a further alert of the same pair and direction."
    )
