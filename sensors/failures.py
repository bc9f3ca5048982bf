"""One alert for each job or asset that fails, closed by its next success.

    runs that ended since the last look -> failed or succeeded steps -> platform_alerts

The runs are asked for by their time of change, and the cursor moves only past what is written down: an alert is not
lost while the database is away, as it would be with a sensor that is told of each failure once.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from assets.resources import Database
from cryptoviz.logs import error_line
from cryptoviz.settings import Settings
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

INTERVAL_S: Final = 30
KIND: Final = "run_failed"
_AT_ONCE: Final = 50
_FIRST_LOOK: Final = timedelta(hours=1)
_OVERLAP: Final = timedelta(seconds=5)
_DAGSTERS_OWN: Final = "__"
"""How the jobs are named that Dagster makes up to run assets."""

_PARTITION: Final = "dagster/partition"


@dataclass(frozen=True)
class Ended:
    """A run that ended: the steps that failed, each with its reason, and those that succeeded."""

    run: str
    job: str
    partition: str
    failed: Mapping[str, str] = field(default_factory=dict)
    succeeded: Sequence[str] = ()
    reason: str = ""


@dataclass(frozen=True)
class Alert:
    """An alert to open, or to count once more."""

    subject: str
    message: str
    detail: Mapping[str, str]


def alerts(ended: Ended) -> list[Alert]:
    """The alerts of a failed run: one for each step that failed, one for a run that failed before any step."""
    failed = ended.failed or ({"": ended.reason} if ended.reason else {})
    return [
        Alert(
            subject(ended.job, step, ended.partition),
            f"{subject(ended.job, step, ended.partition)} failed: {why}",
            {"run": ended.run, "job": ended.job, "step": step, "partition": ended.partition},
        )
        for step, why in failed.items()
    ]


def over(ended: Ended) -> set[str]:
    """The subjects whose alerts a success ends. Another partition's success proves nothing."""
    if not ended.succeeded:
        return set()
    steps, partitions = {*ended.succeeded, ""}, {ended.partition, ""}
    return {subject(ended.job, step, partition) for step in steps for partition in partitions}


def subject(job: str, step: str, partition: str) -> str:
    """Whose failure it is: an asset's, whichever run it failed in, or that of a job's step; and of which partition."""
    where = f" (partition {partition})" if partition else ""
    if job.startswith(_DAGSTERS_OWN):
        return f"{step or 'a run of assets'}{where}"
    return f"{job}: {step}{where}" if step else f"{job}{where}"


def run_failures(settings: Settings) -> dg.SensorDefinition:
    """The sensor; its alerts link to the pages of these settings."""

    @dg.sensor(
        name="run_failures",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Opens one alert for each job or asset that fails, and closes it with its next success.",
    )
    def run_failures(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
        since, seen = _remembered(context.cursor)
        records = context.instance.get_run_records(
            dg.RunsFilter(
                statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE], updated_after=since - _OVERLAP
            ),
            limit=_AT_ONCE + len(seen),
            order_by="update_timestamp",
            ascending=True,
        )
        fresh = [record for record in records if record.dagster_run.run_id not in seen]
        if not fresh:
            return dg.SkipReason("no run has ended since the last look")
        try:
            with database.writer() as connection:
                for record in fresh:
                    _write(connection, _ended(context.instance, record), settings)
        except driver.Error as error:
            reason = error_line(error)
            return dg.SkipReason(f"the database does not answer: {reason}")
        newest = max(record.update_timestamp for record in records).replace(tzinfo=UTC)
        known = [record.dagster_run.run_id for record in records if _recent(record, newest)]
        return dg.SensorResult(
            cursor=json.dumps({"since": newest.isoformat(), "seen": known}),
            skip_reason=f"{len(fresh)} runs have ended",
        )

    return run_failures


def _recent(record: dg.RunRecord, newest: datetime) -> bool:
    return record.update_timestamp.replace(tzinfo=UTC) >= newest - _OVERLAP


def _remembered(cursor: str | None) -> tuple[datetime, set[str]]:
    if not cursor:
        return datetime.now(UTC) - _FIRST_LOOK, set()
    known = json.loads(cursor)
    return datetime.fromisoformat(known["since"]), set(known["seen"])


def _ended(instance: dg.DagsterInstance, record: dg.RunRecord) -> Ended:
    run = record.dagster_run
    about = (run.run_id, run.job_name, run.tags.get(_PARTITION, ""))
    if run.status is dg.DagsterRunStatus.SUCCESS:
        return Ended(*about, succeeded=[*_steps(instance, run.run_id, dg.DagsterEventType.STEP_SUCCESS)])
    reason = "; ".join(_steps(instance, run.run_id, dg.DagsterEventType.RUN_FAILURE).values())
    return Ended(
        *about,
        failed=_steps(instance, run.run_id, dg.DagsterEventType.STEP_FAILURE),
        reason=reason or "the run failed without a word",
    )


def _steps(instance: dg.DagsterInstance, run: str, kind: dg.DagsterEventType) -> dict[str, str]:
    records = instance.get_records_for_run(run, of_type=kind).records
    return {record.event_log_entry.step_key or "": _reason(record.event_log_entry.dagster_event) for record in records}


def _reason(event: Any) -> str:
    """The first line of what went wrong, as its cause put it."""
    return next((line.strip() for text in _texts(event) for line in text.splitlines() if line.strip()), "no reason")


def _texts(event: Any) -> Iterator[str]:
    data = event.event_specific_data
    user_failure = getattr(data, "user_failure_data", None)
    if user_failure is not None and user_failure.description:
        yield user_failure.description
    error = getattr(data, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    if error is not None:
        yield error.message
    yield event.message or ""


def _write(connection: Any, ended: Ended, settings: Settings) -> None:
    for name in over(ended):
        connection.execute(query("platform_alert_close"), {"kind": KIND, "subject": name})
    for alert in alerts(ended):
        page = f"http://127.0.0.1:{settings.dagster_port}/runs/{ended.run}"
        values = {"kind": KIND, "subject": alert.subject, "severity": "warning", "message": alert.message}
        connection.execute(
            query("platform_alert_raise"), values | {"detail": driver.Jsonb({**alert.detail, "page": page})}
        )
