"""Fetch what the settings ask of the past: after an installation, and when more is asked for.

settings, backfill_progress -> due -> one run for each exchange and timeframe, for all its series together
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from assets.history_runs import CONFIGURED, EXCHANGE, FETCH_HISTORY, TIMEFRAME, Fetch, months, neighbours
from assets.partitions import HISTORY_BEGINS, SERIES
from assets.resources import Database
from assets.runs import UNENDED
from cryptoviz.backfill.due import BackfillPlan, due
from cryptoviz.backfill.states import keep_history, states
from cryptoviz.settings import Settings
from sensors.guards import skip_while_database_is_away

INTERVAL_S: Final = 30


def fetches(plans: Iterable[BackfillPlan], partitions: Sequence[str], under_way: set[tuple[str, str]]) -> list[Fetch]:
    """The runs to ask for: one for each exchange and timeframe that has none `under_way`.

    It takes as many series as one range of partitions holds that lack the same months; the others wait for the next.
    `partitions` are the series in the order in which Dagster knows them.
    """
    groups: dict[tuple[str, str], list[BackfillPlan]] = {}
    for plan in plans:
        if _name(plan) in partitions:
            groups.setdefault((plan.series.exchange, plan.series.timeframe), []).append(plan)
    found = []
    for group in (ones for names, ones in groups.items() if names not in under_way):
        series, span = group[0].series, _months(group[0])
        alike = next(neighbours([_name(fetched) for fetched in group if _months(fetched) == span], partitions))
        found.append(Fetch(series.exchange, series.timeframe, span, alike, {CONFIGURED: "true"}))
    return found


def _name(plan: BackfillPlan) -> str:
    return f"{plan.series.exchange}:{plan.series.pair}"


def _months(plan: BackfillPlan) -> tuple[str, str]:
    since = plan.since or plan.listed_from or datetime(HISTORY_BEGINS.year, HISTORY_BEGINS.month, 1, tzinfo=UTC)
    return months(since, max(plan.until, plan.position or plan.until))


def history_due(settings: Settings) -> dg.SensorDefinition:
    """The sensor for these settings."""

    @dg.sensor(
        job=FETCH_HISTORY,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Fetches what the settings ask of the past and is not here yet, exchange by exchange.",
    )
    @skip_while_database_is_away
    def history_due(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
        """Leaves what a run is at work on to that run."""
        with database.writer() as connection:
            wanted = states(connection, settings)
            keep_history(connection, wanted)
        known = context.instance.get_dynamic_partitions(str(SERIES.name))
        named = dict.fromkeys(f"{state.series.exchange}:{state.series.pair}" for state in wanted)
        new = [name for name in named if name not in known]
        plans = [plan for state in wanted if (plan := due(state, datetime.now(UTC))) is not None]
        requested = fetches(plans, [*known, *new], _under_way(context.instance))
        return dg.SensorResult(
            run_requests=[fetch.request() for fetch in requested],
            dynamic_partitions_requests=[SERIES.build_add_request(new)] if new else [],
            skip_reason=None if requested else dg.SkipReason(_why(plans)),
        )

    return history_due


def _under_way(instance: dg.DagsterInstance) -> set[tuple[str, str]]:
    records = instance.get_run_records(dg.RunsFilter(job_name=FETCH_HISTORY.name, statuses=list(UNENDED)))
    tags = [record.dagster_run.tags for record in records]
    return {(run_tags[EXCHANGE], run_tags[TIMEFRAME]) for run_tags in tags if CONFIGURED in run_tags}


def _why(plans: Sequence[BackfillPlan]) -> str:
    return f"runs are at work on {len(plans)} series" if plans else "all that the settings ask for has been fetched"
