"""Build the reports soon after something changed that people look for: other expectations fail than before.

    newest change, when the site was built, earlier requests -> due -> run request

What passes as it did before waits for the hourly build.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import dagster as dg

from assets.reports import BUILD_REPORTS
from assets.resources import Database
from cryptoviz.reports.address import reports_folder
from cryptoviz.reports.store import built_at
from cryptoviz.settings import settings
from cryptoviz.storage.queries import query

INTERVAL_S: Final = 60
PAUSE_S: Final = 300
"""The least pause between two requests; the first change after it is requested at once."""

MOST_AN_HOUR: Final = 6
_HOUR_S: Final = 3600


def due(
    changed: datetime | None, built: datetime | None, requests: Sequence[float], now: float
) -> tuple[bool, list[float]]:
    """Whether to build now, and the requests of the last hour to remember (Unix seconds)."""
    lately = [at for at in requests if now - at < _HOUR_S]
    outdated = changed is not None and (built is None or changed > built)
    rested = not lately or now - lately[-1] >= PAUSE_S
    if outdated and rested and len(lately) < MOST_AN_HOUR:
        return True, [*lately, now]
    return False, lately


@dg.sensor(
    job=BUILD_REPORTS,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Builds the reports when other expectations fail than before, at most six times an hour.",
)
def reports_outdated(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
    """The hourly build tells the rest."""
    with database.reader() as connection:
        row = connection.execute(query("report_change")).fetchone()
    changed = row[0] if row is not None else None
    wanted, requests = due(
        changed, built_at(reports_folder(settings())), json.loads(context.cursor or "[]"), time.time()
    )
    run_requests = [dg.RunRequest(run_key=f"changed:{changed}:{requests[-1]:.0f}")] if wanted else []
    return dg.SensorResult(
        run_requests=run_requests,
        cursor=json.dumps(requests),
        skip_reason=None
        if run_requests
        else dg.SkipReason(f"nothing to tell since the last build; last change: {changed}"),
    )
