"""demo, up, down, restart, status, logs, reset, install: the local stack."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cryptoviz.commands.output import EXIT_INTERRUPTED, Json, as_json, duration, fail, finish, say, table
from cryptoviz.settings import Mode, Settings, load
from cryptoviz.stack.errors import StackError

if TYPE_CHECKING:
    from cryptoviz.stack.services import Service
    from cryptoviz.stack.status import StackPart, StackStatus
    from cryptoviz.stack.steps import Done


def register(app: typer.Typer) -> None:
    """Add these words to the program."""
    for command in (demo, up, down, restart, status, logs, reset, install, healthy, run, docs):
        app.command()(command)


def demo() -> None:
    """Start the whole platform on simulated exchanges: no key, no internet."""
    _up(load(mode=Mode.DEMO))


def up() -> None:
    """Start the whole platform on the real exchanges."""
    _up(load(mode=Mode.LIVE))


def down() -> None:
    """Stop everything that the platform started."""
    from cryptoviz.stack.stop import down as stop_all

    count = stop_all(load())
    say(f"stopped {count} processes" if count else "nothing was running")


def restart(
    names: Annotated[list[str] | None, typer.Argument(help="Parts to restart; default: everything.")] = None,
) -> None:
    """Restart everything, or the parts named, in the mode they were started in."""
    from cryptoviz.stack.start import started_settings
    from cryptoviz.stack.stop import down as stop_all

    settings = started_settings()
    if not names:
        stop_all(settings)
        _up(settings)
        return
    from cryptoviz.stack.supervisor import Supervisor

    supervisor = Supervisor(settings)
    known = supervisor.states()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise StackError(f"no such part: {', '.join(unknown)}", fix=f"known are: {', '.join(known) or 'none; make up'}")
    supervisor.stop(names)
    for name in names:
        supervisor.start(name)
        say(f"{name} restarted")


def install(
    bench: Annotated[bool, typer.Option("--bench", help="Also what the benchmarks compare with.")] = False,
    train: Annotated[bool, typer.Option(help="Archive the classes of a Spark driver, which needs PySpark.")] = True,
) -> None:
    """Install what the platform and its tests need on this machine, without starting anything."""
    from cryptoviz.stack.jars import JarSet, install_jars
    from cryptoviz.stack.start import Stack

    settings = load()
    Stack(settings, _progress, _note).install(train=train)
    if bench:
        install_jars(settings, JarSet.BENCH)


def status(json: Json = False) -> None:
    """Show every part: healthy or not, age, lag, rows; status 0 only when all is well."""
    from cryptoviz.stack.start import started_settings
    from cryptoviz.stack.status import status as snapshot

    found = snapshot(started_settings())
    if json:
        as_json(found.as_dict())
    else:
        _show(found)
    finish(found.healthy)


def logs(
    name: Annotated[str | None, typer.Argument(help="A part, such as collector-kraken; default: all.")] = None,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="Lines of each log.")] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is written from now on.")] = False,
) -> None:
    """Show what the parts write."""
    from cryptoviz.stack.services import log_folder

    folder = log_folder(load())
    found = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if name is not None:
        found = {stem: path for stem, path in found.items() if stem == name or stem.startswith(f"{name}-")}
    if not found:
        known = ", ".join(path.stem for path in sorted(folder.glob("*.log"))) or "none yet; make demo"
        raise StackError(f"no log named {name}" if name else "there are no logs", fix=f"known are: {known}")
    if follow:
        os.execvp("tail", ["tail", "-n", str(lines), "-F", *map(str, found.values())])  # noqa: S606 - tail is the follower
    for stem, path in found.items():
        if len(found) > 1:
            say(f"==> {stem} <==")
        say("\n".join(_last(path, lines)))


def reset(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Stop everything and delete its state, the database included. Downloads stay."""
    from cryptoviz.stack.stop import reset as delete

    settings = load()
    if not yes:
        typer.confirm(f"Delete everything stored under {settings.state}, the database included?", abort=True)
    deleted = delete(settings)
    say(f"deleted {len(deleted)} entries" if deleted else "there was nothing to delete")


def healthy(name: str) -> None:
    """Say by the exit status whether one service is healthy; for container health checks."""
    from cryptoviz.stack.health import probe

    found = probe(_service(name), load())
    if not found.healthy:
        fail(f"{name}: {found.detail}")
    finish(found.healthy)


def run(name: str) -> None:
    """Become one service, with its variables; for containers."""
    from cryptoviz.stack import dagster
    from cryptoviz.stack.services import PYTHON

    settings, service = load(), _service(name)
    dagster.prepare(settings)
    words = [sys.executable if word == PYTHON else word for word in service.command(settings)]
    os.execve(words[0], words, {**os.environ, **service.environment(settings)})  # noqa: S606 - becomes the service


def docs() -> None:
    """Write the generated files: .env.example, docker-compose.yml, sql/schema.sql and the data dictionary."""
    from cryptoviz.commands.settings import EXAMPLE_FILE, example_text
    from cryptoviz.stack import snapshot
    from cryptoviz.stack.compose import COMPOSE_FILE, compose_text

    for path, text in ((EXAMPLE_FILE, example_text()), (COMPOSE_FILE, compose_text())):
        path.write_text(text)
        say(f"wrote {path.name}")
    snapshot.write()
    say(f"wrote {snapshot.SCHEMA_FILE.name} and {snapshot.DICTIONARY_FILE.name}")


def _service(name: str) -> Service:
    from cryptoviz.stack.services import services

    known = {service.name: service for service in services(load(mode=Mode.DEMO))}
    if name not in known:
        raise StackError(f"there is no service {name}", fix=f"known are: {', '.join(known)}")
    return known[name]


def _up(settings: Settings) -> None:
    from cryptoviz.stack.start import Stack
    from cryptoviz.stack.status import status as snapshot
    from cryptoviz.stack.steps import StepError

    begun = time.monotonic()
    stack = Stack(settings, _progress, _note)
    try:
        stack.up()
    except StepError as error:
        say(f"  failed {error.step}")
        fail(f"{error.step}: {error}", detail=error.detail, fix=error.fix)
        finish(ok=False)
    except KeyboardInterrupt:
        fail("interrupted", fix="run the same command again to go on, or `make down`")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    say(f"ready after {time.monotonic() - begun:.1f} s\n")
    _show_figures(snapshot(stack.settings))
    _show_addresses(stack.settings)


def _progress(done: Done) -> None:
    say(f"  ok {done.name:<20} {done.seconds:6.1f} s  {done.note}")


def _note(line: str) -> None:
    say(f"     {line}")


def _show(found: StackStatus) -> None:
    edition = found.edition.get("edition", "unknown, no answer")
    say(f"mode {found.mode}, TimescaleDB edition {edition}\n")
    table("", [_row(part) for part in found.parts], _COLUMNS)
    say()
    _show_figures(found)
    if not found.healthy:
        ill = ", ".join(part.name for part in found.parts if not part.healthy)
        fail(f"not healthy: {ill}", fix="`make logs` shows why; `make demo` or `make up` starts what is stopped")


_COLUMNS = {
    "name": "part",
    "health": "health",
    "state": "state",
    "pid": "pid",
    "uptime": "up",
    "age": "age",
    "lag": "lag",
    "rows": "rows",
    "detail": "",
}


def _row(part: StackPart) -> dict[str, Any]:
    return {
        "name": part.name,
        "health": "healthy" if part.healthy else "NOT HEALTHY",
        "state": part.state,
        "pid": str(part.pid) if part.pid else None,
        "uptime": duration(part.uptime),
        "age": duration(part.figures.get("heartbeat_age")),
        "lag": part.figures.get("lag"),
        "rows": part.figures.get("rows_total"),
        "detail": part.detail,
    }


def _show_figures(found: StackStatus) -> None:
    columns = {
        "exchange": "exchange",
        "trades_last_minute": "trades in the last minute",
        "trade_age": "age of the newest, s",
        "tickers_last_minute": "tickers in the last minute",
        "ticker_age": "age of the newest, s",
    }
    table("", found.figures, columns, empty="nothing arrived in the last minute")
    history = {
        "exchange": "history of",
        "timeframe": "timeframe",
        "series": "series",
        "completed": "completed",
        "failed": "failed",
        "processed": "candles",
        "percent": "%",
        "ends": "expected end, UTC",
    }
    if found.history:
        ends = [{"ends": f"{end:%H:%M}" if (end := row["expected_end"]) else None} for row in found.history]
        table("", [{**row, **end} for row, end in zip(found.history, ends, strict=True)], history)


def _show_addresses(settings: Settings) -> None:
    from cryptoviz.reports.address import site_url

    say()
    say(f"Dagster      http://127.0.0.1:{settings.dagster_port}")
    say(f"Reports      {site_url(settings)}")
    say("SQL          .venv/bin/cryptoviz db shell")
    say(f"Kafka        {settings.bootstrap_servers}")
    if settings.mode is Mode.DEMO:
        say(f"Simulators   http://127.0.0.1:{settings.simulator_port}/control/counters")
        say(f"             http://127.0.0.1:{settings.web_simulator_port}/control/counters")
    say("\nmake status, make logs, make down")


def _last(path: Path, lines: int) -> list[str]:
    done = subprocess.run(["tail", "-n", str(lines), str(path)], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()
