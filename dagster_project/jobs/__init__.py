"""What can be started by name, from the pages or by a schedule: one module per subject."""

from __future__ import annotations

from typing import Final

from dagster_project.jobs.checks import CHECK_TABLES
from dagster_project.jobs.housekeeping import PURGE_HISTORY
from dagster_project.jobs.instruments import REFRESH_INSTRUMENTS
from dagster_project.jobs.repair import REBUILD_CANDLES, REPLAY_TOPIC
from dagster_project.jobs.reports import BUILD_REPORTS
from dagster_project.jobs.streams import STREAM_JOBS

JOBS: Final = (
    REFRESH_INSTRUMENTS,
    *STREAM_JOBS,
    REPLAY_TOPIC,
    REBUILD_CANDLES,
    PURGE_HISTORY,
    CHECK_TABLES,
    BUILD_REPORTS,
)

__all__ = [
    "BUILD_REPORTS",
    "CHECK_TABLES",
    "JOBS",
    "PURGE_HISTORY",
    "REBUILD_CANDLES",
    "REFRESH_INSTRUMENTS",
    "REPLAY_TOPIC",
    "STREAM_JOBS",
]
