"""The header ``Retry-After`` (RFC 9110, section 10.2.3): how long a server wants to be left alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_S: Final = 31 * 86_400.0
"""The longest wait that a server is granted: a month, as long as the longest quota that is known."""


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from `now` (aware) that the header asks for, at least 0 and at most `LONGEST_S`.

    It counts seconds in ASCII digits or is a date; a date without a zone is in UTC. None where there is no header, or
    where it is neither.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), LONGEST_S)
    try:
        at = parsedate_to_datetime(text)
        aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return min(max((aware - now).total_seconds(), 0.0), LONGEST_S)
    except (ValueError, OverflowError):
        return None


def retry_after_of(headers: Mapping[str, str] | None, now: datetime | None = None) -> float | None:
    """Seconds that the header among `headers`, in whatever case it is written, asks for; see `retry_after`."""
    value = next((value for name, value in (headers or {}).items() if name.lower() == "retry-after"), None)
    return retry_after(value, now or datetime.now(UTC))
