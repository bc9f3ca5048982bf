"""A private PostgreSQL and Kafka for one benchmark, set up as the local stack sets up its own, gone afterwards."""

from __future__ import annotations

import shutil
import signal
import socket
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from cryptoviz import bus
from cryptoviz.settings import PREFIX, Role, Settings, load
from cryptoviz.stack.jars import JarSet, install_jars
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.stack.postgres.cluster import LocalPostgres
from cryptoviz.stack.postgres.install import find_or_install
from cryptoviz.stack.postgres.passwords import ensure_secrets
from cryptoviz.storage.migrations import migrate


@dataclass(frozen=True)
class Stage:
    """Settings that point at the private services, and the same as an environment for child processes."""

    settings: Settings
    environment: dict[str, str]
    superuser_url: str
    server_folder: Path

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """An administrator's connection to the database."""
        return psycopg.connect(self.superuser_url, autocommit=True, options="-c timezone=UTC")


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def stage(*, kafka: bool = True) -> Iterator[Stage]:
    """Start the services, make tables and topics; stop and remove all of it afterwards, SIGTERM or not."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    install_jars(load(), JarSet.SPARK, JarSet.BENCH, *([JarSet.KAFKA] if kafka else []))
    folder = Path(tempfile.mkdtemp(prefix="cryptoviz-bench-"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres_port, port, controller_port = free_ports(3)
        postgres = _postgres(folder, postgres_port)
        stack.callback(postgres.stop)
        values = {
            "database_url": postgres.superuser_url("cryptoviz"),
            "checkpoint_dir": str(folder / "checkpoints"),
            "kafka_bootstrap_servers": f"127.0.0.1:{port}",
        }
        environment = {f"{PREFIX}{name.upper()}": value for name, value in values.items()}
        settings = load(**values)
        migrate(settings)
        if kafka:
            broker = LocalKafka(folder / "kafka", port, controller_port, heap_mb=512)
            broker.prepare()
            broker.start()
            stack.callback(broker.stop)
            bus.create_topics(settings)
        yield Stage(settings, environment, settings.database(Role.OWNER), folder)


def _postgres(folder: Path, port: int) -> LocalPostgres:
    installation = find_or_install(folder / "install.log", load().state / "cache")
    server = LocalPostgres(installation, folder / "postgres", port, ensure_secrets(folder))
    server.prepare()
    with (folder / "postgres" / "postgresql.conf").open("a") as configuration:
        # When a row became visible: what latency is measured against.
        configuration.write("track_commit_timestamp = on\n")
    server.start()
    server.provision()
    return server


def median(values: Sequence[float]) -> float:
    """The median of at least three runs."""
    if len(values) < 3:
        raise ValueError("a benchmark is the median of at least three runs")
    return statistics.median(values)


def peak_memory_mb(pid: int) -> float:
    """The most memory that process has held, in MB; psutil tells only what it holds now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def family(pid: int) -> list[psutil.Process]:
    """A process and those it started, and theirs; Spark's Python workers come and go."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and all it has started have used so far, those included that have ended since.

    Whoever ended while it was looked at is counted by its parent, which has waited for it.
    """
    used = 0.0
    for process in family(pid):
        with suppress(psutil.NoSuchProcess):
            used += sum(process.cpu_times()[:4])
    return used


def peak_memories(pid: int) -> dict[str, float]:
    """The most memory, in MB, that each living process of a family has held, by number and name."""
    found = {}
    for process in family(pid):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            found[f"{process.pid} {process.name()}"] = peak_memory_mb(process.pid)
    return found
