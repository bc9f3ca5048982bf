"""Which reports of a streaming query count as progress."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cryptoviz.processes import family, thread_seconds
from cryptoviz.settings import Settings
from cryptoviz.streams.progress import PROGRESS, READY, ProgressSign, ProgressWatch, broker_away, processor_at_work

FINISHED = {"trigger": "2026-01-01T00:00:00Z", "waits": 0, "steps": 3}


class Reports:
    """A watch at a clock of its own; each of its looks has ended before the next report."""

    def __init__(self, sign: ProgressSign, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.heard: list[dict[str, Any]] = []
        self._looks: list[threading.Thread] = []
        monkeypatch.setattr("cryptoviz.streams.progress.time.monotonic", lambda: self.now)
        self._watch = ProgressWatch(self.heard.append, [sign])

    def at(self, now: float, **figures: Any) -> dict[str, Any]:
        self.now = now
        before = set(threading.enumerate())
        self._watch(figures)
        for look in set(threading.enumerate()) - before:
            look.join(20)
        return self.heard[-1]


def progress(sign: str | None, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the progress is, report for report, of a query that finishes nothing for a minute."""
    reports = Reports(lambda _first: sign, monkeypatch)
    return [reports.at(second, **FINISHED)[PROGRESS] for second in range(60)]


def test_a_query_that_does_not_move_and_is_not_held_up_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    found = progress(None, monkeypatch)
    assert found == [found[0]] * 60


@pytest.mark.parametrize("sign", ["", "the broker does not answer"])
def test_what_is_worked_on_or_held_up_does_not_stand_still(sign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = progress(sign, monkeypatch)
    assert found[0] == found[4]
    assert all(found[second] != found[second + 10] for second in range(50))


def test_what_holds_it_up_is_said_until_it_moves_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = Reports(lambda _first: "a lock", monkeypatch)
    said = [reports.at(second, **FINISHED).get("last_error") for second in (0, 4, 6, 7)]
    assert (said[:2], said[3]) == ([None, None], "a lock")
    moved = reports.at(8, **FINISHED | {"steps": 4})
    assert "last_error" not in moved
    assert moved[PROGRESS] != reports.heard[-2][PROGRESS]


def test_steps_of_the_first_batch_are_progress_and_nothing_is_ready_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = Reports(lambda _first: None, monkeypatch)
    assert PROGRESS not in reports.at(0, waits=0, steps=0)
    first, second = reports.at(1, waits=0, steps=1), reports.at(2, waits=0, steps=2)
    assert first[PROGRESS] != second[PROGRESS]
    assert (second[READY], reports.at(3, **FINISHED)[READY]) == (False, True)


def test_a_sign_is_told_when_the_work_has_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    firsts: list[bool] = []
    reports = Reports(firsts.append, monkeypatch)
    for second in range(20):
        reports.at(second, **FINISHED)
    for second in range(20, 40):
        reports.at(second, **FINISHED | {"steps": 4})
    assert firsts.count(True) == 2
    assert firsts[:2] == [True, False]


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[str]]:
    """A process whose child works whenever it is told to and waits otherwise."""
    code = "import sys\nfor line in sys.stdin:\n    print(sum(range(10**7)) if line == 'work\\n' else 0, flush=True)"
    parent = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {code!r}]))"
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    yield process
    with contextlib.suppress(ProcessLookupError):  # the test has ended it
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def worked(process: subprocess.Popen[str], *, forever: bool = False) -> None:
    """One piece of work, waited for; or more than a test waits for."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("work\n" * (1000 if forever else 1))
    process.stdin.flush()
    process.stdout.readline()


def test_a_thread_that_works_is_a_sign_until_it_has_used_its_time(busy: subprocess.Popen[str]) -> None:
    worked(busy)
    look = processor_at_work(busy.pid, limit_s=2)
    assert look(True) is None, "it waits"
    worked(busy, forever=True)
    found = [look(True)]
    while found[-1] is not None:
        found.append(look(False))
    assert found[0] == ""
    used = max(max(thread_seconds(member).values()) for member in family(busy.pid))
    assert used >= 2
    assert processor_at_work(busy.pid, limit_s=1000)(True) == "", "another look begins anew"


def test_a_process_that_is_stopped_or_gone_gives_no_sign(busy: subprocess.Popen[str]) -> None:
    worked(busy, forever=True)
    os.killpg(busy.pid, signal.SIGSTOP)
    look = processor_at_work(busy.pid, limit_s=1000)
    assert look(True) is None
    os.killpg(busy.pid, signal.SIGKILL)
    busy.wait()
    assert look(False) is None


def test_a_broker_that_is_away_is_a_sign() -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        server = f"127.0.0.1:{broker.getsockname()[1]}"
        look = broker_away(Settings(kafka_bootstrap_servers=server))
        assert look(True) is None
    assert look(True) == f"{server} does not answer"
