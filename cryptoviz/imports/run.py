"""Imports files one after the other and says what became of each; what one of them is refused for concerns it alone."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final

from cryptoviz.imports.aggregates import explained, without_blanks, without_ids
from cryptoviz.imports.candles import CandlesImport
from cryptoviz.imports.chunks import Position, chunks
from cryptoviz.imports.files import File, ImportRefusedError, NotWantedError
from cryptoviz.imports.layouts import Format, Kind, Layout, recognise, timeframe_named
from cryptoviz.imports.names import NameMeaning, Verdict, verdict
from cryptoviz.imports.progress import ImportProgress, Target
from cryptoviz.imports.trades import Connect, ImportedRows, ReportProgress, TradesImport
from cryptoviz.imports.values import columns
from cryptoviz.pairs import Timeframe


class ImportOutcome(StrEnum):
    """What became of a file."""

    IMPORTED = "imported"
    COMPLETE = "complete already"
    SKIPPED = "skipped"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    """Every row of it is in quarantine: nothing was stored."""

    @property
    def failed(self) -> bool:
        """Whether nothing of the file was stored although it was wanted."""
        return self in (ImportOutcome.REFUSED, ImportOutcome.QUARANTINED)


@dataclass(frozen=True)
class ImportRequest:
    """What to import: files of one kind, into one pair. What is None is recognised from each file."""

    kind: Kind
    exchange: str
    pair: str
    timeframe: Timeframe | None = None
    format: Format | None = None
    single_trades: bool = False
    """Whether somebody vouches for that rows with ids are single trades, where that could be doubted."""
    pair_anyway: bool = False
    """Whether somebody vouches for that files named by hand are of that pair and exchange, whatever they are called."""


@dataclass(frozen=True)
class ImportResult:
    """One file: what became of it, why, and its rows this time.

    `elsewhere`: its name is simply not the pair's. `note`: its name does not say the pair, and why it is taken.
    """

    file: File
    became: ImportOutcome
    reason: str = ""
    format: str = ""
    target: Target | None = None
    rows: ImportedRows = field(default_factory=ImportedRows)
    seconds: float = 0.0
    elsewhere: bool = False
    note: str = ""


def import_file(file: File, request: ImportRequest, connect: Connect, report_progress: ReportProgress) -> ImportResult:
    """Import the part of a file that is not imported yet; gaps and completeness follow.

    `connect` gives connections of the writer that commit by themselves.

    Raises:
        SuiteError, GateError: the gate itself failed.
        psycopg.Error: the database is away or refuses; what was committed stays.
    """
    began = time.monotonic()
    form = note = ""
    try:
        found = verdict(file.above, file.inside, request.exchange, request.pair, vouched=request.pair_anyway)
        if reason := _not_wanted(file, found, request):
            return replace(_not_imported(file, reason), elsewhere=found.says is NameMeaning.OTHER and not found.above)
        note = _note(found, request)
        layout = recognise(file, request.kind, request.format)
        layout = without_blanks(file, without_ids(layout, request.exchange, single=request.single_trades))
        form = layout.format.value
        timeframe = None
        if layout.kind is Kind.CANDLES:
            timeframe, reason = _timeframe(file, layout, request)
            if timeframe is None:
                return _not_imported(file, reason)
        target = Target(request.exchange, request.pair, timeframe)
        progress = ImportProgress(file, layout, target)
        with connect() as connection:
            try:
                done = _importer(file, layout, target, progress, report_progress).run(connect, connection)
            except ImportRefusedError as error:
                progress.finish(connection, str(error))
                raise
            all_quarantined = progress.all_quarantined(connection)
    except NotWantedError as error:
        became = ImportOutcome.REFUSED if file.named else ImportOutcome.SKIPPED
        return ImportResult(file, became, str(error), form, seconds=time.monotonic() - began, note=note)
    except ImportRefusedError as error:
        return ImportResult(file, ImportOutcome.REFUSED, str(error), form, seconds=time.monotonic() - began, note=note)
    became = ImportOutcome.IMPORTED if done.rows or done.candles else ImportOutcome.COMPLETE
    reason = _candles_only(file, layout, request)
    if all_quarantined:
        became, reason = ImportOutcome.QUARANTINED, _ALL_QUARANTINED.format(file.name, progress.quarantined)
    return ImportResult(file, became, reason, form, target, done, time.monotonic() - began, note=note)


_ALL_QUARANTINED: Final = (
    "{}: nothing of it was stored: all of its rows, {:,}, went to quarantine; `cryptoviz quarantine list` says why"
)
_CANDLES_ONLY: Final = (
    "{}: its rows are not single trades with id and side; candles were made of them, no trades stored"
)


def _candles_only(file: File, layout: Layout, request: ImportRequest) -> str:
    """Why no trades were stored; empty: they were, or there are none."""
    if layout.kind is Kind.CANDLES or layout.of_single_trades:
        return ""
    return explained(layout, file.name, request.exchange) if layout.aggregated else _CANDLES_ONLY.format(file.name)


def _not_wanted(file: File, found: Verdict, request: ImportRequest) -> str:
    """Why a file is not of the market that was asked for, by its name; empty: it is, or somebody vouches for it."""
    if found.says is NameMeaning.PAIR or (file.named and (request.pair_anyway or found.says is NameMeaning.NOTHING)):
        return ""
    kept = "; only spot trades and candles are kept" if found.says is NameMeaning.MARKET else ""
    if file.named or found.above:
        anyway = f"if it is {request.pair} of {request.exchange} all the same, say --pair-anyway"
        return f"{found.reason}{kept}; {anyway}"
    by_hand = (
        f"; if it is {request.pair}, name it by hand" if found.says in (NameMeaning.MORE, NameMeaning.NOTHING) else ""
    )
    return f"{found.reason}{kept}{by_hand}"


def _note(found: Verdict, request: ImportRequest) -> str:
    """Why a file is imported although its name does not say the pair; empty: it does."""
    if found.says is NameMeaning.PAIR:
        return ""
    because = "you named it" if found.says is NameMeaning.NOTHING else "you said --pair-anyway"
    return f"{found.reason}: taken as {request.pair} because {because}"


def _not_imported(file: File, reason: str) -> ImportResult:
    return ImportResult(file, ImportOutcome.REFUSED if file.named else ImportOutcome.SKIPPED, f"{file.name}: {reason}")


def _timeframe(file: File, layout: Layout, request: ImportRequest) -> tuple[Timeframe | None, str]:
    """The timeframe of a file: from its name, the request, or the distance of its rows; or None and the reason."""
    named = timeframe_named(file.stem, layout.format)
    if named and request.timeframe and named != request.timeframe:
        return None, f"its name says {named}, not {request.timeframe}"
    length = named or request.timeframe or _spacing(file, layout)
    found = next((timeframe for timeframe in Timeframe if timeframe == length), None)
    kept = ", ".join(Timeframe)
    if length is None:
        return None, f"how long its candles are cannot be told: say --timeframe ({kept})"
    return found, "" if found else f"candles of {length} are not kept, only {kept}"


def _spacing(file: File, layout: Layout) -> str | None:
    """The usual time between two rows of the beginning, if candles may be as long."""
    chunk = next(iter(chunks(file, layout, Position())), None)
    times = columns(chunk, layout)["microseconds"].drop_null().to_pylist() if chunk is not None else []
    usual = Counter(after - before for before, after in pairwise(times)).most_common(1)
    return next(
        (str(timeframe) for timeframe in Timeframe if usual and timeframe.seconds * 1_000_000 == usual[0][0]), None
    )


def _importer(
    file: File, layout: Layout, target: Target, progress: ImportProgress, report_progress: ReportProgress
) -> TradesImport | CandlesImport:
    run = f"import {datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    if layout.kind is Kind.TRADES and layout.of_single_trades:
        return TradesImport(file, layout, target, progress, run, report_progress=report_progress)
    return CandlesImport(file, layout, target, progress, run, report_progress=report_progress)
