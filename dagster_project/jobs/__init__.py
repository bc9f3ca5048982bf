"""What can be started by name, from the pages or by a schedule: one module per subject."""

from __future__ import annotations

from typing import Final

from dagster_project.jobs.checks import CHECK_TABLES
from dagster_project.jobs.gaps import HEAL_HISTORY
from dagster_project.jobs.history import FETCH_HISTORY
from dagster_project.jobs.housekeeping import PURGE_HISTORY
from dagster_project.jobs.indicators import REFRESH_INDICATORS
from dagster_project.jobs.instruments import REFRESH_INSTRUMENTS
from dagster_project.jobs.polls import POLL_ARTICLES, POLL_MARKET
from dagster_project.jobs.quarantine import DISCARD_QUARANTINED, RELEASE_QUARANTINED
from dagster_project.jobs.repair import REBUILD_CANDLES, REPAIR_CANDLES, REPLAY_TOPIC
from dagster_project.jobs.reports import BUILD_REPORTS
from dagster_project.jobs.storage import KEEP_STORAGE
from dagster_project.jobs.streams import STREAM_JOBS

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

__all__ = [
    "BUILD_REPORTS",
    "CHECK_TABLES",
    "DISCARD_QUARANTINED",
    "FETCH_HISTORY",
    "HEAL_HISTORY",
    "JOBS",
    "KEEP_STORAGE",
    "POLL_ARTICLES",
    "POLL_MARKET",
    "PURGE_HISTORY",
    "REBUILD_CANDLES",
    "REFRESH_INDICATORS",
    "REFRESH_INSTRUMENTS",
    "RELEASE_QUARANTINED",
    "REPAIR_CANDLES",
    "REPLAY_TOPIC",
    "STREAM_JOBS",
]
