"""What starts by the clock, always in UTC."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from assets.gates import CHECK_TABLES
from assets.history_runs import EXCHANGE, FETCH_HISTORY, SINCE, UNTIL, Fetch, months, neighbours
from assets.instruments import REFRESH_INSTRUMENTS
from assets.keys import ARCHIVE, MARKET, MOOD, RETENTION, TIERING
from assets.partitions import SERIES
from assets.polls import POLL_ARTICLES, POLL_MARKET
from assets.reports import BUILD_REPORTS
from assets.resources import Database
from assets.storage import KEEP_STORAGE
from cryptoviz.gaps.scan import configured_series
from cryptoviz.pairs import Timeframe
from cryptoviz.settings import Settings
from cryptoviz.storage import driver
from jobs.housekeeping import PURGE_HISTORY

_MOOD_MINUTES: Final = 5
_NIGHT: Final = 1
_COMPARED: Final = timedelta(hours=6)
_UNENDED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""Not NOT_STARTED: a scheduler that died left such a run before it queued it. Asked for the same turn again, it queues
that run; counted as under way, the run would stay so and no turn would ever come again."""


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


def polled(at: datetime) -> list[dg.AssetKey]:
    """What the minutely poll asks for at this minute: the market always, the mood every five minutes."""
    return [MARKET, MOOD] if at.minute % _MOOD_MINUTES == 0 else [MARKET]


def stored(at: datetime) -> list[dg.AssetKey]:
    """What the hourly turn of the storage does: rows move to the cold tables, and once a night beyond."""
    return [TIERING, ARCHIVE, RETENTION] if at.hour == _NIGHT else [TIERING]


def turn(instance: dg.DagsterInstance, job: str, request: dg.RunRequest) -> dg.RunRequest | dg.SkipReason:
    """The request, unless a run of the job is under way: what a slow source delays is not stacked up."""
    if instance.get_run_records(dg.RunsFilter(job_name=job, statuses=_UNENDED), limit=1):
        return dg.SkipReason("the run before is still under way")
    return request


def _taking_turns(
    name: str,
    job: str,
    cron: str,
    description: str,
    wanted: Callable[[datetime], dg.RunRequest] = lambda _at: dg.RunRequest(),
) -> dg.ScheduleDefinition:
    """A schedule with one run at a time; `wanted` is the request of a turn."""

    @dg.schedule(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"{description} A turn is left out while the run before is under way.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return turn(context.instance, job, wanted(context.scheduled_execution_time))

    return schedule


TURNS: Final = (
    _taking_turns(
        "poll_market_minutely",
        POLL_MARKET.name,
        "* * * * *",
        "Poll the market each minute and the mood every five.",
        lambda at: dg.RunRequest(asset_selection=polled(at)),
    ),
    _taking_turns("poll_articles_every_five_minutes", POLL_ARTICLES.name, "*/5 * * * *", "Poll every news feed."),
    _taking_turns(
        "check_tables_every_five_minutes",
        CHECK_TABLES.name,
        "*/5 * * * *",
        "Judge the recent rows of every table that streams fill, all in one run.",
    ),
    _taking_turns(
        "keep_storage_hourly",
        KEEP_STORAGE.name,
        "23 * * * *",
        "Move old rows to cold_storage; at night also archive what is beyond that.",
        lambda at: dg.RunRequest(asset_selection=stored(at)),
    ),
    _taking_turns(
        "build_reports_hourly", BUILD_REPORTS.name, "7 * * * *", "Build the reports, whatever happened or did not."
    ),
)


def fetch_streamed(settings: Settings) -> dg.ScheduleDefinition:
    """Fetch the minutes of the last six hours, so that what the streams brought is compared with what exchanges say.

    That is as much as one request a pair answers, at every exchange. An exchange whose history is being fetched is left
    to that: what waited for it would be older than what one request answers.
    """

    @dg.schedule(
        job=FETCH_HISTORY,
        cron_schedule="23 */6 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Fetch the minutes of the last six hours, and so compare what the streams brought with them.",
    )
    def fetch_streamed_every_six_hours(
        context: dg.ScheduleEvaluationContext, database: Database
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        until = context.scheduled_execution_time.astimezone(UTC).replace(minute=0)
        since = until - _COMPARED
        part = {SINCE: since.isoformat(), UNTIL: until.isoformat()}
        partitions = context.instance.get_dynamic_partitions(str(SERIES.name))
        try:
            with database.reader() as connection:
                wanted = {f"{series.exchange}:{series.pair}" for series in configured_series(connection, settings)}
        except driver.OperationalError as error:
            yield dg.SkipReason(f"the database is away: {str(error).strip()}")
            return
        for exchange in settings.exchanges:
            own = [name for name in partitions if name in wanted and name.startswith(f"{exchange}:")]
            for group in [] if _fetching(context.instance, exchange) else neighbours(own, partitions):
                yield Fetch(exchange, Timeframe.M1, months(since, until), group, part).request()

    return fetch_streamed_every_six_hours


def _fetching(instance: dg.DagsterInstance, exchange: str) -> bool:
    fetching = dg.RunsFilter(job_name=FETCH_HISTORY.name, tags={EXCHANGE: exchange}, statuses=_UNENDED)
    return bool(instance.get_run_records(fetching, limit=1))


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Every schedule, for these settings."""
    return [
        refresh_instruments_daily(settings.exchanges),
        fetch_streamed(settings),
        *TURNS,
        purge_dagster_history_nightly,
    ]
