"""reports: what the gate found, as a static site."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cryptoviz.commands.output import Json, as_json, explained, say, table
from cryptoviz.settings import load

app = typer.Typer(help="The reports of what the gate found.", no_args_is_help=True)

_START = "is the database up? `make status` says; `make demo` or `make up` starts it"


@app.command()
def build(json: Json = False) -> None:
    """Build the reports now; otherwise it happens every hour, and soon after something new fails."""
    import psycopg

    from cryptoviz.reports.address import site_url
    from cryptoviz.reports.site import build as make
    from cryptoviz.reports.store import BusyError

    settings = load()
    with (
        explained("the reports could not be built", _START, psycopg.Error),
        explained("the reports could not be published", "`cryptoviz reports build` again", BusyError, OSError),
    ):
        built = make(settings)
    if json:
        as_json(asdict(built))
        return
    say(f"{built.pages} pages, {built.rendered} new documents of {built.documents}, in {built.seconds:.1f} s")
    if built.left:
        say(f"{built.left} documents are left to the next build{f': {built.trouble}' if built.trouble else ''}")
    say(f"not passing: {', '.join(built.failing) or 'none'}" if built.assets else "nothing has been judged yet")
    rows = [{"subject": name, "open": count} for name, count in built.open_rows.items()]
    table("", rows, {"subject": "in quarantine", "open": "open rows"}, empty="nothing is in quarantine")
    say(site_url(settings))


@app.command("open-url")
def open_url(
    asset: Annotated[str, typer.Argument(help="An asset, such as poll/market; default: all.")] = "",
    browser: Annotated[bool, typer.Option("--browser", help="Open it in a browser as well.")] = False,
) -> None:
    """Print the address of the reports, or of the report about one asset."""
    from cryptoviz.reports.address import report_url, site_url

    settings = load()
    url = report_url(settings, asset) if asset else site_url(settings)
    say(url)
    if browser:
        typer.launch(url)
