"""Ports in use are named with the setting that moves them; processes left behind are found and stopped, by id."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptoviz.processes import MARKER, Process, descendants, members, read_process, stop
from cryptoviz.settings import Mode, Settings
from cryptoviz.stack.errors import StackError
from cryptoviz.stack.ports import check_ports
from cryptoviz.stack.start import exclusive
from tests.conftest import free_ports

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    names = (
        "postgres_port",
        "kafka_port",
        "kafka_controller_port",
        "dagster_port",
        "dagster_code_port",
        "simulator_port",
        "web_simulator_port",
        "reports_port",
    )
    return Settings(mode=Mode.DEMO, state_dir=tmp_path, **dict(zip(names, free_ports(len(names)), strict=True)))


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with spawn(SLEEP, tmp_path) as process:
        yield process
        process.kill()


def spawn(command: list[str], state: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command, env={**os.environ, MARKER: str(state)}, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_free_ports_are_no_conflict(settings: Settings) -> None:
    check_ports(settings, running=())


def test_a_taken_port_is_named_with_its_owner_and_the_setting_that_moves_it(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.kafka_port)), pytest.raises(StackError) as caught:
        check_ports(settings, running=())
    assert f"port {settings.kafka_port} for kafka is in use by pid {os.getpid()}" in str(caught.value)
    assert "CRYPTOVIZ_KAFKA_PORT" in caught.value.fix


def test_every_taken_port_is_named_at_once(settings: Settings) -> None:
    with (
        socket.create_server(("127.0.0.1", settings.dagster_port)),
        socket.create_server(("127.0.0.1", settings.simulator_port)),
        pytest.raises(StackError) as caught,
    ):
        check_ports(settings, running=())
    assert "CRYPTOVIZ_DAGSTER_PORT" in caught.value.fix
    assert "CRYPTOVIZ_SIMULATOR_PORT" in caught.value.fix


def test_a_port_of_our_own_running_process_is_no_conflict(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.kafka_port)):
        check_ports(settings, running={"kafka"})


def test_a_simulator_port_matters_in_demo_mode_only(settings: Settings) -> None:
    live = settings.model_copy(update={"mode": Mode.LIVE})
    with socket.create_server(("127.0.0.1", settings.simulator_port)):
        check_ports(live, running=())


def test_a_process_of_the_stack_is_found_by_its_marker(tmp_path: Path, child: subprocess.Popen[str]) -> None:
    assert [process.pid for process in members(tmp_path)] == [child.pid]


def test_a_process_of_another_stack_is_not_ours(tmp_path: Path, child: subprocess.Popen[str]) -> None:
    assert members(tmp_path / "other") == []
    assert members(Path(str(tmp_path)[:-1])) == []


def test_a_process_in_the_database_folder_is_found_without_the_marker(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert [found.pid for found in members(tmp_path / "state", tmp_path)] == [process.pid]
        finally:
            process.kill()


@pytest.mark.parametrize("command", [SLEEP, STUBBORN], ids=["polite", "stubborn"])
def test_stopping_leaves_nothing_behind(tmp_path: Path, command: list[str]) -> None:
    with spawn(command, tmp_path) as process:
        stop(members(tmp_path), timeout_s=0.5)
        assert process.wait(5) < 0
    assert members(tmp_path) == []


def test_a_pid_that_was_given_to_another_process_is_left_alone(child: subprocess.Popen[str]) -> None:
    now = read_process(child.pid)
    assert now is not None
    stop([Process(now.pid, now.parent, now.started - 1, now.command)], timeout_s=0.1)
    assert child.poll() is None


def test_descendants_include_the_whole_family() -> None:
    family = [Process(2, 1, 0, ""), Process(3, 2, 0, ""), Process(4, 3, 0, ""), Process(5, 1, 0, "")]
    assert descendants(2, family) == {2, 3, 4}


def test_only_one_command_changes_the_stack_at_a_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoviz.stack.start._LOCK_TIMEOUT_S", 0.1)
    begun = time.monotonic()
    with exclusive(settings), pytest.raises(StackError, match="another command"), exclusive(settings):
        pass
    assert time.monotonic() - begun < 5
    with exclusive(settings):
        pass
