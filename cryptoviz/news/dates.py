"""When an entry was published, in the words of its feed; unknown where these may mean several moments.

    text -> seconds since 1970? -> its time of day and zone -> its day: ISO, RFC 822, or in a language of the feeds

No zone, order of day and month, or missing part is guessed: a wrong time is worse than none. Where the zone of a feed
is known, its dates without one mean that, and so does an abbreviation of it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from dateparser.date import DateDataParser

MAX_LENGTH: Final = 80
"""Characters of a date; the longest honest ones have fifty."""

MAX_WORDED: Final = 200
"""Dates of one feed that are looked up in languages, which takes milliseconds each."""

LANGUAGES: Final = ("en", "de", "fr", "es", "it", "pt", "nl")
"""Whose names of months are known."""

RFC_822: Final[Mapping[str, float]] = {
    "UT": 0, "UTC": 0, "GMT": 0, "Z": 0,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
"""Hours from UTC by the standard that dates of RSS follow, whatever else an abbreviation means elsewhere."""

SEVERAL: Final = frozenset({"CST", "CDT", "PST"})
"""Abbreviations of RFC 822 that mean other hours elsewhere: in China, Cuba, the Philippines.

From a feed whose zone is known they mean what that zone says; where it has no such word, what RFC 822 says, but only if
the words that the zone has are those of RFC 822.
"""

ABBREVIATIONS: Final[Mapping[str, float]] = {
    "AKST": -9, "AKDT": -8, "HST": -10, "NST": -3.5, "NDT": -2.5,
    "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3,
    "WAT": 1, "CAT": 2, "SAST": 2, "EAT": 3, "PKT": 5, "WIB": 7, "SGT": 8, "HKT": 8, "JST": 9, "KST": 9,
    "AWST": 8, "ACST": 9.5, "ACDT": 10.5, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip
"""Hours from UTC of abbreviations that mean one thing. IST, AST, GST and others mean several, and are not here."""

_EPOCH: Final = re.compile(r"(\d{10})(\d{3})?(?:\.(\d{1,9}))?")
_COMMENT: Final = re.compile(r"\s*\([^()]*\)$")
_TIME: Final = re.compile(
    r"""(?<![\d:.])(?P<hour>\d{1,2})(?::|\s?h\s?)(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?(?![\d:])
    (?:\s?(?P<half>[APap])\.?[Mm]\b\.?)?(?:\s?Uhr\b)?
    (?:\s?(?P<name>UTC|GMT|UT)?\s?(?P<sign>[+\-\u2212])(?P<hours>\d\d?)(?::?(?P<minutes>\d\d))?(?![\d:])
      |\s?(?P<zone>Z|[A-Z]{2,5}|utc|gmt)\b)?""",
    re.VERBOSE,
)
_WEEKDAY: Final = re.compile(r"[^\W\d_]+\.?,\s?")
"""It says nothing that the date does not, and in some feeds in another language."""
_ISO_DAY: Final = re.compile(r"([1-9]\d{3})([-/.])(\d{1,2})\2(\d{1,2})")
_RFC_DAY: Final = re.compile(
    r"(\d{1,2})[ -](jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[ -]([1-9]\d{3}|\d\d)", re.IGNORECASE
)
"""A year of two digits is one of the last or this century, as RFC 822 has it; 0023 is nobody's."""
_YEAR: Final = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_MONTH_NAME: Final = re.compile(r"[^\W\d_]{3,}")
_dateparser: Final = threading.Lock()


class Dates:
    """Reads the dates of one document of a feed. `time_zone` is the name of the feed's zone in the IANA database."""

    def __init__(self, time_zone: str = "") -> None:
        self._zone = ZoneInfo(time_zone) if time_zone else None
        self._worded = 0

    def instant(self, text: str) -> datetime | None:
        """The moment that a text names, in UTC; None: it names none, or not exactly one."""
        text = " ".join(text.split())
        if not text or len(text) > MAX_LENGTH:
            return None
        try:
            return _since_1970(text) or self._worded_instant(_COMMENT.sub("", text))
        except (ValueError, OverflowError):  # no such day, or beyond the calendar
            return None

    def _worded_instant(self, text: str) -> datetime | None:
        times = list(_TIME.finditer(text))
        if len(times) != 1:
            return None
        [time] = times
        day = self._day(f"{text[: time.start()].removesuffix('T')} {text[time.end() :]}".strip(" ,"))
        clock = _clock(time)
        if day is None or clock is None:
            return None
        local = datetime(day.year, day.month, day.day, tzinfo=UTC) + clock
        offset = self._offset(time, local)
        return None if offset is None else local - offset

    def _offset(self, time: re.Match[str], local: datetime) -> timedelta | None:
        """How far ahead of UTC a clock is that shows `local`."""
        if time["sign"]:
            size = timedelta(hours=int(time["hours"]), minutes=int(time["minutes"] or 0))
            return None if size > timedelta(hours=14) else size * (1 if time["sign"] == "+" else -1)
        name = (time["zone"] or "").upper()
        hours = RFC_822.get(name, ABBREVIATIONS.get(name))
        if hours is not None and self._goes_by(name, hours, local.year):
            return timedelta(hours=hours)
        return self._own_offset(name, local)

    def _goes_by(self, name: str, hours: float, year: int) -> bool:
        """Whether an abbreviation means in this feed what it means by the standard."""
        if self._zone is None:
            return True
        seasons = (datetime(year, month, 15, tzinfo=self._zone) for month in (1, 7))
        own = {moment.tzname(): moment.utcoffset() for moment in seasons}
        if name in own:
            return own[name] == timedelta(hours=hours)
        return name not in SEVERAL or any(
            offset and offset == timedelta(hours=RFC_822.get(word or "", 0)) for word, offset in own.items()
        )

    def _own_offset(self, name: str, local: datetime) -> timedelta | None:
        """By the feed's own zone; None also for the hours around a change of its clocks."""
        if self._zone is None:
            return None
        first, second = (local.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        fits = first.utcoffset() == second.utcoffset() and name in ("", first.tzname())
        return first.utcoffset() if fits else None

    def _day(self, text: str) -> date | None:
        if weekday := _WEEKDAY.match(text):
            text = text[weekday.end() :]
        if iso := _ISO_DAY.fullmatch(text):
            return date(int(iso[1]), int(iso[3]), int(iso[4]))
        if rfc := _RFC_DAY.fullmatch(text):
            year, month, day, *_ = parsedate(f"{rfc[1]} {rfc[2]} {rfc[3]} 00:00:00") or (0, 0, 0)
            return date(year, month, day)
        if not (_YEAR.search(text) and _MONTH_NAME.search(text)) or self._worded >= MAX_WORDED:
            return None
        self._worded += 1
        with _dateparser:
            found = _parser().get_date_data(text).date_obj
        return found.date() if found is not None else None


def _since_1970(text: str) -> datetime | None:
    """Seconds or milliseconds since 1970, from 2001 on."""
    found = _EPOCH.fullmatch(text)
    if found is None or (found[2] and found[3]):
        return None
    seconds = timedelta(seconds=int(found[1]), milliseconds=int(found[2] or 0))
    return datetime(1970, 1, 1, tzinfo=UTC) + seconds + _fraction(found[3])


def _clock(time: re.Match[str]) -> timedelta | None:
    """The time since midnight; None for times that no clock shows. A leap second is the one before it."""
    hour, minute, second = (int(time[part] or 0) for part in ("hour", "minute", "second"))
    if time["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if time["half"] in "Pp" else 0)
    if hour > 23 or minute > 59 or second > 60:
        return None
    return timedelta(hours=hour, minutes=minute, seconds=min(second, 59)) + _fraction(time["fraction"])


def _fraction(digits: str | None) -> timedelta:
    return timedelta(microseconds=int(f"{digits or '0':0<6.6}"))


@cache
def _parser() -> DateDataParser:
    from dateparser.date import DateDataParser  # noqa: PLC0415 - only who reads such a date pays for the import

    settings: dict[str, Any] = {
        "PARSERS": ["absolute-time"],
        "REQUIRE_PARTS": ["day", "month", "year"],
        "RETURN_AS_TIMEZONE_AWARE": False,
    }
    return DateDataParser(languages=list(LANGUAGES), use_given_order=True, settings=settings)
