"""The outbox of what was fetched: judge what is staged, deliver what passed.

    staging -> judge_staged -> quarantine | passed -> deliver -> topic -> (acknowledged) -> published_keys

Each step is one transaction, and the next run finishes what a killed run left: a row is always in `staging`, in
`quarantine`, or acknowledged by the broker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cryptoviz import codec
from cryptoviz.gate import engine, suites
from cryptoviz.gate.audit import HAS_ROWS, audit, quarantine_rows
from cryptoviz.gate.report import ExpectationResult, GateError, GateReport, Scope, Severity
from cryptoviz.gate.rows import CandidateRow
from cryptoviz.gate.staging import as_json
from cryptoviz.gate.subjects import SUBJECTS
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.bus import Bus
    from cryptoviz.records import Record

AT_ONCE: Final = 20_000
"""The most rows that one run judges; the others wait for the next run."""
DELIVERED_AT_ONCE: Final = 2_000
ACKNOWLEDGED_S: Final = 30.0
"""Longest wait for the broker, for each part of a delivery."""
_LOCK_WAIT: Final = "set local lock_timeout = '120s'"


class DeliveryError(Exception):
    """The broker did not acknowledge all rows. Those stay in the outbox; this run or another sends them again."""


def judge_staged(connection: Connection[Any], subject: str, run: str, asset: str) -> GateReport:
    """Audit all rows of a subject that are staged and not judged yet, in one transaction.

    Rows that fail an expectation of scope row go to quarantine and the rest passes; if a critical expectation of scope
    batch fails, all go to quarantine. Without new rows the last results stand. Two runs that judge one subject wait for
    each other.

    Raises:
        SuiteError: the suite cannot be read or makes no sense; nothing was changed.
        GateError: the gate itself failed; nothing was changed.
    """
    try:
        with connection.transaction():
            connection.execute(_LOCK_WAIT)
            connection.execute(query("staging_lock"), {"subject": subject})
            rows = _unjudged_rows(connection, subject)
            if not rows:
                return _last_report(connection, subject, run, asset)
            found = audit(connection, subject, rows, run, asset)
            quarantine_rows(connection, subject, rows, found)
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


def deliver(connection: Connection[Any], producer: Bus, subject: str) -> int:
    """Send the rows that passed to the subject's topic and take acknowledged ones out of staging; returns their number.

    The connection must be in autocommit mode, so that each acknowledged part is settled at once.

    Safe to kill at any point: rows that were not settled are sent again, and their key makes a second copy harmless.

    Raises:
        DeliveryError: the broker did not acknowledge everything in time, or refused something.
    """
    topic, delivered = SUBJECTS[subject].topic, 0
    while rows := _undelivered_rows(connection, subject):
        records, changed = _decode_records(topic, rows)
        if changed:  # an upgrade changed the record since they passed: they are judged again
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


def _last_report(connection: Connection[Any], subject: str, run: str, asset: str) -> GateReport:
    """The results of the last audit of the asset; a report that fails where there was none."""
    suite = suites.read(subject)
    engine.check(suite)
    known = {expectation.name: expectation for expectation in suite.expectations}
    results = [
        ExpectationResult(
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
    ] or [ExpectationResult(HAS_ROWS.name, Severity.WARNING, Scope.BATCH, False, HAS_ROWS.why, 0)]
    return GateReport(
        subject,
        run,
        asset,
        suite.name,
        passed=not any(result.counts for result in results),
        blocked=False,
        results=results,
        standing=True,
    )


def _unjudged_rows(connection: Connection[Any], subject: str) -> list[CandidateRow]:
    found = connection.execute(query("staging_waiting"), {"subject": subject, "most": AT_ONCE}).fetchall()
    return [
        CandidateRow(key, payload, origin, series, run, number) for number, key, series, payload, origin, run in found
    ]


def _undelivered_rows(connection: Connection[Any], subject: str) -> list[tuple[int, Mapping[str, Any]]]:
    return connection.execute(query("staging_passed"), {"subject": subject, "most": DELIVERED_AT_ONCE}).fetchall()


def _decode_records(topic: str, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> tuple[dict[int, Record], list[int]]:
    """The records by the number of their row, and the numbers of the rows that can no longer be decoded."""
    records: dict[int, Record] = {}
    changed = []
    for number, payload in rows:
        try:
            records[number] = codec.decode(topic, as_json(payload).encode())
        except codec.RefusedError:
            changed.append(number)
    return records, changed
