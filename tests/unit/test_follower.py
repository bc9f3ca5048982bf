"""A range that is read ahead is handed out whole and in order, or not at all."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError

from cryptoviz.bus import follower
from cryptoviz.bus.follower import Follower
from cryptoviz.settings import load


@dataclass
class Arrived:
    """A message as librdkafka hands it over."""

    place: tuple[str, int]
    number: int
    failure: KafkaError | None = None

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.number

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return b"%d" % self.number

    def error(self) -> KafkaError | None:
        return self.failure


@dataclass
class Broker:
    """What librdkafka's consumer would have fetched, in the order in which it arrives."""

    config: dict[str, Any] = field(default_factory=dict)
    arrived: deque[Arrived] = field(default_factory=deque)
    assigned: dict[tuple[str, int], int] = field(default_factory=dict)

    def __call__(self, config: dict[str, Any]) -> Broker:
        self.config = config
        return self

    def gets(self, *numbers: int, partition: int = 0, topic: str = "rawtrade") -> None:
        self.arrived += [Arrived((topic, partition), number) for number in numbers]

    def goes_away(self) -> None:
        self.config["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN))

    def assign(self, places: list[Any]) -> None:
        self.assigned = {(place.topic, place.partition): place.offset for place in places}
        self.arrived.clear()

    def unassign(self) -> None:
        self.assigned = {}
        self.arrived.clear()

    def poll(self, _timeout: float) -> Arrived | None:
        return self.arrived.popleft() if self.arrived else None

    def consume(self, count: int, _timeout: float) -> list[Arrived]:
        return [self.arrived.popleft() for _ in range(min(count, len(self.arrived)))]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    one = Broker()
    monkeypatch.setattr(follower, "Consumer", one)
    monkeypatch.setattr(follower, "_ARRIVAL_S", 0.01)
    return one


def ends(*offsets: int, topic: str = "rawtrade") -> dict[str, dict[str, int]]:
    return {topic: {str(number): offset for number, offset in enumerate(offsets)}}


def following(broker: Broker, *offsets: int, most: int = 100) -> Follower:
    one = Follower(load(), most)
    one.follow(ends(*offsets))
    assert broker.assigned == {("rawtrade", number): offset for number, offset in enumerate(offsets)}
    return one


def offsets_of(taken: list[follower.Raw] | None) -> list[tuple[int, int]] | None:
    return None if taken is None else [(raw[1], raw[2]) for raw in taken]


def test_a_range_is_handed_out_whole_and_what_follows_it_is_kept(broker: Broker) -> None:
    one = following(broker, 5, 0)
    broker.gets(5, 6, 7)
    broker.gets(0, 1, partition=1)
    assert one.wait(0)
    assert offsets_of(one.take(ends(5, 0), ends(7, 1))) == [(0, 5), (0, 6), (1, 0)]
    broker.gets(8)
    taken = one.take(ends(7, 1), ends(9, 2))
    assert taken == [
        ("rawtrade", 0, 7, b"key", b"7"),
        ("rawtrade", 0, 8, b"key", b"8"),
        ("rawtrade", 1, 1, b"key", b"1"),
    ]
    assert one.take(ends(9, 2), ends(9, 2)) == []
    assert not one.wait(0)


def test_a_range_that_has_not_arrived_is_not_handed_out_and_comes_whole_later(broker: Broker) -> None:
    one = following(broker, 0)
    broker.gets(0, 1)
    assert one.take(ends(0), ends(3)) is None
    broker.gets(2)
    assert offsets_of(one.take(ends(0), ends(3))) == [(0, 0), (0, 1), (0, 2)]


def test_what_somebody_else_has_read_is_left_out(broker: Broker) -> None:
    one = following(broker, 0)
    broker.gets(0, 1, 2, 3)
    assert offsets_of(one.take(ends(2), ends(4))) == [(0, 2), (0, 3)]


def test_a_range_that_begins_before_what_is_held_is_not_handed_out(broker: Broker) -> None:
    one = following(broker, 4)
    broker.gets(4)
    assert one.take(ends(3), ends(5)) is None
    assert one.take({}, ends(5)) is None
    assert one.take(ends(4), ends(5, 1)) is None, "a partition that is not followed"


@pytest.mark.parametrize("left_out", [1, 3])
def test_an_offset_that_is_missing_or_comes_again_ends_the_trust(broker: Broker, left_out: int) -> None:
    one = following(broker, 0)
    broker.gets(*(number for number in range(3) if number != left_out), *([1] if left_out == 3 else []))
    assert one.take(ends(0), ends(3)) is None
    assert not one.following
    one.follow(ends(3))
    broker.gets(3)
    assert offsets_of(one.take(ends(3), ends(4))) == [(0, 3)]


def test_an_error_in_place_of_a_message_ends_the_trust(broker: Broker) -> None:
    one = following(broker, 0)
    broker.arrived.append(Arrived(("rawtrade", 0), 0, KafkaError(KafkaError._AUTO_OFFSET_RESET)))
    assert not one.wait(0.1)
    assert one.take(ends(0), ends(1)) is None
    assert not one.following


def test_a_broker_that_is_away_ends_the_wait(broker: Broker) -> None:
    one = following(broker, 0)
    broker.goes_away()
    assert not one.wait(3600)
    assert not one.following


def test_no_more_is_held_than_was_agreed(broker: Broker) -> None:
    one = following(broker, 0, most=3000)
    broker.gets(*range(10_000))
    assert one.wait(0)
    assert one.take(ends(0), ends(10_000)) is None
    assert len(broker.arrived) >= 4_000


def test_what_was_stored_without_it_is_nothing_to_wait_for(broker: Broker) -> None:
    one = following(broker, 0)
    broker.gets(0, 1, 2)
    assert one.wait(0)
    one.follow(ends(3))
    assert not one.wait(0)
    one.follow(ends(5))
    assert broker.assigned == {("rawtrade", 0): 5}
