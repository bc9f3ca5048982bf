"""When a worker counts as hung, how long its runner waits, what its lines tell, and how a stream's row is judged."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from cryptoviz.settings import Settings
from cryptoviz.stack.health import stream_health
from cryptoviz.streams.facts import HealthLimits, StreamFacts
from cryptoviz.streams.progress import PROGRESS, READY
from cryptoviz.streams.supervision import StreamMemory, decide
from cryptoviz.streams.verdicts import JudgedStream
from cryptoviz.streams.worker import RunnerChannel
from cryptoviz.streams.worker_life import WorkerLife, hang_reason, restart_backoff

RUNNER = 7


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, stream_hang_s=10, stream_start_s=100, stream_stall_s=50)


@pytest.fixture
def life() -> WorkerLife:
    return WorkerLife(epoch=1, generation=0, started=0.0)


def figures(**values: Any) -> dict[str, Any]:
    return {"rows_total": 1, "lag": 0, PROGRESS: 1, **values}


def test_delays_double_up_to_the_longest(settings: Settings) -> None:
    delays = [restart_backoff(settings).bound(ends) for ends in range(1, 12)]
    assert delays[:4] == [0.5, 1, 2, 4]
    assert delays[-1] == 30
    assert all(later >= earlier for earlier, later in itertools.pairwise(delays))


@pytest.mark.parametrize("ends", [1, 3, 50, 10_000])
def test_jitter_spreads_a_delay_and_never_exceeds_the_longest(settings: Settings, ends: int) -> None:
    backoff = restart_backoff(settings)
    delays = {backoff.seconds(ends) for _ in range(20)}
    assert len(delays) > 1
    assert backoff.bound(ends) / 2 < min(delays) < max(delays) <= backoff.bound(ends) <= 30


def test_a_worker_that_starts_has_longer_than_one_that_works(life: WorkerLife, settings: Settings) -> None:
    assert hang_reason(life, settings, 99) is None
    assert hang_reason(life, settings, 101) is not None
    life.hear(figures(), 5)
    assert hang_reason(life, settings, 14) is None
    assert "no sign of life" in (hang_reason(life, settings, 16) or "")


def test_time_in_which_the_runner_itself_stood_still_is_no_silence(life: WorkerLife, settings: Settings) -> None:
    life.hear(figures(), 5)
    life.ignore_absence(60)
    assert hang_reason(life, settings, 5 + 60 + 10) is None
    assert hang_reason(life, settings, 5 + 60 + 11) is not None


def test_a_process_that_beats_without_ever_beginning_is_hung(life: WorkerLife, settings: Settings) -> None:
    for second in range(101):
        life.hear(None, second)
    assert hang_reason(life, settings, 100) is None
    assert "begin" in (hang_reason(life, settings, 100.5) or "")


def test_reports_without_progress_are_a_standstill(life: WorkerLife, settings: Settings) -> None:
    for second in range(60):
        life.hear(figures(), second)
    assert "stood still" in (hang_reason(life, settings, 59) or "")
    life.hear(figures(**{PROGRESS: 2}), 59)
    assert hang_reason(life, settings, 60) is None


def test_a_first_batch_that_moves_is_progress_and_not_ready(life: WorkerLife, settings: Settings) -> None:
    for second in range(0, 400, 40):
        life.hear(figures(rows_total=0, **{PROGRESS: second, READY: False}), second)
        life.hear(figures(rows_total=0, **{PROGRESS: second, READY: False}), second + 9)
        assert hang_reason(life, settings, second + 9) is None
    assert life.ready is None
    life.hear(figures(rows_total=0, **{PROGRESS: 400, READY: True}), 400)
    assert life.ready == 400


def test_a_job_that_never_had_anything_to_do_does_not_stand_still(life: WorkerLife, settings: Settings) -> None:
    for second in range(1000):
        life.hear({"rows_total": 0}, second)
    assert hang_reason(life, settings, 1000) is None
    assert life.ready is None


@pytest.mark.parametrize(("lag", "rows", "zero"), [(0, 0, True), (99, 100, True), (100, 100, False), (None, 5, False)])
def test_lag_is_zero_when_less_is_left_than_came_in_a_second(
    life: WorkerLife, lag: int | None, rows: int, *, zero: bool
) -> None:
    life.hear(figures(lag=lag, rows_total=rows), 1)
    assert (life.lag_zero == 1) is zero


class Line:
    """Both ends of a worker's line to its runner."""

    def __init__(self, patience_s: float = 60) -> None:
        self.runner, worker = socket.socketpair()
        self.runner.settimeout(20)
        self.stop = threading.Event()
        self.channel = RunnerChannel(worker, self.stop, patience_s)
        self.lines = self.runner.makefile("rb")

    def read(self) -> Any:
        return json.loads(self.lines.readline())


def test_a_worker_beats_before_its_job_has_begun_and_then_only_when_it_reports() -> None:
    line = Line()
    line.channel.start()
    assert [line.read(), line.read()] == [None, None]
    line.channel.report({"rows_total": 1})
    while (heard := line.read()) is None:
        pass
    assert heard == {"rows_total": 1}
    line.runner.settimeout(2.5)
    with pytest.raises(TimeoutError):
        line.runner.recv(1)
    line.channel.close()


def test_the_last_word_says_why() -> None:
    line = Line()
    line.channel.report({"rows_total": 3})
    line.channel.start()
    assert line.read() == {"rows_total": 3}
    line.channel.close("ValueError: no")
    assert line.read() == {"rows_total": 3, "last_error": "ValueError: no"}


def test_a_worker_is_told_to_stop_by_the_end_of_its_runner() -> None:
    line = Line()
    line.channel.start()
    line.lines.close()
    line.runner.close()
    assert line.stop.wait(20)
    line.channel.close()


def test_a_runner_that_does_not_read_holds_up_nobody() -> None:
    line = Line()
    line.channel.start()
    big = {"text": "x" * 500_000}
    for _ in range(1000):
        line.channel.report(big)
    assert line.read() in (None, big)
    line.channel.close()


def judged(**values: Any) -> JudgedStream:
    row = {
        "name": "ingestion", "state": "running", "desired": "running", "runner_pid": RUNNER, "runner_age": 0.5,
        "heartbeat_age": 0.5, "uptime": 900, "lag": 0, "rows_total": 1, "batch_rows": 1, "batch_ms": 1.0, "epoch": 1,
        "restarts": 0, "next_start_in": None, "last_error": None, "detail": {},
    } | values  # fmt: skip
    return JudgedStream(row, decide(StreamFacts.of(row), StreamMemory(), HealthLimits(), 1_000_000.0))


@pytest.mark.parametrize(
    ("values", "healthy", "detail"),
    [
        ({}, True, ""),
        ({"uptime": 20}, True, "starting: started 20 s ago"),
        ({"state": "stopped", "desired": "stopped"}, True, "stopped on purpose"),
        ({"state": "stopping", "desired": "stopped"}, False, "stopped: asked to stand still"),
        ({"state": "stopped"}, False, "starting: stopped"),
        ({"state": "starting"}, False, "starting: starting"),
        (
            {"state": "restarting", "restarts": 1, "next_start_in": 2.2, "last_error": "exit status 1"},
            False,
            "starting: restarting, next start in 2 s: exit status 1",
        ),
        (
            {"state": "restarting", "restarts": 3, "next_start_in": 2.2, "last_error": "exit status 1"},
            False,
            "down: its worker ended 3 times, next start in 2 s: exit status 1",
        ),
        ({"heartbeat_age": 71.0}, False, "stuck: its worker has been silent for 71 s"),
        ({"runner_age": 30.0}, False, "dead: no runner: its last sign of life was 30 s ago"),
        ({"progress_age": 200, "lag": 9}, False, "stuck: no progress for 200 s with 9 messages to go"),
        ({"runner_age": None}, False, "dead: no runner has ever reported"),
        ({"runner_pid": 8}, False, "has not reported yet"),
        ({"state": None}, False, "has not reported yet"),
    ],
)
def test_a_stream_is_as_healthy_as_its_supervisor_says(values: dict[str, Any], detail: str, *, healthy: bool) -> None:
    found = stream_health(judged(**values), RUNNER)
    assert (found.healthy, found.detail) == (healthy, detail)


def test_a_stream_that_never_reported_is_not_healthy() -> None:
    assert not stream_health(None, None).healthy
