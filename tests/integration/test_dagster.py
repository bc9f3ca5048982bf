"""Dagster's three processes as the stack starts them: they serve the graph and fill the table `instruments`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from cryptoviz.instruments import fetch, source_address
from cryptoviz.remote.errors import PermanentError, TransientError
from cryptoviz.settings import PREFIX, PROJECT_ROOT, Mode, Role, Settings
from cryptoviz.stack import dagster
from cryptoviz.storage.database import connect
from dagster_project.definitions import build
from tests.conftest import Cluster, free_ports

pytestmark = [pytest.mark.services, pytest.mark.slow]

GRAPH = "{assetNodes {assetKey {path} groupName isMaterializable}}"
HEALTH = "{instance {daemonHealth {allDaemonStatuses {daemonType required healthy}}}}"
RUN = "query($id: ID!) {runOrError(runId: $id) {... on Run {status}}}"
LAUNCH = """mutation($params: ExecutionParams!) {launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}}}"""


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 180) -> Any:
    """The first true value of `condition`; what is not there yet may raise."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except (httpx.HTTPError, KeyError, TypeError) as error:
            last = error
        time.sleep(0.3)
    raise AssertionError(f"no {what} within {seconds} s ({last!r})")


@contextmanager
def process(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env=os.environ | environment,
            cwd=PROJECT_ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        # The code server first lets a run in progress end; nobody needs its result any more.
        with suppress(subprocess.TimeoutExpired):
            child.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the simulated exchanges."""
    [port] = free_ports(1)
    log = tmp_path_factory.mktemp("simulators") / "log"
    variables = {f"{PREFIX}MODE": "demo", f"{PREFIX}SIMULATOR_PORT": str(port)}
    with process([*python(), "simulators"], variables, log):
        wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/kraken/0/public/Time"), "simulator")
        yield port


def python() -> list[str]:
    return dagster.commands(Settings())["dagster-code"][:2]


@pytest.mark.parametrize("exchange", ["kraken", "binance"])
def test_instruments_come_from_the_configured_address_in_our_words(simulated: int, exchange: str) -> None:
    settings = Settings(mode=Mode.DEMO, simulator_port=simulated)
    listing = fetch(exchange, source_address(exchange, settings), 10)
    found = {row.pair: row for row in listing.instruments}
    assert set(settings.pairs(exchange)) <= found.keys()
    assert all(row.exchange == exchange and row.price_increment and row.volume_increment for row in found.values())
    assert not {pair for pair in found if "XBT" in pair or "XDG" in pair}


def test_an_exchange_that_is_not_there_may_be_asked_again() -> None:
    [port] = free_ports(1)
    with pytest.raises(TransientError, match="kraken: "):
        fetch("kraken", f"http://127.0.0.1:{port}/kraken", 1)


def test_a_name_that_ccxt_does_not_know_is_refused() -> None:
    with pytest.raises(PermanentError, match="nowhere is not an exchange of ccxt"):
        fetch("nowhere", None, 1)


@pytest.fixture
def settings(database: Settings, simulated: int, tmp_path: Path) -> Settings:
    port, code_port = free_ports(2)
    changed = {"mode": Mode.DEMO, "simulator_port": simulated, "dagster_port": port, "dagster_code_port": code_port}
    return database.model_copy(update=changed)


@pytest.fixture
def graphql(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Dagster as the stack runs it; asks its web server."""
    home = settings.state / "dagster"
    dagster.prepare(settings)
    ours = {
        f"{PREFIX}{name.upper()}": str(getattr(settings, name))
        for name in ("state_dir", "postgres_port", "postgres_database", "simulator_port", "mode", "dagster_port")
    }
    assert home.is_dir()
    with ExitStack() as stack:
        for name, command in dagster.commands(settings).items():
            stack.enter_context(process(command, ours | dagster.environment(settings), tmp_path / f"{name}.log"))

        def ask(query: str, **variables: Any) -> Any:
            url = f"http://127.0.0.1:{settings.dagster_port}/graphql"
            answer = httpx.post(url, json={"query": query, "variables": variables}, timeout=30).json()
            assert not answer.get("errors"), answer
            return answer["data"]

        wait_for(lambda: ask(GRAPH)["assetNodes"], "graph")
        yield ask


def instruments(settings: Settings) -> dict[str, int]:
    with connect(Role.READER, settings) as connection:
        return dict(connection.execute("select exchange, count(*) from instruments group by 1").fetchall())


def test_the_processes_serve_the_graph_and_fill_the_instruments(
    settings: Settings, graphql: Callable[..., Any]
) -> None:
    graph = build(settings).resolve_asset_graph()
    expected = {key.to_user_string() for key in graph.get_all_asset_keys()}
    nodes = graphql(GRAPH)["assetNodes"]
    assert {"/".join(node["assetKey"]["path"]) for node in nodes} == expected
    written = {"/".join(node["assetKey"]["path"]) for node in nodes if node["isMaterializable"]}
    assert written == {key.to_user_string() for key in graph.materializable_asset_keys}

    filled = wait_for(lambda: len(instruments(settings)) == 2 and instruments(settings), "instruments by the sensor")
    assert all(count >= len(settings.pairs(exchange)) for exchange, count in filled.items())

    def healthy() -> bool:
        daemons = graphql(HEALTH)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return bool(daemons) and all(one["healthy"] for one in daemons if one["required"])

    wait_for(healthy, "healthy daemon")

    with connect(Role.OWNER, settings, autocommit=True) as connection:
        connection.execute("delete from instruments where exchange = 'kraken' and pair = 'BTC/USD'")
    params = {
        "selector": {
            "repositoryLocationName": "cryptoviz",
            "repositoryName": "__repository__",
            "jobName": "refresh_instruments",
        },
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "kraken"}]},
    }
    launched = graphql(LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run = launched["run"]["runId"]
    final = {"SUCCESS", "FAILURE", "CANCELED"}

    def finished() -> str | None:
        status: str = graphql(RUN, id=run)["runOrError"]["status"]
        return status if status in final else None

    assert wait_for(finished, "end of the run") == "SUCCESS"
    assert instruments(settings) == filled
    [copied] = children_of(f"dagster_project.server --host 127.0.0.1 --port {settings.dagster_code_port}", "forkserver")
    assert "/scipy/" in Path(f"/proc/{copied}/maps").read_text(), "runs begin with Great Expectations loaded"
    [ignored] = re.findall(r"SigIgn:\s*(\w+)", Path(f"/proc/{copied}/status").read_text())
    assert int(ignored, 16) >> (signal.SIGTERM - 1) & 1, "it ends with the code server, after the runs"


def children_of(command: str, child: str) -> list[int]:
    """The children with a command line like `child` of the process with one like `command`."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    [parent] = [pid for pid, _parent, words in rows if command in words]
    return [int(pid) for pid, of, words in rows if of == parent and child in words]


_BEGIN = """
import sys
from dagster_project.instance import PooledStorage

print("loaded", flush=True)
url = sys.stdin.readline().strip()
PooledStorage(url)
"""


def test_processes_that_begin_together_make_the_tables_once(postgres_cluster: Cluster) -> None:
    own = postgres_cluster.empty_database(postgres_cluster.editions[-1])
    with ExitStack() as stack:
        begun = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _BEGIN],
                    cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                )
            )
            for _ in range(4)
        ]  # fmt: skip
        for one in begun:
            assert one.stdout is not None
            assert one.stdout.readline() == "loaded\n"
        for one in begun:
            assert one.stdin is not None
            one.stdin.write(f"{own.database(Role.OWNER)}\n")
            one.stdin.flush()
        told = [one.communicate(timeout=120)[1] for one in begun]
    postgres_cluster.drop(own)
    assert not any(told), told
