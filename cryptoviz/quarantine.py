"""What the gate holds back: look at it, release it, discard it.

quarantine --release--> judged once more, by today's suite --> staging (passed) --> deliver
           --discard--> stays as it is, resolved; its key is not staged again
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from cryptoviz import instruments
from cryptoviz.backfill import publish
from cryptoviz.candles import audit
from cryptoviz.gate.audit import row_faults
from cryptoviz.gate.rows import CandidateRow
from cryptoviz.gate.staging import as_json
from cryptoviz.gate.subjects import SUBJECTS
from cryptoviz.imports import held
from cryptoviz.storage.queries import fetch_rows, query

if TYPE_CHECKING:
    from psycopg import Connection

RELEASE: Final = "release_quarantined"
DISCARD: Final = "discard_quarantined"
"""The actions as the audit log names them."""

_Restore = Callable[["Connection[Any]", Mapping[str, Any]], None]

_RESTORED: Final[Mapping[str, Sequence[_Restore]]] = {
    instruments.SUBJECT: (instruments.restore,),
    audit.SUBJECT: (publish.restore, publish.refresh_gaps_of, publish.settle_again),
}
"""What is stored by us, and what follows from it: every other subject goes through a topic."""

_OPEN: Final = "open"
_GONE: Final = "there is no such row"


@dataclass(frozen=True)
class Resolved:
    """What became of one row: released or discarded, or `why` it was not."""

    id: int
    subject: str
    done: bool
    why: str = ""


def list_rows(
    connection: Connection[Any], *, subject: str | None = None, every: bool = False, limit: int = 100
) -> list[dict[str, Any]]:
    """The rows in quarantine, those seen last first; `every`: resolved ones too."""
    return fetch_rows(connection, "quarantine_list", {"subject": subject, "all": every, "limit": limit})


def show_row(connection: Connection[Any], number: int) -> dict[str, Any] | None:
    """One row, whole; None: there is none of that id."""
    return next(iter(fetch_rows(connection, "quarantine_show", {"id": number})), None)


def open_ids(connection: Connection[Any], subject: str) -> list[int]:
    """The ids of all open rows of a subject, the oldest first."""
    return [number for (number,) in connection.execute(query("quarantine_open"), {"subject": subject})]


def release(connection: Connection[Any], ids: Iterable[int], actor: str, run: str = "by hand") -> list[Resolved]:
    """Judge rows once more by the row-scope expectations of today's suites, and publish those that pass.

    What goes to a topic waits in `staging` as passed: `deliver` sends it, at once or with the next run. In one
    transaction, but for what is stored by us: that is a transaction for each row, because the stream may wait for it.
    Two at once wait for each other. The connection must be in autocommit mode.

    Raises:
        GateError: the gate itself failed; nothing was changed.
    """
    passed: list[tuple[str, CandidateRow]] = []
    with connection.transaction():
        taken, resolved = _taken(connection, ids)
        for subject, group in groupby(sorted(taken, key=lambda row: row[1]), key=lambda row: row[1]):
            rows = [CandidateRow(key or str(number), payload, origin, series or "", run, number)
                    for number, _, key, series, payload, origin in group]  # fmt: skip
            resolved += _released(connection, subject, rows, run)
            if subject in _RESTORED or subject == held.SUBJECT:
                left = {row.id for row in resolved}
                passed += [(subject, row) for row in rows if row.number not in left]
        _resolve(connection, resolved, actor, released=True)
    resolved += [_restored(connection, subject, row, actor) for subject, row in passed]
    held.settle(connection)
    return sorted(resolved, key=lambda row: row.id)


def _restored(connection: Connection[Any], subject: str, row: CandidateRow, actor: str) -> Resolved:
    restore, *following = _RESTORED.get(subject, (lambda *_row: held.release(connection, row),))
    with connection.transaction():
        taken, resolved = _taken(connection, [row.number])
        if not taken:
            return resolved[0]
        connection.execute(query("lock_candles"))
        restore(connection, row.payload)
        done = Resolved(row.number, subject, done=True)
        _resolve(connection, [done], actor, released=True)
    for follow in following:
        follow(connection, row.payload)
    return done


def discard(connection: Connection[Any], ids: Iterable[int], actor: str) -> list[Resolved]:
    """Resolve rows without publishing them: they stay to be looked at, and their keys are not staged again.

    What they kept from being known is settled. The connection must be in autocommit mode.
    """
    with connection.transaction():
        taken, resolved = _taken(connection, ids)
        trades = [CandidateRow(key or "", payload, origin, series or "", "", number)
                  for number, subject, key, series, payload, origin in taken if subject == held.SUBJECT]  # fmt: skip
        held.discard(connection, trades)
        resolved += [Resolved(number, subject, done=True) for number, subject, *_ in taken]
        missing = held.explain(connection, trades)
        _resolve(connection, resolved, actor, released=False)
    held.follow(connection, missing)
    held.settle(connection)
    return sorted(resolved, key=lambda row: row.id)


def _taken(connection: Connection[Any], ids: Iterable[int]) -> tuple[list[tuple[Any, ...]], list[Resolved]]:
    """The open rows among these ids, and why the others cannot be resolved."""
    wanted = sorted(set(ids))
    found = connection.execute(query("quarantine_take"), {"ids": wanted}).fetchall()
    gone = [Resolved(number, "", False, _GONE) for number in set(wanted) - {row[0] for row in found}]
    closed = [Resolved(row[0], row[1], False, f"it is {row[-1]} already") for row in found if row[-1] != _OPEN]
    return [row[:-1] for row in found if row[-1] == _OPEN], gone + closed


def _released(connection: Connection[Any], subject: str, rows: Sequence[CandidateRow], run: str) -> Iterator[Resolved]:
    """Stage the rows that pass their suite; of a subject that we store ourselves, only report those that do not."""
    if subject not in SUBJECTS and subject not in _RESTORED and subject != held.SUBJECT:
        yield from (Resolved(row.number, subject, False, f"nothing publishes {subject}") for row in rows)
        return
    faults = held.refused(connection, rows) if subject == held.SUBJECT else row_faults(connection, subject, rows)
    passed = [row for position, row in enumerate(rows) if position not in faults]
    if subject in SUBJECTS and subject not in _RESTORED:
        if passed:
            _stage(connection, subject, passed, run)
        yield from (Resolved(row.number, subject, done=True) for row in passed)
    yield from (Resolved(rows[position].number, subject, False, fault.reason) for position, fault in faults.items())


def _stage(connection: Connection[Any], subject: str, rows: Sequence[CandidateRow], run: str) -> None:
    connection.execute(
        query("staging_release"),
        {
            "subject": subject,
            "run": run,
            "key": [row.key for row in rows],
            "series": [row.series for row in rows],
            "payload": [as_json(row.payload) for row in rows],
            "origin": [as_json(row.origin) for row in rows],
        },
    )


def _resolve(connection: Connection[Any], resolved: Sequence[Resolved], actor: str, *, released: bool) -> None:
    done = [row.id for row in resolved if row.done]
    if done:
        connection.execute(query("quarantine_resolve"), {"ids": done, "actor": actor, "released": released})


def audit_facts(resolved: Sequence[Resolved]) -> Mapping[str, Any]:
    """What became of rows, for the audit log."""
    return {
        "done": [row.id for row in resolved if row.done],
        "refused": {str(row.id): row.why for row in resolved if not row.done},
    }
