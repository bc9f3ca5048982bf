"""simulator: what the simulated exchanges sent, and faults on command."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any

import typer

from cryptoviz.commands.output import as_json, explained
from cryptoviz.settings import load
from cryptoviz.stack.errors import StackError

app = typer.Typer(help="The simulated exchanges: status, fault.", no_args_is_help=True)


@app.command()
def status() -> None:
    """Print what the simulators have sent."""
    as_json(_ask("counters"))


@app.command()
def fault(
    body: Annotated[str, typer.Argument(help="A fault as a JSON object; the simulators say which they know.")],
) -> None:
    """Make the simulators misbehave."""
    try:
        parsed = jsonlib.loads(body)
    except ValueError as error:
        raise StackError(f"not JSON: {error}", fix="give one JSON object in quotes") from error
    as_json(_ask("faults", parsed))


def _ask(path: str, body: Any = None) -> Any:
    from cryptoviz.stack.health import simulator_request

    with explained(
        "the simulators refuse or do not answer", "do they run? `make demo` starts them", OSError, ValueError
    ):
        return simulator_request(load(), path, body)
