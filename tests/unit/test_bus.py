"""The producer while no broker answers: it never blocks, keeps to its bound, and reports what it drops."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from kafka.errors import InvalidConfigurationError
from pydantic import SecretStr
from structlog.testing import capture_logs

from cryptoviz import bus
from cryptoviz.bus import BusError, Producer, administration, create_topics, list_topics, tail
from cryptoviz.records import Side, Trade
from cryptoviz.settings import Settings, load
from tests.conftest import free_ports
from tests.doubles.bus import MemoryProducer

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
KEY = "kraken:BTC/USD"


def trade(number: int) -> Trade:
    return Trade(
        received_at=NOW, timestamp=NOW, exchange="kraken", pair="BTC/USD",
        price=Decimal("67000.10"), volume=Decimal("0.100"), side=Side.BUY, trade_id=number,
    )  # fmt: skip


@pytest.fixture
def nobody() -> Settings:
    """Settings of a port on which nobody listens."""
    [port] = free_ports(1)
    return load(kafka_bootstrap_servers=f"127.0.0.1:{port}")


def test_what_exceeds_the_bound_or_is_pending_at_the_end_is_reported_lost(nobody: Settings) -> None:
    lost: list[tuple[str, str, Any, str]] = []
    producer = Producer(nobody, on_lost=lambda *what: lost.append(what), limit=100)
    producer.start()
    for number in range(150):
        producer.send("rawtrade", trade(number))
    assert [record for _, _, record, _ in lost] == [trade(number) for number in range(100, 150)]
    assert {(topic, key, why) for topic, key, _, why in lost} == {
        ("rawtrade", KEY, "100 messages already wait for the broker")
    }
    assert (producer.sent, producer.pending, producer.lost, producer.connected) == (150, 100, 50, False)
    assert producer.crowded(0.99)

    mark = producer.mark("rawtrade", KEY)
    assert not producer.settled("rawtrade", KEY, mark)
    producer.dead_letter(b"\xff", "kraken", origin="ws:kraken", error_class="undecodable", error="?")
    assert lost[-1][:3] == ("deadletter", "kraken", b"\xff")
    assert not producer.flush(0)
    producer.close(0)
    assert (producer.pending, producer.lost) == (0, 151)
    assert {record.trade_id for topic, _, record, _ in lost if topic == "rawtrade"} == set(range(150))
    assert producer.settled("rawtrade", KEY, mark)


@pytest.mark.parametrize("twin", [True, False])
def test_a_refused_message_settles_nothing_that_was_accepted(nobody: Settings, twin: bool) -> None:
    producer = MemoryProducer(limit=10, online=False) if twin else Producer(nobody, limit=10)
    producer.start()
    for number in range(10):
        producer.send("rawtrade", trade(number))
    mark = producer.mark("rawtrade", KEY)
    for number in range(10, 30):
        producer.send("rawtrade", trade(number))
    assert producer.lost == 20
    assert not producer.settled("rawtrade", KEY, mark)
    producer.close(0)


def test_nothing_is_lost_that_was_sent_before_the_start(nobody: Settings) -> None:
    producer = Producer(nobody)
    producer.send("rawtrade", trade(1))
    assert (producer.pending, producer.lost) == (1, 0)
    producer.close(0)
    assert (producer.pending, producer.lost) == (0, 1)


def test_what_librdkafka_says_is_an_event_of_ours_said_once(
    nobody: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = nobody.model_copy(
        update={
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_username": "somebody",
            "kafka_password": SecretStr("hunter2"),
        }
    )
    producer = Producer(secret)
    with capture_logs() as events:
        producer.start()
        deadline = time.monotonic() + 30
        while not events and time.monotonic() < deadline:
            producer.flush(0.05)
            producer.send("rawtrade", trade(1))
        for _ in range(10):
            producer.flush(0.1)
    assert [event["event"] for event in events] == ["librdkafka"]
    assert "Connection refused" in events[0]["line"]
    assert "hunter2" not in str(events)
    producer.close(0)
    assert "".join(capfd.readouterr()) == ""


def test_questions_to_nobody_are_answered_in_time_and_leave_nothing_open(
    nobody: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    began, threads = time.monotonic(), threading.active_count()
    for ask in (
        lambda: list_topics(nobody, timeout_s=0.2),
        lambda: create_topics(nobody, timeout_s=0.2),
        lambda: list(tail(nobody, "rawtrade", timeout_s=0.2)),
    ):
        with pytest.raises(BusError, match=f"Kafka at {nobody.bootstrap_servers}"):
            ask()
    assert time.monotonic() - began < 10
    assert threading.active_count() == threads
    assert "".join(capfd.readouterr()) == ""


def test_a_password_is_in_no_log_of_a_client(nobody: Settings, caplog: pytest.LogCaptureFixture) -> None:
    secret = nobody.model_copy(
        update={
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_username": "somebody",
            "kafka_password": SecretStr("hunter2"),
        }
    )
    with caplog.at_level("DEBUG"), pytest.raises(BusError) as refused:
        list_topics(secret, timeout_s=0.2)
    assert "hunter2" not in caplog.text + str(refused.value)


@pytest.mark.parametrize(
    ("names", "loaded"),
    [
        ("Bus, BusError, Message", set()),
        ("Producer", {"confluent_kafka"}),
        ("create_topics, list_topics, lag, offsets, tail", {"kafka"}),
    ],
)
def test_each_name_loads_only_the_client_that_it_needs(names: str, loaded: set[str]) -> None:
    script = (
        f"import sys; from cryptoviz.bus import {names}; print(*({{'confluent_kafka', 'kafka'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == loaded


def test_the_bus_has_only_the_names_it_lists() -> None:
    assert all(getattr(bus, name) is not None for name in bus.__all__)
    with pytest.raises(AttributeError, match="no attribute 'consumer_group'"):
        _ = bus.consumer_group


@dataclass
class Administrator:
    """Answers about the settings of the topic `rawtrade` as kafka-python does."""

    described: dict[str, Any]
    altered: str = "OK"
    changes: list[Any] = field(default_factory=list)

    def describe_configs(self, _resources: list[Any], *, config_filter: str) -> dict[str, Any]:
        return {"topic": {"rawtrade": self.described}}

    def alter_configs(self, resources: list[Any], **_how: bool) -> dict[str, Any]:
        self.changes += resources
        return {"topic": {"rawtrade": self.altered}}


NOT_OURS = {"retention.ms": {"value": "1", "config_source": "DEFAULT_CONFIG"}}


def test_settings_of_a_topic_that_may_not_be_read_or_changed_stay(nobody: Settings) -> None:
    silent = Administrator({})  # how a refusal comes back
    forbidden = Administrator(NOT_OURS, "[Error 29] TopicAuthorizationFailedError: not yours")
    for admin in (silent, forbidden):
        with capture_logs() as events:
            assert administration._set_unset_settings(admin, nobody, ["rawtrade"], 1) == []
        assert [event["event"] for event in events] == ["topics_keep_their_settings"]
    assert silent.changes == []
    assert events[0]["reason"] == "TOPIC_AUTHORIZATION_FAILED: not yours"


def test_settings_that_a_broker_finds_wrong_are_an_error(nobody: Settings) -> None:
    admin = Administrator(NOT_OURS, "[Error 40] InvalidConfigurationError: no number")
    with pytest.raises(InvalidConfigurationError, match="no number"):
        administration._set_unset_settings(admin, nobody, ["rawtrade"], 1)
    assert admin.changes[0].configs.keys() >= {"retention.ms", "cleanup.policy"}
