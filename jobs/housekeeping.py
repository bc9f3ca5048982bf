"""Keep Dagster's own database, and the platform's records of itself, within bounds."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from assets.polls import POLL_ARTICLES, POLL_MARKET
from assets.resources import Database
from assets.runs import HEAVY_SQL, actor
from cryptoviz.retention.housekeeping import KEPT, forget, purge, size
from cryptoviz.settings import settings
from cryptoviz.storage import driver
from cryptoviz.storage.audit import recorded


@dg.op(
    name="purge",
    pool=HEAVY_SQL,
    description=(
        "Deletes old runs with their events and logs, old reports of sensors and old executions of checks. The newest "
        "event of each asset, partition and check stays, whatever its age."
    ),
)
def _purge(context: dg.OpExecutionContext, database: Database) -> int:
    """Returns the number of bytes that Dagster's database has on disk afterwards."""
    ours, now = settings(), datetime.now(UTC)
    ages = {
        "keep days": ours.dagster_keep_days,
        "keep reports days": ours.dagster_keep_observation_days,
        "keep polls days": ours.dagster_keep_poll_days,
    }
    counts: Counter[str] = Counter()
    with (
        recorded(
            database.writer,
            actor=actor(context),
            action="purge_history",
            subject="dagster",
            detail={**ages, "run": context.run_id},
        ) as found,
        driver.connect(
            ours.dagster_database(), autocommit=True, application_name="purge_history", options="-c timezone=UTC"
        ) as connection,
    ):
        before = size(connection)
        for batch in purge(
            connection,
            lambda run: _delete(context.instance, run),
            runs_before=now - timedelta(days=ours.dagster_keep_days),
            reports_before=now - timedelta(days=ours.dagster_keep_observation_days),
            polls_before=now - timedelta(days=ours.dagster_keep_poll_days),
            polls=[POLL_MARKET.name, POLL_ARTICLES.name],
        ):
            counts[batch.what] += batch.count
            found.update(counts)
            context.log.info("%d %s deleted", batch.count, batch.what)
        after = size(connection)
    context.add_output_metadata({**ages, **counts, "bytes before": before, "bytes after": after})
    return after


@dg.op(
    name="forget",
    pool=HEAVY_SQL,
    description="Deletes old quarantine, results and documents of the gate, events of streams and closed alerts.",
)
def _forget(context: dg.OpExecutionContext, database: Database) -> int:
    """Returns the number of rows that were deleted."""
    counts: Counter[str] = Counter()
    with database.writer() as connection:
        for batch in forget(connection, datetime.now(UTC)):
            counts[batch.what] += batch.count
    context.add_output_metadata({**{f"keep {what}, days": age.days for what, age in KEPT.items()}, **counts})
    return counts.total()


def _delete(instance: dg.DagsterInstance, run: str) -> None:
    instance.compute_log_manager.delete_logs(prefix=[run])
    instance.delete_run(run)


@dg.job(
    name="purge_dagster_history",
    description=(
        "Delete what is old from Dagster's own database, and of the platform's records of itself; nightly by schedule. "
        "Assets keep their state."
    ),
    tags={"dagster/max_runtime": "3600", "kind": "housekeeping"},
)
def _purge_dagster_history() -> None:
    _purge()
    _forget()


PURGE_HISTORY: Final = _purge_dagster_history
