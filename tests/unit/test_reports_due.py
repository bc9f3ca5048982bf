"""When the reports are built beside the hourly build."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from sensors.reports import MOST_AN_HOUR, PAUSE_S, due

NOW = datetime(2026, 11, 21, 15, 40, tzinfo=UTC)
AT = NOW.timestamp()


def test_a_change_since_the_last_build_is_built_once_it_is_there() -> None:
    assert due(NOW, None, [], AT) == (True, [AT])
    assert due(NOW, NOW - timedelta(seconds=1), [], AT) == (True, [AT])
    assert due(NOW, NOW + timedelta(seconds=1), [], AT) == (False, [])
    assert due(None, None, [], AT) == (False, [])


def test_what_fails_and_recovers_all_the_time_is_built_seldom() -> None:
    requests: list[float] = []
    asked = []
    for minute in range(1, 181):
        wanted, requests = due(NOW + timedelta(minutes=minute), NOW, requests, AT + 60 * minute)
        asked += [minute] if wanted else []
    first_hour = [minute for minute in asked if minute <= 60]
    assert first_hour == list(range(1, 1 + 5 * MOST_AN_HOUR, 5))
    assert all(later - earlier >= PAUSE_S / 60 for earlier, later in pairwise(asked))
    assert len(asked) == 3 * MOST_AN_HOUR
    assert len(requests) <= MOST_AN_HOUR
