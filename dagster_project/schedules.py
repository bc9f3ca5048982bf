"""What starts by the clock, always in UTC."""

from collections.abc import Iterator, Sequence

import dagster as dg

from dagster_project.jobs import BUILD_REPORTS, CHECK_TABLES, PURGE_HISTORY, REFRESH_INSTRUMENTS


def refresh_instruments_daily(exchanges: Sequence[str]) -> dg.ScheduleDefinition:
    """Refresh the instruments of every exchange once a day, at a quiet time."""

    @dg.schedule(
        job=REFRESH_INSTRUMENTS,
        cron_schedule="17 3 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Refresh the instruments of every exchange, one run each.",
    )
    def refresh_instruments_daily(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        day = context.scheduled_execution_time.date().isoformat()
        for exchange in exchanges:
            yield dg.RunRequest(run_key=f"{exchange}:{day}", partition_key=exchange)

    return refresh_instruments_daily


purge_dagster_history_nightly = dg.ScheduleDefinition(
    name="purge_dagster_history_nightly",
    job=PURGE_HISTORY,
    cron_schedule="41 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Delete what is old from Dagster's own database, at a quiet time.",
)

check_tables_every_five_minutes = dg.ScheduleDefinition(
    name="check_tables_every_five_minutes",
    job=CHECK_TABLES,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Judge the recent rows of every table that streams fill, all in one run.",
)


build_reports_hourly = dg.ScheduleDefinition(
    name="build_reports_hourly",
    job=BUILD_REPORTS,
    cron_schedule="7 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Build the reports, whatever happened or did not.",
)


def schedules(exchanges: Sequence[str]) -> list[dg.ScheduleDefinition]:
    """Every schedule, for the configured exchanges."""
    return [
        refresh_instruments_daily(exchanges),
        check_tables_every_five_minutes,
        build_reports_hourly,
        purge_dagster_history_nightly,
    ]
