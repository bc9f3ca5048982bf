"""What jobs that change something share: who started a run, its range, and errors for config that makes no sense."""

from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

HEAVY_SQL: Final = "heavy_sql"
"""The pool of what keeps the database busy: one at a time."""

UNENDED: Final = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
"""What a run is while it may still do something."""

_STARTED_BY: Final = ("dagster/schedule_name", "dagster/sensor_name")


def actor(context: dg.OpExecutionContext) -> str:
    """Who started the run: its tag `user`, else the schedule or sensor, else the pages."""
    tags = context.run_tags
    return tags.get("user") or next((tags[name] for name in _STARTED_BY if name in tags), "dagster ui")


def refused(field: str, why: str, fix: str) -> dg.Failure:
    """The failure of a run whose config makes no sense."""
    return dg.Failure(f"{field}: {why}. {fix}", metadata={"field": field, "fix": fix}, allow_retries=False)


def window(since: str, until: str, default: timedelta, now: datetime) -> tuple[datetime, datetime]:
    """The range that two config fields name; empty: the time up to now, `default` long.

    Raises:
        dagster.Failure: naming the field and the fix.
    """
    end = _instant("until", until) if until else now
    begin = _instant("since", since) if since else end - default
    if end > now:
        raise refused("until", f"{end:%Y-%m-%d %H:%M:%S} UTC lies in the future", "Give a past instant or nothing.")
    if begin >= end:
        raise refused("since", f"{begin:%Y-%m-%d %H:%M:%S} UTC is not before `until`", "Give an earlier instant.")
    return begin, end


def _instant(field: str, text: str) -> datetime:
    example = "Write an instant with its time zone, such as 2026-11-21T10:00Z."
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise refused(field, f"{text!r} is no instant", example) from None
    if instant.tzinfo is None:
        raise refused(field, f"{text!r} has no time zone", example)
    return instant.astimezone(UTC)
