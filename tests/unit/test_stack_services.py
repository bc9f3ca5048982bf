"""One list of services makes the supervisor's configuration and docker-compose.yml: the two are held equal."""

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryptoviz.commands.output import EXIT_FAILURE
from cryptoviz.processes import MARKER
from cryptoviz.settings import PREFIX, PROJECT_ROOT, Mode, Settings
from cryptoviz.stack import compose
from cryptoviz.stack.compose import COMPOSE_FILE, compose_text
from cryptoviz.stack.jars import class_archive
from cryptoviz.stack.services import log_folder, services
from cryptoviz.stack.start import Stack
from cryptoviz.stack.supervisor import Program, configuration, programs

SERVERS = {"secrets", "postgres", "kafka", "setup"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(mode=Mode.DEMO, state_dir=tmp_path)


def parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(" ;", "\t;"))
    parser.read_string(text)
    return parser


def supervised(settings: Settings) -> dict[str, dict[str, str]]:
    parser = parsed(configuration(settings, programs(settings, None, None)))
    return {
        section.removeprefix("program:"): dict(parser[section])
        for section in parser.sections()
        if section.startswith("program:")
    }


def containers() -> dict[str, Any]:
    described = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    return {name: one for name, one in described.items() if name not in SERVERS}


def test_the_compose_file_is_what_the_list_of_services_gives() -> None:
    assert COMPOSE_FILE.read_text() == compose_text(), "run `make docs`"


def test_compose_and_supervisor_start_the_same_processes(settings: Settings) -> None:
    assert set(containers()) == set(supervised(settings)) == {service.name for service in services(settings)}


def test_compose_and_supervisor_start_them_with_the_same_commands(settings: Settings) -> None:
    started = supervised(settings)
    for service in services(settings):
        words = containers()[service.name]["command"]
        if service.environment(settings):
            # `cryptoviz run NAME` adds the service's variables and becomes the very command.
            assert words == ["python", "-m", "cryptoviz.cli", "run", service.name]
            words = service.command(settings)
        assert shlex.split(started[service.name]["command"]) == [sys.executable, *words[1:]]


def test_every_container_has_a_health_check_and_a_restart_policy() -> None:
    described = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    lasting = {name: one for name, one in described.items() if name not in {"secrets", "setup"}}
    assert lasting
    for name, one in lasting.items():
        assert one["healthcheck"]["test"], name
        assert one["restart"] == "unless-stopped", name


def test_containers_wait_for_what_the_supervisor_waits_for(settings: Settings) -> None:
    for service in services(settings):
        assert set(service.after) <= set(containers()[service.name]["depends_on"])


def test_the_database_container_is_the_community_edition() -> None:
    assert compose._postgres()["image"].startswith("timescale/timescaledb:")
    assert "-oss" not in compose._postgres()["image"]


def test_the_simulators_run_in_demo_mode_only(settings: Settings) -> None:
    live = Settings(mode=Mode.LIVE, state_dir=settings.state_dir)
    for name in ("simulators", "simulated-web"):
        assert name in {service.name for service in services(settings)}
        assert name not in {service.name for service in services(live)}
        assert containers()[name]["profiles"] == ["demo"]


def test_the_mode_reaches_every_process(settings: Settings) -> None:
    for program in programs(settings, None, None):
        assert program.environment["CRYPTOVIZ_MODE"] == "demo"
        assert program.environment["CRYPTOVIZ_STACK"] == str(settings.state)


def test_a_changed_setting_changes_the_environment_and_so_restarts(settings: Settings) -> None:
    before = {program.name: program for program in programs(settings, None, None)}
    after = programs(Settings(mode=Mode.DEMO, state_dir=settings.state_dir, simulator_rate=41), None, None)
    assert all(before[program.name].environment != program.environment for program in after)


def test_what_dies_is_started_again_and_stopping_reaches_the_children(settings: Settings) -> None:
    for name, options in supervised(settings).items():
        assert options["autorestart"] == "true", name
        assert options["autostart"] == "false", name
        assert options["killasgroup"] == "true", name
        assert int(options["stdout_logfile_backups"]) > 0, name


@pytest.mark.parametrize("value", ["50%", "a b", 'say "hi" twice', "it's", "a;b", "x=1,y=2", "back\\slash"])
def test_values_survive_supervisors_own_parser(settings: Settings, value: str) -> None:
    from supervisor.datatypes import dict_of_key_value_pairs  # noqa: PLC0415 - only this test needs it
    from supervisor.options import expand  # noqa: PLC0415

    program = Program("one", ["echo", value], 1, {"NAME": value})
    options = parsed(configuration(settings, [program]))["program:one"]
    assert dict_of_key_value_pairs(expand(options["environment"], {}, "environment")) == {"NAME": value}
    assert shlex.split(expand(options["command"], {}, "command")) == ["echo", value]


def test_the_supervisor_listens_on_a_socket_for_its_owner_only(settings: Settings) -> None:
    parser = parsed(configuration(settings, []))
    assert parser["unix_http_server"]["chmod"] == "0700"
    assert "inet_http_server" not in parser.sections()


def test_the_exit_status_of_a_failure_is_not_zero() -> None:
    assert EXIT_FAILURE != 0
    assert (PROJECT_ROOT / "bootstrap.sh").stat().st_mode & 0o100


def test_the_classes_of_a_driver_are_archived_once_and_as_a_part_of_the_stack(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, *, env, **_: started.append((command, env)))
    stack = Stack(settings, lambda _done: None, lambda _line: None)
    log_folder(settings).mkdir(parents=True)
    stack._train_meanwhile()
    [(command, environment)] = started
    assert command[:3] == ["nice", "-n", "19"]
    assert command[-3:] == ["-m", "streaming", "train"]
    assert environment[MARKER] == environment[f"{PREFIX}STATE_DIR"] == str(settings.state)
    class_archive(settings).parent.mkdir(parents=True)
    class_archive(settings).touch()
    stack._train_meanwhile()
    assert len(started) == 1


def test_all_but_pyspark_is_installed_first() -> None:
    bootstrap = (PROJECT_ROOT / "bootstrap.sh").read_text()
    program = re.search(r"awk '(.*pyspark.*)' requirements/dev.txt", bootstrap)
    assert program is not None
    lock = PROJECT_ROOT / "requirements" / "dev.txt"
    first = subprocess.run(["awk", program[1], lock], capture_output=True, text=True, check=True).stdout
    every = pinned(lock.read_text())
    assert every.pop("pyspark")
    assert pinned(first) == every


def pinned(lock: str) -> dict[str, list[str]]:
    """Package -> its hashes."""
    parts = re.split(r"^([a-z0-9][^=\s]*)==", lock, flags=re.M)
    return {name: re.findall(r"--hash=(\S+)", text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}
