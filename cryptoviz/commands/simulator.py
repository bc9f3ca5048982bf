"""simulator: what the simulated exchanges and the simulated web sent, and faults on command."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from cryptoviz.commands.output import as_json, explained
from cryptoviz.exchanges import EXCHANGES
from cryptoviz.settings import load

_EXCHANGES: Final = "simulator"
_WEB: Final = "web_simulator"

app = typer.Typer(help="The simulated exchanges and news sites: status, fault.", no_args_is_help=True)


@app.command()
def status() -> None:
    """Print what the simulators have sent."""
    as_json(_ask_both("counters"))


@app.command()
def fault(
    source: Annotated[str, typer.Argument(help="An exchange, a news site such as coindesk, or an API.")],
    kind: Annotated[
        str,
        typer.Argument(
            help="Exchanges: cut, silence, skip, duplicate, reorder, malformed, rate_limit, ban, ... "
            "Sites and APIs: break, hang, redirect, entity, huge, huge_gzip, rate_limit, incident, ..."
        ),
    ],
    *,
    pair: Annotated[str | None, typer.Option(help="Only this pair of an exchange.")] = None,
    path: Annotated[str | None, typer.Option(help="Only where this occurs in the path.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="So many times.")] = None,
    duration: Annotated[float | None, typer.Option(help="For so many seconds.")] = None,
    probability: Annotated[float, typer.Option(min=0, max=1, help="For this share of the messages.")] = 1,
) -> None:
    """Make a simulated exchange, news site or API misbehave."""
    order = {
        ("exchange" if source in EXCHANGES else "source"): source,
        "kind": kind,
        "pair": pair,
        "path": path,
        "count": count,
        "duration_s": duration,
        "probability": probability,
    }
    request = {name: value for name, value in order.items() if value is not None}
    as_json(_ask(_EXCHANGES if source in EXCHANGES else _WEB, "fault", request))


@app.command()
def faults() -> None:
    """List the faults under way."""
    as_json(_ask_both("fault"))


def _ask_both(path: str) -> Any:
    return {**_ask(_EXCHANGES, path), **_ask(_WEB, path)}


def _ask(program: str, path: str, body: Any = None) -> Any:
    from cryptoviz.stack.health import simulator_request

    with explained(
        "the simulators refuse or do not answer", "do they run? `make demo` starts them", OSError, ValueError
    ):
        settings = load()
        return simulator_request(getattr(settings, f"{program}_host"), getattr(settings, f"{program}_port"), path, body)
