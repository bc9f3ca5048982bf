"""One reading of Retry-After, for whoever asks a remote server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptoviz.remote.retry_after import LONGEST_S, retry_after

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DATE = "%a, %d %b %Y %H:%M:%S"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("9" * 400, LONGEST_S),
        (f"{NOW + timedelta(minutes=1):{DATE}} GMT", 60),
        (f"{NOW + timedelta(minutes=1):{DATE}}", 60),
        (f"{NOW + timedelta(hours=2):{DATE}} +0200", 0),
        (f"{NOW - timedelta(days=1):{DATE}} GMT", 0),
        (f"{NOW + timedelta(days=400):{DATE}} GMT", LONGEST_S),
    ],
)
def test_seconds_and_dates(value: str, seconds: float) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize("value", [None, "", "soon", "²", "\u0663", "-5", "1.5", "1e3", "Wed, 99 Foo 2026"])
def test_what_is_neither_says_nothing(value: str | None) -> None:
    assert retry_after(value, NOW) is None


@given(st.text())
def test_any_text_is_read_or_says_nothing(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_S
