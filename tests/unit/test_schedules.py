"""What is polled when, and that a poll under way is not stacked upon."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from assets.keys import MARKET, MOOD
from assets.polls import POLL_ARTICLES, POLL_MARKET
from dagster_project.schedules import polled, turn

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dg.op
def nothing() -> None:
    """Does nothing."""


def left_unended(
    instance: dg.DagsterInstance, name: str, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED
) -> None:
    @dg.job(name=name)
    def job() -> None:
        nothing()

    instance.create_run_for_job(job, status=status)


def test_the_market_is_polled_each_minute_and_the_mood_every_five() -> None:
    every = [polled(NOON.replace(minute=minute)) for minute in range(60)]
    assert all(MARKET in keys for keys in every)
    assert [minute for minute, keys in enumerate(every) if MOOD in keys] == list(range(0, 60, 5))


def test_a_turn_is_left_out_while_the_poll_before_is_under_way() -> None:
    request = dg.RunRequest()
    with dg.DagsterInstance.ephemeral() as instance:
        assert turn(instance, POLL_MARKET.name, request) is request
        left_unended(instance, POLL_ARTICLES.name)
        assert turn(instance, POLL_MARKET.name, request) is request
        left_unended(instance, POLL_MARKET.name)
        assert isinstance(turn(instance, POLL_MARKET.name, request), dg.SkipReason)


def test_a_run_that_a_dead_scheduler_never_queued_does_not_end_all_polls() -> None:
    request = dg.RunRequest()
    with dg.DagsterInstance.ephemeral() as instance:
        left_unended(instance, POLL_MARKET.name, dg.DagsterRunStatus.NOT_STARTED)
        assert turn(instance, POLL_MARKET.name, request) is request
        left_unended(instance, POLL_MARKET.name, dg.DagsterRunStatus.STARTING)
        assert isinstance(turn(instance, POLL_MARKET.name, request), dg.SkipReason)
