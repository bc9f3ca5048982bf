"""topics: what is on the wire."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any, Final

import typer

from cryptoviz.commands.output import Json, as_json, explained, say, table
from cryptoviz.settings import load
from cryptoviz.topics import TOPICS

app = typer.Typer(help="The Kafka topics: list, tail, lag.", no_args_is_help=True)

_TIMEOUT_S: float = 5
_START: Final = "is Kafka up? `make status` says; `make demo` or `make up` starts it"


@app.command("list")
def list_(json: Json = False) -> None:
    """List the topics with their partitions, messages held and retention."""
    from cryptoviz.bus import BusError, list_topics, offsets

    settings = load()
    with explained("the topics cannot be listed", _START, BusError):
        partitions = list_topics(settings, timeout_s=_TIMEOUT_S)
        held = offsets(settings, partitions, timeout_s=_TIMEOUT_S)
    rows: list[dict[str, Any]] = [
        {
            "topic": topic.name,
            "partitions": partitions.get(topic.name, 0),
            "messages": sum(len(kept) for kept in held.get(topic.name, {}).values()),
            "retention_days": topic.retention.days,
            "description": topic.description,
        }
        for topic in TOPICS.values()
    ]
    if json:
        as_json(rows)
        return
    table(
        "",
        rows,
        {
            "topic": "topic",
            "partitions": "partitions",
            "messages": "messages",
            "retention_days": "kept, days",
            "description": "",
        },
    )


@app.command()
def tail(
    topic: str,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many of the newest messages.")] = 10,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with new messages.")] = False,
    headers: Annotated[bool, typer.Option(help="Each message with its key, place and headers.")] = False,
) -> None:
    """Print the newest messages of a topic, one JSON object a line."""
    from cryptoviz.bus import BusError
    from cryptoviz.bus import tail as newest

    with explained(f"{topic} cannot be read", _START, BusError):
        for message in newest(load(), topic, count, follow=follow, timeout_s=_TIMEOUT_S):
            say(_with_headers(message) if headers else message.value.decode(errors="replace"))


@app.command()
def lag(json: Json = False) -> None:
    """Show how many messages ingestion has still to store, per topic."""
    from cryptoviz.stack.health import streams

    rows = [
        {"stream": name, "lag": row["lag"], "heartbeat_age": row["heartbeat_age"]}
        for name, row in streams(load()).items()
        if row["lag"] is not None
    ]
    if json:
        as_json(rows)
    else:
        table("", rows, {"stream": "stream", "lag": "lag", "heartbeat_age": "age, s"}, empty="no stream reports a lag")


def _with_headers(message: Any) -> str:
    return jsonlib.dumps(
        {
            "partition": message.partition,
            "offset": message.offset,
            "timestamp": message.timestamp.isoformat(),
            "key": message.key.decode(errors="replace") if message.key is not None else None,
            "headers": {name: value.decode(errors="replace") for name, value in message.headers.items()},
            "value": message.value.decode(errors="replace"),
        }
    )
