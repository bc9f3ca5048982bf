"""How a batch went: the time of its phases, what is left to do, and why something was refused or failed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptoviz.bus import DEADLETTER, Header, dead_letter_headers
from streaming.rows import Refused

_PYTHON_ERROR: Final = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Violation|Shutdown)\b")


class Clock:
    """How long each phase of a batch took, in milliseconds."""

    def __init__(self, moved: Callable[[], None]) -> None:
        """`moved` is called at the end of each phase."""
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()
        self._moved = moved

    def lap(self, phase: str) -> None:
        """What was done since the last lap was this phase."""
        now = time.perf_counter()
        self.laps[phase] = round((now - self._last) * 1000, 1)
        self._last = now
        self._moved()


def dead_letter(refused: Refused) -> tuple[str, bytes | None, bytes | None, list[Header]]:
    """The message as it goes to ``deadletter``: topic, key, value, and headers that say where it was, and why."""
    message = refused.message
    place = {"partition": message.partition, "offset": message.offset}
    headers = dead_letter_headers(message.topic, refused.kind, refused.reason, **place)
    return DEADLETTER, message.key, message.value, headers


def lag_of(source: Mapping[str, Any]) -> int:
    """Messages between the last one stored and the end of the topics, by Spark's own account of the last trigger."""
    latest, stored = source["latestOffset"] or {}, source["endOffset"] or {}
    return sum(
        end - stored.get(topic, {}).get(number, 0)
        for topic, numbers in latest.items()
        for number, end in numbers.items()
    )


def reason_of(error: BaseException) -> str:
    """One line that says what is wrong: of an error that came through Spark, the Python error at its root."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    roots = [line for line in lines if _PYTHON_ERROR.match(line)]
    return (roots or lines)[0][:500]
