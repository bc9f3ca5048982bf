"""docker-compose.yml, written from the same list of services as the supervisor's configuration.

The containers share a network of their own, in which each has the name of its service. The commands and ports are those
of the local stack, the addresses come from settings, and what people look at is published on the host's loopback alone.
One-shot services make the passwords, the roles, the schema and the topics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cryptoviz.settings import PREFIX, PROJECT_ROOT, Mode, Settings
from cryptoviz.stack.postgres.cluster import LOCKS
from cryptoviz.stack.services import PYTHON, Service, services

COMPOSE_FILE: Final = PROJECT_ROOT / "docker-compose.yml"
_HEADER: Final = """\
# The platform in containers, one service for each process. Written by `make docs` from the same list as the
# local stack's (cryptoviz/stack/services.py); edit that instead.
#
#     docker compose up --build --wait                    live
#     CRYPTOVIZ_MODE=demo docker compose --profile demo up --build --wait
#
# They share a network of their own. What people look at is published on 127.0.0.1, on the ports of .env.
"""
_TIMESCALEDB: Final = "timescale/timescaledb:2.22.1-pg17"
_KAFKA: Final = "apache/kafka:4.1.0"
_STATE: Final = "/state"
_CONTAINER_PYTHON: Final = "python"
_SIMULATED: Final = frozenset({"simulators", "simulated-web"})
_SUPERUSER: Final = "cryptoviz_admin"
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - within a container's own network; the host publishes on loopback
_BROKER_PORT: Final = 9092
_CONTROLLER_PORT: Final = 9093
_BROKER_PORT_OF_THE_HOST: Final = 9094
_UNPUBLISHED: Final = frozenset({"dagster_code_port"})
"""Ports that only other services ask."""

ADDRESSES: Final[Mapping[str, str]] = {
    "postgres_host": "postgres",
    # An external cluster in .env comes first.
    "kafka_bootstrap_servers": f"${{{PREFIX}KAFKA_BOOTSTRAP_SERVERS:-kafka:{_BROKER_PORT}}}",
    "dagster_code_host": "dagster-code",
    "simulator_host": "simulators",
    "web_simulator_host": "simulated-web",
}
"""Settings with an address -> the service that is there."""


def compose_text() -> str:
    """The text of docker-compose.yml."""
    import yaml  # noqa: PLC0415 - only needed to write the file

    return _HEADER + "\n" + yaml.safe_dump(compose(), sort_keys=False, width=118, allow_unicode=True)


def compose() -> dict[str, Any]:
    """The whole file as plain data."""
    settings = Settings(mode=Mode.DEMO)
    servers = {"secrets": _secrets(), "postgres": _postgres(), "kafka": _kafka(), "setup": _setup()}
    ours = {service.name: _service(service, settings) for service in services(settings)}
    return {"name": "cryptoviz", "services": servers | ours, "volumes": {"state": {}, "postgres": {}, "kafka": {}}}


def command_of(service: Service, settings: Settings) -> list[str]:
    """A service's command inside the image; `cryptoviz run` adds the variables of a service that has its own."""
    if service.environment(settings):
        return [_CONTAINER_PYTHON, "-m", "cryptoviz.cli", "run", service.name]
    return [_CONTAINER_PYTHON if word == PYTHON else word for word in service.command(settings)]


def _service(service: Service, settings: Settings) -> dict[str, Any]:
    waits: dict[str, dict[str, Any]] = {"setup": {"condition": "service_completed_successfully"}}
    present = {service_present.name for service_present in services(settings)}
    for name in service.after:
        if name in present or name in ("postgres", "kafka"):
            # The simulators are there in demo mode only.
            waits[name] = {"condition": "service_healthy", "required": name not in _SIMULATED}
    described: dict[str, Any] = {
        **_ours(),
        "command": command_of(service, settings),
        "healthcheck": _health(["CMD", _CONTAINER_PYTHON, "-m", "cryptoviz.cli", "healthy", service.name]),
        "restart": "unless-stopped",
        "stop_grace_period": f"{service.stop_wait_s}s",
        "depends_on": waits,
    }
    if published := [_published(_port(port)) for port in service.ports if port not in _UNPUBLISHED]:
        described["ports"] = published
    if service.modes != frozenset(Mode):
        described["profiles"] = [str(mode) for mode in sorted(service.modes)]
    return described


def _ours() -> dict[str, Any]:
    return {
        "image": "cryptoviz",
        "build": {"context": ".", "dockerfile": "docker/Dockerfile"},
        "init": True,
        "env_file": [{"path": ".env", "required": False}],
        "environment": {
            f"{PREFIX}MODE": f"${{{PREFIX}MODE:-live}}",
            f"{PREFIX}STATE_DIR": _STATE,
            f"{PREFIX}LISTEN_HOST": _EVERYWHERE,
            **{f"{PREFIX}{setting.upper()}": address for setting, address in ADDRESSES.items()},
        },
        # For external servers in .env that run on the machine itself.
        "extra_hosts": ["host.docker.internal:host-gateway"],
        "volumes": [f"state:{_STATE}"],
    }


def _secrets() -> dict[str, Any]:
    return {**_ours(), "command": [_CONTAINER_PYTHON, "-m", "cryptoviz.cli", "db", "secrets"]}


def _setup() -> dict[str, Any]:
    ready = {"condition": "service_healthy"}
    return {
        **_ours(),
        "command": [_CONTAINER_PYTHON, "-m", "cryptoviz.cli", "db", "setup"],
        "depends_on": {"postgres": ready, "kafka": ready},
    }


def _postgres() -> dict[str, Any]:
    port = _port("postgres_port")
    values = ("listen_addresses=*", f"port={port}", "timezone=UTC", f"max_locks_per_transaction={LOCKS}")
    return {
        "image": _TIMESCALEDB,
        "command": ["postgres", *(word for value in values for word in ("-c", value))],
        "environment": {
            "POSTGRES_USER": _SUPERUSER,
            "POSTGRES_PASSWORD_FILE": f"{_STATE}/postgres_superuser_password",
            "POSTGRES_DB": "postgres",
            "TIMESCALEDB_TELEMETRY": "off",
        },
        "volumes": [f"state:{_STATE}:ro", "postgres:/var/lib/postgresql/data"],
        "ports": [_published(port)],
        "healthcheck": _health(["CMD", "pg_isready", "-h", "127.0.0.1", "-p", port, "-U", _SUPERUSER]),
        "restart": "unless-stopped",
        "stop_signal": "SIGINT",
        "depends_on": {"secrets": {"condition": "service_completed_successfully"}},
    }


def _kafka() -> dict[str, Any]:
    """The broker, with a listener for containers and one for the host: clients reconnect to the advertised address."""
    port = _port("kafka_port")
    probe = f"/opt/kafka/bin/kafka-broker-api-versions.sh --bootstrap-server 127.0.0.1:{_BROKER_PORT} >/dev/null"
    listeners = {"PLAINTEXT": _BROKER_PORT, "CONTROLLER": _CONTROLLER_PORT, "HOST": _BROKER_PORT_OF_THE_HOST}
    return {
        "image": _KAFKA,
        "environment": {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@kafka:{_CONTROLLER_PORT}",
            "KAFKA_LISTENERS": ",".join(f"{name}://:{number}" for name, number in listeners.items()),
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://kafka:{_BROKER_PORT},HOST://127.0.0.1:{port}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": ",".join(f"{name}:PLAINTEXT" for name in listeners),
            "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
        },
        "volumes": ["kafka:/var/lib/kafka/data"],
        "ports": [_published(port, _BROKER_PORT_OF_THE_HOST)],
        "healthcheck": _health(["CMD-SHELL", probe]),
        "restart": "unless-stopped",
    }


def _port(setting: str) -> str:
    return f"${{{PREFIX}{setting.upper()}:-{Settings.model_fields[setting].default}}}"


def _published(port: str, inside: int | None = None) -> str:
    """Publish a port of the container (by default the same number) on the host's loopback."""
    return f"127.0.0.1:{port}:{inside or port}"


def _health(test: list[str]) -> Mapping[str, Any]:
    return {"test": test, "interval": "15s", "timeout": "10s", "retries": 5, "start_period": "60s"}
