"""What can be started by name, from the pages or by a schedule: one module per subject."""

from __future__ import annotations

from typing import Final

from assets.gaps import HEAL_HISTORY
from assets.gates import CHECK_TABLES
from assets.history_runs import FETCH_HISTORY
from assets.indicators import REFRESH_INDICATORS
from assets.instruments import REFRESH_INSTRUMENTS
from assets.polls import POLL_ARTICLES, POLL_MARKET
from assets.reports import BUILD_REPORTS
from assets.storage import KEEP_STORAGE
from jobs.housekeeping import PURGE_HISTORY
from jobs.quarantine import DISCARD_QUARANTINED, RELEASE_QUARANTINED
from jobs.repair import REBUILD_CANDLES, REPAIR_CANDLES, REPLAY_TOPIC
from jobs.streams import STREAM_JOBS

JOBS: Final = (
    REFRESH_INSTRUMENTS,
    FETCH_HISTORY,
    REFRESH_INDICATORS,
    HEAL_HISTORY,
    POLL_ARTICLES,
    POLL_MARKET,
    *STREAM_JOBS,
    REPLAY_TOPIC,
    REBUILD_CANDLES,
    REPAIR_CANDLES,
    RELEASE_QUARANTINED,
    DISCARD_QUARANTINED,
    PURGE_HISTORY,
    KEEP_STORAGE,
    CHECK_TABLES,
    BUILD_REPORTS,
)
