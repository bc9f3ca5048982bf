"""What of a file is published and what is kept back: the suites of the gate over rows that wait in a table.

staged rows -> Great Expectations, in SQL -> rows at fault -> quarantine (file and row with each), quality_results
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from psycopg import sql

from cryptoviz.gate import engine, suites
from cryptoviz.gate.audit import RowFault
from cryptoviz.gate.report import Scope, Severity
from cryptoviz.gate.staging import as_json, storable
from cryptoviz.gate.suites import Expectation, Suite
from cryptoviz.imports.files import File, ImportRefusedError
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

NUMBER: Final = "row_number"
_ENOUGH: Final = 100
"""Rows of a part that can speak for the file."""

_ROWS: Final = sql.SQL("SELECT {number}, to_jsonb(staged) FROM {table} AS staged WHERE {number} = ANY(%(rows)s)")
_AGREES: Final = Expectation(
    "agrees_with_stored",
    "expect_column_values_to_be_null",
    {"column": "difference"},
    Severity.CRITICAL,
    Scope.ROW,
    "What is stored or came earlier in the file stays as it is.",
)
"""What holds whatever the suites say: a key that is there already has the same numbers."""


def contradiction(difference: str) -> RowFault:
    """Why a row with a key that is taken is held back."""
    return RowFault(_AGREES.name, f"{_AGREES.why.rstrip('.')} ({difference}).")


@dataclass(frozen=True)
class Origin:
    """Where rows come from. `key` begins the key of each of them; `batch` tells the parts of a file apart.

    `place`: what they are rows of.
    """

    run: str
    subject: str
    file: str
    key: str
    batch: str
    place: Mapping[str, Any]

    @property
    def attempt(self) -> str:
        """The name of the run in results and quarantine: each part of a file is judged by itself."""
        return f"{self.run}:{self.batch}"


Raw = Callable[[int], Mapping[str, Any]]
"""Gives a row as it stands in the file."""


@dataclass
class Judgement:
    """What an audit of staged rows found: `faults` by the number of the row."""

    suite: Suite
    results: list[engine.Evaluation]
    faults: dict[int, RowFault]
    count: int
    _contradictions: Mapping[int, str] = field(default_factory=dict)

    def contradict(self, differences: Mapping[int, str]) -> None:
        """Rows with a key that is taken, and how they differ from what has it."""
        self._contradictions = differences
        for row, difference in differences.items():
            self.faults.setdefault(row, contradiction(difference))

    def write(self, connection: Connection[Any], origin: Origin, raw: Raw) -> None:
        """Write the results down and the rows at fault into quarantine, within the caller's transaction."""
        self.write_results(connection, origin)
        hold_back(connection, origin, self.faults, raw)

    def write_results(self, connection: Connection[Any], origin: Origin) -> None:
        """Write down what each expectation found, within the caller's transaction."""
        rows = tuple(self._contradictions)
        agreed = engine.evaluation_from(_AGREES, engine.ExpectationOutcome(not rows, None, len(rows), rows), self.count)
        results = [*self.results, agreed]
        asset = f"import/{origin.subject}"
        header = {
            "run": origin.attempt,
            "asset": asset,
            "suite": self.suite.name,
            "evaluated_at": datetime.now(UTC),
        }
        connection.execute(
            query("quality_results_insert"),
            {
                **header,
                "expectation": [result.expectation.name for result in results],
                "severity": [result.expectation.severity.value for result in results],
                "success": [result.outcome.success for result in results],
                "observed": [as_json(result.outcome.observed) for result in results],
                "unexpected_count": [result.outcome.unexpected_count for result in results],
            },
        )
        failed = sorted(result.expectation.name for result in results if not result.outcome.success)
        document = as_json(engine.document(self.suite, results))
        connection.execute(
            query("quality_document_insert"), {**header, "success": not failed, "failed": failed, "document": document}
        )


def hold_back(connection: Connection[Any], origin: Origin, faults: Mapping[int, RowFault], raw: Raw) -> None:
    """Put rows into quarantine, each with its file and number, within the caller's transaction."""
    if not faults:
        return
    keys = [f"{origin.key}:{row}" for row in faults]
    connection.execute(
        query("quarantine_insert"),
        {
            "subject": f"{origin.subject}_import",
            "run": origin.attempt,
            "key": keys,
            "series": keys,
            "occurrences": [1] * len(keys),
            "payload": [as_json(raw(row)) for row in faults],
            "origin": [as_json({"file": origin.file, "row": row, **origin.place}) for row in faults],
            "reason": [storable(fault.reason) for fault in faults.values()],
            "expectation": [fault.expectation for fault in faults.values()],
        },
    )


def nonsense(faults: int, count: int) -> bool:
    """Whether so many rows at fault of a part say that the file is not what it claims to be: most of a hundred or more.

    Of fewer, such as the last part of a long file, each row is held back by itself.
    """
    return count >= _ENOUGH and faults > count // 2


def refuse_nonsense(file: File, faults: Mapping[int, RowFault], count: int) -> None:
    """Raise ImportRefusedError where most rows are at fault: the file is not what it claims to be."""
    if nonsense(len(faults), count):
        row, fault = next(iter(faults.items()))
        many = f"{len(faults)} of {count} rows are at fault"
        raise ImportRefusedError(f"{file.name} is not what it should be: {many}; row {row}: {fault.reason}")


class Judge:
    """Judges what is staged in one table of a connection, which commits by itself, until it is closed."""

    def __init__(self, connection: Connection[Any], suite: str, table: str) -> None:
        self._connection, self._table = connection, table
        self._suite = suites.read(suite)
        self._engine = engine.SqlTable(connection, table, NUMBER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._engine.__exit__(*error)

    def rows(self, count: int) -> Judgement:
        """Judge the `count` rows that are staged.

        Raises:
            SuiteError, GateError: nothing could be said of them.
        """
        results = self._engine.evaluate(self._suite, count)
        failed = [
            result
            for result in results
            if not result.outcome.success and result.expectation.severity is Severity.CRITICAL
        ]
        wanted = sorted({row for result in failed for row in result.outcome.rows})
        found = dict(self._staged(wanted)) if wanted else {}
        faults: dict[int, list[Expectation]] = {row: [] for row in wanted}
        for result in failed:
            for row in result.outcome.rows:
                faults[row].append(result.expectation)
        return Judgement(
            self._suite, results, {row: _fault(broken, found[row]) for row, broken in faults.items()}, count
        )

    def _staged(self, rows: list[int]) -> Iterable[tuple[int, dict[str, Any]]]:
        statement = _ROWS.format(number=sql.Identifier(NUMBER), table=sql.Identifier(self._table))
        return self._connection.execute(statement, {"rows": rows}).fetchall()


def _fault(broken: list[Expectation], row: Mapping[str, Any]) -> RowFault:
    if row.get("unreadable"):
        return RowFault(broken[0].name, f"{row['unreadable']}.")
    reasons = (
        f"{expectation.why.rstrip('.')} ({', '.join(f'{name}: {row.get(name)}' for name in expectation.columns)})."
        for expectation in broken
    )
    return RowFault(broken[0].name, " ".join(reasons))
