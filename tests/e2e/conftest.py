"""A whole platform for one test: private database and broker, simulated exchanges, collectors, ingestion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cryptoviz.bus import create_topics
from cryptoviz.settings import Mode, Settings, load
from cryptoviz.stack.jars import JarSet, install_jars
from cryptoviz.stack.kafka import LocalKafka
from tests.conftest import free_ports
from tests.e2e.platform import Platform

MakePlatform = Callable[..., Platform]


@pytest.fixture
def make_platform(database: Settings, tmp_path: Path) -> Iterator[MakePlatform]:
    """Makes a platform with the settings given; its broker is its own, so that topics start empty."""
    opened: list[Platform] = []
    brokers: list[LocalKafka] = []

    def make(**changes: Any) -> Platform:
        port, controller_port, simulator_port = free_ports(3)
        broker = LocalKafka(tmp_path / "kafka", port, controller_port, heap_mb=384)
        broker.prepare()
        broker.start()
        brokers.append(broker)
        settings = database.model_copy(
            update={
                "mode": Mode.DEMO,
                "state_dir": load().state,
                "kafka_bootstrap_servers": broker.bootstrap_servers,
                "simulator_port": simulator_port,
                "checkpoint_dir": str(tmp_path / "checkpoints"),
                **changes,
            }
        )
        create_topics(settings)
        platform = Platform(settings, tmp_path)
        opened.append(platform)
        return platform

    install_jars(load(), JarSet.SPARK)
    yield make
    for platform in opened:
        platform.close()
    for broker in brokers:
        broker.stop()
