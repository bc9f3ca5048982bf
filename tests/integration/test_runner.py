"""The runner keeps one worker at work, whatever is killed, stopped, cut off or asked for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cryptoviz import cli
from cryptoviz.settings import PROJECT_ROOT, Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query
from cryptoviz.streams.ownership import Ownership
from cryptoviz.streams.runner import BUSY
from tests.conftest import Cluster
from tests.e2e.platform import environment

pytestmark = pytest.mark.services

_RUN = """
import sys
from cryptoviz.settings import load
from cryptoviz.streams.runner import run
plan, name = sys.argv[1:]
sys.exit(run(name, load(), [sys.executable, "-m", "tests.integration.fake_worker", plan, name]))
"""
_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stream_ingestion'"
_WITHIN_S = 40
Row = dict[str, Any]


class Stream:
    """Runners of the stream `ingestion` with the workers they start; whatever is left is killed by `close`."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.log = folder / "log"
        self.runners: list[subprocess.Popen[bytes]] = []
        self.tell("work")

    def tell(self, plan: str) -> None:
        partial = self.folder / "plan.new"
        partial.write_text(plan)
        partial.replace(self.folder / "plan")

    def run(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _RUN, str(self.folder / "plan"), "ingestion"],
                cwd=PROJECT_ROOT, env=environment(self.settings), stdout=log, stderr=log,
            )  # fmt: skip
        self.runners.append(process)
        return process

    def rows(self, statement: str) -> list[Any]:
        with connect(Role.READER, self.settings) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]

    def status(self) -> Row:
        columns = ("state", "pid", "epoch", "restarts", "generation", "runner_pid", "rows_total", "last_error", "lag")
        found = self.rows(f"SELECT {', '.join(columns)}, next_start_at FROM stream_status WHERE name = 'ingestion'")
        return dict(zip((*columns, "next_start_at"), found[0], strict=True)) if found else {"state": None, "epoch": 0}

    def events(self, *wanted: str) -> list[tuple[str, int, str, Row]]:
        every = self.rows("SELECT event, epoch, reason, detail FROM stream_events WHERE name = 'ingestion' ORDER BY at")
        return [event for event in every if event[0] in wanted]

    def control(self, name: str, **values: Any) -> None:
        with connect(Role.WRITER, self.settings, autocommit=True) as connection:
            connection.execute(query(name), {"name": "ingestion", **values})

    def wait(self, condition: Callable[[], Any], what: str, within: float = _WITHIN_S) -> None:
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {within} s; {self.status()}\n{self.log.read_text()[-6000:]}")
            time.sleep(0.05)

    def running(self, epoch: int = 1) -> int:
        """Wait until a worker of at least this epoch works; its process id."""
        self.wait(
            lambda: (now := self.status())["state"] == "running" and now["epoch"] >= epoch and now["rows_total"] > 0,
            f"a worker of epoch {epoch}",
        )
        pid = self.status()["pid"]
        assert alive(pid)
        return int(pid)

    def state(self, wanted: str) -> None:
        self.wait(lambda: self.status()["state"] == wanted, wanted)

    def close(self) -> None:
        for process in self.runners:
            process.kill()
            process.wait()
        for path in self.folder.glob("worker-*"):
            with suppress(ProcessLookupError):
                os.kill(int(path.read_text()), signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def stream(database: Settings, tmp_path: Path) -> Iterator[Stream]:
    times = {
        "stream_hang_s": 2.5,
        "stream_start_s": 30.0,
        "stream_stop_s": 5.0,
        "stream_restart_min_s": 0.2,
        "stream_restart_max_s": 3.0,
        "stream_healthy_s": 2.0,
    }
    one = Stream(database.model_copy(update=times), tmp_path)
    yield one
    one.close()


def test_the_worker_works_and_its_figures_are_written_down(stream: Stream) -> None:
    runner = stream.run()
    stream.running()
    rows = stream.status()["rows_total"]
    stream.wait(lambda: stream.status()["rows_total"] > rows, "further figures")
    assert stream.status()["runner_pid"] == runner.pid
    assert stream.rows("SELECT detail FROM stream_status") == [({"exotic": "figure"},)]
    assert stream.rows(
        "SELECT ready_at >= started_at, now() - rows_at < '10 s', now() - lag_zero_at < '10 s',"
        " now() - progressed_at < '10 s', now() - runner_heartbeat < '10 s' FROM stream_status"
    ) == [(True, True, True, True, True)]
    stream.wait(lambda: stream.events("ready"), "the event")
    [(_, _, _, detail)] = stream.events("ready")
    assert 0 < detail["seconds"] < _WITHIN_S
    assert not stream.events("died", "hung", "killed", "recovered")


def test_a_second_runner_is_refused(stream: Stream) -> None:
    stream.run()
    worker = stream.running()
    assert stream.run().wait(30) == BUSY
    assert alive(worker)


def test_a_runner_is_stopped_gracefully_with_its_worker(stream: Stream) -> None:
    runner = stream.run()
    worker = stream.running()
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(30) == 0
    assert not alive(worker)
    assert (stream.folder / "graceful-1").exists()
    assert stream.status()["state"] == "stopped"
    assert [event[0] for event in stream.events("stopped", "killed", "died")] == ["stopped"]


def test_a_worker_that_does_not_stop_is_killed(stream: Stream) -> None:
    runner = stream.run()
    worker = stream.running()
    stream.tell("deaf")
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(30) == 0
    assert not alive(worker)
    assert [event[0] for event in stream.events("stopped", "killed")] == ["killed", "stopped"]


def test_a_killed_worker_is_replaced_and_what_it_cost_is_told(stream: Stream) -> None:
    stream.run()
    os.kill(stream.running(), signal.SIGKILL)
    stream.running(epoch=2)
    stream.wait(lambda: stream.events("recovered"), "the recovery")
    [(_, epoch, reason, detail)] = stream.events("died")
    assert (epoch, reason, detail["signal"]) == (1, "killed by SIGKILL", signal.SIGKILL)
    [(_, epoch, reason, cost)] = stream.events("recovered")
    assert (epoch, reason) == (2, "killed by SIGKILL")
    assert 0 < cost["rows_s"] <= cost["lag_zero_s"] < _WITHIN_S


def test_the_count_of_restarts_is_forgotten_after_a_healthy_while(stream: Stream) -> None:
    stream.run()
    os.kill(stream.running(), signal.SIGKILL)
    stream.wait(lambda: stream.status()["restarts"] == 1, "the count")
    stream.running(epoch=2)
    stream.wait(lambda: stream.status()["restarts"] == 0, "the count to be forgotten")


def test_a_stopped_worker_is_noticed_and_replaced(stream: Stream) -> None:
    stream.run()
    worker = stream.running()
    os.kill(worker, signal.SIGSTOP)
    stream.running(epoch=2)
    assert not alive(worker)
    assert [event[0] for event in stream.events("hung", "killed", "died")] == ["hung", "killed"]


def test_a_runner_that_was_stopped_keeps_its_worker(stream: Stream) -> None:
    runner = stream.run()
    worker = stream.running()
    silent = "SELECT heartbeat < now() - interval '4 seconds' FROM stream_status WHERE name = 'ingestion'"
    os.kill(runner.pid, signal.SIGSTOP)
    stream.wait(lambda: stream.rows(silent) == [(True,)], "more silence than a worker may keep")
    rows = stream.status()["rows_total"]
    os.kill(runner.pid, signal.SIGCONT)
    stream.wait(lambda: stream.status()["rows_total"] > rows, "the worker's figures")
    assert stream.running() == worker
    assert stream.events("hung") == []


def test_a_job_that_hangs_in_a_living_process_is_noticed_and_replaced(stream: Stream) -> None:
    stream.run()
    worker = stream.running()
    stream.tell("hang")
    stream.wait(lambda: stream.events("hung"), "the hang")
    stream.tell("work")
    stream.running(epoch=2)
    assert not alive(worker)


def test_work_that_stands_still_is_noticed_and_replaced(stream: Stream) -> None:
    stream.settings = stream.settings.model_copy(update={"stream_stall_s": 3.0})
    stream.run()
    stream.running()
    stream.tell("stand still")
    stream.wait(lambda: stream.events("hung"), "the standstill")
    assert "stood still" in stream.events("hung")[0][2]
    stream.tell("work")
    stream.running(epoch=2)


def test_a_worker_that_dies_at_each_start_is_restarted_with_growing_delay(stream: Stream) -> None:
    stream.tell("die")
    stream.run()
    stream.wait(
        lambda: stream.status().get("restarts", 0) >= 4 and stream.status()["state"] == "restarting", "4 deaths"
    )
    deaths = stream.rows(
        "SELECT epoch, extract(epoch FROM (SELECT min(at) FROM stream_events next WHERE event = 'started'"
        " AND next.epoch = died.epoch + 1) - at)::float8, reason FROM stream_events died"
        " WHERE event = 'died' AND epoch < 4 ORDER BY at"
    )
    assert [death[0] for death in deaths] == [1, 2, 3], "one event for each death"
    assert deaths[0][1] < deaths[1][1] < deaths[2][1]
    assert deaths[0][2] == "exit status 1: RuntimeError: as it was told to"
    now = stream.status()
    assert now["next_start_at"] is not None
    assert now["last_error"] == deaths[0][2]
    stream.tell("work")
    stream.running()
    stream.wait(lambda: stream.events("recovered"), "the recovery")
    [(_, _, _, cost)] = stream.events("recovered")
    assert cost["ends"] >= 4


def test_a_new_generation_restarts_at_once(stream: Stream) -> None:
    stream.settings = stream.settings.model_copy(update={"stream_restart_min_s": 300.0, "stream_restart_max_s": 300.0})
    stream.run()
    stream.running()
    stream.control("stream_restart", generation=None)
    stream.running(epoch=2)
    assert stream.status()["generation"] == 1
    assert stream.status()["restarts"] == 0
    assert (stream.folder / "graceful-1").exists()
    stream.wait(lambda: stream.events("recovered"), "the recovery")
    assert [event[0] for event in stream.events("restart_requested", "stopped", "recovered", "died")] == [
        "restart_requested", "stopped", "recovered"
    ]  # fmt: skip


def test_a_new_generation_ends_the_delay(stream: Stream) -> None:
    stream.settings = stream.settings.model_copy(update={"stream_restart_min_s": 300.0, "stream_restart_max_s": 300.0})
    stream.run()
    os.kill(stream.running(), signal.SIGKILL)
    stream.state("restarting")
    stream.control("stream_restart", generation=None)
    stream.running(epoch=2)


def test_a_restart_for_a_generation_that_is_over_is_refused(stream: Stream) -> None:
    stream.control("stream_restart", generation=None)
    stream.control("stream_restart", generation=0)
    assert stream.rows("SELECT generation FROM stream_control") == [(1,)]
    stream.control("stream_desire", desired="stopped")
    stream.control("stream_restart", generation=1)
    assert stream.rows("SELECT generation FROM stream_control") == [(1,)]


def test_what_is_desired_is_done(stream: Stream) -> None:
    stream.control("stream_desire", desired="stopped")
    runner = stream.run()
    stream.state("stopped")
    assert stream.status()["epoch"] == 0
    stream.control("stream_desire", desired="running")
    worker = stream.running()
    stream.control("stream_desire", desired="stopped")
    stream.state("stopped")
    assert not alive(worker)
    assert runner.poll() is None
    stream.control("stream_desire", desired="running")
    stream.running(epoch=2)


def test_a_worker_ends_with_its_runner_and_the_next_runner_goes_on(stream: Stream) -> None:
    runner = stream.run()
    worker = stream.running()
    runner.kill()
    stream.wait(lambda: not alive(worker), "the orphan's end")
    assert (stream.folder / "graceful-1").exists()
    runner.wait()
    stream.run()
    stream.running(epoch=2)
    stream.wait(lambda: stream.events("recovered"), "the recovery")
    assert [event[0] for event in stream.events("taken_over", "recovered", "killed")] == ["taken_over", "recovered"]


def test_an_orphan_that_was_stopped_is_killed_by_the_next_runner(stream: Stream) -> None:
    runner = stream.run()
    worker = stream.running()
    os.kill(worker, signal.SIGSTOP)
    runner.kill()
    runner.wait()
    stream.run()
    stream.running(epoch=2)
    assert not alive(worker)


def test_a_worker_that_was_stopped_ends_when_it_is_continued_after_its_runner(stream: Stream) -> None:
    runner = stream.run()
    worker = stream.running()
    os.kill(worker, signal.SIGSTOP)
    runner.kill()
    runner.wait()
    os.kill(worker, signal.SIGCONT)
    stream.wait(lambda: not alive(worker), "the orphan's end")


def test_a_worker_whose_epoch_is_over_ends_though_its_runner_lives(stream: Stream) -> None:
    runner = stream.run()
    worker = stream.running()
    # A runner that is stopped, and cut off: elsewhere another one has got the lock and begun a new epoch.
    runner.send_signal(signal.SIGSTOP)
    cut(stream, runner.pid)
    other = Ownership("ingestion", stream.settings)
    stream.wait(other.claim, "the lock")
    stream.wait(lambda: not alive(worker), "the end of the worker")
    runner.send_signal(signal.SIGCONT)
    assert runner.wait(30) == BUSY
    other.close()


def cut(stream: Stream, runner_pid: int) -> None:
    """Break the connection that holds the lock, and make the row another runner's."""
    with connect(Role.WRITER, stream.settings, autocommit=True) as connection:
        connection.execute(_CUT)
        connection.execute("UPDATE stream_status SET runner_pid = 1 WHERE runner_pid = %s", [runner_pid])


def test_the_worker_works_on_while_the_database_is_away(stream: Stream, postgres_cluster: Cluster) -> None:
    runner = stream.run()
    worker = stream.running()
    name = stream.settings.postgres_database
    postgres_cluster.execute("alter database {} with allow_connections false", name)
    postgres_cluster.execute(_CUT)
    stream.wait(lambda: "database_is_away" in stream.log.read_text(), "the loss")
    os.kill(worker, 0)
    postgres_cluster.execute("alter database {} with allow_connections true", name)
    stream.wait(lambda: "database_is_back" in stream.log.read_text(), "the return")
    assert runner.poll() is None
    assert stream.running() == worker
    assert stream.run().wait(30) == BUSY, "the lock was taken again"


def test_a_worker_that_dies_while_the_database_is_away_is_back_with_it(
    stream: Stream, postgres_cluster: Cluster
) -> None:
    stream.run()
    worker = stream.running()
    name = stream.settings.postgres_database
    postgres_cluster.execute("alter database {} with allow_connections false", name)
    postgres_cluster.execute(_CUT)
    os.kill(worker, signal.SIGKILL)
    stream.wait(lambda: "database_is_away" in stream.log.read_text(), "the loss")
    postgres_cluster.execute("alter database {} with allow_connections true", name)
    stream.running(epoch=2)
    assert [event[1] for event in stream.events("died")] == [1], "told when the database was back"


def test_a_runner_whose_stream_was_taken_meanwhile_stops_its_worker(stream: Stream) -> None:
    runner = stream.run()
    worker = stream.running()
    with connect(Role.WRITER, stream.settings, autocommit=True) as connection:
        connection.execute("UPDATE stream_status SET host = %s", [f"not-{socket.gethostname()}"])
    assert runner.wait(30) == BUSY
    assert not alive(worker)


def test_the_command_line_tells_the_runner_and_waits_for_it(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(stream.settings).items():
        monkeypatch.setenv(name, value)
    runner = stream.run()
    worker = stream.running()
    assert cli.run(["stream", "stop", "ingestion"]) == 0
    assert not alive(worker)
    assert cli.run(["stream", "start", "ingestion"]) == 0
    started = stream.running(epoch=2)
    assert cli.run(["stream", "start", "ingestion"]) == 0
    assert alive(started), "one that runs goes on"
    assert cli.run(["stream", "restart", "ingestion"]) == 0
    assert not alive(started)
    assert stream.status()["epoch"] == 3
    assert runner.poll() is None
    assert capsys.readouterr().out.splitlines() == [f"ingestion {word}" for word in _WORDS]
    log = stream.rows("SELECT action, subject, actor <> '' FROM action_log ORDER BY id")
    assert log == [(f"{action}_stream", "ingestion", True) for action in ("stop", "start", "start", "restart")]


_WORDS = ("stopped", "started", "started", "restarted")


def test_the_command_line_says_what_it_waits_for(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(stream.settings).items():
        monkeypatch.setenv(name, value)
    assert cli.run(["stream", "restart", "ingestion"]) == 1
    assert "no runner" in capsys.readouterr().err
    assert cli.run(["stream", "stop", "ingestion"]) == 0
    assert "no runner" in capsys.readouterr().out
    stream.tell("die")
    stream.run()
    stream.state("stopped")
    assert cli.run(["stream", "start", "ingestion", "--wait", "3"]) == 1
    assert "has not within 3 s" in capsys.readouterr().err
