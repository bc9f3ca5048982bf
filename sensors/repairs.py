"""Start the repair of stored candles where an upgrade left some to look over.

candle_repairs -> a pair waits -> run of `repair_candles`, one at a time
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from assets.resources import Database
from cryptoviz.candles.repair import waiting
from jobs.repair import REPAIR_CANDLES
from sensors.guards import run_under_way, skip_while_database_is_away

INTERVAL_S: Final = 300


@dg.sensor(
    job=REPAIR_CANDLES,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run where stored candles of an older version are still to be looked over.",
)
@skip_while_database_is_away
def repairs_due(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
    """One run at a time; after a failed run the next one goes on where it ended."""
    if run_under_way(context.instance, REPAIR_CANDLES.name):
        return dg.SkipReason("a run looks them over")
    with database.writer() as connection:
        left = waiting(connection)
    if not left:
        return dg.SkipReason("nothing is left to look over")
    return dg.SensorResult(run_requests=[dg.RunRequest(tags={"reason": f"{len(left)} pairs to look over"})])
