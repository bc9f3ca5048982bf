"""What of the history is wanted, and what is known of it: one `BackfillState` for each series."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.backfill.due import BackfillState, BackfillStatus
from cryptoviz.gaps.scan import configured_series
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.settings import Settings

_FOLLOWING: Final = {Timeframe.M1: (Timeframe.M5, Timeframe.M15)}
_FOR_EVER: Final = timedelta(days=365_000)
_MOST_DAYS: Final = timedelta(days=36_500)
"""As `crypto_configuration` has it, too."""


def states(connection: Connection[Any], settings: Settings) -> list[BackfillState]:
    """The state of every series that is fetched."""
    fetched = [
        series
        for series in configured_series(connection, settings)
        if series.timeframe in settings.ages(series.exchange)
    ]
    return _read(connection, settings, fetched)


def state(connection: Connection[Any], settings: Settings, series: Series) -> BackfillState:
    """The state of one series."""
    return _read(connection, settings, [series])[0]


def _read(connection: Connection[Any], settings: Settings, wanted: Sequence[Series]) -> list[BackfillState]:
    parameters = {
        "exchange": [series.exchange for series in wanted],
        "symbol": [series.pair for series in wanted],
        "timeframe": [series.timeframe.value for series in wanted],
    }
    return [_state(settings, *row) for row in connection.execute(query("backfill_states"), parameters)]


def _state(
    settings: Settings, exchange: str, pair: str, timeframe: str, status: str | None, *known: Any
) -> BackfillState:
    series, days = Series.of(exchange, pair, timeframe), known[-1]
    age = settings.ages(exchange).get(series.timeframe)
    if days is not None and series.timeframe is Timeframe.M1:
        age = min(timedelta(days=days), _MOST_DAYS)
    return BackfillState(series, age, BackfillStatus(status) if status else None, *known[:-1])


def keep_history(connection: Connection[Any], wanted: Sequence[BackfillState]) -> list[tuple[Any, ...]]:
    """See to it that nothing of the configured history leaves the database; the policies that changed."""
    ages: dict[Timeframe, timedelta] = {}
    for series, age in ((known.series, known.age or _FOR_EVER) for known in wanted):
        for timeframe in (series.timeframe, *_FOLLOWING.get(series.timeframe, ())):
            ages[timeframe] = max(age, ages.get(timeframe, age))
    parameters = {
        "timeframe": [timeframe.value for timeframe in Timeframe],
        "history_age": [ages.get(timeframe) for timeframe in Timeframe],
    }
    return connection.execute(query("tiering_keep_history"), parameters).fetchall()
