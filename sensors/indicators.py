"""Keep the indicators in step with the candles, minute by minute.

    indicator_changes -> computed by the database within the tick -> a materialization of `indicators`
                                  \\-> more than a tick can do: a run of the asset

A run costs seconds of CPU for what takes the database milliseconds; so there is one only where there is work for it.
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from assets.indicators import REFRESH_INDICATORS, indicators_metadata
from assets.keys import INDICATORS
from assets.resources import Database
from assets.runs import UNENDED
from cryptoviz.candles.indicators import progress, refresh
from cryptoviz.storage import driver

INTERVAL_S: Final = 60
PATIENCE_S: Final = 15


@dg.sensor(
    job=REFRESH_INDICATORS,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Computes the indicators of new and corrected candles; starts a run where that takes longer.",
)
def indicators_due(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
    """Leaves the work to a run that is under way."""
    under_way = dg.RunsFilter(job_name=REFRESH_INDICATORS.name, statuses=list(UNENDED))
    if context.instance.get_run_records(under_way, limit=1):
        return dg.SkipReason("a run computes them")
    try:
        with database.writer() as connection:
            done = refresh(connection, PATIENCE_S)
            reached = progress(connection) if done.candles or done.rows else []
    except driver.OperationalError as error:
        return dg.SkipReason(f"the database is away: {str(error).strip()}")
    told = [dg.AssetMaterialization(INDICATORS, metadata=indicators_metadata(done, reached))] if reached else []
    asked = [dg.RunRequest()] if done.waiting else []
    return dg.SensorResult(
        asset_events=told,
        run_requests=asked,
        skip_reason=None
        if asked
        else dg.SkipReason(f"{done.candles} candles, {done.rows} rows of {done.series} other series computed"),
    )
