"""Connections of kafka-python, which administers and reads topics; its errors become `BusError`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import BrokerResponseError, KafkaError, UnknownBrokerIdError
from kafka.net.compat import KafkaNetClient
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from cryptoviz.bus.interface import MAX_MESSAGE_BYTES, BusError
from cryptoviz.settings import Settings

FETCH_WAIT_MS: Final = 200
_SHORTEST_REQUEST_MS: Final = 1000

# Whatever fails is raised. The client's own log repeats that at every attempt, and at level debug shows the password.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


def _connection(settings: Settings, timeout_s: float) -> dict[str, Any]:
    """How to reach the cluster: secrets inside, never to be logged."""
    config: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.bootstrap_servers.split(",")],
        "bootstrap_timeout_ms": timeout_s * 1000,
        "request_timeout_ms": max(_SHORTEST_REQUEST_MS, timeout_s * 1000),
        "security_protocol": settings.kafka_security_protocol,
        "client_id": "cryptoviz",
        # A broker that comes back is found within seconds.
        "reconnect_backoff_max_ms": 2000,
    }
    if settings.kafka_ca_file is not None:
        config["ssl_cafile"] = str(settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        config["sasl_mechanism"] = settings.kafka_sasl_mechanism
        config["sasl_plain_username"] = settings.kafka_username
        config["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    return config


@contextmanager
def administrator(settings: Settings, timeout_s: float) -> Iterator[KafkaAdminClient]:
    """An administration client for one block. Raises `BusError` when the broker does not answer or refuses."""
    with _explained(settings), _closed(KafkaAdminClient, **_connection(settings, timeout_s)) as admin:
        yield admin


@contextmanager
def consumer(settings: Settings, timeout_s: float) -> Iterator[KafkaConsumer]:
    """A consumer of assigned partitions, without a consumer group and without stored offsets, for one block."""
    config = _connection(settings, timeout_s) | {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "allow_auto_create_topics": False,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "max_partition_fetch_bytes": MAX_MESSAGE_BYTES,
        "metrics_enabled": False,
    }
    with _explained(settings), _closed(KafkaConsumer, **config) as reader:
        yield reader


@contextmanager
def _closed(client: Callable[..., Any], **config: Any) -> Iterator[Any]:
    """A client that is closed at the end of the block.

    When no broker answers, the constructor raises and leaves a thread and sockets open: they are closed here.
    """
    networks = []

    def network(**network_config: Any) -> KafkaNetClient:
        networks.append(KafkaNetClient(**network_config))
        return networks[-1]

    try:
        with client(**config, kafka_client=network) as opened:
            yield opened
    finally:
        for made in networks:
            made.close()


def patiently(timeout_s: float) -> Retrying:
    """Retry temporary errors for this long: a broker that has just started, a topic that was just created."""
    return Retrying(
        retry=retry_if_exception(_is_temporary), stop=stop_after_delay(timeout_s), wait=wait_fixed(0.05), reraise=True
    )


def _is_temporary(error: BaseException) -> bool:
    # A partition without a leader has leader -1, which kafka-python reports as an unknown broker.
    return isinstance(error, UnknownBrokerIdError) or (isinstance(error, KafkaError) and error.retriable)


@contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    """Turn Kafka's errors into `BusError`."""
    try:
        yield
    except KafkaError as error:
        raise BusError(f"Kafka at {settings.bootstrap_servers}: {reason(error)}") from error


def reason(error: KafkaError) -> str:
    """Kafka's name of an error and its message."""
    reasons = ", ".join(str(part) for part in error.args if part is not None)
    if isinstance(error, BrokerResponseError):
        return f"{error.message}: {reasons or error.description}"
    return f"{type(error).__name__}: {reasons}" if reasons else type(error).__name__
