"""The dates of feeds: each means one moment, or is unknown."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptoviz.news.dates import ABBREVIATIONS, MAX_WORDED, RFC_822, SEVERAL, Dates


def instant(text: str, time_zone: str = "") -> str | None:
    found = Dates(time_zone).instant(text)
    assert found is None or found.tzinfo is UTC
    return None if found is None else found.strftime("%Y-%m-%d %H:%M:%S.%f").removesuffix(".000000").removesuffix(":00")


AT_EIGHT = [
    ("CEST", "06:00"),
    ("CET", "07:00"),
    ("MESZ", "06:00"),
    ("BST", "07:00"),
    ("MSK", "05:00"),
    ("PKT", "03:00"),
    ("SGT", "00:00"),
    ("HKT", "00:00"),
    ("UTC+2", "06:00"),
    ("UTC +05:30", "02:30"),
    ("GMT-0300", "11:00"),
    ("UTC\u22123", "11:00"),
    ("+2", "06:00"),
    ("+0200", "06:00"),
    ("+02:00 (CEST)", "06:00"),
    ("-0000", "08:00"),
    ("GMT", "08:00"),
    ("gmt", "08:00"),
    ("UT", "08:00"),
    ("Z", "08:00"),
    ("EST", "13:00"),
    ("PDT", "15:00"),
    ("CST", "14:00"),
]
THE_DAY_BEFORE = [("JST", "23:00"), ("KST", "23:00"), ("AEST", "22:00"), ("AEDT", "21:00"), ("NZST", "20:00")]


@pytest.mark.parametrize(("zone", "utc"), AT_EIGHT)
def test_zones_are_read(zone: str, utc: str) -> None:
    assert instant(f"Wed, 16 Aug 2023 08:00:00 {zone}") == f"2023-08-16 {utc}"


@pytest.mark.parametrize(("zone", "utc"), THE_DAY_BEFORE)
def test_zones_ahead_of_us_are_read(zone: str, utc: str) -> None:
    assert instant(f"Wed, 16 Aug 2023 08:00:00 {zone}") == f"2023-08-15 {utc}"


def test_each_abbreviation_means_what_every_place_that_uses_it_means() -> None:
    """By the IANA database, in winter and summer, for as long as an article is news."""
    offsets: dict[str | None, set[timedelta | None]] = {}
    for name in available_timezones():
        zone = ZoneInfo(name)
        for number in range(12):
            at = datetime(2020 + number // 2, 1 + 6 * (number % 2), 15, tzinfo=zone)
            offsets.setdefault(at.tzname(), set()).add(at.utcoffset())
    known = {name: hours for name, hours in ABBREVIATIONS.items() if name not in ("MEZ", "MESZ", "SGT")}
    for name, hours in known.items():
        assert offsets[name] == {timedelta(hours=hours)}, name
    assert len(offsets["IST"]) > 1
    assert {name for name, hours in RFC_822.items() if offsets.get(name, set()) - {timedelta(hours=hours)}} == SEVERAL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wed, 16 Aug 2023 08:00 PM GMT", "2023-08-16 20:00"),
        ("Wed, 16 Aug 2023 08:00pm GMT", "2023-08-16 20:00"),
        ("Wed, 16 Aug 2023 12:30 a.m. GMT", "2023-08-16 00:30"),
        ("Wed, 16 Aug 2023 12:30 PM GMT", "2023-08-16 12:30"),
        ("August 16, 2023 8:00 AM EDT", "2023-08-16 12:00"),
        ("1692172800", "2023-08-16 08:00"),
        ("1692172800.25", "2023-08-16 08:00:00.250000"),
        ("1692172800123", "2023-08-16 08:00:00.123000"),
        ("2023-08-16T08:00:00Z", "2023-08-16 08:00"),
        ("2023-08-16T08:00+02:00", "2023-08-16 06:00"),
        ("2023-08-16T08:00:00.1234567+02:00", "2023-08-16 06:00:00.123456"),
        ("2023-08-16 08:00:00 UTC", "2023-08-16 08:00"),
        ("2023/08/16 08:00 GMT", "2023-08-16 08:00"),
        ("Wed Aug 16 08:00:00 UTC 2023", "2023-08-16 08:00"),
        ("Wed Aug 16 2023 08:00:00 GMT+0200 (Central European Summer Time)", "2023-08-16 06:00"),
        ("Wed, 16 Aug 23 08:00:00 GMT", "2023-08-16 08:00"),
        ("Wednesday, 16-Aug-23 08:00:00 GMT", "2023-08-16 08:00"),
        ("Wed, 16 Aug 2023 23:59:60 GMT", "2023-08-16 23:59:59"),
        ("  Wed,\n16 Aug 2023\t8:00 GMT", "2023-08-16 08:00"),
    ],
)
def test_the_forms_of_feeds_are_read(text: str, expected: str) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mer., 16 août 2023 08:00:00 +0200", "2023-08-16 06:00"),
        ("Wed, 16 août 2023 08:00:00 +0200", "2023-08-16 06:00"),
        ("1er août 2023 à 08h00 CEST", "2023-08-01 06:00"),
        ("mar. 5 mars 2024 10:00:00 +0100", "2024-03-05 09:00"),
        ("16 déc. 2023 08:00 CET", "2023-12-16 07:00"),
        ("Di, 5 Dez 2023 10:00:00 +0100", "2023-12-05 09:00"),
        ("16. August 2023, 08:00 Uhr MESZ", "2023-08-16 06:00"),
        ("16. März 2023, 08:00 MEZ", "2023-03-16 07:00"),
        ("mié, 16 ago 2023 08:00:00 +0200", "2023-08-16 06:00"),
        ("dom, 03 dic 2023 08:00:00 GMT", "2023-12-03 08:00"),
        ("16 de enero de 2024 08:00 +0100", "2024-01-16 07:00"),
        ("16 lug 2023 08:00 +0200", "2023-07-16 06:00"),
        ("qua, 16 out 2024 08:00:00 -0300", "2024-10-16 11:00"),
        ("vr, 16 mrt 2023 08:00:00 +0100", "2023-03-16 07:00"),
    ],
)
def test_months_are_read_in_the_languages_of_feeds(text: str, expected: str) -> None:
    assert instant(text) == expected


AMBIGUOUS = [
    "Wed, 16 Aug 2023 08:00:00",
    "August 16, 2023 8:00 AM",
    "2023-08-16T08:00:00",
    "Wed Aug 16 08:00:00 2023",
    "mer., 16 août 2023 08:00:00",
]
UNREADABLE = [
    "Wed, 16 Aug 2023 08:00:00 XYZ",
    "Wed, 16 Aug 2023 08:00:00 +99:00",
    "Wed, 16 Aug 2023 20:00 PM GMT",
    "Wed, 16 Aug 2023 00:30 AM GMT",
    "Wed, 16 Aug 2023 24:00:00 GMT",
    "31 Feb 2023 08:00 GMT",
    "08/07/2023 08:00 GMT",
    "16 Aug 2023 GMT",
    "2023-08-16",
    "Aug 2023 08:00 GMT",
    "16 Aug 08:00 GMT",
    "yesterday 08:00 GMT",
    "2 hours ago",
    "Wed, 16 Aug 2023 08:00 GMT until 10:00 GMT",
    "Wed, 16 Aug 0023 08:00:00 GMT",
    "16 Aug 0099 08:00:00 GMT",
    "16-Aug-0123 08:00:00 GMT",
    "0023-08-16T08:00:00Z",
    "16 août 0023 08:00 GMT",
    "16921728",
    "169217280012345678",
    "9" * 70,
    "Mon, 99 Foo 2023",
    "",
    " " * 1000,
    "Wed, 16 Aug 2023 08:00:00 GMT" + " and so on" * 9,
]


@pytest.mark.parametrize("text", [*AMBIGUOUS, *UNREADABLE, "Wed, 16 Aug 2023 08:00:00 IST"])
def test_what_may_mean_several_moments_or_none_is_unknown(text: str) -> None:
    assert instant(text) is None


@pytest.mark.parametrize("text", [*AMBIGUOUS, "Wed, 16 Aug 2023 08:00:00 IST"])
def test_a_feed_whose_zone_is_known_says_more(text: str) -> None:
    assert instant(text, "Asia/Kolkata") == "2023-08-16 02:30"


def test_the_zone_of_a_feed_explains_its_own_abbreviations_only() -> None:
    assert instant("Wed, 16 Aug 2023 08:00:00 IST", "Asia/Jerusalem") is None, "it is summer there"
    assert instant("Wed, 16 Aug 2023 08:00:00 IDT", "Asia/Jerusalem") == "2023-08-16 05:00"
    assert instant("Wed, 16 Aug 2023 08:00:00 GMT", "Asia/Jerusalem") == "2023-08-16 08:00"
    assert instant("Wed, 16 Aug 2023 08:00:00 IST", "Europe/Berlin") is None


@pytest.mark.parametrize(
    ("name", "time_zone", "utc"),
    [
        ("CST", "Asia/Shanghai", "2023-08-16 00:00"),
        ("CST", "America/Chicago", "2023-08-16 14:00"),
        ("CST", "America/New_York", "2023-08-16 14:00"),
        ("CST", "Asia/Kolkata", None),
        ("CST", "Europe/London", None),
        ("CDT", "America/Havana", "2023-08-16 12:00"),
        ("CST", "America/Havana", None),
        ("PST", "Asia/Manila", "2023-08-16 00:00"),
        ("PST", "Asia/Shanghai", None),
        ("EST", "Asia/Shanghai", "2023-08-16 13:00"),
        ("GMT", "Asia/Shanghai", "2023-08-16 08:00"),
        ("Z", "Asia/Shanghai", "2023-08-16 08:00"),
    ],
)
def test_an_abbreviation_means_what_the_zone_of_its_feed_says(name: str, time_zone: str, utc: str | None) -> None:
    assert instant(f"Wed, 16 Aug 2023 08:00:00 {name}", time_zone) == utc


def test_an_hour_that_clocks_skip_or_show_twice_is_unknown() -> None:
    assert instant("Sun, 26 Mar 2023 02:30:00", "Europe/Berlin") is None
    assert instant("Sun, 29 Oct 2023 02:30:00", "Europe/Berlin") is None
    assert instant("Sun, 29 Oct 2023 03:30:00", "Europe/Berlin") == "2023-10-29 02:30"
    assert instant("Sun, 29 Oct 2023 02:30:00 CEST", "Europe/Berlin") == "2023-10-29 00:30"


def test_not_more_dates_in_words_are_looked_up_than_one_feed_may_cost() -> None:
    dates = Dates()
    assert dates.instant("16 août 2023 08:00 GMT") is not None
    began = time.process_time()
    found = [dates.instant(f"16 frimaire 2023 08:00:{number % 60:02} GMT") for number in range(20_000)]
    assert time.process_time() - began < 10
    assert not any(found)
    assert dates.instant("16 août 2023 08:00 GMT") is None, f"beyond {MAX_WORDED}"
    assert dates.instant("Wed, 16 Aug 2023 08:00 GMT") is not None


PARTS = [
    *"0123456789:+-., ",
    "Aug",
    "16 ",
    "2023",
    "08:00",
    " GMT",
    " PM",
    "T",
    "Z",
    "août",
    "h",
    "(",
    ")",
    "/",
    "\u0663",
]


@given(st.text(max_size=100) | st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_any_text_is_a_moment_or_none(text: str) -> None:
    found = Dates().instant(text)
    assert found is None or found.tzinfo is UTC


@given(st.integers(0, 3_000_000_000), st.integers(-14 * 60, 14 * 60))
def test_what_is_written_down_is_read_again(seconds: int, minutes: int) -> None:
    local = datetime.fromtimestamp(seconds, UTC)
    sign, size = "-" if minutes < 0 else "+", abs(minutes)
    zone = f"{sign}{size // 60:02}{size % 60:02}"
    expected = local - timedelta(minutes=minutes)
    for form in ("%a, %d %b %Y %H:%M:%S ", "%Y-%m-%dT%H:%M:%S", "%A, %d-%b-%y %I:%M:%S %p "):
        assert Dates().instant(local.strftime(form) + zone) == expected
