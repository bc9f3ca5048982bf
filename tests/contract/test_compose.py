"""docker-compose.yml: networks, published ports and addresses, without Docker.

That its containers are those of the local stack, with the same commands, is in tests/unit/test_stack_services.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from kafka import KafkaAdminClient

from cryptoviz.bus import create_topics
from cryptoviz.news.feeds import load_feeds
from cryptoviz.settings import PREFIX, Mode, Role, Settings, load
from cryptoviz.stack import dagster
from cryptoviz.stack.compose import ADDRESSES, COMPOSE_FILE
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.stack.services import services
from tests.conftest import free_ports

_VARIABLE = re.compile(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}")
KAFKA_LISTENER = re.compile(r"(?P<name>[A-Z]+)://(?P<host>[^:]*):(?P<port>\d+)")


def interpolated(text: str, environment: dict[str, str]) -> str:
    """The text as compose reads it in this environment."""
    return _VARIABLE.sub(lambda found: environment.get(found["name"]) or found["default"], text)


def composed(environment: dict[str, str] | None = None) -> dict[str, Any]:
    """The services of the file in this environment."""
    described: dict[str, Any] = yaml.safe_load(interpolated(COMPOSE_FILE.read_text(), environment or {}))["services"]
    return described


def of_ours(environment: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
    """Service -> its variables, of those that run our image."""
    described = composed(environment)
    return {name: service["environment"] for name, service in described.items() if service["image"] == "cryptoviz"}


def settings_within(variables: dict[str, str]) -> Settings:
    """The settings that a container with these variables finds."""
    return Settings(**{name.removeprefix(PREFIX).lower(): value for name, value in variables.items()})


def listening(environment: dict[str, str] | None = None) -> dict[str, set[int]]:
    """Service -> ports that it listens on for other containers."""
    settings = settings_within({**of_ours(environment)["setup"], **(environment or {}), f"{PREFIX}MODE": "demo"})
    ports = {service.name: {getattr(settings, port) for port in service.ports} for service in services(settings)}
    kafka = composed(environment)["kafka"]["environment"]["KAFKA_LISTENERS"]
    ports["kafka"] = {int(found["port"]) for found in KAFKA_LISTENER.finditer(kafka)}
    [port] = [word for word in composed(environment)["postgres"]["command"] if word.startswith("port=")]
    return {**ports, "postgres": {int(port.partition("=")[2])}}


def addresses(settings: Settings) -> set[tuple[str | None, int | None]]:
    """Host and port of every server that our programs connect to with these settings."""
    urls = {
        *(settings.database(role) for role in Role),
        settings.dagster_database(),
        *(settings.ws_url(exchange) for exchange in settings.exchanges),
        *(settings.rest_url(exchange) for exchange in settings.exchanges),
        *(feed.url for feed in load_feeds(settings)),
        *(settings.coingecko_address, settings.coinmarketcap_address, settings.fear_greed_address),
        *(f"//{host}" for host in (settings.bootstrap_servers, *settings.private_hosts)),
        f"//{settings.simulator_host}:{settings.simulator_port}",
        f"//{settings.dagster_code_host}:{settings.dagster_code_port}",
    }
    variables = dagster.environment(settings)
    urls.add(f"//{variables['DAGSTER_POSTGRES_HOST']}:{variables['DAGSTER_POSTGRES_PORT']}")
    return {(urlsplit(url).hostname, urlsplit(url).port) for url in urls}


MOVED = {f"{PREFIX}{name}_PORT": str(9000 + number) for number, name in enumerate(
    ("POSTGRES", "KAFKA", "KAFKA_CONTROLLER", "DAGSTER", "DAGSTER_CODE", "REPORTS", "SIMULATOR", "WEB_SIMULATOR")
)}  # fmt: skip


def test_no_container_is_on_the_hosts_network() -> None:
    assert not [name for name, service in composed().items() if "network_mode" in service]


def test_every_published_port_is_on_the_hosts_loopback_and_leads_to_one_that_is_listened_on() -> None:
    for environment in ({}, MOVED):
        published = {name: service.get("ports", []) for name, service in composed(environment).items()}
        listened = listening(environment)
        for name, ports in published.items():
            for port in ports:
                address, outside, inside = port.split(":")
                assert address == "127.0.0.1", (name, port)
                assert int(inside) in listened[name]
                assert not environment or outside in environment.values()
        assert {name for name, ports in published.items() if ports} == {
            *("postgres", "kafka", "simulators", "simulated-web", "reports", "dagster-webserver")
        }


@pytest.mark.parametrize("environment", [{}, MOVED])
def test_every_address_that_a_container_connects_to_is_a_service_that_listens_there(
    environment: dict[str, str],
) -> None:
    listened = listening(environment)
    for name, variables in of_ours(environment).items():
        settings = settings_within({**variables, **environment, f"{PREFIX}MODE": "demo"})
        for host, port in addresses(settings):
            assert port in listened.get(str(host), ()), f"{name} connects to {host}:{port}"
    assert set(ADDRESSES) >= {
        *(field for field in Settings.model_fields if field.endswith("_host") and field != "listen_host")
    }


def test_containers_of_ours_listen_for_each_other_and_the_local_stack_for_itself() -> None:
    assert {settings_within(variables).listen_host for variables in of_ours().values()} == {"0.0.0.0"}
    assert Settings().listen_host == "127.0.0.1"
    assert {setting: getattr(Settings(), setting) for setting in ADDRESSES if setting.endswith("_host")} == {
        setting: "127.0.0.1" for setting in ADDRESSES if setting.endswith("_host")
    }


def test_the_broker_tells_containers_its_name_and_the_host_its_published_port() -> None:
    for environment in ({}, MOVED):
        kafka = composed(environment)["kafka"]
        variables, [published] = kafka["environment"], kafka["ports"]
        _, outside, inside = published.split(":")
        listeners = {
            found["name"]: found.groupdict() for found in KAFKA_LISTENER.finditer(variables["KAFKA_LISTENERS"])
        }
        advertised = {
            found["name"]: (found["host"], found["port"])
            for found in KAFKA_LISTENER.finditer(variables["KAFKA_ADVERTISED_LISTENERS"])
        }
        assert advertised == {"PLAINTEXT": ("kafka", listeners["PLAINTEXT"]["port"]), "HOST": ("127.0.0.1", outside)}
        assert listeners["HOST"]["port"] == inside
        assert variables["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"1@kafka:{listeners['CONTROLLER']['port']}"
        protocols = {pair.partition(":")[0] for pair in variables["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
        assert protocols == listeners.keys()


def test_only_the_simulated_web_may_be_fetched_within_the_network_and_only_in_demo_mode() -> None:
    for mode, allowed in ((Mode.DEMO, ["simulated-web:8101"]), (Mode.LIVE, [])):
        for variables in of_ours({f"{PREFIX}MODE": str(mode)}).values():
            assert settings_within(variables).private_hosts == allowed


def test_an_external_cluster_of_the_environment_comes_first() -> None:
    external = {f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS": "broker.example:9092"}
    assert {settings_within(found).bootstrap_servers for found in of_ours(external).values()} == {"broker.example:9092"}


@pytest.mark.services
@pytest.mark.slow
def test_a_broker_so_configured_serves_containers_and_the_host(tmp_path: Path) -> None:
    inside, controller, outside = free_ports(3)
    variables = composed({f"{PREFIX}KAFKA_PORT": str(outside)})["kafka"]["environment"]
    ports = {"9092": inside, "9093": controller, "9094": outside}

    def here(value: str) -> str:
        """A value with the ports of this test, and localhost for kafka."""
        return re.sub(r":(909[2-4])\b", lambda found: f":{ports[found[1]]}", value.replace("kafka:", "localhost:"))

    class Composed(LocalKafka):
        tuning = "\n".join(
            f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={here(value)}"
            for name, value in variables.items()
            if name != "KAFKA_LOG_DIRS"
        )

    broker = Composed(tmp_path / "kafka", inside, controller, heap_mb=256)
    broker.prepare()
    broker.start()
    try:
        advertised = {}
        for port in (inside, outside):
            with KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}") as admin:
                advertised[port] = [(node["host"], node["port"]) for node in admin.describe_cluster()["brokers"]]
            create_topics(load(kafka_bootstrap_servers=f"127.0.0.1:{port}"))
        assert advertised == {inside: [("localhost", inside)], outside: [("127.0.0.1", outside)]}
    finally:
        broker.stop()
