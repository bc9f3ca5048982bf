"""stream: the long-running processes; gaps: what was missed."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cryptoviz.commands.output import Json, as_json, explained, finish, say, table
from cryptoviz.settings import Role, Settings, load
from cryptoviz.stack.errors import StackError
from cryptoviz.streams.control import StreamRequest

app = typer.Typer(help="The streams: list, start, stop, restart.", no_args_is_help=True)
gaps = typer.Typer(help="What is missing or was, and why.", no_args_is_help=True)

_START: Final = "is the database up? `make status` says; `make demo` or `make up` starts it"
_POLL_S: Final = 0.2
_COLUMNS: Final = {
    "name": "stream",
    "state": "state",
    "desired": "desired",
    "pid": "pid",
    "epoch": "epoch",
    "restarts": "restarts",
    "next_start_s": "next start, s",
    "heartbeat_age": "age, s",
    "lag": "lag",
    "rows_total": "rows",
    "last_error": "last error",
}
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until the stream has done so.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List the streams as their runners report them."""
    from cryptoviz.stack.health import streams

    rows = list(streams(load()).values())
    if json:
        as_json(rows)
    else:
        table("", rows, _COLUMNS, empty="no stream has ever run")


@app.command()
def start(name: str, wait: Wait = 60) -> None:
    """Start a stream; one that runs goes on."""
    _do(StreamRequest.start, name, wait, "started")


@app.command()
def stop(name: str, wait: Wait = 60) -> None:
    """Stop a stream and keep it stopped."""
    _do(StreamRequest.stop, name, wait, "stopped")


@app.command()
def restart(name: str, wait: Wait = 60) -> None:
    """Stop a stream and start it anew, at once."""
    _do(StreamRequest.restart, name, wait, "restarted")


def _do(what: StreamRequest, name: str, wait_s: float, word: str) -> None:
    """Write the request and its audit row, and wait until the stream's runner has fulfilled it."""
    from getpass import getuser

    import psycopg

    from cryptoviz.storage.audit import recorded
    from cryptoviz.storage.database import connect
    from cryptoviz.streams.control import has_runner, is_fulfilled, read_facts, request, why_unfulfilled

    settings, stream = load(), _stream(name)
    writer = partial(connect, Role.WRITER, settings, autocommit=True, application_name="cryptoviz stream")
    with (
        explained("the stream's state cannot be written", _START, psycopg.Error),
        recorded(
            writer,
            actor=getuser(),
            action=f"{what}_stream",
            subject=stream,
            detail={"by": "command line"},
        ) as found,
        writer() as connection,
    ):
        generation = found["generation"] = request(connection, stream, what)
        now = read_facts(connection, stream)
        if not has_runner(now):
            if what is StreamRequest.stop:
                say(f"{name} has no runner now, and will not run when it has one")
                return
            _wake_runner(settings, stream)
        deadline = time.monotonic() + wait_s
        while not is_fulfilled(what, now, generation):
            if time.monotonic() > deadline:
                raise StackError(
                    why_unfulfilled(what, now, wait_s), fix="`cryptoviz stream list` shows it; the order stands"
                )
            time.sleep(_POLL_S)
            now = read_facts(connection, stream)
    say(f"{stream} {word}")


def _stream(name: str) -> str:
    stream, known = name.replace("-", "_"), _programs(load())
    if stream not in known:
        raise StackError(f"there is no stream {name}", fix=f"known are: {', '.join(known)}")
    return stream


def _programs(settings: Settings) -> dict[str, str]:
    from cryptoviz.stack.services import services

    return {service.stream: service.name for service in services(settings) if service.stream is not None}


def _wake_runner(settings: Settings, stream: str) -> None:
    """The local supervisor is needed only when the runner itself is not up."""
    from cryptoviz.stack.supervisor import Supervisor

    supervisor = Supervisor(settings)
    if supervisor.pid() is None:
        raise StackError(
            f"{stream} will run, but it has no runner now",
            fix=f"`make up` starts all; alone: python -m streaming run {stream}",
        )
    supervisor.start(_programs(settings)[stream])


def replay(
    exchange: Annotated[str, typer.Argument(help="Whose parser.")],
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A recording, .jsonl or .jsonl.gz.")],
    pairs: Annotated[str, typer.Option(help="Pairs in it, separated by commas; default: the configured ones.")] = "",
    json: Json = False,
) -> None:
    """Play recorded frames through an exchange's parser and say what it made of them; nothing is sent."""
    from collections import Counter

    from cryptoviz.collectors.recorder import Replay
    from cryptoviz.exchanges import EXCHANGES

    if exchange not in EXCHANGES:
        raise StackError(f"there is no exchange {exchange}", fix=f"known are: {', '.join(EXCHANGES)}")
    with explained(f"{path.name} cannot be played", "give a file that the recorder wrote", ValueError, OSError):
        played = Replay(EXCHANGES[exchange].live_adapter()(pairs.split(",") if pairs else load().pairs(exchange))).play(
            path
        )
    made = Counter(type(record).__name__ for record in played.records)
    summary = {
        "frames": played.frames,
        "records": dict(made),
        "events": dict(played.events),
        "refused": [str(error) for _frame, error in played.refused],
    }
    if json:
        as_json(summary)
    else:
        rows = [{"what": what, "count": count} for what, count in [*made.items(), *played.events.items()]]
        table(f"{played.frames} frames", [*rows, {"what": "refused", "count": len(played.refused)}], _REPLAYED)
    finish(not played.refused)


_REPLAYED: Final = {"what": "became", "count": "count"}


@gaps.command("list")
def list_gaps(
    every: Annotated[bool, typer.Option("--all", help="Healed ones too.")] = False,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=10_000, help="At most so many of each kind.")] = 100,
    json: Json = False,
) -> None:
    """List gaps in trades and candles with their label and what became of them."""
    import psycopg
    from psycopg.rows import dict_row

    from cryptoviz.storage.database import connect
    from cryptoviz.storage.queries import query

    found: dict[str, list[dict[str, Any]]] = {}
    with (
        explained("the gaps cannot be read", _START, psycopg.Error),
        connect(Role.READER, load(), application_name="cryptoviz gaps") as connection,
    ):
        for kind, statement in (("trade_gaps", "trade_gaps_list"), ("candle_gaps", "candle_gaps_list")):
            cursor = connection.cursor(row_factory=dict_row)
            found[kind] = cursor.execute(query(statement), {"all": every, "limit": limit}).fetchall()
    if json:
        as_json(found)
        return
    empty = "none" if every else "none open (--all shows the healed ones)"
    table("trades", found["trade_gaps"], _TRADE_GAPS, empty=empty)
    table("candles", found["candle_gaps"], _CANDLE_GAPS, empty=empty)


_TRADE_GAPS: Final = {
    "exchange": "exchange",
    "pair": "pair",
    "first_missing_id": "first missing id",
    "last_missing_id": "last missing id",
    "label": "label",
    "status": "status",
    "attempts": "attempts",
    "detected_at": "detected",
    "healed_at": "healed",
}
_CANDLE_GAPS: Final = {
    "exchange": "exchange",
    "symbol": "symbol",
    "timeframe": "timeframe",
    "gap_start": "start",
    "gap_end": "end",
    "missing": "missing",
    "label": "label",
    "status": "status",
    "attempts": "attempts",
    "due_at": "asked again",
    "healed_at": "healed",
}
