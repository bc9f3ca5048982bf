"""A single-node Kafka broker in KRaft mode on loopback, run from its Maven archives alone.

    prepare: archives, configuration, storage (formatted aside, then renamed into place) -> command -> ready

The folder holds everything: `server.properties`, `jvm.args`, `log4j2.properties` and `data/`. A broker killed with -9
recovers its logs at the next start.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import uuid
from pathlib import Path
from typing import Final

from cryptoviz.settings import Settings, load
from cryptoviz.stack.errors import StackError, last_lines
from cryptoviz.stack.jars import JarSet, install_jars, jar_folder, kafka_jars

_HOST: Final = "127.0.0.1"
_NODE: Final = 1
_METADATA_KEY: Final = 3
_METADATA_VERSION: Final = 4
_CORRELATION: Final = 7

_SERVER_PROPERTIES: Final = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={node}@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""

_TUNING: Final = """\
auto.create.topics.enable=false
num.partitions=3
offsets.topic.num.partitions=3
transaction.state.log.num.partitions=3
share.coordinator.state.topic.num.partitions=3
group.initial.rebalance.delay.ms=0
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
log.retention.check.interval.ms=60000
log.cleaner.dedupe.buffer.size=16777216
metadata.log.segment.bytes=16777216
metadata.max.retention.bytes=67108864
num.network.threads=2
num.io.threads=4
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
"""

_LOG4J: Final = """\
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS}{UTC}Z %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""


class LocalKafka:
    """One broker whose whole state is `state_dir`."""

    tuning: str = _TUNING
    """What makes this a small and quick broker. Nothing is needed for right results: docs/servers.md says what is."""

    def __init__(
        self,
        state_dir: Path,
        port: int,
        controller_port: int,
        heap_mb: int = 512,
        *,
        settings: Settings | None = None,
        train: bool = False,
    ) -> None:
        """`settings` say where the archives are kept; default: those of this process.

        `train`: the first graceful stop leaves an archive of loaded classes beside the jars, which halves later starts.
        """
        self.folder = state_dir
        self.port = port
        self.controller_port = controller_port
        self._heap_mb = heap_mb
        self._settings = settings
        self._train = train
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where the broker answers."""
        return f"{_HOST}:{self.port}"

    @property
    def data(self) -> Path:
        """The formatted storage."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the broker says when started by `start`."""
        return self.folder / "kafka.log"

    def prepare(self) -> None:
        """Fetch what is lacking, write the configuration and format the storage; repeatable at any point.

        Raises:
            StackError: Java or Maven is missing, or the storage could not be formatted.
        """
        settings = self._settings or load()
        install_jars(settings, JarSet.KAFKA)
        if shutil.which("java") is None:
            raise StackError(
                "Java is missing", fix="install Java 17 or later (Debian, Ubuntu: apt-get install default-jre-headless)"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(_LOG4J)
        self._write_properties("server.properties", self.data)
        self._write_arguments("jvm.args", settings, self._class_archive(settings))
        if not (self.data / "meta.properties").exists():
            self._write_arguments("format.args", settings, [])
            self._format()

    def _write_arguments(self, name: str, settings: Settings, more: list[str]) -> None:
        classpath = ":".join(str(jar) for jar in kafka_jars(settings))
        (self.folder / name).write_text("\n".join([*self._jvm_options(), *more, "-cp", f'"{classpath}"', ""]))

    def _class_archive(self, settings: Settings) -> list[str]:
        """The JVM's class data sharing. The JVM itself refuses an archive that does not fit its jars, and goes on."""
        archive = jar_folder(settings, JarSet.KAFKA) / "classes.jsa"
        fresh = archive.with_suffix(".new")
        if self._train and fresh.exists():
            fresh.rename(archive)
        if archive.exists():
            return ["-Xlog:disable", "-Xlog:all=error:stderr", f'"-XX:SharedArchiveFile={archive}"']
        return [f'"-XX:ArchiveClassesAtExit={fresh}"', "-Xlog:cds=error"] if self._train else []

    def command(self) -> list[str]:
        """The command line of the broker, for a supervisor; it runs in the foreground and stops on SIGTERM."""
        java = shutil.which("java") or "java"
        return [java, f"@{self.folder / 'jvm.args'}", "kafka.Kafka", str(self.folder / "server.properties")]

    def ready(self) -> bool:
        """Whether the broker is registered and answers requests for metadata."""
        try:
            with socket.create_connection((_HOST, self.port), timeout=2) as connection:
                connection.settimeout(2)
                return _registered_brokers(connection) > 0
        except OSError:
            return False

    def start(self, timeout_s: float = 60) -> None:
        """Prepare and start the broker as a child and wait until it is ready; nothing to do while that child lives.

        Raises:
            StackError: it ended or was not ready in time.
        """
        if self.pid is not None:
            return
        self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        deadline = time.monotonic() + timeout_s
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise StackError(
                    "Kafka did not start",
                    detail=last_lines(self.log.read_text(errors="replace")),
                    fix=f"see {self.log}",
                )
            time.sleep(0.05)

    @property
    def pid(self) -> int | None:
        """The process started by `start`, while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def stop(self, timeout_s: float = 30) -> None:
        """Stop the broker started by `start`: gracefully, by force after `timeout_s`."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """Kill the broker started by `start` with -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _jvm_options(self) -> list[str]:
        return [
            f"-Xmx{self._heap_mb}m",
            f"-Xms{min(self._heap_mb, 128)}m",
            "-XX:+UseSerialGC",
            "-Djava.net.preferIPv4Stack=true",
            "-Djava.awt.headless=true",
            f'"-Dlog4j2.configurationFile={self.folder / "log4j2.properties"}"',
        ]

    def _write_properties(self, name: str, data: Path) -> Path:
        path = self.folder / name
        path.write_text(
            _SERVER_PROPERTIES.format(
                node=_NODE, host=_HOST, port=self.port, controller_port=self.controller_port, data=data
            )
            + self.tuning
        )
        return path

    def _format(self) -> None:
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        properties = self._write_properties("format.properties", fresh)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        arguments = f"@{self.folder / 'format.args'}"
        command = [
            self.command()[0],
            arguments,
            "kafka.tools.StorageTool",
            "format",
            "-t",
            cluster,
            "-c",
            str(properties),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise StackError(
                "Kafka's storage could not be formatted",
                detail=last_lines(done.stdout + done.stderr),
                fix=f"remove {self.folder} and start again",
            )
        properties.unlink()
        _sync(fresh)
        fresh.rename(self.data)


def _sync(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _registered_brokers(connection: socket.socket) -> int:
    """Ask for metadata without topics (Kafka protocol, Metadata request version 4): how many brokers are alive."""
    client = b"health"
    request = struct.pack(
        f">hhih{len(client)}si?", _METADATA_KEY, _METADATA_VERSION, _CORRELATION, len(client), client, 0, False
    )
    connection.sendall(struct.pack(">i", len(request)) + request)
    (size,) = struct.unpack(">i", _receive(connection, 4))
    correlation, _throttle_ms, brokers = struct.unpack_from(">iii", _receive(connection, size))
    return int(brokers) if correlation == _CORRELATION else 0


def _receive(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("closed by the broker")
        parts += part
    return bytes(parts)
