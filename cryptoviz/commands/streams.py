"""stream: the long-running processes; gaps: what was missed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cryptoviz.commands.output import Json, as_json, explained, finish, say, table
from cryptoviz.settings import Role, Settings, load
from cryptoviz.stack.errors import StackError

app = typer.Typer(help="The streams: list, start, stop, restart.", no_args_is_help=True)
gaps = typer.Typer(help="What is missing or was, and why.", no_args_is_help=True)

_START: Final = "is the database up? `make status` says; `make demo` or `make up` starts it"
_COLUMNS: Final = {
    "name": "stream",
    "state": "state",
    "desired": "desired",
    "pid": "pid",
    "epoch": "epoch",
    "heartbeat_age": "age, s",
    "lag": "lag",
    "rows_total": "rows",
    "last_error": "last error",
}


@app.command("list")
def list_(json: Json = False) -> None:
    """List the streams as they report themselves."""
    from cryptoviz.stack.health import streams

    rows = list(streams(load()).values())
    if json:
        as_json(rows)
    else:
        table("", rows, _COLUMNS, empty="no stream has ever run")


@app.command()
def start(name: str) -> None:
    """Start a stream."""
    _set(name, "running")
    _supervisor_start(name)
    say(f"{name} started")


@app.command()
def stop(name: str) -> None:
    """Stop a stream and keep it stopped."""
    _set(name, "stopped")
    _supervisor_stop(name)
    say(f"{name} stopped")


@app.command()
def restart(name: str) -> None:
    """Stop a stream and start it anew."""
    _set(name, "running")
    _supervisor_stop(name)
    _supervisor_start(name)
    say(f"{name} restarted")


def _program(settings: Settings, name: str) -> str:
    from cryptoviz.stack.services import services

    known = {service.stream: service.name for service in services(settings) if service.stream is not None}
    stream = name.replace("-", "_")
    if stream not in known:
        raise StackError(f"there is no stream {name}", fix=f"known are: {', '.join(known)}")
    return known[stream]


def _set(name: str, desired: str) -> None:
    import psycopg

    from cryptoviz.storage.database import connect
    from cryptoviz.storage.queries import query

    settings = load()
    _program(settings, name)
    with (
        explained("the stream's state cannot be written", _START, psycopg.Error),
        connect(Role.WRITER, settings, autocommit=True, application_name="cryptoviz stream") as connection,
    ):
        connection.execute(query("stream_desire"), {"name": name.replace("-", "_"), "desired": desired})


def _supervisor_start(name: str) -> None:
    from cryptoviz.stack.supervisor import Supervisor

    settings = load()
    supervisor = Supervisor(settings)
    if supervisor.pid() is not None:
        supervisor.start(_program(settings, name))


def _supervisor_stop(name: str) -> None:
    from cryptoviz.stack.supervisor import Supervisor

    settings = load()
    Supervisor(settings).stop([_program(settings, name)])


def replay(
    exchange: Annotated[str, typer.Argument(help="Whose parser.")],
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A recording, .jsonl or .jsonl.gz.")],
    pairs: Annotated[str, typer.Option(help="Pairs in it, separated by commas; default: the configured ones.")] = "",
    json: Json = False,
) -> None:
    """Play recorded frames through an exchange's parser and say what it made of them; nothing is sent."""
    from collections import Counter

    from cryptoviz.collectors import EXCHANGES
    from cryptoviz.collectors.recorder import Replay

    if exchange not in EXCHANGES:
        raise StackError(f"there is no exchange {exchange}", fix=f"known are: {', '.join(EXCHANGES)}")
    with explained(f"{path.name} cannot be played", "give a file that the recorder wrote", ValueError, OSError):
        played = Replay(EXCHANGES[exchange](pairs.split(",") if pairs else load().pairs(exchange))).play(path)
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
        for kind in ("trade_gaps", "candle_gaps"):
            cursor = connection.cursor(row_factory=dict_row)
            found[kind] = cursor.execute(query(f"{kind}_list"), {"all": every, "limit": limit}).fetchall()
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
    "healed_at": "healed",
}
