"""Candles of the past, asked of the exchanges: one asset for each timeframe, a partition for each month and series.

    exchange REST --page by page--> staging (with the position) --gate--> candles (source rest)

A run that is killed leaves its position; the next goes on there. What is fetched wins over what was made of trades.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import dagster as dg

from assets.audits import gate_check, outcome_of_all
from assets.history_runs import CONFIGURED, SINCE, UNTIL
from assets.keys import CANDLES_OF
from assets.metadata import table_value
from assets.partitions import history_partitions, month_bounds
from assets.resources import Database, ExchangeRest
from assets.streams import MARKET_OWNERS, code
from assets.tables import CANDLES
from cryptoviz.backfill.due import BackfillStatus
from cryptoviz.backfill.fetch import fetch
from cryptoviz.backfill.fetch_run import Fetched, FetchRun, SeriesBusyError
from cryptoviz.backfill.run import backfill
from cryptoviz.backfill.states import state
from cryptoviz.gate.report import GateError
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.remote.errors import PermanentError, TransientError
from cryptoviz.settings import settings


@dataclass(frozen=True)
class Stretch:
    """Consecutive months of one series, from the first instant up to but without the last."""

    series: Series
    since: datetime
    until: datetime

    def __str__(self) -> str:
        return f"{self.series}, {self.since:%Y-%m-%d} to {self.until:%Y-%m-%d %H:%M}"


def stretches(timeframe: Timeframe, keys: Iterable[str], since: datetime | None, until: datetime) -> list[Stretch]:
    """The months of partition keys such as ``2026-11-01|kraken:BTC/USD``, neighbouring ones of a series in one.

    Nothing of it lies before `since` or after `until`.
    """
    months: dict[tuple[str, str], list[str]] = {}
    for key in keys:
        month, _, series = key.partition("|")
        exchange, _, pair = series.partition(":")
        months.setdefault((exchange, pair), []).append(month)
    return [
        Stretch(Series(exchange, pair, timeframe), begin, end)
        for (exchange, pair), found in months.items()
        for first, last in _joined(sorted(found))
        for begin, end in [(max(first, since or first), min(last, until))]
        if begin < end
    ]


def _joined(months: Sequence[str]) -> Iterator[tuple[datetime, datetime]]:
    bounds = [month_bounds(month) for month in months]
    begin = bounds[0][0]
    for (_, until), (following, _) in pairwise(bounds):
        if until != following:
            yield begin, until
            begin = following
    yield begin, bounds[-1][1]


def history_assets() -> list[dg.AssetsDefinition]:
    """The asset of each timeframe."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [_asset(timeframe, key) for timeframe, key in CANDLES_OF.items()]


def _asset(timeframe: Timeframe, key: dg.AssetKey) -> dg.AssetsDefinition:
    @dg.asset(
        key=key,
        deps=["instruments"],
        partitions_def=history_partitions(),
        backfill_policy=dg.BackfillPolicy.multi_run(12),
        group_name="history",
        description=_described(timeframe),
        kinds={"python", "api"},
        owners=MARKET_OWNERS,
        tags={"layer": "batch"},
        check_specs=[gate_check(key)],
        metadata={
            "table": dg.MetadataValue.text(CANDLES),
            **code("assets/history.py", "cryptoviz/backfill/run.py", "cryptoviz/backfill/exchange_history.py"),
        },
    )
    def candles(context: dg.AssetExecutionContext, database: Database, exchange_rest: ExchangeRest) -> Iterator[Any]:
        tags, now = context.run.tags, datetime.now(UTC)
        since = datetime.fromisoformat(tags[SINCE]) if SINCE in tags else None
        until = min(datetime.fromisoformat(tags[UNTIL]), now) if UNTIL in tags else now
        found = [
            (stretch, _fetch(context, database, exchange_rest, stretch))
            for stretch in stretches(timeframe, context.partition_keys, since, until)
        ]
        yield outcome_of_all([report for _, done in found for report in done.reports], key)
        if behind := [f"{stretch}: {done.reason}" for stretch, done in found if not done.complete]:
            raise dg.Failure(
                "Not all of it could be fetched; what was is stored, and what the settings ask for is tried again by "
                f"itself. {'; '.join(behind)}",
                metadata=_metadata(found),
                allow_retries=False,
            )
        yield dg.MaterializeResult(asset_key=key, metadata=_metadata(found))

    return candles


def _described(timeframe: Timeframe) -> str:
    return (
        f"The closed {timeframe.value} candles of a month (UTC) of one pair, as its exchange gives them.\n\n"
        "What the settings ask for is fetched by itself (sensor `history_due`); materialize a partition to fetch it "
        "again, or choose a range for a backfill. It can be repeated and stopped at any time: each page is stored with "
        "the position, rows that fail the gate go to quarantine, equal rows are not written. Stored with `source = "
        "'rest'` in the table `candles`, where they win over what was made of trades; differences are kept in "
        "`candle_differences`."
    )


def _fetch(context: dg.AssetExecutionContext, database: Database, rest: ExchangeRest, stretch: Stretch) -> Fetched:
    """Fetch one stretch; what stops it is written down, so that the others are not stopped by it."""
    done = Fetched(stretch.series, stretch.since, stretch.since)
    try:
        with database.writer() as connection, rest.history(database) as history:
            worker = FetchRun(connection, settings(), history, context.run.run_id)
            if CONFIGURED in context.run.tags:
                done = _configured(worker, stretch)
            else:
                done = fetch(worker, stretch.series, stretch.since, stretch.until)
    except (TransientError, PermanentError, SeriesBusyError) as error:
        done.reason = str(error)
    except GateError as error:
        done.reason = f"the gate itself failed, not the data: {error}"
    context.log.info("%s: %d rows in %d pages %s", stretch.series, done.rows, done.pages, done.reason)
    return done


def _configured(worker: FetchRun, stretch: Stretch) -> Fetched:
    done = backfill(worker, stretch.series)
    if done is not None:
        return done
    known = state(worker.connection, worker.settings, stretch.series)
    complete = known.status is BackfillStatus.COMPLETED
    reason = "" if complete else f"it failed a while ago and is tried again at {known.due_at}"
    return Fetched(stretch.series, stretch.since, stretch.since, complete=complete, reason=reason)


def _metadata(found: Sequence[tuple[Stretch, Fetched]]) -> dict[str, Any]:
    rows, seconds = sum(done.rows for _, done in found), sum(done.seconds for _, done in found)
    return {
        "rows": rows,
        "pages": sum(done.pages for _, done in found),
        "candles changed": sum(done.changed.total() for _, done in found),
        "seconds": round(seconds, 2),
        "rows a second": round(rows / seconds) if seconds else 0,
        **({"series": table_value([_row(stretch, done) for stretch, done in found])} if found else {}),
    }


def _row(stretch: Stretch, done: Fetched) -> Mapping[str, Any]:
    return {
        "exchange": stretch.series.exchange,
        "pair": stretch.series.pair,
        "from": f"{done.since or stretch.since:%Y-%m-%d %H:%M}",
        "to": f"{done.until or stretch.until:%Y-%m-%d %H:%M}",
        "rows": done.rows,
        "pages": done.pages,
        "seconds": round(done.seconds, 2),
        "not all, because": done.reason,
    }
