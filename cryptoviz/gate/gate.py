"""Judge what is staged, keep back what fails, deliver what passed.

    staging -> judge -> quarantine, quality_results, quality_documents | passed -> deliver -> topic -> published_keys

Each step is one transaction, and whatever a killed run left is finished by the next: a row is always in `staging`, in
`quarantine`, or acknowledged by the broker.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptoviz import codec
from cryptoviz.gate import engine, frames, suites
from cryptoviz.gate.frames import Known, Row
from cryptoviz.gate.report import Counts, GateError, Report, Result, Scope, Severity
from cryptoviz.gate.staging import as_json, storable
from cryptoviz.gate.subjects import SUBJECTS
from cryptoviz.gate.suites import Expectation, Suite
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.bus import Bus
    from cryptoviz.records import Record

AT_ONCE: Final = 20_000
"""The most rows that one judgement takes; the rest waits for the next."""

DELIVERED_AT_ONCE: Final = 2_000
ACKNOWLEDGED_S: Final = 30.0
"""Longest wait for the broker, for each part of a delivery."""

_LOCK_WAIT: Final = "set local lock_timeout = '120s'"
_EXAMPLES: Final = 5
_SHOWN: Final = 200

_HAS_ROWS: Final = Expectation(
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
"""What holds whatever the suites say."""


class DeliveryError(Exception):
    """The broker did not acknowledge everything. It stays in the outbox and is sent again, by this run or another."""


@dataclass(frozen=True)
class Fault:
    """Why a row must not be published: the expectation it failed first, and what each it failed is for."""

    expectation: str
    reason: str


@dataclass(frozen=True)
class Audit:
    """What an audit found, and the rows that it holds back, by their position."""

    report: Report
    faults: Mapping[int, Fault]

    def passed(self, rows: Sequence[Any]) -> list[Any]:
        """Those of the audited rows that may be published."""
        return [row for position, row in enumerate(rows) if position not in self.faults]


def judge(connection: Connection[Any], subject: str, run: str, asset: str) -> Report:
    """Audit everything that is staged and not judged yet, in one transaction.

    What fails row by row goes to quarantine and the rest passes; if a critical expectation about all of it fails,
    everything goes to quarantine. With nothing new the results of the time before stand. Judgements of one subject
    wait for each other.

    Raises:
        SuiteError: the suite cannot be read or makes no sense; nothing was changed.
        GateError: the gate itself failed; nothing was changed.
    """
    try:
        with connection.transaction():
            connection.execute(_LOCK_WAIT)
            connection.execute(query("staging_lock"), {"subject": subject})
            rows = _waiting(connection, subject)
            if not rows:
                return _standing(connection, subject, run, asset)
            found = audit(connection, subject, rows, run, asset)
            hold_back(connection, subject, rows, found)
            connection.execute(
                query("staging_settle"),
                {
                    "subject": subject,
                    "passed": [row.number for row in found.passed(rows)],
                    "held": [rows[position].number for position in found.faults],
                },
            )
            return found.report
    except driver.LockNotAvailable as error:
        raise GateError(f"another run has been judging {subject} for two minutes") from error


def audit(connection: Connection[Any], subject: str, rows: Sequence[Row], run: str, asset: str) -> Audit:
    """Judge rows by the suite of a subject and write the results down, within the caller's transaction if there is one.

    Without rows the report fails: nothing was seen that anything could be said of.

    Raises:
        SuiteError: the suite cannot be read or makes no sense.
        GateError: the gate itself failed.
    """
    began = time.monotonic()
    suite = suites.read(subject)
    columns, judged = _judged(connection, suite, rows)
    faults = _faults(judged, rows, columns)
    report = _report(suite, judged, rows, columns, faults, count=len(rows), run=run, asset=asset, began=began)
    with connection.transaction():
        write(connection, report, engine.document(suite, judged))
    return Audit(report, faults)


def concluded(
    suite: Suite,
    judged: Sequence[engine.Judged],
    rows: Sequence[Row],
    *,
    count: int,
    run: str,
    asset: str,
    began: float,
) -> Audit:
    """What `count` rows came to that were judged where they are; nothing is written.

    `rows` are those at fault, or all where something is wrong with all; their `number` is the key in the outcomes. A
    key without a row is left out. `began` is a time of the monotonic clock.
    """
    place = {row.number: position for position, row in enumerate(rows)}
    placed = [
        replace(one, outcome=replace(one.outcome, rows=tuple(place[key] for key in one.outcome.rows if key in place)))
        for one in judged
    ]
    columns = frames.columns(suite.name, rows, Known())
    faults = _faults(placed, rows, columns)
    return Audit(_report(suite, placed, rows, columns, faults, count=count, run=run, asset=asset, began=began), faults)


def _report(
    suite: Suite,
    judged: Sequence[engine.Judged],
    rows: Sequence[Row],
    columns: Sequence[frames.Columns],
    faults: Mapping[int, Fault],
    *,
    count: int,
    run: str,
    asset: str,
    began: float,
) -> Report:
    results = [_result(one, rows, columns) for one in judged]
    return Report(
        suite.name,
        run,
        asset,
        suite.name,
        passed=not any(result.counts for result in results),
        blocked=any(result.blocks for result in results) and len(faults) == count,
        counts=Counts(count, count - len(faults), len(faults)),
        results=results,
        newest=_newest(row for position, row in enumerate(rows) if position not in faults),
        seconds=round(time.monotonic() - began, 3),
    )


def refused(connection: Connection[Any], subject: str, rows: Sequence[Row]) -> Mapping[int, Fault]:
    """The rows that what today's suite says of single rows holds back, by their position; nothing is written.

    Raises:
        SuiteError: the suite cannot be read or makes no sense.
        GateError: the gate itself failed.
    """
    columns, judged = _judged(connection, suites.read(subject).of(Scope.ROW), rows)
    return _faults(judged, rows, columns)


def hold_back(connection: Connection[Any], subject: str, rows: Sequence[Row], found: Audit) -> None:
    """Put what an audit holds back into quarantine, within the caller's transaction if there is one.

    Of the states of one series only the newest is kept, with how often one was seen.
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


def deliver(connection: Connection[Any], producer: Bus, subject: str) -> int:
    """Send what passed to the subject's topic, and let go of what the broker acknowledged; returns how many.

    The connection commits by itself, so that each part that is acknowledged is settled.

    Safe to kill anywhere: what is not known to be acknowledged is sent again, and the key makes the second copy
    harmless.

    Raises:
        DeliveryError: the broker did not acknowledge everything in time, or refused something.
    """
    topic, delivered = SUBJECTS[subject].topic, 0
    while rows := _passed(connection, subject):
        records, changed = _decoded(topic, rows)
        if changed:  # by an update since they passed: they are judged once more, by today's record
            connection.execute(query("staging_unpass"), {"subject": subject, "numbers": changed})
        lost = producer.lost
        for record in records.values():
            producer.send(topic, record)
        if not producer.flush(ACKNOWLEDGED_S) or producer.lost != lost:
            raise DeliveryError(
                f"the broker did not acknowledge {len(records)} messages for {topic} within {ACKNOWLEDGED_S:.0f} s"
            )
        connection.execute(query("staging_delivered"), {"subject": subject, "numbers": list(records)})
        delivered += len(records)
    return delivered


def _judged(
    connection: Connection[Any], suite: Suite, rows: Sequence[Row]
) -> tuple[list[frames.Columns], list[engine.Judged]]:
    columns = frames.columns(suite.name, rows, frames.known(connection, suite.name, rows))
    judged = engine.evaluate(suite, columns)
    if not rows and all(one.outcome.success for one in judged):
        others = [one for one in judged if one.expectation.name != _HAS_ROWS.name]
        return columns, [engine.added(_HAS_ROWS, engine.Outcome(False, 0, 0), 0), *others]
    if rows and suite.name in SUBJECTS:
        held = _faults(judged, rows, columns)
        judged.append(_as_records(SUBJECTS[suite.name].topic, rows, columns, held))
    return columns, judged


def _as_records(
    topic: str, rows: Sequence[Row], columns: Sequence[frames.Columns], held: Mapping[int, Fault]
) -> engine.Judged:
    """Whether each row that nothing else holds back can become its record; the columns get the record's own words."""
    for position, row in enumerate(rows):
        columns[position]["not_a_record"] = None if position in held else _not_a_record(topic, row.payload)
    words = {position: one["not_a_record"] for position, one in enumerate(columns) if one["not_a_record"] is not None}
    outcome = engine.Outcome(
        not words, list(dict.fromkeys(words.values()))[:_EXAMPLES] or None, len(words), tuple(words)
    )
    return engine.added(_IS_A_RECORD, outcome, len(rows))


def _not_a_record(topic: str, payload: Mapping[str, Any]) -> str | None:
    try:
        message = codec.encode(codec.decode(topic, as_json(payload).encode()))
    except codec.RefusedError as refusal:
        return refusal.reason
    return None if len(message) <= codec.MAX_MESSAGE_BYTES else f"{len(message)} bytes are more than a message holds"


def _faults(
    judged: Sequence[engine.Judged], rows: Sequence[Row], columns: Sequence[frames.Columns]
) -> dict[int, Fault]:
    """Every row that must not be published: those at fault themselves, or all where something is wrong with all.

    What is wrong with everything that one source sent holds back that source's rows only.
    """
    failed = [one for one in judged if not one.outcome.success and one.expectation.severity is Severity.CRITICAL]
    by_row: dict[int, list[Expectation]] = {}
    for one in failed:
        if one.expectation.scope is Scope.ROW:
            at_fault: Iterable[int] = one.outcome.rows
        else:
            sources = {_source(rows[position]) for position in one.outcome.rows}
            at_fault = [position for position, row in enumerate(rows) if not sources or _source(row) in sources]
        for position in at_fault:
            by_row.setdefault(position, []).append(one.expectation)
    return {position: _fault(by_row[position], columns[position]) for position in sorted(by_row)}


def _source(row: Row) -> str:
    return str(row.payload.get("source", row.payload.get("exchange", "")))


def _fault(failed: Sequence[Expectation], columns: frames.Columns) -> Fault:
    return Fault(failed[0].name, " ".join(f"{one.why.rstrip('.')} ({_values(one, columns)})." for one in failed))


def _values(one: Expectation, columns: frames.Columns) -> str:
    return ", ".join(f"{name}: {_shown(columns.get(name))}" for name in one.columns) or one.name


def _shown(value: Any) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _result(one: engine.Judged, rows: Sequence[Row], columns: Sequence[frames.Columns]) -> Result:
    shown = one.outcome.rows[:_EXAMPLES] if not one.outcome.success else ()
    return Result(
        one.expectation.name,
        one.expectation.severity,
        one.expectation.scope,
        one.outcome.success,
        one.expectation.why,
        one.outcome.observed,
        one.outcome.unexpected_count,
        [
            {"key": rows[position].key, **{name: columns[position].get(name) for name in one.expectation.columns}}
            for position in shown
        ],
    )


def _newest(rows: Iterator[Row]) -> datetime | None:
    """The newest event time of rows."""
    times = (frames.instant(row.payload.get("timestamp", row.payload.get("published_at"))) for row in rows)
    return max((when for when in times if when is not None), default=None)


def write(connection: Connection[Any], report: Report, document: Mapping[str, Any]) -> None:
    """Write a report down, within the caller's transaction if there is one."""
    told = {"run": report.run, "asset": report.asset, "suite": report.suite, "evaluated_at": datetime.now(UTC)}
    connection.execute(
        query("quality_results_insert"),
        {
            **told,
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
        {**told, "success": report.passed, "failed": failed, "document": as_json(document)},
    )


def _standing(connection: Connection[Any], subject: str, run: str, asset: str) -> Report:
    """What the last audit of the asset found; one that fails where there was none."""
    suite = suites.read(subject)
    engine.check(suite)
    known = {one.name: one for one in suite.expectations}
    results = [
        Result(
            name,
            Severity(severity),
            known[name].scope if name in known else Scope.ROW,
            success,
            known[name].why if name in known else "",
            observed,
            count or 0,
        )
        for name, severity, success, observed, count in connection.execute(
            query("quality_results_last"), {"asset": asset}
        )
    ] or [Result(_HAS_ROWS.name, Severity.WARNING, Scope.BATCH, False, _HAS_ROWS.why, 0)]
    return Report(
        subject,
        run,
        asset,
        suite.name,
        passed=not any(result.counts for result in results),
        blocked=False,
        results=results,
        standing=True,
    )


def _waiting(connection: Connection[Any], subject: str) -> list[Row]:
    found = connection.execute(query("staging_waiting"), {"subject": subject, "most": AT_ONCE}).fetchall()
    return [Row(key, payload, origin, series, run, number) for number, key, series, payload, origin, run in found]


def _passed(connection: Connection[Any], subject: str) -> list[tuple[int, Mapping[str, Any]]]:
    return connection.execute(query("staging_passed"), {"subject": subject, "most": DELIVERED_AT_ONCE}).fetchall()


def _decoded(topic: str, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> tuple[dict[int, Record], list[int]]:
    """The records by their number, and the numbers of rows that are none any more."""
    records: dict[int, Record] = {}
    changed = []
    for number, payload in rows:
        try:
            records[number] = codec.decode(topic, as_json(payload).encode())
        except codec.RefusedError:
            changed.append(number)
    return records, changed
