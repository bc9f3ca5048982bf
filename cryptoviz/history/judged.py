"""Candles as the gate judges them, by the suite `candles_rest`, wherever an exchange gave them.

answer -> rows -> suite, in memory -> what may be stored
                                   \\-> quarantine, and windows that stay missing with the reason
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gate import engine, frames, gate, suites
from cryptoviz.gate.frames import Known, Row
from cryptoviz.history.source import Answer, Impossible
from cryptoviz.history.source import Row as Given

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.gate.report import Report
    from cryptoviz.history.gaps import Series

SUBJECT: Final = "candles_rest"
_PRICES_AND_VOLUME: Final = ("open", "high", "low", "close", "volume")


def asset_of(series: Series) -> str:
    """What the results of a series' checks are kept under."""
    return f"history/candles_{series.timeframe}/{series.exchange}/{series.pair.replace('/', '-')}"


def row_of(payload: Mapping[str, Any], origin: str, run: str, number: int) -> Row:
    """A candle as it is judged and, if it must be, kept in quarantine. `origin`: such as `backfill`."""
    named = (payload[name] for name in ("exchange", "symbol", "timeframe", "window_start"))
    key = "|".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in named)
    return Row(key, payload, {"source": payload["exchange"], "origin": origin}, key, run, number)


def audited(
    connection: Connection[Any], series: Series, answer: Answer, *, origin: str, run: str, at: datetime
) -> tuple[Answer, Report]:
    """Judge all that an exchange gave in an answer at this time, within the caller's transaction if there is one.

    Results and quarantine are written. Of the answer that is returned the rows may be stored; those that were held back
    are among what is impossible, with the expectation that they failed.

    Raises:
        SuiteError: the suite cannot be read or makes no sense.
        GateError: the gate itself failed.
    """
    began, suite = time.monotonic(), suites.read(SUBJECT)
    given: list[Given] = [*answer.rows, *answer.impossible]
    rows = [row_of(_payload(series, one, at), origin, run, number) for number, one in enumerate(given)]
    judged = engine.evaluate(suite, frames.columns(SUBJECT, rows, Known()), briefly=True)
    found = gate.concluded(suite, judged, rows, count=len(rows), run=run, asset=asset_of(series), began=began)
    with connection.transaction():
        gate.write(connection, found.report, engine.document(suite, judged))
        gate.hold_back(connection, SUBJECT, rows, found)
    why = {result.name: result.why for result in found.report.results}
    held = [
        _impossible(one, f"in quarantine, {fault.expectation}: {why[fault.expectation]}")
        for position, one in enumerate(answer.rows)
        if (fault := found.faults.get(position)) is not None
    ]
    return replace(answer, rows=found.passed(answer.rows), impossible=[*answer.impossible, *held]), found.report


def _payload(series: Series, given: Given, at: datetime) -> dict[str, Any]:
    return {
        "window_start": given.window_start,
        "window_end": given.window_end,
        "exchange": series.exchange,
        "symbol": series.pair,
        "timeframe": series.timeframe.value,
        **{name: _text(getattr(given, name)) for name in _PRICES_AND_VOLUME},
        "trade_count": given.trade_count,
        "received_at": at,
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"


def _impossible(given: Given, reason: str) -> Impossible:
    numbers = {name: getattr(given, name) for name in _PRICES_AND_VOLUME}
    return Impossible(given.window_start, given.window_end, **numbers, trade_count=given.trade_count, reason=reason)
