"""What a run fetches of its partitions, and which runs are asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from assets.history import stretches
from assets.partitions import history_partitions, month_bounds, month_of
from cryptoviz.backfill.due import BackfillPlan
from cryptoviz.pairs import Series, Timeframe
from sensors.history import fetches

NOW = datetime(2026, 11, 21, 12, 34, tzinfo=UTC)
KNOWN = ["binance:BTC/USDT", "binance:ETH/USDT", "kraken:BTC/USD", "binance:SOL/USDT"]


def day(year: int, month: int, number: int = 1) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


def wanted(
    name: str, since: datetime | None, until: datetime = NOW, timeframe: Timeframe = Timeframe.M1
) -> BackfillPlan:
    exchange, _, pair = name.partition(":")
    return BackfillPlan(Series(exchange, pair, timeframe), since, until, until)


def test_neighbouring_months_of_a_series_are_fetched_in_one_go() -> None:
    keys = [f"{month}|{name}" for month in ("2026-11-01", "2026-09-01", "2026-10-01", "2026-06-01") for name in KNOWN]
    found = stretches(Timeframe.M1, keys, None, NOW)
    assert len(found) == 2 * len(KNOWN)
    mine = [one for one in found if one.series == Series("binance", "BTC/USDT", Timeframe.M1)]
    assert [(one.since, one.until) for one in mine] == [(day(2026, 6), day(2026, 7)), (day(2026, 9), NOW)]


def test_nothing_is_asked_of_the_time_to_come() -> None:
    assert stretches(Timeframe.D1, ["2026-12-01|kraken:BTC/USD"], None, NOW) == []


def test_a_run_may_fetch_a_part_of_its_month() -> None:
    (one,) = stretches(Timeframe.M1, ["2026-11-01|kraken:BTC/USD"], day(2026, 11, 20), day(2026, 11, 21))
    assert (one.since, one.until) == (day(2026, 11, 20), day(2026, 11, 21))


def test_what_is_wanted_from_the_first_candle_on_begins_with_the_first_month_there_is() -> None:
    (one,) = fetches([wanted("kraken:BTC/USD", None, timeframe=Timeframe.D1)], KNOWN, set())
    assert one.months == ("2013-01-01", "2026-11-01")


@pytest.mark.parametrize("key", ["2024-02-01", "2026-12-01"])
def test_a_month_ends_where_the_next_begins(key: str) -> None:
    begin, end = month_bounds(key)
    assert month_of(begin) == key
    assert month_of(end) != key
    assert (begin.day, end.day) == (1, 1)
    assert 28 <= (end - begin).days <= 31


def test_the_partitions_reach_to_this_month() -> None:
    months = history_partitions().get_partitions_def_for_dimension("month").get_partition_keys(current_time=NOW)
    assert months[0] == "2013-01-01"
    assert months[-1] == "2026-11-01"


def test_series_of_an_exchange_that_lack_the_same_months_are_one_run() -> None:
    (one,) = fetches([wanted(name, day(2026, 8, 23)) for name in KNOWN[:2]], KNOWN, set())
    tags = one.request().tags
    assert tags["dagster/asset_partition_range_start"] == "2026-08-01|binance:BTC/USDT"
    assert tags["dagster/asset_partition_range_end"] == "2026-11-01|binance:ETH/USDT"


def test_a_range_holds_no_series_but_those_that_are_wanted() -> None:
    """The partitions between two that are not neighbours would be fetched, too."""
    found = fetches([wanted(name, day(2026, 11)) for name in KNOWN if name.startswith("binance")], KNOWN, set())
    assert [one.series for one in found] == [["binance:BTC/USDT", "binance:ETH/USDT"]]


def test_each_exchange_and_timeframe_has_one_run_at_a_time() -> None:
    asked = [
        wanted("binance:BTC/USDT", day(2026, 11)),
        wanted("binance:ETH/USDT", day(2026, 7)),
        wanted("kraken:BTC/USD", day(2026, 11)),
        wanted("binance:BTC/USDT", day(2025, 11), timeframe=Timeframe.H1),
    ]
    found = fetches(asked, KNOWN, {("kraken", "1m")})
    assert [(one.exchange, one.timeframe, one.series) for one in found] == [
        ("binance", "1m", ["binance:BTC/USDT"]),
        ("binance", "1h", ["binance:BTC/USDT"]),
    ]


def test_a_range_that_ends_at_a_month_s_first_instant_does_not_take_that_month() -> None:
    (one,) = fetches([wanted("kraken:BTC/USD", day(2026, 9), day(2026, 11))], KNOWN, set())
    assert one.months == ("2026-09-01", "2026-10-01")
