"""What is done to the running stack: processes killed and stopped, dependencies taken away.

An action ends with the trouble it makes: a kill at once, a stop with SIGCONT, an absence with the return.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptoviz.processes import Process
from tests.chaos.stack import LocalStack, send
from tests.e2e.truth import EXCHANGES

_STOP_S = 15
_AWAY_S = 60
_BACK_S = 20
_SERVER_BACK_S = 40
_LAG_ZERO_S = 60
_REFETCHED_S = 300
_SERVERS = ("postgres", "kafka")

Find = Callable[[LocalStack], list[Process]]


@dataclass(frozen=True)
class Target:
    """A process (`find`: itself first, then what it started) of a part of the stack."""

    name: str
    part: str
    find: Find
    exchanges: Sequence[str] = EXCHANGES


@dataclass(frozen=True)
class Action:
    """Something done to the stack, and how long it may take to recover, in seconds from the end of the action.

    `replaces`: whether the target must be another process afterwards.
    """

    name: str
    target: Target
    do: Callable[[LocalStack], None]
    replaces: bool = False
    back_s: float = _BACK_S
    lag_zero_s: float = _LAG_ZERO_S

    @property
    def limit(self) -> str:
        """For people: back / lag zero."""
        return f"{self.back_s:.0f} / {self.lag_zero_s:.0f}"


def _worker(part: str) -> Find:
    return lambda stack: stack.worker(part)


def _family(part: str) -> Find:
    return lambda stack: stack.family(part)


def _jvm(stack: LocalStack) -> list[Process]:
    return [process for process in stack.worker("ingestion") if Path(process.command.split()[0]).name == "java"]


def _runner(part: str) -> Find:
    return lambda stack: stack.family(part)[:1]


DRIVER = Target("Spark driver", "ingestion", _worker("ingestion"))
JVM = Target("its JVM", "ingestion", _jvm)
RUNNER = Target("runner of ingestion", "ingestion", _runner("ingestion"))
WORKERS = {
    name: Target(f"collector of {name}", f"collector-{name}", _worker(f"collector-{name}"), [name])
    for name in EXCHANGES
}
RUNNERS = {
    name: Target(f"runner of collector {name}", f"collector-{name}", _runner(f"collector-{name}"), [name])
    for name in EXCHANGES
}
BROKER = Target("broker", "kafka", _family("kafka"))
DATABASE = Target("database", "postgres", _family("postgres"))
DAEMON = Target("Dagster daemon", "dagster-daemon", _family("dagster-daemon"))
WEBSERVER = Target("Dagster webserver", "dagster-webserver", _family("dagster-webserver"))
CODE_SERVER = Target("Dagster code server", "dagster-code", _family("dagster-code"))
COLLECTING = [*WORKERS.values(), *RUNNERS.values()]
TARGETS = [DRIVER, JVM, RUNNER, *COLLECTING, BROKER, DATABASE, DAEMON, WEBSERVER, CODE_SERVER]


def kill(target: Target) -> Action:
    """kill -9 of the process alone: what becomes of those below it is a matter of the platform."""

    def do(stack: LocalStack) -> None:
        os.kill(target.find(stack)[0].pid, signal.SIGKILL)

    return Action(f"kill {target.name}", target, do, replaces=True, back_s=_back_s(target))


def stop(target: Target) -> Action:
    """SIGSTOP of the process with all below it (a runner: itself alone), SIGCONT after fifteen seconds."""

    def do(stack: LocalStack) -> None:
        pids = [process.pid for process in target.find(stack)]
        send(pids, signal.SIGSTOP)
        try:
            time.sleep(_STOP_S)
        finally:
            send(pids, signal.SIGCONT)

    return Action(f"stop {target.name}", target, do, back_s=_back_s(target))


def away(target: Target) -> Action:
    """A server shut down for a minute."""

    def do(stack: LocalStack) -> None:
        stack.supervisor.stop([target.part])
        try:
            time.sleep(_AWAY_S)
        finally:
            stack.supervisor.start(target.part)

    return Action(f"{target.name} away", target, do, replaces=True, back_s=_back_s(target))


def silent(exchange: str, *kinds: str) -> Action:
    """An exchange that says nothing and refuses what is asked, for a minute.

    A minute of trades is then fetched over REST at the pace that the exchange allows (Kraken: a request a second),
    beside the gaps that the load's own faults open meanwhile.
    """

    def do(stack: LocalStack) -> None:
        for kind in kinds:
            order = {"exchange": exchange, "kind": kind, "duration_s": _AWAY_S}
            stack.platform.control("fault", order if kind != "cut" else {"exchange": exchange, "kind": kind})
        time.sleep(_AWAY_S)

    return Action(f"{exchange} away", WORKERS[exchange], do, lag_zero_s=_REFETCHED_S)


def _back_s(target: Target) -> float:
    return _SERVER_BACK_S if target.part in _SERVERS else _BACK_S


_PATIENCE = 4
"""The short form is about exactness: on a busy machine it allows so many times the seconds of the full one."""

SHORT = [
    replace(action, back_s=_PATIENCE * action.back_s, lag_zero_s=_PATIENCE * action.lag_zero_s)
    for action in (kill(DRIVER), kill(WORKERS["kraken"]), kill(BROKER), kill(DATABASE), stop(DRIVER))
]
FULL = [
    *map(kill, TARGETS),
    *map(stop, TARGETS),
    away(BROKER),
    away(DATABASE),
    silent("kraken", "maintenance", "server_error"),
    silent("binance", "silence", "server_error", "cut"),
]
