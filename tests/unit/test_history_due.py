"""What of the configured history is fetched: the six cases, decided without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cryptoviz.backfill.due import BackfillPlan, BackfillState, BackfillStatus, due
from cryptoviz.pairs import Series, Timeframe, ceiling, floor
from cryptoviz.settings import Mode, Settings, SettingsError, load
from cryptoviz.settings.ages import parse

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
MINUTES = Series("binance", "BTC/USDT", Timeframe.M1)
LAST = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def days(count: float) -> datetime:
    """So many days before the newest closed minute."""
    return LAST - timedelta(days=count)


FIRST_WANTED = datetime(2026, 10, 12, 12, 1, tzinfo=UTC)
COMPLETE = BackfillState(
    MINUTES, timedelta(days=40), BackfillStatus.COMPLETED, days(40), days(1), position=days(1), published=days(1)
)


def test_a_fresh_installation_wants_all_of_it() -> None:
    plan = due(BackfillState(MINUTES, timedelta(days=40)), NOW)
    assert plan == BackfillPlan(MINUTES, FIRST_WANTED, LAST, LAST)
    assert plan is not None
    assert plan.open_end


def test_an_active_stream_needs_nothing() -> None:
    assert due(COMPLETE, NOW) is None
    assert due(COMPLETE, NOW + timedelta(minutes=2)) is None


def test_history_that_was_extended_is_fetched_where_it_is_older_and_nowhere_else() -> None:
    plan = due(replace(COMPLETE, age=timedelta(days=365)), NOW)
    assert plan is not None
    assert (plan.since, plan.until, plan.end) == (ceiling(NOW - timedelta(days=365), Timeframe.M1), days(40), days(1))
    assert plan.covered_from == days(40)
    assert not plan.open_end


def test_history_that_was_shortened_wants_nothing() -> None:
    assert due(replace(COMPLETE, age=timedelta(days=7)), NOW) is None


@pytest.mark.parametrize("status", [BackfillStatus.IN_PROGRESS, BackfillStatus.PENDING, BackfillStatus.FAILED])
def test_what_was_left_goes_on_at_its_position(status: BackfillStatus) -> None:
    left = replace(COMPLETE, status=status, position=days(20), published=days(25), attempts=2)
    plan = due(left, NOW)
    assert plan is not None
    assert (plan.since, plan.position, plan.published, plan.until) == (days(40), days(20), days(25), days(1))
    assert plan.attempts == 2
    extending = due(replace(left, start=days(365), covered_from=days(40)), NOW)
    assert extending is not None
    assert (extending.until, extending.end) == (days(40), days(1))


def test_what_failed_waits_for_its_time() -> None:
    failed = replace(COMPLETE, status=BackfillStatus.FAILED, position=days(20), due_at=NOW + timedelta(seconds=1))
    assert due(failed, NOW) is None
    assert due(failed, NOW + timedelta(seconds=1)) is not None


def test_what_failed_before_it_began_begins_anew() -> None:
    failed = BackfillState(MINUTES, timedelta(days=40), BackfillStatus.FAILED, LAST, LAST, attempts=3, due_at=NOW)
    plan = due(failed, NOW)
    assert plan is not None
    assert (plan.since, plan.position, plan.attempts) == (FIRST_WANTED, None, 3)


def test_the_listing_bounds_what_is_wanted() -> None:
    listed = BackfillState(MINUTES, timedelta(days=40), listed_from=days(10), listed_to=days(3))
    plan = due(listed, NOW)
    assert plan is not None
    assert (plan.since, plan.until, plan.from_first) == (days(10), days(3), True)
    whole = due(replace(listed, age=None), NOW)
    assert whole is not None
    assert whole.since == days(10)
    assert due(replace(listed, age=timedelta(days=2)), NOW) is None, "it was delisted before"


def test_all_of_it_is_wanted_from_the_first_candle_and_never_again() -> None:
    plan = due(BackfillState(MINUTES, None), NOW)
    assert plan is not None
    assert plan.since is None
    assert due(replace(COMPLETE, age=None, from_first=True), NOW) is None
    assert due(replace(COMPLETE, age=timedelta(days=365), from_first=True), NOW) is None
    older = due(replace(COMPLETE, age=None), NOW)
    assert older is not None
    assert (older.since, older.until) == (None, days(40))


def test_windows_begin_at_multiples_of_their_length() -> None:
    instant = datetime(2026, 11, 21, 12, 34, 56, 789, tzinfo=UTC)
    assert floor(instant, Timeframe.M15) == datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
    assert ceiling(instant, Timeframe.M15) == datetime(2026, 11, 21, 12, 45, tzinfo=UTC)
    assert floor(LAST, Timeframe.H1) == ceiling(LAST, Timeframe.H1) == LAST
    assert ceiling(instant, Timeframe.D1) == datetime(2026, 11, 22, tzinfo=UTC)


def test_ages_are_read_as_people_write_them() -> None:
    assert parse("1m:90d, 1h:48h,1d:all") == {
        Timeframe.M1: timedelta(days=90),
        Timeframe.H1: timedelta(days=2),
        Timeframe.D1: None,
    }
    assert parse("") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5m:90d", "follows from 1m"),
        ("1w:90d", "is no timeframe"),
        ("1m", "is no age"),
        ("1m:90", "is no age"),
        ("1m:-1d", "is no age"),
        ("1m:90d,1m:30d", "listed twice"),
        ("1d:12h", "less than one candle"),
        ("1m:0m", "less than one candle"),
        ("1d:99999d", "more than a hundred years"),
    ],
)
def test_nonsense_is_refused_in_words(text: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=words):
        parse(text)
    monkeypatch.setenv("CRYPTOVIZ_KRAKEN_HISTORY", text)
    with pytest.raises(SettingsError, match=f"CRYPTOVIZ_KRAKEN_HISTORY: .*{words}"):
        load()


def test_an_exchange_has_the_common_history_or_its_own() -> None:
    common = Settings(mode=Mode.LIVE, history="1m:7d", binance_history="1m:3d")
    assert common.ages("kraken") == common.ages("bitstamp") == {Timeframe.M1: timedelta(days=7)}
    assert common.ages("binance") == {Timeframe.M1: timedelta(days=3)}


def test_the_demo_wants_of_kraken_what_one_request_gives() -> None:
    demo = Settings(mode=Mode.DEMO)
    for timeframe, age in demo.ages("kraken").items():
        assert age is not None
        assert age / timeframe.length <= 720
    assert demo.ages("binance")[Timeframe.M1] == timedelta(days=90)
    assert Settings(mode=Mode.DEMO, kraken_history="1m:1d").ages("kraken") == {Timeframe.M1: timedelta(days=1)}
