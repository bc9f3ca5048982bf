"""Between two micro-batches the job waits for messages, and for nothing longer than it must."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from streaming import pauses
from streaming.pauses import Pauses

ENDS = {"rawtrade": {"0": 7}}


@dataclass
class Topics:
    """What a follower says: `count` messages are there after `after` looks."""

    count: int = 0
    after: int = 0
    following: bool = True
    new_partitions: bool = False
    looks: int = 0
    begun: list[Any] = field(default_factory=list)

    def follow(self, ends: Any) -> None:
        self.begun.append(ends)

    def rest(self) -> None:
        self.begun.append(None)

    def lag(self, _ends: Any) -> int:
        return 3

    def has_new_partitions(self) -> bool:
        return self.new_partitions

    def wait(self, seconds: float, count: int = 1) -> bool:
        self.looks += 1
        if self.looks > self.after and self.count >= count:
            return True
        time.sleep(min(seconds, 0.01))
        return False


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "_LOOK_S", 0.01)
    monkeypatch.setattr(pauses, "_LONGEST_REST_S", 0.2)
    monkeypatch.setattr(pauses, "_NEW_PARTITIONS_S", 0.03)
    monkeypatch.setattr(pauses, "_LONGEST_PAUSE_S", 0.0)


class Stop:
    """Goes on for so many questions."""

    def __init__(self, questions: float = float("inf")) -> None:
        self.left = questions

    def __call__(self) -> bool:
        self.left -= 1
        return self.left > 0


def paused(
    topics: Topics, *, shortest_s: float = 0.0, goes_on: Stop | None = None
) -> tuple[float, dict[str, Any], Pauses]:
    figures: dict[str, Any] = {"steps": 0}
    job = Pauses(topics, shortest_s, figures, goes_on or Stop())  # type: ignore[arg-type]
    began = time.perf_counter()
    job.until_more(began, ENDS)
    return time.perf_counter() - began, figures, job


def test_messages_end_the_wait_and_the_lag_is_known_meanwhile() -> None:
    seconds, figures, job = paused(Topics(count=1, after=3))
    assert seconds < 0.2
    assert figures["lag"] == 3
    assert figures["steps"] >= 3
    assert job.following


def test_without_messages_spark_looks_by_itself_after_a_while() -> None:
    seconds, _figures, job = paused(Topics())
    assert seconds >= 0.2
    assert not job.following, "the figures of the lag must come from Spark again"


@pytest.mark.parametrize("topics", [Topics(new_partitions=True), Topics(following=False)])
def test_what_cannot_be_followed_is_left_to_spark_at_once(topics: Topics) -> None:
    seconds, _figures, job = paused(topics)
    assert seconds < 0.2
    assert not job.following


def test_a_stop_or_an_error_of_another_thread_ends_every_wait() -> None:
    topics = Topics(count=1, after=2)
    seconds, _figures, _job = paused(topics, shortest_s=60, goes_on=Stop(6))
    assert seconds < 10
    seconds, _figures, _job = paused(Topics(), goes_on=Stop(3))
    assert seconds < 0.2


def test_the_shortest_time_between_batches_holds_however_many_messages_wait() -> None:
    seconds, figures, _job = paused(Topics(count=10_000), shortest_s=0.15)
    assert seconds >= 0.15
    assert figures["steps"] > 5, "a job that rests is no job that hangs"


def test_it_holds_after_a_large_batch_too() -> None:
    topics = Topics(count=10_000)
    job = Pauses(topics, 0.1, {"steps": 0}, Stop())  # type: ignore[arg-type]
    job.in_bulk()
    assert topics.begun == [None]
    began = time.perf_counter()
    job.after_bulk(began)
    assert time.perf_counter() - began >= 0.1
