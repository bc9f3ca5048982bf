"""Keep the indicators in step with the candles, minute by minute.

    indicator_changes -> computed by the database within the tick -> a materialization of `indicators`
                                  \\-> more than a tick can do: a run of the asset

A run costs seconds of CPU for work that takes the database milliseconds: one is started only for long work.
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from assets.indicators import REFRESH_INDICATORS, indicators_metadata
from assets.keys import INDICATORS
from assets.resources import Database
from cryptoviz.candles.indicators import progress, refresh
from sensors.guards import run_under_way, skip_while_database_is_away

INTERVAL_S: Final = 60
PATIENCE_S: Final = 15


@dg.sensor(
    job=REFRESH_INDICATORS,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Computes the indicators of new and corrected candles; starts a run where that takes longer.",
)
@skip_while_database_is_away
def indicators_due(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
    """Leaves the work to a run that is under way."""
    if run_under_way(context.instance, REFRESH_INDICATORS.name):
        return dg.SkipReason("a run computes them")
    with database.writer() as connection:
        done = refresh(connection, PATIENCE_S)
        reached = progress(connection) if done.candles or done.rows else []
    events = [dg.AssetMaterialization(INDICATORS, metadata=indicators_metadata(done, reached))] if reached else []
    requests = [dg.RunRequest()] if done.waiting else []
    return dg.SensorResult(
        asset_events=events,
        run_requests=requests,
        skip_reason=None
        if requests
        else dg.SkipReason(f"{done.candles} candles, {done.rows} rows of {done.series} other series computed"),
    )
