"""How commands speak: tables for people, JSON for programs, errors with the next step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any, Final, NoReturn

import typer

from cryptoviz.stack.errors import StackError

EXIT_FAILURE: Final = 1
EXIT_INTERRUPTED: Final = 130
_WIDTH: Final = 200
"""Columns of a table that goes to a file or a pipe."""

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def say(text: str = "") -> None:
    """One line to standard output."""
    typer.echo(text)


def fail(message: str, *, detail: str = "", fix: str = "") -> None:
    """An error to standard error: what failed, the evidence, and the next step."""
    typer.secho(f"error: {message}", err=True, fg=typer.colors.RED)
    for line in detail.splitlines():
        typer.echo(f"  | {line}", err=True)
    if fix:
        typer.echo(f"next: {fix}", err=True)


def as_json(value: Any) -> None:
    """A value as JSON to standard output; instants in ISO 8601, decimals with every digit."""
    say(json.dumps(value, indent=2, default=str))


def table(title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, empty: str = "none") -> None:
    """Rows as a table: `columns` maps keys to headings."""
    if not rows:
        say(f"{title}: {empty}" if title else empty)
        return
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        grid.add_column(heading, no_wrap=bool(heading))
    for row in rows:
        grid.add_row(*(_cell(row.get(key)) for key in columns))
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(grid)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.1f}"
        case int():
            return f"{value:,}"
        case _:
            from rich.markup import escape

            return escape(str(value))


def duration(seconds: float | None) -> str | None:
    """Seconds for people: 3.2 s, 4 min, 2:03:04."""
    if seconds is None:
        return None
    if seconds < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=int(seconds)))


@contextmanager
def explained(what: str, fix: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn errors of a library into one line and the next step."""
    try:
        yield
    except errors as error:
        raise StackError(f"{what}: {str(error).strip() or type(error).__name__}", fix=fix) from error


def finish(ok: bool) -> NoReturn:
    """End the command: status 0 only when all is well."""
    raise typer.Exit(0 if ok else EXIT_FAILURE)
