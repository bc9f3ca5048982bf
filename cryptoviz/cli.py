"""The program `cryptoviz`: one module of `cryptoviz.commands` for each group of words.

Heavy libraries are imported by the commands that need them: `cryptoviz --help` answers at once.
"""

from __future__ import annotations

import sys

import typer

from cryptoviz.commands import (
    archive,
    completeness,
    database,
    history,
    imports,
    platform,
    quarantine,
    reports,
    settings,
    simulator,
    streams,
    topics,
)
from cryptoviz.commands.output import EXIT_FAILURE, fail
from cryptoviz.settings import SettingsError
from cryptoviz.stack.errors import StackError

app = typer.Typer(
    help="A self-hosted crypto market-data platform: every trade and candle complete, checked and explained.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
platform.register(app)
settings.register(app)
app.add_typer(database.app, name="db")
app.add_typer(topics.app, name="topics")
app.add_typer(streams.app, name="stream")
app.add_typer(streams.gaps, name="gaps")
app.command()(completeness.completeness)
app.command()(history.history)
app.command()(streams.replay)
app.add_typer(imports.app, name="import")
app.add_typer(archive.app, name="archive")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(reports.app, name="reports")
app.add_typer(simulator.app, name="simulator")


def main() -> None:
    """Run the command line; errors become one clear message, what to do next, and a status other than 0."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    status = EXIT_FAILURE
    try:
        app(arguments, prog_name="cryptoviz")
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else EXIT_FAILURE if ended.code else 0
    except StackError as error:
        fail(str(error), detail=error.detail, fix=error.fix)
    except SettingsError as error:
        fail("the settings make no sense", detail=str(error), fix="correct them in .env or the environment")
    return status


if __name__ == "__main__":
    main()
