"""How librdkafka, which sends and follows thousands of messages a second, reaches the cluster, and what it logs."""

from __future__ import annotations

import time
from typing import Any, Final

from cryptoviz.logs import logger
from cryptoviz.settings import Settings

_QUIET_S: Final = 30
_log = logger(__name__)


class _LogLines:
    """librdkafka's own log lines as events of ours; while the broker is away it says so at every attempt."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}

    def log(self, level: int, _format: str, facility: str, _client: str, line: str) -> None:
        """Called by librdkafka's binding, from within `poll`, as a `logging.Logger` would be."""
        now = time.monotonic()
        if now >= self._quiet_until.get(facility, 0):
            self._quiet_until[facility] = now + _QUIET_S
            _log.log(level, "librdkafka", facility=facility, line=line)


def connection(settings: Settings) -> dict[str, Any]:
    """How librdkafka reaches the cluster: secrets inside, never to be logged."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "client.id": "cryptoviz",
        "logger": _LogLines(),
        # A broker that comes back is found within seconds.
        "reconnect.backoff.max.ms": 2000,
        "socket.connection.setup.timeout.ms": 5000,
    }
    if settings.kafka_ca_file is not None:
        config["ssl.ca.location"] = str(settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        config["sasl.mechanism"] = settings.kafka_sasl_mechanism
        config["sasl.username"] = settings.kafka_username
        config["sasl.password"] = settings.kafka_password.get_secret_value()
    return config
