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

from cryptoviz.exchanges.history import Answer, Impossible
from cryptoviz.exchanges.history import Row as Given
from cryptoviz.gate import engine, suites
from cryptoviz.gate.audit import audit_evaluated, quarantine_rows, write_report
from cryptoviz.gate.columns import columns_of
from cryptoviz.gate.rows import CandidateRow, StoredContext
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.gate.audit import RowFault
    from cryptoviz.gate.report import GateReport
    from cryptoviz.pairs import Series

SUBJECT: Final = "candles_rest"
_PRICES_AND_VOLUME: Final = ("open", "high", "low", "close", "volume")


def asset_of(series: Series) -> str:
    """The asset under which the results of a series' checks are kept."""
    return f"history/candles_{series.timeframe}/{series.exchange}/{series.pair.replace('/', '-')}"


def row_of(payload: Mapping[str, Any], origin: str, run: str, number: int) -> CandidateRow:
    """A candle as a row for the gate and for quarantine. `origin` is who fetched it, such as `backfill`."""
    named = (payload[name] for name in ("exchange", "symbol", "timeframe", "window_start"))
    key = "|".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in named)
    return CandidateRow(key, payload, {"source": payload["exchange"], "origin": origin}, key, run, number)


def audited(
    connection: Connection[Any], series: Series, answer: Answer, *, origin: str, run: str, at: datetime
) -> tuple[Answer, GateReport]:
    """Judge the candles of an exchange's answer, within the caller's transaction if there is one.

    Results and quarantine are written; what waits there of candles that pass now is resolved. Of the answer that is
    returned the rows may be stored. Those that were held back are what is impossible, with the expectation that they
    failed; where somebody has discarded such a candle before, the answer has none.

    Raises:
        SuiteError: the suite cannot be read or makes no sense.
        GateError: the gate itself failed.
    """
    began = time.monotonic()
    given: list[Given] = [*answer.rows, *answer.impossible]
    suite = suites.read(SUBJECT)
    rows = [row_of(_payload(series, candle, at), origin, run, number) for number, candle in enumerate(given)]
    results = engine.evaluate(suite, columns_of(SUBJECT, rows, StoredContext()), briefly=True)
    found = audit_evaluated(suite, results, rows, count=len(rows), run=run, asset=asset_of(series), began=began)
    suspect = {*found.faults, *range(len(answer.rows), len(given))}
    keys = {"subject": SUBJECT, "keys": [rows[position].key for position in suspect]}
    discarded = {key for (key,) in connection.execute(query("quarantine_discarded"), keys)}
    waiting = sorted(position for position in suspect if rows[position].key not in discarded)
    held = {position: found.faults[position] for position in waiting if position in found.faults}
    passed = found.passed(answer.rows)
    keys = {"subject": SUBJECT, "keys": [row.key for row in found.passed(rows[: len(answer.rows)])]}
    with connection.transaction():
        write_report(connection, found.report, engine.document(suite, results))
        quarantine_rows(connection, SUBJECT, rows, replace(found, faults=held))
        connection.execute(query("quarantine_overtaken"), {**keys, "actor": run})
    why = {result.name: result.why for result in found.report.results}
    impossible = [
        _impossible(answer.rows[position], held[position], why)
        if position < len(answer.rows)
        else answer.impossible[position - len(answer.rows)]
        for position in waiting
    ]
    return replace(answer, rows=passed, impossible=impossible), found.report


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


def _impossible(given: Given, fault: RowFault, why: Mapping[str, str]) -> Impossible:
    numbers = {name: getattr(given, name) for name in _PRICES_AND_VOLUME}
    reason = f"in quarantine, {fault.expectation}: {why[fault.expectation]}"
    return Impossible(given.window_start, given.window_end, **numbers, trade_count=given.trade_count, reason=reason)
