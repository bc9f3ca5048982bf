"""Topics: list them, and create the platform's with the settings that it relies on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidPartitionsError,
    KafkaError,
    NotControllerError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from cryptoviz.bus.client import administrator, patiently, reason
from cryptoviz.bus.interface import MAX_MESSAGE_BYTES, BusError
from cryptoviz.logs import logger
from cryptoviz.settings import Settings
from cryptoviz.topics import TOPICS, Topic

_FORBIDDEN: Final = (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)
_ERROR: Final = re.compile(r"\[Error (?P<code>-?\d+)\] (?:\w+: )?(?P<text>.*)", re.DOTALL)

_log = logger(__name__)


def create_topics(settings: Settings, *, timeout_s: float = 30) -> list[str]:
    """Create missing topics, add missing partitions, and set the topic settings that have not been set explicitly.

    A broker that creates topics on first use gives them its own defaults: ours replace those, while settings made by an
    administrator stay. Returns the topics that were changed. Safe to repeat and to run in several processes at once.
    Partitions are never removed: Kafka cannot do that.

    Raises:
        BusError: the broker cannot be reached or refuses.
    """
    deadline = time.monotonic() + timeout_s
    with administrator(settings, timeout_s) as admin:
        existing = _leaders(admin, timeout_s)
        missing = [topic for topic in TOPICS.values() if topic.name not in existing]
        if missing:
            _create(admin, {topic.name: _new(settings, topic) for topic in missing}, timeout_s)
        small = [name for name in TOPICS if existing.get(name, settings.kafka_partitions) < settings.kafka_partitions]
        if small:
            _grow(admin, dict.fromkeys(small, settings.kafka_partitions), timeout_s)
        while any(_leaders(admin, timeout_s).get(name, 0) < settings.kafka_partitions for name in TOPICS):
            if time.monotonic() > deadline:
                raise BusError(f"Kafka at {settings.bootstrap_servers}: the topics did not appear in {timeout_s:g} s")
            time.sleep(0.05)
        unset = _set_unset_settings(admin, settings, [name for name in TOPICS if name in existing], timeout_s)
        return [topic.name for topic in missing] + sorted({*small, *unset})


def list_topics(settings: Settings, *, timeout_s: float = 10) -> dict[str, int]:
    """Topic -> number of partitions, of those of our topics that exist.

    Raises:
        BusError: the broker cannot be reached.
    """
    with administrator(settings, timeout_s) as admin:
        return {name: len(found) for name, found in partitions(admin, timeout_s).items() if name in TOPICS}


def partitions(admin: KafkaAdminClient, timeout_s: float) -> dict[str, dict[int, int]]:
    """Topic -> partition -> its leader, negative where it has none, of every topic of the cluster."""
    topics = patiently(timeout_s)(admin.describe_topics)
    return {
        topic["name"]: {found["partition_index"]: found["leader_id"] for found in topic["partitions"]}
        for topic in topics
    }


def _leaders(admin: KafkaAdminClient, timeout_s: float) -> dict[str, int]:
    """Topic -> partitions that have a leader."""
    found = partitions(admin, timeout_s)
    return {name: sum(leader >= 0 for leader in leaders.values()) for name, leaders in found.items()}


def _new(settings: Settings, topic: Topic) -> dict[str, Any]:
    return {
        "num_partitions": settings.kafka_partitions,
        "replication_factor": settings.kafka_replication,
        "configs": _topic_settings(settings, topic),
    }


def _create(admin: KafkaAdminClient, topics: Mapping[str, Mapping[str, Any]], timeout_s: float) -> None:
    def ask() -> None:
        found = _of_controller(lambda: admin.create_topics(topics, timeout_ms=timeout_s * 1000, raise_errors=False))
        answers = ((topic["error_code"], topic["error_message"]) for topic in found["topics"])
        _raise_unless(TopicAlreadyExistsError, answers)

    patiently(timeout_s)(ask)


def _grow(admin: KafkaAdminClient, counts: Mapping[str, int], timeout_s: float) -> None:
    def ask() -> None:
        found = _of_controller(lambda: admin.create_partitions(counts, timeout_ms=timeout_s * 1000, raise_errors=False))
        answers = ((topic.error_code, topic.error_message) for topic in found.results)
        _raise_unless(InvalidPartitionsError, answers)

    patiently(timeout_s)(ask)


def _of_controller(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except RuntimeError as error:  # kafka-python raises this when the controller has moved twice
        raise NotControllerError(str(error)) from error


def _raise_unless(expected: type[KafkaError], answers: Iterable[tuple[int, str | None]]) -> None:
    """Raise the first error, except `expected`: another process has made the same change at the same time."""
    for code, text in answers:
        if code and not issubclass(kind := for_code(code), expected):
            raise kind(text) if text else kind()


def _topic_settings(settings: Settings, topic: Topic) -> dict[str, str]:
    """What the platform relies on, whatever the broker's defaults are."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(int(topic.retention.total_seconds() * 1000)),
        "retention.bytes": "-1",
        "min.insync.replicas": str(max(1, settings.kafka_replication - 1)),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        "message.timestamp.type": "CreateTime",
    }


def _set_unset_settings(admin: KafkaAdminClient, settings: Settings, names: list[str], timeout_s: float) -> list[str]:
    if not names:
        return []
    wanted = {}
    try:
        for name, now in _described(admin, names, timeout_s).items():
            own = {key for key, entry in now.items() if entry["config_source"] == "DYNAMIC_TOPIC_CONFIG"}
            ours = _topic_settings(settings, TOPICS[name])
            if lacking := {key: value for key, value in ours.items() if key not in own}:
                wanted[name] = lacking
        if wanted:
            _alter(admin, wanted, timeout_s)
    except _FORBIDDEN as error:
        _log.warning("topics_keep_their_settings", reason=reason(error))
        return []
    return list(wanted)


def _described(admin: KafkaAdminClient, names: list[str], timeout_s: float) -> dict[str, dict[str, Any]]:
    """Topic -> setting -> what is known of it."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found = patiently(timeout_s)(admin.describe_configs, resources, config_filter="all")["topic"]
    # kafka-python ignores the errors in this response: a topic that we may not describe comes back without settings.
    if refused := [name for name in names if not found.get(name)]:
        raise TopicAuthorizationFailedError(f"the settings of {', '.join(refused)} cannot be read")
    return {name: found[name] for name in names}


def _alter(admin: KafkaAdminClient, wanted: Mapping[str, Mapping[str, str]], timeout_s: float) -> None:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict(values)) for name, values in wanted.items()]
    results = patiently(timeout_s)(admin.alter_configs, resources, raise_on_unknown=False, incremental=True)["topic"]
    for result in results.values():
        if error := _ERROR.match(result):  # the result is a text: "OK", or the error
            raise for_code(int(error["code"]))(error["text"])
