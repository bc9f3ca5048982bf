"""The time of day as an argument, so that whoever decides by it can be given another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present instant, in UTC."""


def now() -> datetime:
    """The present instant of this machine, in UTC."""
    return datetime.now(UTC)
