"""The code location: what there is, put together for the settings of this process."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from assets.candles import candles_daily_rebuild
from assets.gaps import gap_assets
from assets.gates import table_checks
from assets.history import history_assets
from assets.indicators import indicators
from assets.instruments import instruments_asset
from assets.polls import poll_assets
from assets.reports import reports_asset
from assets.resources import RESOURCES
from assets.storage import STORAGE
from assets.streams import stream_assets
from assets.tables import table_assets
from cryptoviz.settings import Settings, settings
from dagster_project.jobs import JOBS
from dagster_project.schedules import schedules
from sensors import sensors


def build(settings: Settings) -> dg.Definitions:
    """Everything Dagster knows, for these settings."""
    exchanges = settings.exchanges
    return dg.Definitions(
        assets=[
            *stream_assets(settings),
            *table_assets(settings),
            instruments_asset(exchanges),
            *poll_assets(),
            *history_assets(),
            candles_daily_rebuild(settings, datetime.now(UTC).date()),
            indicators,
            *gap_assets(exchanges),
            *STORAGE,
            reports_asset(settings),
        ],
        asset_checks=[table_checks(settings)],
        jobs=JOBS,
        schedules=schedules(settings),
        sensors=sensors(settings),
        resources=RESOURCES,
        # A run of its own process already; a process per step would cost as much again.
        executor=dg.in_process_executor,
    )


@dg.definitions
def definitions() -> dg.Definitions:
    """The code location, built when Dagster loads it: importing this module reads no setting."""
    return build(settings())
