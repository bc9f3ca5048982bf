"""Judge rows by the suite of their subject, store the results, and put the rows that fail into quarantine.

rows -> columns -> engine -> faults of rows -> quality_results, quality_documents, quarantine
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptoviz import codec
from cryptoviz.gate import engine, suites
from cryptoviz.gate.columns import columns_of
from cryptoviz.gate.report import ExpectationResult, GateReport, RowCounts, Scope, Severity
from cryptoviz.gate.rows import CandidateRow, Columns, StoredContext, read_context
from cryptoviz.gate.staging import as_json, storable
from cryptoviz.gate.subjects import SUBJECTS
from cryptoviz.gate.suites import Expectation, Suite
from cryptoviz.gate.values import instant
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

_EXAMPLES: Final = 5
_SHOWN: Final = 200
HAS_ROWS: Final = Expectation(
    "has_rows",
    "expect_table_row_count_to_be_between",
    {"min_value": 1},
    Severity.CRITICAL,
    Scope.BATCH,
    "Without rows nothing can be said of them.",
)
_IS_A_RECORD: Final = Expectation(
    "is_a_record",
    "expect_column_values_to_be_null",
    {"column": "not_a_record"},
    Severity.CRITICAL,
    Scope.ROW,
    "Only what can become the record that its topic carries can be published.",
)
"""Expectations that every suite has, whatever its file says."""


@dataclass(frozen=True)
class RowFault:
    """Why a row must not be published: the first expectation it fails, and the reasons of all that it fails."""

    expectation: str
    reason: str


@dataclass(frozen=True)
class Audit:
    """The report of an audit, and the faults of the rows that it holds back, by their position."""

    report: GateReport
    faults: Mapping[int, RowFault]

    def passed(self, rows: Sequence[Any]) -> list[Any]:
        """The audited rows that may be published."""
        return [row for position, row in enumerate(rows) if position not in self.faults]


def audit(connection: Connection[Any], subject: str, rows: Sequence[CandidateRow], run: str, asset: str) -> Audit:
    """Judge rows by the suite of a subject and store the results, within the caller's transaction if there is one.

    Without rows the report fails.

    Raises:
        SuiteError: the suite cannot be read or makes no sense.
        GateError: the gate itself failed.
    """
    began = time.monotonic()
    suite = suites.read(subject)
    columns, evaluations = _evaluate(connection, suite, rows)
    faults = _faults(evaluations, rows, columns)
    report = _report(suite, evaluations, rows, columns, faults, count=len(rows), run=run, asset=asset, began=began)
    with connection.transaction():
        write_report(connection, report, engine.document(suite, evaluations))
    return Audit(report, faults)


def audit_evaluated(
    suite: Suite,
    evaluations: Sequence[engine.Evaluation],
    rows: Sequence[CandidateRow],
    *,
    count: int,
    run: str,
    asset: str,
    began: float,
) -> Audit:
    """The audit of `count` rows that were evaluated in their table; nothing is written.

    `rows` are the rows at fault, or all of them where an expectation on the whole batch failed; the outcomes name rows
    by their `number`, and numbers without a row are ignored. `began` is an instant of the monotonic clock.
    """
    place = {row.number: position for position, row in enumerate(rows)}
    placed = [
        replace(
            evaluation,
            outcome=replace(
                evaluation.outcome,
                rows=tuple(place[number] for number in evaluation.outcome.rows if number in place),
            ),
        )
        for evaluation in evaluations
    ]
    columns = columns_of(suite.name, rows, StoredContext())
    faults = _faults(placed, rows, columns)
    return Audit(_report(suite, placed, rows, columns, faults, count=count, run=run, asset=asset, began=began), faults)


def _report(
    suite: Suite,
    evaluations: Sequence[engine.Evaluation],
    rows: Sequence[CandidateRow],
    columns: Sequence[Columns],
    faults: Mapping[int, RowFault],
    *,
    count: int,
    run: str,
    asset: str,
    began: float,
) -> GateReport:
    results = [_result(evaluation, rows, columns) for evaluation in evaluations]
    return GateReport(
        suite.name,
        run,
        asset,
        suite.name,
        passed=not any(result.counts for result in results),
        blocked=any(result.blocks for result in results) and len(faults) == count,
        counts=RowCounts(count, count - len(faults), len(faults)),
        results=results,
        newest=_newest(row for position, row in enumerate(rows) if position not in faults),
        seconds=round(time.monotonic() - began, 3),
    )


def row_faults(connection: Connection[Any], subject: str, rows: Sequence[CandidateRow]) -> Mapping[int, RowFault]:
    """Rows that fail the suite's row-scope expectations, by position; nothing is written.

    Raises:
        SuiteError: the suite cannot be read or makes no sense.
        GateError: the gate itself failed.
    """
    columns, evaluations = _evaluate(connection, suites.read(subject).of(Scope.ROW), rows)
    return _faults(evaluations, rows, columns)


def quarantine_rows(connection: Connection[Any], subject: str, rows: Sequence[CandidateRow], found: Audit) -> None:
    """Put the rows that an audit holds back into quarantine, within the caller's transaction if there is one.

    Of each series only the newest row is kept, with the number of rows that were seen.
    """
    newest = {rows[position].series: (rows[position], fault) for position, fault in sorted(found.faults.items())}
    seen = Counter(rows[position].series for position in found.faults)
    held = list(newest.values())
    if held:
        connection.execute(
            query("quarantine_insert"),
            {
                "subject": subject,
                "run": found.report.run,
                "series": list(newest),
                "occurrences": [seen[series] for series in newest],
                "key": [row.key for row, _ in held],
                "payload": [as_json(row.payload) for row, _ in held],
                "origin": [as_json({**row.origin, "run": row.run}) for row, _ in held],
                "reason": [storable(fault.reason) for _, fault in held],
                "expectation": [fault.expectation for _, fault in held],
            },
        )


def _evaluate(
    connection: Connection[Any], suite: Suite, rows: Sequence[CandidateRow]
) -> tuple[list[Columns], list[engine.Evaluation]]:
    columns = columns_of(suite.name, rows, read_context(connection, suite.name, rows))
    evaluations = engine.evaluate(suite, columns)
    if not rows and all(evaluation.outcome.success for evaluation in evaluations):
        others = [evaluation for evaluation in evaluations if evaluation.expectation.name != HAS_ROWS.name]
        return columns, [engine.evaluation_from(HAS_ROWS, engine.ExpectationOutcome(False, 0, 0), 0), *others]
    if rows and suite.name in SUBJECTS:
        held = _faults(evaluations, rows, columns)
        evaluations.append(_as_records(SUBJECTS[suite.name].topic, rows, columns, held))
    return columns, evaluations


def _as_records(
    topic: str, rows: Sequence[CandidateRow], columns: Sequence[Columns], held: Mapping[int, RowFault]
) -> engine.Evaluation:
    """Whether each row that is not held back yet can be decoded as its record; a column gets the reason why not."""
    for position, row in enumerate(rows):
        columns[position]["not_a_record"] = None if position in held else _not_a_record(topic, row.payload)
    words = {position: row["not_a_record"] for position, row in enumerate(columns) if row["not_a_record"] is not None}
    outcome = engine.ExpectationOutcome(
        not words, list(dict.fromkeys(words.values()))[:_EXAMPLES] or None, len(words), tuple(words)
    )
    return engine.evaluation_from(_IS_A_RECORD, outcome, len(rows))


def _not_a_record(topic: str, payload: Mapping[str, Any]) -> str | None:
    try:
        message = codec.encode(codec.decode(topic, as_json(payload).encode()))
    except codec.RefusedError as refusal:
        return refusal.reason
    return None if len(message) <= codec.MAX_MESSAGE_BYTES else f"{len(message)} bytes are more than a message holds"


def _faults(
    evaluations: Sequence[engine.Evaluation], rows: Sequence[CandidateRow], columns: Sequence[Columns]
) -> dict[int, RowFault]:
    """The faults of all rows that must not be published.

    A critical expectation of scope row holds back the rows at fault; one of scope batch holds back all rows of the
    sources of the rows at fault, or all rows where it names none.
    """
    failed = [
        evaluation
        for evaluation in evaluations
        if not evaluation.outcome.success and evaluation.expectation.severity is Severity.CRITICAL
    ]
    by_row: dict[int, list[Expectation]] = {}
    for evaluation in failed:
        if evaluation.expectation.scope is Scope.ROW:
            at_fault: Iterable[int] = evaluation.outcome.rows
        else:
            sources = {_source(rows[position]) for position in evaluation.outcome.rows}
            at_fault = [position for position, row in enumerate(rows) if not sources or _source(row) in sources]
        for position in at_fault:
            by_row.setdefault(position, []).append(evaluation.expectation)
    return {position: _fault(by_row[position], columns[position]) for position in sorted(by_row)}


def _source(row: CandidateRow) -> str:
    return str(row.payload.get("source", row.payload.get("exchange", "")))


def _fault(failed: Sequence[Expectation], columns: Columns) -> RowFault:
    return RowFault(
        failed[0].name,
        " ".join(f"{expectation.why.rstrip('.')} ({_values(expectation, columns)})." for expectation in failed),
    )


def _values(expectation: Expectation, columns: Columns) -> str:
    return ", ".join(f"{name}: {_shortened(columns.get(name))}" for name in expectation.columns) or expectation.name


def _shortened(value: Any) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _result(
    evaluation: engine.Evaluation, rows: Sequence[CandidateRow], columns: Sequence[Columns]
) -> ExpectationResult:
    shown = evaluation.outcome.rows[:_EXAMPLES] if not evaluation.outcome.success else ()
    return ExpectationResult(
        evaluation.expectation.name,
        evaluation.expectation.severity,
        evaluation.expectation.scope,
        evaluation.outcome.success,
        evaluation.expectation.why,
        evaluation.outcome.observed,
        evaluation.outcome.unexpected_count,
        [
            {
                "key": rows[position].key,
                **{name: columns[position].get(name) for name in evaluation.expectation.columns},
            }
            for position in shown
        ],
    )


def _newest(rows: Iterator[CandidateRow]) -> datetime | None:
    """The newest event time of rows."""
    times = (instant(row.payload.get("timestamp", row.payload.get("published_at"))) for row in rows)
    return max((when for when in times if when is not None), default=None)


def write_report(connection: Connection[Any], report: GateReport, document: Mapping[str, Any]) -> None:
    """Store a report, within the caller's transaction if there is one."""
    common = {"run": report.run, "asset": report.asset, "suite": report.suite, "evaluated_at": datetime.now(UTC)}
    connection.execute(
        query("quality_results_insert"),
        {
            **common,
            "expectation": [result.name for result in report.results],
            "severity": [result.severity.value for result in report.results],
            "success": [result.success for result in report.results],
            "observed": [as_json(result.observed) for result in report.results],
            "unexpected_count": [result.unexpected_count for result in report.results],
        },
    )
    failed = sorted(result.name for result in report.failed)
    connection.execute(
        query("quality_document_insert"),
        {**common, "success": report.passed, "failed": failed, "document": as_json(document)},
    )
