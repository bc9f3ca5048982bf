"""The local broker: starts, forgets nothing when stopped or killed, and listens on loopback only."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptoviz.settings import Settings, load
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.stack.processes import _listening_inodes, _sockets
from tests.conftest import free_ports

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalKafka]:
    port, controller_port = free_ports(2)
    kafka = LocalKafka(tmp_path / "kafka", port, controller_port, heap_mb=256)
    yield kafka
    kafka.kill()


def of(kafka: LocalKafka, tmp_path: Path) -> Settings:
    return load(state_dir=tmp_path, kafka_bootstrap_servers=kafka.bootstrap_servers)


def test_topics_survive_a_stop_and_a_kill(broker: LocalKafka, tmp_path: Path) -> None:
    from cryptoviz.bus import create_topics, list_topics  # noqa: PLC0415 - slow to import

    assert not broker.ready()
    broker.start(timeout_s=180)
    assert broker.ready()
    created = create_topics(of(broker, tmp_path))
    assert "rawtrade" in created

    broker.stop()
    assert not broker.ready()
    assert broker.pid is None
    broker.start(timeout_s=180)
    assert set(list_topics(of(broker, tmp_path))) == set(created)

    broker.kill()
    broker.start(timeout_s=180)
    assert set(list_topics(of(broker, tmp_path))) == set(created)
    assert create_topics(of(broker, tmp_path)) == []

    pid = broker.pid
    assert pid is not None
    addresses = {
        line.split()[1]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[9] in _sockets(pid)
    }
    assert addresses
    assert {address.partition(":")[0] for address in addresses} == {"0100007F"}
    assert set(_listening_inodes(broker.port)) <= _sockets(pid)


def test_storage_that_was_half_formatted_is_formatted_anew(broker: LocalKafka) -> None:
    (broker.folder / "data.new").mkdir(parents=True)
    (broker.folder / "data.new" / "rubbish").write_text("left by an interrupted start")
    broker.prepare()
    formatted = (broker.data / "meta.properties").read_text()
    broker.prepare()
    assert (broker.data / "meta.properties").read_text() == formatted
    assert not (broker.folder / "data.new").exists()
    assert list(broker.data.iterdir())
