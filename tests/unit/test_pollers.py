"""The pollers' decisions: numbers as the source wrote them, what a refusal means, which days to ask for, quotas."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptoviz.pollers import base, coingecko, coinmarketcap, fear_greed, wire
from cryptoviz.pollers.client import SourceError
from cryptoviz.pollers.fear_greed import FIRST_DAY, History, days_to_ask, still_absent
from cryptoviz.remote.retry_after import retry_after
from cryptoviz.settings import Mode, Settings, SettingsError, load
from cryptoviz.settings.quotas import Period, parse

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)


# Numbers


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("38938", "38938"),
        ("0.10", "0.10"),
        ("1e-7", "0.0000001"),
        ("1E+3", "1000"),
        ("-1", "-1"),
        ("18966243.0", "18966243.0"),
        ("0.000023345678901234567", "0.000023345678901235"),
        ("1e-30", "0." + "0" * 29 + "1"),
        ("1e400", "1E+400"),
        ("1e999999", "1E+999999"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("null", None),
        ("true", True),
        ('"12.5 dollars"', "12.5 dollars"),
        ("[1]", [1]),
    ],
)
def test_a_number_keeps_its_digits_and_what_is_none_stays_as_it_is(written: str, sent: Any) -> None:
    assert wire.exact(wire.decode(written.encode())) == sent


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**20, places=18))
def test_a_price_that_the_chain_can_hold_is_not_changed(value: Decimal) -> None:
    assert Decimal(wire.exact(wire.decode(str(value).encode()))) == value


@pytest.mark.parametrize(
    ("written", "sent"), [("3.5", 3.5), ("-2", -2.0), ("1e400", "1E+400"), ("null", None), ('"up"', "up")]
)
def test_a_change_is_a_float_where_it_is_one(written: str, sent: Any) -> None:
    found = wire.computed(wire.decode(written.encode()))
    assert (type(found), found) == (type(sent), sent)


@pytest.mark.parametrize("body", [b"", b"NaN", b"[1, NaN]", b"{", b"\xff", b"[[[[", b"<html>"])
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(wire.NotJsonError):
        wire.decode(body)


def test_json_that_is_nested_beyond_what_its_decoder_follows_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Decoder:
        def decode(self, _body: bytes) -> Any:
            raise RecursionError("too deep")

    monkeypatch.setattr(wire, "_decoder", Decoder())
    with pytest.raises(wire.NotJsonError, match="too deep"):
        wire.decode(b"[[[[]]]]")


# Refusals


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Sat, 21 Nov 2026 15:31:00 GMT", 60.0),
        ("Sat, 21 Nov 2026 15:00:00 GMT", 0.0),
        ("99999999999", 31 * 86_400.0),
        ("soon", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@pytest.mark.parametrize(
    ("body", "reason", "again", "pause"),
    [
        ({"status": {"error_code": 429, "error_message": "slow down"}}, "rate_limited", False, 60.0),
        ({"status": {"error_code": 10002, "error_message": "key"}}, "refused", False, None),
        ({"error_code": 10011, "status": {"error_message": "wrong host"}}, "refused", False, None),
        ({"timestamp": 1, "error_code": 1020, "error": "denied"}, "refused", False, None),
        ({"error": "coin not found"}, "refused", False, None),
    ],
)
def test_coingeckos_errors(body: Any, reason: str, again: bool, pause: float | None) -> None:
    error = coingecko._refusal(body, None, NOW)
    assert error is not None
    assert (error.reason, error.retried, error.retry_after) == (reason, again, pause)


def test_what_to_do_about_a_key_is_said() -> None:
    for code, setting in ((10_002, "COINGECKO_KEY"), (10_010, "COINGECKO_PRO"), (10_011, "COINGECKO_PRO")):
        assert setting in str(coingecko._refusal({"status": {"error_code": code}}, None, NOW))
    assert "COINMARKETCAP_KEY" in str(coinmarketcap._refusal({"status": {"error_code": 1001}}, None, NOW))


@pytest.mark.parametrize(
    ("code", "reason", "again", "pause", "counts"),
    [
        (1001, "refused", False, None, True),
        (1002, "refused", False, None, True),
        (1003, "refused", False, None, True),
        (1006, "refused", False, None, True),
        (1008, "rate_limited", False, 60.0, False),
        (1009, "rate_limited", False, 8.5 * 3600, False),
        (1010, "rate_limited", False, 9 * 86_400 + 8.5 * 3600, False),
        (1011, "rate_limited", False, 60.0, False),
        (400, "api_error", False, None, True),
        (500, "api_error", True, None, True),
    ],
)
def test_coinmarketcaps_errors(code: int, reason: str, again: bool, pause: float | None, counts: bool) -> None:
    error = coinmarketcap._refusal({"status": {"error_code": code, "error_message": "no"}}, None, NOW)
    assert error is not None
    assert (error.reason, error.retried, error.retry_after) == (reason, again, pause)
    assert base._failure_of_source(error) is counts


def test_a_limit_is_as_long_as_the_header_says() -> None:
    error = coinmarketcap._refusal({"status": {"error_code": 1008}}, 300.0, NOW)
    assert isinstance(error, SourceError)
    assert error.retry_after == 300.0


def test_no_error_is_none() -> None:
    assert coingecko._refusal([], None, NOW) is None
    assert coinmarketcap._refusal({"status": {"error_code": 0, "error_message": None}, "data": []}, None, NOW) is None
    assert fear_greed._refusal({"data": [], "metadata": {"error": None}}, None, NOW) is None


# Which days


def recorded_days(shared_data: Path) -> set[date]:
    with (shared_data / "rest" / "fear_greed_2018_2022.csv").open() as file:
        return {datetime.fromtimestamp(int(row["timestamp"]), UTC).date() for row in csv.DictReader(file)}


def held(*missing: date) -> dict[date, int]:
    days = (TODAY - DAY * back for back in range((TODAY - FIRST_DAY).days + 1))
    return {day: 50 for day in days if day not in missing}


@pytest.mark.parametrize("total", [None, "", "many", "9" * 5_000])
def test_a_total_that_makes_no_sense_is_not_believed(total: str | None) -> None:
    assert coingecko._expected_rows(total, 2, 100) == 100


def test_a_time_before_the_year_one_is_not_the_newest() -> None:
    assert base.newest(["0001-01-01T00:00:00+05:00", "2026-11-21T15:30:00Z"]) == NOW


def test_an_empty_table_asks_for_everything_and_a_full_one_for_the_newest() -> None:
    assert days_to_ask(History({}), NOW) == 0
    assert days_to_ask(History(held(TODAY)), NOW) == 2
    assert days_to_ask(History(held(TODAY, TODAY - DAY)), NOW) == 2


def test_a_hole_is_reached_for_wherever_it_is() -> None:
    assert days_to_ask(History(held(TODAY - 10 * DAY)), NOW) == 11
    assert days_to_ask(History(held(TODAY - 10 * DAY, TODAY - 3 * DAY)), NOW) == 11
    assert days_to_ask(History(held(date(2019, 5, 5))), NOW) == 0


def test_what_the_source_lacks_is_asked_for_once_a_day() -> None:
    gone = date(2018, 4, 14)
    known = History(held(gone), frozenset({gone}), NOW - timedelta(hours=23))
    assert days_to_ask(known, NOW) == 2
    assert days_to_ask(known, NOW + timedelta(hours=1)) == 0


def test_what_was_asked_for_has_an_hour_to_reach_the_table() -> None:
    asked = History({}, frozenset(), NOW - timedelta(minutes=59))
    assert days_to_ask(asked, NOW) == 2
    assert days_to_ask(asked, NOW + timedelta(minutes=1)) == 0


def test_of_the_recorded_history_exactly_three_days_are_absent(shared_data: Path) -> None:
    absent = still_absent(History({}), recorded_days(shared_data), 0, NOW)
    assert sorted(map(str, absent)) == ["2018-04-14", "2018-04-15", "2018-04-16"]


def test_an_answer_says_nothing_of_days_before_it() -> None:
    gone = frozenset({date(2018, 4, 14), TODAY - 3 * DAY})
    answered = [TODAY - back * DAY for back in range(5)]
    assert still_absent(History({}, gone), answered, 5, NOW) == {date(2018, 4, 14)}
    assert still_absent(History({}, gone), answered[1:], 5, NOW) == {date(2018, 4, 14)}, "today may still come"


# Quotas


@pytest.mark.parametrize(
    ("text", "quotas"),
    [
        ("", {}),
        ("30/minute", {Period.MINUTE: 30}),
        ("30/minute, 10000/month", {Period.MINUTE: 30, Period.MONTH: 10_000}),
        ("5/day", {Period.DAY: 5}),
    ],
)
def test_quotas_are_written_as_people_say_them(text: str, quotas: dict[Period, int]) -> None:
    assert parse(text) == quotas


@pytest.mark.parametrize("text", ["30", "30/second", "0/day", "-1/day", "many/day", "30/minute;5/day"])
def test_nonsense_is_refused_at_start_and_named(text: str) -> None:
    with pytest.raises(SettingsError, match=r"CRYPTOVIZ_COINGECKO_QUOTA.*is no quota"):
        load(coingecko_quota=text)


def test_a_long_quota_is_spread_over_its_period() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert Period.MINUTE.allowed(30, noon) == 30
    assert Period.DAY.allowed(1000, noon) == 510
    assert Period.DAY.allowed(1000, Period.DAY.begin(noon)) == 10
    assert Period.MONTH.allowed(10_000, Period.MONTH.end(noon) - timedelta(seconds=1)) == 10_000
    assert Period.MONTH.allowed(3, Period.MONTH.begin(noon)) == 1


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2020, 1, 1), max_value=datetime(2099, 1, 1)))  # noqa: DTZ001
def test_periods_follow_each_other(now: datetime) -> None:
    for period in Period:
        begin, end = period.begin(now), period.end(now)
        assert begin <= now < end
        assert period.begin(end) == end
        assert 1 <= period.allowed(10, now) <= 10


# Addresses


def test_the_demo_asks_the_simulated_web_and_live_the_real_services() -> None:
    demo, live = Settings(mode=Mode.DEMO, web_simulator_port=8123), Settings(mode=Mode.LIVE)
    assert demo.coingecko_address == "http://127.0.0.1:8123/coingecko/api/v3"
    assert demo.coinmarketcap_address == "http://127.0.0.1:8123/coinmarketcap"
    assert demo.fear_greed_address == "http://127.0.0.1:8123/fear_greed"
    assert live.coingecko_address == "https://api.coingecko.com/api/v3"
    assert Settings(mode=Mode.LIVE, coingecko_pro=True).coingecko_address == "https://pro-api.coingecko.com/api/v3"
    assert live.coinmarketcap_address == "https://pro-api.coinmarketcap.com"
    assert live.fear_greed_address == "https://api.alternative.me"
    assert Settings(mode=Mode.DEMO, fear_greed_url="http://a.example/").fear_greed_address == "http://a.example"
