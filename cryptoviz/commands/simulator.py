"""simulator: what the simulated exchanges sent, and faults on command."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cryptoviz.commands.output import as_json, explained
from cryptoviz.settings import load

app = typer.Typer(help="The simulated exchanges: status, fault.", no_args_is_help=True)


@app.command()
def status() -> None:
    """Print what the simulators have sent."""
    as_json(_ask("counters"))


@app.command()
def fault(
    exchange: str,
    kind: Annotated[
        str, typer.Argument(help="cut, silence, skip, duplicate, reorder, malformed, rate_limit, ban, ...")
    ],
    *,
    pair: Annotated[str | None, typer.Option(help="Only this pair.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="So many times.")] = None,
    duration: Annotated[float | None, typer.Option(help="For so many seconds.")] = None,
    probability: Annotated[float, typer.Option(min=0, max=1, help="For this share of the messages.")] = 1,
) -> None:
    """Make a simulated exchange misbehave."""
    order = {
        "exchange": exchange,
        "kind": kind,
        "pair": pair,
        "count": count,
        "duration_s": duration,
        "probability": probability,
    }
    as_json(_ask("fault", {name: value for name, value in order.items() if value is not None}))


@app.command()
def faults() -> None:
    """List the faults under way."""
    as_json(_ask("fault"))


def _ask(path: str, body: Any = None) -> Any:
    from cryptoviz.stack.health import simulator_request

    with explained(
        "the simulators refuse or do not answer", "do they run? `make demo` starts them", OSError, ValueError
    ):
        return simulator_request(load(), path, body)
