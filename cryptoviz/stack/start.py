"""Brings the local stack up: install what is lacking, start in order, wait until every part is healthy and rows flow.

    orphans, ports -> install (PostgreSQL || archives) -> supervisord -> start what depends on nothing, then the rest

Everything may be interrupted anywhere and run again: each step looks at what is there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from cryptoviz import bus
from cryptoviz.file_lock import LockHeldError, file_lock
from cryptoviz.processes import MARKER, Process, descendants, members, stop
from cryptoviz.settings import PREFIX, PROJECT_ROOT, Mode, Role, Settings, load
from cryptoviz.stack import dagster, health
from cryptoviz.stack.errors import StackError, last_lines
from cryptoviz.stack.jars import JarSet, class_archive, install_jars
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.stack.ports import check_ports
from cryptoviz.stack.postgres.cluster import LocalPostgres
from cryptoviz.stack.postgres.install import find_or_install
from cryptoviz.stack.postgres.installation import Installation
from cryptoviz.stack.postgres.passwords import ensure_secrets
from cryptoviz.stack.postgres.service_user import local_data_dir
from cryptoviz.stack.services import Service, log_folder, runs_kafka, runs_postgres, services
from cryptoviz.stack.steps import Done, Step, run, wait_until
from cryptoviz.stack.supervisor import Supervisor, programs
from cryptoviz.storage.database import connect
from cryptoviz.storage.migrations import migrate
from cryptoviz.storage.queries import query

_FLOW_TIMEOUT_S: Final = 240
_SERVER_TIMEOUT_S: Final = 180
_TRAIN_TIMEOUT_S: Final = 300
_TRAIN: Final = (sys.executable, "-m", "streaming", "train")
_LOCK_TIMEOUT_S: Final = 3
_RESTARTS_ALLOWED: Final = 3

Report = Callable[[Done], None]
Say = Callable[[str], None]


class Stack:
    """The local stack of these settings. Its parts appear as `install` finds them."""

    def __init__(self, settings: Settings, report: Report, say: Say) -> None:
        self.settings = settings
        self.supervisor = Supervisor(settings)
        self.postgres: LocalPostgres | None = None
        self.kafka: LocalKafka | None = None
        self._report = report
        self._say = say

    def up(self) -> None:
        """Start everything and return when rows flow.

        Raises:
            StackError: says what failed, the end of its log, and what to do next.
        """
        with exclusive(self.settings):
            begun = datetime.now(UTC)
            self._clear_the_way()
            self.install(train=False)
            self._prepare()
            restarted = self.supervisor.apply(programs(self.settings, self.postgres, self.kafka))
            if restarted:
                self._say(f"settings changed: restarting {', '.join(restarted)}")
            run([*self._infrastructure_steps(), *self._service_steps(), self._flow_step(begun)], self._report)
            self._train_meanwhile()

    def install(self, *, train: bool = True) -> None:
        """Install what is lacking on this machine; costs nothing when all is there.

        `train` False leaves out the archive of a Spark driver's classes, the only part that needs PySpark.

        Raises:
            StackError: something could not be installed.
        """
        steps = [Step("archives", lambda _: self._install_archives())]
        if runs_postgres(self.settings):
            steps.append(Step("postgresql", lambda _: self._install_postgres()))
        run(steps, self._report)
        if train:
            run([Step("spark classes", lambda _: self._train())], self._report)

    def _install_postgres(self) -> str:
        log_folder(self.settings).mkdir(parents=True, exist_ok=True)
        log = log_folder(self.settings) / "install.log"
        found: Installation = find_or_install(log, self.settings.state / "cache", self._say)
        ensure_secrets(self.settings.state)
        self.settings = load(mode=self.settings.mode, state_dir=self.settings.state_dir)
        self.postgres = LocalPostgres.of_settings(found, self.settings)
        return f"PostgreSQL {found.major}, TimescaleDB edition {found.edition}"

    def _install_archives(self) -> str:
        wanted = (JarSet.KAFKA, JarSet.SPARK) if runs_kafka(self.settings) else (JarSet.SPARK,)
        fetched = install_jars(self.settings, *wanted)
        return f"fetched {', '.join(fetched)}" if fetched else "Kafka and the Spark connector"

    def _train(self) -> str:
        """Once: an archive of the classes of a Spark driver, beside its jars. Without it drivers start slower."""
        if class_archive(self.settings).exists():
            return "archived"
        self._say("archiving the classes of a Spark driver, once")
        try:
            done = subprocess.run(
                _TRAIN, cwd=PROJECT_ROOT, env=self._training_environment(), capture_output=True, text=True,
                stdin=subprocess.DEVNULL, timeout=_TRAIN_TIMEOUT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"not archived within {_TRAIN_TIMEOUT_S} s: drivers will start slower"
        if done.returncode != 0:
            return f"not archived, drivers will start slower: {last_lines(done.stdout + done.stderr, 1)}"
        return "archived"

    def _train_meanwhile(self) -> None:
        """The same once all runs, with what the others leave of the processor, so that no first start waits for it."""
        if class_archive(self.settings).exists():
            return
        with (log_folder(self.settings) / "train.log").open("ab") as log:
            subprocess.Popen(
                ["nice", "-n", "19", *_TRAIN], cwd=PROJECT_ROOT, env=self._training_environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _training_environment(self) -> dict[str, str]:
        """The process belongs to this stack: `down` ends it too."""
        state = str(self.settings.state)
        return {**os.environ, f"{PREFIX}STATE_DIR": state, MARKER: state}

    def _clear_the_way(self) -> None:
        orphans = find_orphans(self.settings, self.supervisor)
        if orphans:
            self._say(f"stopping {len(orphans)} processes left behind by an earlier start")
            stop(orphans)
        running = {name for name, state in self.supervisor.states().items() if state.running}
        check_ports(self.settings, running)
        mode_file(self.settings).parent.mkdir(parents=True, exist_ok=True)
        mode_file(self.settings).write_text(self.settings.mode)

    def _prepare(self) -> None:
        log_folder(self.settings).mkdir(parents=True, exist_ok=True)
        steps = [Step("dagster", lambda _: str(dagster.prepare(self.settings)))]
        if self.postgres is not None:
            steps.append(Step("database", lambda _: self._prepare_postgres()))
        if runs_kafka(self.settings):
            self.kafka = local_kafka(self.settings)
            steps.append(Step("broker", lambda _: self._prepare_kafka()))
        run(steps, lambda _done: None)

    def _prepare_postgres(self) -> str:
        postgres = self.postgres
        if postgres is not None:
            postgres.prepare()
            states = self.supervisor.states()
            if "postgres" not in states or not states["postgres"].running:
                # Nobody of this stack is alive (orphans are gone): a lock file can only be a dead server's, and its
                # pid may by now be another process's, for which PostgreSQL would refuse to start.
                (postgres.data_dir / "postmaster.pid").unlink(missing_ok=True)
        return ""

    def _prepare_kafka(self) -> str:
        if self.kafka is not None:
            self.kafka.prepare()
        return ""

    # Starting

    def _infrastructure_steps(self) -> Iterator[Step]:
        yield Step("postgres", self._start_postgres)
        yield Step("kafka", self._start_kafka)

    def _start_postgres(self, cancelled: threading.Event) -> str:
        if self.postgres is not None:
            self._start("postgres", self.postgres.ready, cancelled, _SERVER_TIMEOUT_S)
            self.postgres.provision(self.settings.postgres_database)
        applied = migrate(self.settings)
        return f"{len(applied)} migrations applied" if applied else "schema up to date"

    def _start_kafka(self, cancelled: threading.Event) -> str:
        if self.kafka is not None:
            self._start("kafka", self.kafka.ready, cancelled, _SERVER_TIMEOUT_S)
        created = bus.create_topics(self.settings)
        return f"{len(created)} topics created" if created else "topics up to date"

    def _service_steps(self) -> Iterator[Step]:
        for service in services(self.settings):
            yield Step(service.name, self._starter(service), service.after)

    def _starter(self, service: Service) -> Callable[[threading.Event], str]:
        def start(cancelled: threading.Event) -> str:
            def healthy() -> bool:
                found = health.check(service, self.supervisor.states().get(service.name), self.settings)
                if (found.figures.get("restarts") or 0) > _RESTARTS_ALLOWED:
                    raise StackError(f"{service.name} keeps ending", detail=found.detail, fix="`make logs` says why")
                return found.healthy

            self._start(service.name, healthy, cancelled, service.start_timeout_s)
            return service.summary

        return start

    def _start(self, name: str, healthy: Callable[[], bool], cancelled: threading.Event, timeout_s: float) -> None:
        starts: set[int] = set()

        def settled() -> bool:
            state = self.supervisor.states().get(name)
            if state is not None:
                starts.add(state.started)
            return len(starts) > _RESTARTS_ALLOWED or healthy()

        self.supervisor.start(name)
        if wait_until(settled, cancelled, timeout_s) and healthy():
            return
        if cancelled.is_set():
            return
        log = log_folder(self.settings) / f"{name}.log"
        problem = "keeps ending" if len(starts) > _RESTARTS_ALLOWED else f"was not healthy within {timeout_s:.0f} s"
        raise StackError(f"{name} {problem}", detail=_end_of(log), fix=f"see {log}, then start again")

    def _flow_step(self, begun: datetime) -> Step:
        streams = [service for service in services(self.settings) if service.stream is not None]
        names = tuple(service.name for service in streams)
        collectors = {str(service.stream) for service in streams} - {"ingestion"}

        def wait(cancelled: threading.Event) -> str:
            stopped = self._stopped_on_purpose()
            if "ingestion" in stopped or collectors <= stopped:
                return f"not waited for: {', '.join(sorted(stopped))} stopped on purpose"
            if wait_until(lambda: self._rows_since(begun), cancelled, _FLOW_TIMEOUT_S, poll_s=0.3):
                return "trades arrive in the database"
            if cancelled.is_set():
                return ""
            raise StackError(
                f"no trade reached the database within {_FLOW_TIMEOUT_S} s",
                detail="\n".join(self._silent()) or "every part is healthy",
                fix="`make status` shows each part; `make logs` the collectors' and ingestion's words"
                + (" (is there a way to the exchanges?)" if self.settings.mode is Mode.LIVE else ""),
            )

        return Step("data flow", wait, names)

    def _stopped_on_purpose(self) -> set[str]:
        rows = health.streams(self.settings).values()
        return {row["name"] for row in rows if row["desired"] == health.STOPPED}

    def _rows_since(self, begun: datetime) -> bool:
        try:
            with connect(Role.READER, self.settings, application_name="cryptoviz start") as connection:
                row = connection.execute(query("rows_since"), {"since": begun}).fetchone()
        except psycopg.Error:
            return False
        return bool(row is not None and row[0])

    def _silent(self) -> Iterator[str]:
        states = self.supervisor.states()
        for service in services(self.settings):
            found = health.check(service, states.get(service.name), self.settings)
            if not found.healthy:
                yield f"{service.name}: {found.detail}"


def local_kafka(settings: Settings) -> LocalKafka:
    """The local stack's broker."""
    return LocalKafka(
        settings.state / "kafka", settings.kafka_port, settings.kafka_controller_port, settings=settings, train=True
    )


def mode_file(settings: Settings) -> Path:
    """Where the mode of the last start is kept."""
    return settings.state / "run" / "mode"


def started_settings(**overrides: object) -> Settings:
    """The settings with the mode that the stack was last started in."""
    settings = load(**overrides)
    path = mode_file(settings)
    return load(**overrides, mode=Mode(path.read_text().strip())) if path.exists() else settings


def find_orphans(settings: Settings, supervisor: Supervisor) -> list[Process]:
    """Processes of this stack that no living supervisord looks after."""
    found = members(settings.state, local_data_dir(settings.state))
    owner = supervisor.pid()
    cared_for = descendants(owner, found) if owner is not None else set()
    return [process for process in found if process.pid not in cared_for]


@contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """Only one command changes the stack at a time.

    Raises:
        StackError: another command still changes it.
    """
    path = settings.state / "run" / "stack.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as lock:
        try:
            lock.enter_context(file_lock(path, _LOCK_TIMEOUT_S))
        except LockHeldError:
            raise StackError("another command is starting or stopping the stack", fix="wait for it") from None
        yield


def _end_of(log: Path) -> str:
    return last_lines(log.read_text(errors="replace")) if log.exists() else ""
