"""The program `cryptoviz`: one module of `cryptoviz.commands` for each group of words.

Heavy libraries are imported by the commands that need them: `cryptoviz --help` answers at once.
"""

from __future__ import annotations

import os
import sys

import click
import typer

from cryptoviz.commands import database, platform, settings, simulator, streams, topics
from cryptoviz.commands.output import EXIT_FAILURE, EXIT_INTERRUPTED, fail
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
app.add_typer(simulator.app, name="simulator")


def main() -> None:
    """Run the command line; errors become one clear message, what to do next, and a status other than 0."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    status = EXIT_FAILURE
    try:
        result = app(arguments, standalone_mode=False, prog_name="cryptoviz")
        status = result if isinstance(result, int) else 0
    except click.exceptions.Exit as exit_:
        status = exit_.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        fail("interrupted", fix="run the same command again to go on")
        status = EXIT_INTERRUPTED
    except StackError as error:
        fail(str(error), detail=error.detail, fix=error.fix)
    except SettingsError as error:
        fail("the settings make no sense", detail=str(error), fix="correct them in .env or the environment")
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: nothing is left to be said, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


if __name__ == "__main__":
    main()
