"""Imports files one after the other and says what became of each; what one of them is refused for concerns it alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cryptoviz.history.gaps import Series
from cryptoviz.history.heal import record
from cryptoviz.history.imports.files import File, ImportRefusedError
from cryptoviz.history.imports.layouts import Format, Kind, Layout, names_pair, recognise
from cryptoviz.history.imports.progress import Progress, Target
from cryptoviz.history.imports.trades import Connect, Imported, Told, TradesImport
from cryptoviz.pairs import Timeframe

if TYPE_CHECKING:
    from psycopg import Connection


class Became(StrEnum):
    """What became of a file."""

    IMPORTED = "imported"
    COMPLETE = "complete already"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True)
class Asked:
    """What somebody asked for: files of one kind, into one pair. Nothing: recognised from each file."""

    kind: Kind
    exchange: str
    pair: str
    timeframe: Timeframe | None = None
    format: Format | None = None


@dataclass(frozen=True)
class Outcome:
    """One file: what became of it, why, and its rows this time."""

    file: File
    became: Became
    reason: str = ""
    format: str = ""
    target: Target | None = None
    rows: Imported = field(default_factory=Imported)
    seconds: float = 0.0


def import_file(file: File, asked: Asked, connect: Connect, told: Told) -> Outcome:
    """Import what is not imported yet of one file; gaps and completeness follow.

    `connect` gives connections of the writer that commit by themselves.

    Raises:
        SuiteError, GateError: the gate itself failed.
        psycopg.Error: the database is away or refuses; what was committed stays.
    """
    if names_pair(file.stem, asked.pair) is False:
        return _other(file, f"its name is not that of {asked.pair}")
    began = time.monotonic()
    form = ""
    try:
        layout = recognise(file, asked.kind, asked.format)
        form = layout.format.value
        target = Target(asked.exchange, asked.pair)
        progress = Progress(file, layout, target)
        with connect() as connection:
            try:
                done = _importer(file, layout, target, progress, told)(connect, connection)
            except ImportRefusedError as error:
                progress.finish(connection, str(error))
                raise
            _record(connection, target, done)
    except ImportRefusedError as error:
        return Outcome(file, Became.REFUSED, str(error), form, seconds=time.monotonic() - began)
    became = Became.IMPORTED if done.rows else Became.COMPLETE
    return Outcome(file, became, "", form, target, done, time.monotonic() - began)


def _other(file: File, reason: str) -> Outcome:
    return Outcome(file, Became.REFUSED if file.named else Became.SKIPPED, f"{file.name}: {reason}")


def _importer(
    file: File, layout: Layout, target: Target, progress: Progress, told: Told
) -> Callable[[Connect, Connection[Any]], Imported]:
    run = f"import {datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    if layout.kind is Kind.TRADES and layout.of_single_trades:
        return TradesImport(file, layout, target, progress, run, told=told).run
    raise ImportRefusedError(f"{file.name} cannot be imported")


def _record(connection: Connection[Any], target: Target, done: Imported) -> None:
    """Bring gaps and completeness in line with the candles of the time that was touched."""
    if done.first is None or done.last is None:
        return
    for timeframe in Timeframe:
        record(connection, Series(target.exchange, target.pair, timeframe), done.first, done.last)
