"""Private services for tests: a PostgreSQL cluster and a Kafka broker of this session, a database of each test.

`database` is a fresh, migrated database of the best edition this machine has, `module_database` one for all tests of a
file; `each_database` runs a test once on every edition. All are Settings that point at it with the three roles.
`writer` is a connection to `database`; `use_settings` gives settings to the code under test. Doubles: `tests/doubles`.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from psycopg import sql

from cryptoviz.settings import PROJECT_ROOT, Role, Settings, load, settings
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.stack.postgres.cluster import LocalPostgres
from cryptoviz.stack.postgres.install import find_or_install
from cryptoviz.stack.postgres.installation import Edition
from cryptoviz.stack.postgres.passwords import ensure_secrets
from cryptoviz.storage.database import connect
from cryptoviz.storage.migrations import migrate

UseSettings = Callable[[Settings], Settings]

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long and how hard the load is, how long the history: short by default, ten minutes or a year when asked."""
    parser.addoption("--load-seconds", type=float, default=30, help="length of the end-to-end load")
    parser.addoption("--load-rate", type=float, default=1000, help="messages a second of the end-to-end load")
    parser.addoption("--history-days", type=int, default=21, help="days of minutes that holes are punched into")
    parser.addoption("--stock-settings", action="store_true", help="a PostgreSQL as any vendor has it, not as ours is")
    parser.addoption("--chaos", choices=["short", "full"], default="short", help="what is killed, stopped, taken away")
    parser.addoption("--chaos-rate", type=float, help="messages a second during the chaos; default: the form's")
    parser.addoption("--chaos-only", default="", help="only actions whose name contains this")


LONGEST = (
    "integration/test_runner.py",
    "integration/test_polls.py",
    "integration/test_imports.py",
    "integration/test_ingestion.py",
    "integration/test_pollers.py",
    "integration/test_indicators.py",
    "integration/test_backfill.py",
    "integration/test_candle_gaps.py",
    "integration/test_candles_in_sql.py",
    "integration/test_locks.py",
    "integration/test_archive.py",
    "integration/test_gate.py",
    "integration/test_gap_healing.py",
    "integration/test_dagster.py",
    "integration/test_collectors.py",
    "spark/test_transforms.py",
    "contract/test_simulated_web.py",
    "contract/test_simulators.py",
    "unit/test_records.py",
)
"""Files that take longest, in that order: where processes share the files, none of these is begun last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin first, the order within each file left as it is."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are found before any is given back."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded exchange data beside the project."""
    folder = PROJECT_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no recorded data: {folder} is absent")
    return folder


@pytest.fixture(scope="session")
def service_folder() -> Iterator[Path]:
    """A folder for the session's services that other users may pass through: as root PostgreSQL is another user."""
    folder = Path(tempfile.mkdtemp(prefix="cryptoviz-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


_MOURNER = 'read -r _; grep -qs -- "$1" "/proc/$0/cmdline" && kill -INT "$0" && sleep 5; rm -rf -- "$1"'


@contextmanager
def never_outliving_us(pid: int, folder: Path) -> Iterator[None]:
    """End a server, whose command line names its `folder`, and forget the folder when this process is killed.

    Ctrl-C kills the processes that share the tests without letting them end their fixtures. A small process waits for
    the end of a pipe whose other end is ours.
    """
    command = ["sh", "-c", _MOURNER, str(pid), str(folder)]
    mourner = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        mourner.kill()
        mourner.communicate()


@dataclass
class Cluster:
    """The session's PostgreSQL. Databases are copies of one migrated template per edition."""

    server: LocalPostgres
    folder: Path
    templates: set[Edition] = field(default_factory=set)
    _settings: Settings = field(init=False, repr=False)
    _administrator: psycopg.Connection | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Point at this cluster, whatever the environment says."""
        self._settings = load(
            state_dir=self.folder,
            postgres_host="127.0.0.1",
            postgres_port=self.server.port,
            database_url=None,
            database_writer_url=None,
            database_reader_url=None,
            dagster_database_url=None,
        )

    @property
    def editions(self) -> list[Edition]:
        """What this cluster can be."""
        return list(dict.fromkeys([self.server.installation.edition, Edition.PLAIN]))

    def settings(self, database: str) -> Settings:
        """Settings that point at one database of this cluster, whatever the environment says."""
        return self._settings.model_copy(update={"postgres_database": database})

    def execute(self, statement: str, *names: str) -> None:
        """Run an administrator's statement with these identifiers in its braces.

        One connection serves them all: to open one costs more than to copy the template.
        """
        if self._administrator is None or self._administrator.closed:
            self._administrator = psycopg.connect(self.server.superuser_url(), autocommit=True)
        self._administrator.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def close(self) -> None:
        """Give the administrator's connection back."""
        if self._administrator is not None:
            self._administrator.close()

    def empty_database(self, edition: Edition) -> Settings:
        """A database with roles and (unless plain) the extension, but no tables."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.server.provision(name, extension=edition is not Edition.PLAIN)
        return self.settings(name)

    def clone(self, edition: Edition) -> Settings:
        """A fresh migrated database."""
        template = f"template_{edition}"
        if edition not in self.templates:
            self.server.provision(template, extension=edition is not Edition.PLAIN)
            migrate(self.settings(template))
            self.templates.add(edition)
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute("create database {} template {} owner cryptoviz_owner", name, template)
        self.execute("revoke all on database {} from public", name)
        self.execute("grant connect, temporary on database {} to cryptoviz_writer, cryptoviz_reader", name)
        return self.settings(name)

    def drop(self, settings: Settings) -> None:
        """Drop a database even if somebody is still connected."""
        self.execute("drop database if exists {} with (force)", settings.postgres_database)


class StockPostgres(LocalPostgres):
    """A server with PostgreSQL's own defaults, in another time zone and language, and roles without settings.

    Only what lets tests run quickly differs: no disk is waited for, and no scheduler holds the template databases.
    """

    locale = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")

    def tuning(self) -> dict[str, str]:
        values = {"timezone": "America/New_York", "fsync": "off", "full_page_writes": "off"}
        if self.installation.edition is not Edition.PLAIN:
            values["timescaledb.max_background_workers"] = "0"
        return values

    def _ensure_role(self, connection: psycopg.Connection, role: str, password: str) -> None:
        super()._ensure_role(connection, role, password)
        connection.execute(sql.SQL("alter role {} reset all").format(sql.Identifier(role)))


@contextmanager
def running_cluster(folder: Path, kind: type[LocalPostgres], name: str) -> Iterator[Cluster]:
    """A private cluster on a free port, not crash-safe and therefore fast."""
    installation = find_or_install(folder / "install.log", load().state / "cache")
    [port] = free_ports(1)
    server = kind(installation, folder / name, port, ensure_secrets(folder), durable=False)
    server.prepare()
    server.start()
    cluster = Cluster(server, folder)
    pid = int((server.data_dir / "postmaster.pid").read_text().split()[0])
    try:
        with never_outliving_us(pid, folder):
            yield cluster
    finally:
        cluster.close()
        server.stop()


@pytest.fixture(scope="session")
def postgres_cluster(service_folder: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The session's cluster: tuned as the local stack's is, or (`--stock-settings`) not at all."""
    kind = StockPostgres if request.config.getoption("--stock-settings") else LocalPostgres
    with running_cluster(service_folder, kind, "postgres") as cluster:
        yield cluster


@pytest.fixture
def database(postgres_cluster: Cluster) -> Iterator[Settings]:
    """A fresh migrated database of the best edition here."""
    made = postgres_cluster.clone(postgres_cluster.editions[0])
    yield made
    postgres_cluster.drop(made)


@pytest.fixture(scope="module")
def module_database(postgres_cluster: Cluster) -> Iterator[Settings]:
    """One migrated database for all tests of a file, of the best edition here: each test uses series of its own."""
    made = postgres_cluster.clone(postgres_cluster.editions[0])
    yield made
    postgres_cluster.drop(made)


@pytest.fixture
def writer(database: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection that may write facts to the test's database."""
    with connect(Role.WRITER, database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def use_settings() -> Iterator[UseSettings]:
    """`use_settings(chosen)`: from now on `settings()` gives these, as if the environment said so.

    With it the platform's own Dagster resources reach the test's database and broker.
    """
    with pytest.MonkeyPatch.context() as patch:

        def use(chosen: Settings) -> Settings:
            patch.setitem(settings.__wrapped__.__globals__, "load", lambda: chosen)
            settings.cache_clear()
            return chosen

        yield use
    settings.cache_clear()


@pytest.fixture(params=[Edition.APACHE, Edition.PLAIN, Edition.COMMUNITY])
def each_database(request: pytest.FixtureRequest, postgres_cluster: Cluster) -> Iterator[Settings]:
    """A fresh migrated database, once for every edition; those this machine lacks are skipped.

    Community: CRYPTOVIZ_TEST_COMMUNITY_URL names an empty database that the tests may fill and clear.
    """
    edition: Edition = request.param
    if edition in postgres_cluster.editions:
        made = postgres_cluster.clone(edition)
        yield made
        postgres_cluster.drop(made)
        return
    url = load().test_community_url
    if edition is not Edition.COMMUNITY or url is None:
        pytest.skip(f"no database of edition {edition}: " + _HOW_TO_GET[edition])
    made = load(database_url=url, database_writer_url=url, database_reader_url=url, state_dir=postgres_cluster.folder)
    with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        connection.execute("drop extension if exists timescaledb cascade")
        connection.execute("drop schema if exists cold_storage cascade")
        connection.execute("drop schema if exists public cascade")
        connection.execute("create schema public")
    with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        connection.execute("create extension timescaledb")
    migrate(made)
    yield made


@pytest.fixture
def each_writer(each_database: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection that may write facts to the test's database, once for every edition."""
    with connect(Role.WRITER, each_database, autocommit=True) as connection:
        yield connection


_HOW_TO_GET = {
    Edition.APACHE: "install TimescaleDB for PostgreSQL 15 to 18",
    Edition.COMMUNITY: "set CRYPTOVIZ_TEST_COMMUNITY_URL to an empty database of TimescaleDB's community edition",
}


@pytest.fixture(scope="session")
def kafka_broker(service_folder: Path) -> Iterator[LocalKafka]:
    """A private single-node broker on free ports; its `bootstrap_servers` say where."""
    port, controller_port = free_ports(2)
    broker = LocalKafka(service_folder / "kafka", port, controller_port, heap_mb=384)
    broker.prepare()
    broker.start()
    assert broker.pid is not None
    try:
        with never_outliving_us(broker.pid, service_folder):
            yield broker
    finally:
        broker.stop()
