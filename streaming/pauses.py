"""Between two micro-batches: wait until Spark will find something, so that no trigger is spent on nothing.

    batch stored -> follow the topics from its end on -> something is there -> rest a little -> let Spark go on

Until then the batch counts as under way; if it comes again, its fence says that it is stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from cryptoviz.bus import Ends, Follower

_LOOK_S: Final = 0.25
"""How soon a stop, an error of another thread, or a new partition's turn is noticed."""

_LONGEST_REST_S: Final = 600
_NEW_PARTITIONS_S: Final = 10
_LONGEST_PAUSE_S: Final = 0.5
_WORTH_A_BATCH: Final = 100


class Pauses:
    """The pauses of one job, for the thread of its batches.

    `shortest_s` lies between the beginnings of two batches at least. Every quarter of a second `figures` gets what is
    known of the lag and a step, and `goes_on` is asked whether to wait further.
    """

    def __init__(
        self, follower: Follower, shortest_s: float, figures: dict[str, Any], goes_on: Callable[[], bool]
    ) -> None:
        self._follower = follower
        self._shortest_s = shortest_s
        self._figures = figures
        self._goes_on = goes_on
        self._resumed = time.perf_counter()
        self.following = False
        """Whether `figures` get the lag from here; else only Spark knows it."""

    def in_bulk(self) -> None:
        """A large batch begins: the executors read it, and nothing is read ahead meanwhile."""
        self.following = False
        self._follower.rest()

    def after_bulk(self, started: float) -> None:
        """A large batch that began at `started` is stored."""
        self._rest(started + self._shortest_s)
        self._resumed = time.perf_counter()

    def until_more(self, started: float, ends: Ends) -> None:
        """A batch that began at `started` and ends at `ends` is stored; return when there is more, or after a while."""
        self._follower.follow(ends)
        done = time.perf_counter()
        found = self._found(ends, done + _LONGEST_REST_S)
        # While little comes the job rests as long as it works: half as many batches, each a little larger.
        self._rest(done + min(done - self._resumed, _LONGEST_PAUSE_S), enough=_WORTH_A_BATCH if found else None)
        self._rest(started + self._shortest_s)
        self._resumed = time.perf_counter()

    def _found(self, ends: Ends, deadline: float) -> bool:
        look_again = time.perf_counter() + _NEW_PARTITIONS_S
        found = False
        self.following = self._follower.following
        while self.following and not found and self._goes_on() and (now := time.perf_counter()) < deadline:
            self._figures["trigger"] = datetime.now(UTC).isoformat()
            if (lag := self._follower.lag(ends)) is not None:
                self._figures["lag"] = lag
            self._figures["steps"] += 1
            if now >= look_again:
                if self._follower.has_new_partitions():
                    break
                look_again = now + _NEW_PARTITIONS_S
            found = self._follower.wait(_LOOK_S)
            self.following = self._follower.following
        # From here on Spark looks by itself, and only Spark knows.
        self.following = self.following and found
        return found

    def _rest(self, until: float, enough: int | None = None) -> None:
        while (left := until - time.perf_counter()) > 0 and self._goes_on():
            self._figures["steps"] += 1
            if enough is None or not self._follower.following:
                time.sleep(min(left, _LOOK_S))
            elif self._follower.wait(min(left, _LOOK_S), enough):
                return
