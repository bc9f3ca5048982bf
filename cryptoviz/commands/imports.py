"""import: the archives that exchanges and other programmes keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cryptoviz.commands.output import Json, as_json, explained, finish, say, table
from cryptoviz.pairs import parse_pair
from cryptoviz.settings import Role, load
from cryptoviz.stack.errors import StackError

if TYPE_CHECKING:
    from cryptoviz.imports.files import File
    from cryptoviz.imports.run import ImportRequest, ImportResult

app = typer.Typer(
    help="Import archives of trades or candles: files, folders, patterns such as 'BTCUSDT-*.zip', zips as they are.",
    no_args_is_help=True,
)

_START: Final = "is the database up? `make status` says; `make demo` or `make up` starts it"
_AGAIN: Final = "run the same command again: it goes on behind the last row that was committed"
_LISTED: Final = 20
"""So many of the files that were left out are named."""
_COLUMNS: Final = {
    "file": "file",
    "format": "format",
    "became": "became",
    "rows": "rows",
    "stored": "stored",
    "known": "known",
    "quarantined": "quarantined",
    "candles": "candles",
    "seconds": "s",
    "rate": "rows/s",
}
Exchange = Annotated[str, typer.Option(help="The exchange, such as kraken or binance.")]
Pair = Annotated[str, typer.Option(help="The pair, such as BTC/USD.")]
Files = Annotated[list[str], typer.Argument(metavar="FILES...", help="Files, zips, folders or patterns.")]
Form = Annotated[
    str | None,
    typer.Option("--format", help="kraken, binance, freqtrade, csv, parquet or feather; else the content says."),
]

PairAnyway = Annotated[
    bool,
    typer.Option(
        "--pair-anyway",
        help="Files named by hand are of this pair and exchange whatever they are called or lie in.",
    ),
]


@app.command()
def trades(
    files: Files,
    exchange: Exchange,
    pair: Pair,
    *,
    form: Form = None,
    single_trades: Annotated[
        bool,
        typer.Option(
            "--single-trades", help="The ids are those of trades, not of aggregates, as most programs get them."
        ),
    ] = False,
    pair_anyway: PairAnyway = False,
    json: Json = False,
) -> None:
    """Import trades; their candles follow. Killed and run again it goes on; run twice nothing is stored twice."""
    wanted = _import_request("trades", exchange, pair, None, form, pair_anyway=pair_anyway)
    _import(replace(wanted, single_trades=single_trades), files, json=json)


@app.command()
def candles(
    files: Files,
    exchange: Exchange,
    pair: Pair,
    timeframe: Annotated[
        str | None, typer.Option(help="1m, 5m, 15m, 1h or 1d; else the name of the file or the distance of rows says.")
    ] = None,
    *,
    form: Form = None,
    pair_anyway: PairAnyway = False,
    json: Json = False,
) -> None:
    """Import candles as the exchange made them: they win over those of streamed trades; fetched ones stay."""
    _import(_import_request("candles", exchange, pair, timeframe, form, pair_anyway=pair_anyway), files, json=json)


def _import(wanted: ImportRequest, paths: Sequence[str], *, json: bool) -> None:
    import psycopg

    from cryptoviz.gate.report import GateError
    from cryptoviz.imports.files import ImportRefusedError, files
    from cryptoviz.imports.run import import_file
    from cryptoviz.storage.database import connect

    with explained("nothing was imported", "see `cryptoviz import --help`", ImportRefusedError):
        found = files(paths)
    connection = partial(connect, Role.WRITER, load(), autocommit=True, application_name="cryptoviz import")
    outcomes: list[ImportResult] = []
    try:
        with (
            explained("the import stopped", f"{_START}; then {_AGAIN}", psycopg.Error),
            explained("the gate failed", f"repair what it names; then {_AGAIN}", GateError),
            _bar(found, quiet=json) as advance,
        ):
            for file in found:
                outcomes.append(import_file(file, wanted, connection, partial(advance, file)))
                advance(file, 0, 1.0)
    finally:
        _tell(outcomes, json)
    if all(outcome.became.value == "skipped" for outcome in outcomes):
        raise StackError(
            f"nothing was imported: no file is {wanted.kind} of {wanted.pair}",
            fix="name a file by hand if its name does not say its pair",
        )
    finish(not any(outcome.became.failed for outcome in outcomes))


def _import_request(
    kind: str, exchange: str, pair: str, timeframe: str | None, form: str | None, *, pair_anyway: bool
) -> ImportRequest:
    from cryptoviz.exchanges import spelling
    from cryptoviz.exchanges.spellings import UnspelledPairError
    from cryptoviz.imports.layouts import Format, Kind
    from cryptoviz.imports.run import ImportRequest
    from cryptoviz.pairs import Timeframe

    name = exchange.strip().lower()
    if not name.isalnum():
        raise StackError(f"{exchange!r} is no exchange", fix="write its name, such as kraken or binance")
    with explained("that cannot be imported", "write BASE/QUOTE, such as BTC/USD", ValueError):
        symbol = parse_pair(pair)
    with explained("that cannot be imported", "write the pair as the table instruments does", UnspelledPairError):
        spelling(name, symbol)
    lengths = {str(known): known for known in Timeframe}
    if timeframe is not None and timeframe not in lengths:
        raise StackError(f"there are no candles of {timeframe!r}", fix=f"one of {', '.join(lengths)}")
    formats = {str(known): known for known in Format}
    if form is not None and form not in formats:
        raise StackError(f"there is no format {form!r}", fix=f"one of {', '.join(formats)}")
    return ImportRequest(
        Kind(kind),
        name,
        symbol,
        lengths[timeframe] if timeframe else None,
        formats[form] if form else None,
        pair_anyway=pair_anyway,
    )


@contextmanager
def _bar(files: Sequence[File], *, quiet: bool) -> Iterator[Callable[[File, int, float], None]]:
    """Shows rows, rows a second and the expected end on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[file]}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TextColumn("{task.fields[rate]:,.0f} rows/s"),
        TimeRemainingColumn(),
    )
    before = 0
    rows = 0
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as shown:
        task = shown.add_task("", total=sum(file.size for file in files) or 1, file="", rows=0, rate=0.0)

        def advance(file: File, count: int, share: float) -> None:
            nonlocal before, rows
            rows += count
            seconds = shown.tasks[0].elapsed or 0.0
            shown.update(
                task, completed=before + share * file.size, file=file.name, rows=rows, rate=rows / max(seconds, 0.001)
            )
            if not count:
                before += file.size

        yield advance


def _tell(outcomes: Sequence[ImportResult], json: bool) -> None:
    rows = [_row(outcome) for outcome in outcomes]
    if json:
        as_json({"files": rows, **{name: sum(row[name] for row in rows) for name in _SUMS}})
        return
    shown = [{**row, "candles": _candles(row["candles"])} for row in rows if row["became"] != "skipped"]
    table("", shown, _COLUMNS, empty="nothing was imported")
    for outcome in outcomes:
        for text in (outcome.note and f"{outcome.file.name}: {outcome.note}", outcome.reason):
            if text and outcome.became.value != "skipped":
                say(text)
    _tell_left_out([outcome for outcome in outcomes if outcome.became.value == "skipped"])
    if any(row["quarantined"] for row in rows):
        say("rows that failed the gate: `cryptoviz quarantine list`")


def _tell_left_out(outcomes: Sequence[ImportResult]) -> None:
    """Which files were not taken and why: a folder or an archive may have thousands."""
    if not outcomes:
        return
    say(f"left out: {len(outcomes):,} files")
    near = [outcome.reason for outcome in outcomes if not outcome.elsewhere]
    others = [outcome.file.name for outcome in outcomes if outcome.elsewhere]
    for reason in near[:_LISTED]:
        say(f"  {reason}")
    if len(near) > _LISTED:
        say(f"  and {len(near) - _LISTED:,} more")
    if others:
        say(f"  {len(others):,} whose names say another pair or exchange: {', '.join(others[:_LISTED])}")
    if max(len(near), len(others)) > _LISTED:
        say("  --json lists all with their reasons")


_SUMS: Final = ("rows", "stored", "known", "quarantined")


def _row(outcome: ImportResult) -> dict[str, Any]:
    done = outcome.rows
    return {
        "file": outcome.file.name,
        "format": outcome.format,
        "became": outcome.became.value,
        "reason": outcome.reason,
        "note": outcome.note,
        "exchange": outcome.target.exchange if outcome.target else None,
        "pair": outcome.target.pair if outcome.target else None,
        "timeframe": outcome.target.timeframe if outcome.target else None,
        "rows": done.rows,
        "stored": done.stored,
        "known": done.known,
        "quarantined": done.quarantined,
        "candles": dict(done.candles),
        "first": done.first.isoformat() if done.first else None,
        "last": done.last.isoformat() if done.last else None,
        "seconds": round(outcome.seconds, 3),
        "rate": round(done.rows / outcome.seconds) if outcome.seconds else None,
    }


def _candles(changed: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {timeframe}" for timeframe, count in changed.items())
