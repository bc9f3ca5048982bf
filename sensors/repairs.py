"""Start the repair of stored candles where an upgrade left some to look over.

candle_repairs -> a pair waits -> run of `repair_candles`, one at a time
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from assets.resources import Database
from assets.runs import UNENDED
from cryptoviz.candles.repair import waiting
from cryptoviz.storage import driver
from jobs.repair import REPAIR_CANDLES

INTERVAL_S: Final = 300


@dg.sensor(
    job=REPAIR_CANDLES,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run where stored candles of an older version are still to be looked over.",
)
def repairs_due(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
    """Runs are never stacked; one that failed is followed by the next after some minutes, which goes on there."""
    under_way = dg.RunsFilter(job_name=REPAIR_CANDLES.name, statuses=list(UNENDED))
    if context.instance.get_run_records(under_way, limit=1):
        return dg.SkipReason("a run looks them over")
    try:
        with database.writer() as connection:
            left = waiting(connection)
    except driver.OperationalError as error:
        return dg.SkipReason(f"the database is away: {str(error).strip()}")
    if not left:
        return dg.SkipReason("nothing is left to look over")
    return dg.SensorResult(run_requests=[dg.RunRequest(tags={"reason": f"{len(left)} pairs to look over"})])
