"""Conditions under which sensors leave their work to a later tick."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagster as dg

from assets.runs import UNENDED
from cryptoviz.storage import driver

P = ParamSpec("P")
R = TypeVar("R")


def run_under_way(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of the job waits or is at work: sensors do not start a second one."""
    unended = dg.RunsFilter(job_name=job, statuses=list(UNENDED))
    return bool(instance.get_run_records(unended, limit=1))


def skip_while_database_is_away(evaluate: Callable[P, R]) -> Callable[P, R | dg.SkipReason]:
    """Make a sensor skip its tick, with the reason, when the database does not answer."""

    @wraps(evaluate)
    def guarded(*arguments: P.args, **resources: P.kwargs) -> R | dg.SkipReason:
        try:
            return evaluate(*arguments, **resources)
        except driver.OperationalError as error:
            return dg.SkipReason(f"the database is away: {str(error).strip()}")

    return guarded
