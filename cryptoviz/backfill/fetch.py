"""Fetches any range of a series once more, whatever is stored of it; the configured history keeps its progress."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Final

from cryptoviz.backfill.fetch_run import CANDLE_FINAL_AFTER, Fetched, FetchRun, claimed
from cryptoviz.backfill.page_loop import PageLoop
from cryptoviz.backfill.publish import Batch
from cryptoviz.pairs import Series, floor
from cryptoviz.storage.queries import query

_RANGE: Final = "range"
_STALE: Final = timedelta(days=1)
"""What a killed run staged so long ago is fetched anew."""


def fetch(fetching: FetchRun, series: Series, since: datetime, until: datetime) -> Fetched:
    """Fetch a range once more, whatever is stored of it; the progress of the configured history stays as it is.

    What a run that was killed had staged is not fetched again by the next of a range with the same beginning, within a
    day.

    Raises:
        SeriesBusyError: another run is at work on the series.
        TransientError: no answer now; what came before is published.
        PermanentError: asking again will not help.
        GateError: the gate itself failed.
    """
    with claimed(fetching.connection, series):
        batch, done = Batch(f"{_RANGE} from {since:%Y-%m-%dT%H:%M:%SZ}", series), Fetched(series, since, since)
        last = floor(fetching.clock() - CANDLE_FINAL_AFTER, series.timeframe)
        began = time.monotonic()
        PageLoop(fetching, batch, done, published=since).run(_reached(fetching, batch, since), min(until, last))
        done.seconds = time.monotonic() - began
        done.complete = not done.reason
        return done


def _reached(fetching: FetchRun, batch: Batch, since: datetime) -> datetime:
    """Where a run of the same range had got to since it last published, when it was killed."""
    parameters = {**batch.names, "origins": f"{_RANGE}%", "since": fetching.clock() - _STALE}
    [newest] = fetching.connection.execute(query("staged_candles_resume"), parameters).fetchone() or [None]
    if newest is None:
        return since
    return floor(newest, batch.series.timeframe) + batch.series.timeframe.length
