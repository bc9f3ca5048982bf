"""Evaluate suites with Great Expectations; no other module evaluates anything with it.

    rows -> data frame (pandas) -> suite -> outcome of each expectation, with the positions of the rows at fault
    table -> SQL                -> suite -> the same, with the numbers of the rows at fault

No file is written, nothing is sent and no progress bar is drawn. Importing Great Expectations takes seconds: the
functions that need it import it.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Self

from cryptoviz.gate.report import GateError, Scope, Severity, SuiteError
from cryptoviz.gate.suites import Expectation, Suite

if TYPE_CHECKING:
    from pandas import DataFrame
    from psycopg import Connection
    from sqlalchemy.pool import Pool

_SHOWN: Final = 20
"""How many values at fault a document holds."""

FEW_ROWS: Final = 10
"""Up to so many rows at fault count as extreme but true, if they are at most a quarter of the rows or a single one."""

_BEYOND_CHANCE: Final = 10
"""More rows at fault than so many times what a share allows make the rest of the batch suspect too."""

_ROWS_AT_FAULT: Final = ("unexpected_list", "unexpected_index_list", "unexpected_index_query")
_VERDICTS: Final = {"result_format": "BOOLEAN_ONLY"}
_FORMAT: Final = {"result_format": "COMPLETE", "include_unexpected_rows": False, "partial_unexpected_count": _SHOWN}


@dataclass(frozen=True)
class ExpectationOutcome:
    """The outcome of one expectation. `rows` are the positions of the rows at fault, for an expectation on rows."""

    success: bool
    observed: Any
    unexpected_count: int
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """An expectation, its outcome, and the result as Great Expectations writes it, without the rows."""

    expectation: Expectation
    outcome: ExpectationOutcome
    written: Mapping[str, Any]


def evaluate(suite: Suite, rows: Sequence[Mapping[str, Any]], *, briefly: bool = False) -> list[Evaluation]:
    """Judge rows (a mapping of column to value each, None for nothing) by a suite; in the order of the suite.

    An expectation on a column that no row has fails for every row. Without rows only expectations on the whole table
    are evaluated. `briefly` takes half the time and gives no details of expectations that are met.

    Raises:
        SuiteError: an expectation of the suite does not exist, or has arguments that make no sense.
        GateError: Great Expectations itself failed.
    """
    known = {name for row in rows for name in row}
    lacking = {
        expectation.name: [name for name in expectation.columns if name not in known]
        for expectation in suite.expectations
    }
    with _explain_errors(suite):
        built = {expectation.name: _build_expectation(suite, expectation) for expectation in suite.expectations}
        evaluable = [built[name] for name in built if not lacking[name]]
        results = _by_name(_validated(suite, evaluable, rows, _VERDICTS if briefly else _FORMAT))
        if briefly:
            failed = [built[name] for name, result in results.items() if not result["success"]]
            results |= _by_name(_validated(suite, failed, rows, _FORMAT))

    def evaluation(expectation: Expectation) -> Evaluation:
        if expectation.name not in results:
            return _column_missing(expectation, lacking[expectation.name], len(rows))
        if briefly and results[expectation.name]["success"]:
            return evaluation_from(expectation, ExpectationOutcome(True, None, 0), len(rows))
        return apply_share_rule(_evaluation(expectation, results[expectation.name]))

    return [evaluation(expectation) for expectation in suite.expectations if expectation.name in results or rows]


class SqlTable:
    """The rows of one table, evaluated by SQL over the connection that sees them.

    `number` is the column that identifies a row. The table is read a few times; rows at fault are selected only where
    there are any. The connection must be in autocommit mode; it stays open. Use it in a `with` statement: until then
    Great Expectations keeps some megabytes for each table.
    """

    def __init__(self, connection: Connection[Any], name: str, number: str) -> None:
        self._number = number
        self._source = f"table {next(_NUMBERS)}"
        with _ONE_AT_A_TIME:
            self._batches = _table(connection, self._source, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with _ONE_AT_A_TIME:
            _context().data_sources.delete(self._source)

    def evaluate(self, suite: Suite, count: int) -> list[Evaluation]:
        """Judge the rows (`count` of them) by a suite; in the order of the suite.

        Raises:
            SuiteError: an expectation of the suite does not exist, or has arguments that make no sense.
            GateError: Great Expectations itself failed.
        """
        # Great Expectations shares its contexts and registries within the process.
        with _ONE_AT_A_TIME, _explain_errors(suite):
            built = {expectation.name: _build_expectation(suite, expectation) for expectation in suite.expectations}
            results = _by_name(self._validated(suite, list(built.values()), _VERDICTS))
            failed = [built[name] for name, result in results.items() if not result["success"]]
            if failed:
                # Of a table Great Expectations lists as many rows at fault as it would show.
                every = {**_FORMAT, "partial_unexpected_count": count, "unexpected_index_column_names": [self._number]}
                results |= _by_name(self._validated(suite, failed, every))
        return [self._evaluation(expectation, results[expectation.name], count) for expectation in suite.expectations]

    def _validated(self, suite: Suite, built: Sequence[Any], result_format: Mapping[str, Any]) -> list[dict[str, Any]]:
        from great_expectations.core.expectation_suite import ExpectationSuite  # noqa: PLC0415 - takes seconds

        expectations = ExpectationSuite(name=suite.name, expectations=list(built))
        validation = self._batches.get_batch().validate(expectations, result_format=dict(result_format))
        return [_plain(suite, result) for result in validation.results]

    def _evaluation(self, expectation: Expectation, result: dict[str, Any], count: int) -> Evaluation:
        if result["success"]:
            observed = result["result"].get("observed_value")
            return evaluation_from(expectation, ExpectationOutcome(True, observed, 0), count)
        shown = {
            name: value[:_SHOWN] if name.startswith("partial_") else value for name, value in result["result"].items()
        }
        rows_at_fault = shown.get("unexpected_index_list") or ()
        numbered = {**shown, "unexpected_index_list": [row[self._number] for row in rows_at_fault]}
        return apply_share_rule(_evaluation(expectation, {**result, "result": numbered}))


def apply_share_rule(evaluation: Evaluation) -> Evaluation:
    """Scope and severity of a share (`mostly`) that was not met, by the number of rows at fault.

    - Few rows (see `FEW_ROWS`) may be extreme but true: a warning, and nothing is held back.
    - More rows are held back one by one, if the severity of the expectation is critical.
    - More than half of the rows, or more than `FEW_ROWS` beyond ten times what the share allows: the whole batch.
    """
    share, result = evaluation.expectation.kwargs.get("mostly"), evaluation.written["result"]
    if share is None or evaluation.outcome.success or evaluation.expectation.scope is Scope.ROW:
        return evaluation
    count, at_fault = result["element_count"] - (result.get("missing_count") or 0), evaluation.outcome.unexpected_count
    allowed = round(count * (1 - share), 9)
    if at_fault > min(count / 2, FEW_ROWS + _BEYOND_CHANCE * allowed):
        return evaluation
    severity = evaluation.expectation.severity
    if severity is not Severity.INFO and at_fault <= max(1, min(FEW_ROWS, count / 4)):
        severity = Severity.WARNING
    configuration = {**evaluation.written["expectation_config"], "severity": severity.value}
    return Evaluation(
        replace(evaluation.expectation, scope=Scope.ROW, severity=severity),
        evaluation.outcome,
        {**evaluation.written, "expectation_config": configuration},
    )


def evaluation_from(expectation: Expectation, outcome: ExpectationOutcome, count: int) -> Evaluation:
    """The evaluation for an outcome that was found without Great Expectations, in its form."""
    written = {
        "success": outcome.success,
        "expectation_config": {
            "type": expectation.type,
            "kwargs": dict(expectation.kwargs),
            "meta": {"name": expectation.name, "why": expectation.why},
            "severity": expectation.severity.value,
        },
        "result": {
            "observed_value": outcome.observed,
            "element_count": count,
            "unexpected_count": outcome.unexpected_count,
            "unexpected_percent": 100.0 * outcome.unexpected_count / count if count else 0.0,
        },
        "meta": {},
        "exception_info": {"raised_exception": False, "exception_traceback": None, "exception_message": None},
    }
    return Evaluation(expectation, outcome, written)


def document(suite: Suite, evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """The document of a validation in Great Expectations' form, without the rows."""
    met = sum(evaluation.outcome.success for evaluation in evaluations)
    return {
        "success": met == len(evaluations),
        "suite_name": suite.name,
        "results": [evaluation.written for evaluation in evaluations],
        "statistics": {
            "evaluated_expectations": len(evaluations),
            "successful_expectations": met,
            "unsuccessful_expectations": len(evaluations) - met,
            "success_percent": 100 * met / len(evaluations) if evaluations else None,
        },
        "meta": {},
    }


def check(suite: Suite) -> None:
    """Whether Great Expectations understands every expectation of a suite.

    Raises:
        SuiteError: it does not; the message names the file and the expectation.
    """
    for expectation in suite.expectations:
        _build_expectation(suite, expectation)


def _validated(
    suite: Suite, built: Sequence[Any], rows: Sequence[Mapping[str, Any]], result_format: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    from great_expectations.core.expectation_suite import ExpectationSuite  # noqa: PLC0415 - takes seconds

    if not built:
        return
    batch = _batches().get_batch({"dataframe": _frame(suite, rows)})
    validation = batch.validate(
        ExpectationSuite(name=suite.name, expectations=list(built)), result_format=dict(result_format)
    )
    for result in validation.results:
        yield _plain(suite, result)


def _plain(suite: Suite, result: Any) -> dict[str, Any]:
    plain: dict[str, Any] = result.to_json_dict()
    plain["expectation_config"]["kwargs"].pop("batch_id", None)
    if crash := _crash(plain["exception_info"]):
        raise GateError(f"Great Expectations could not evaluate {_name(plain)} of suite {suite.name}: {crash}")
    return plain


def _frame(suite: Suite, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """The rows as a data frame of the columns that the suite names: each more costs time in every condition."""
    import pandas as pd  # noqa: PLC0415 - takes seconds

    names = list(dict.fromkeys(name for expectation in suite.expectations for name in expectation.columns))
    return pd.DataFrame({name: [row.get(name) for row in rows] for name in names}, index=range(len(rows)))


def _table(connection: Connection[Any], source_name: str, name: str) -> Any:
    """A table as a batch definition of Great Expectations, over a connection that it does not close."""
    source = _context().data_sources.add_postgres(
        source_name,
        # Never used: the connection is there already.
        connection_string="postgresql+psycopg://nobody:nothing@nowhere/nothing",
        kwargs={"creator": lambda: connection, "poolclass": _borrowed_connection_pool()},
    )
    return source.add_table_asset(name, table_name=name).add_batch_definition_whole_table("all")


@cache
def _borrowed_connection_pool() -> type[Pool]:
    """A pool of one connection that the caller owns: the pool must not close it."""
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415 - takes a moment

    class BorrowedConnectionPool(StaticPool):
        def _close_connection(self, *_borrowed_connection_pool: object, **_how: object) -> None:
            """Leave it open."""

    return BorrowedConnectionPool


_NUMBERS: Final = itertools.count()
_ONE_AT_A_TIME: Final = Lock()


@cache
def _batches() -> Any:
    """The batch definition that takes data frames."""
    return (
        _context()
        .data_sources.add_pandas("gate")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("all")
    )


def load() -> None:
    """Import Great Expectations now, so that the next evaluation in this process does not wait for it."""
    # The variable as well as the setting: what sends usage statistics differs between versions.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations  # noqa: F401, PLC0415 - takes seconds


@cache
def _context() -> Any:
    """One context in memory for the whole process, without usage statistics."""
    load()
    import great_expectations as gx  # noqa: PLC0415 - takes seconds
    from great_expectations.data_context.types.base import (  # noqa: PLC0415
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _build_expectation(suite: Suite, expectation: Expectation) -> Any:
    from great_expectations.expectations.expectation import (  # noqa: PLC0415 - takes seconds
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )
    from great_expectations.expectations.expectation_configuration import (  # noqa: PLC0415
        ExpectationConfiguration,
    )

    # A suite logs configurations that it does not understand and leaves them out: so each expectation is built here.
    described: dict[str, Any] = {
        "severity": expectation.severity.value,
        "meta": {"name": expectation.name, "why": expectation.why},
    }
    try:
        configuration = ExpectationConfiguration(type=expectation.type, kwargs=dict(expectation.kwargs), **described)
        built = configuration.to_domain_obj()
    except Exception as error:
        words = " ".join(str(error).split())
        raise SuiteError(f"{suite.file.name}: expectation {expectation.name} is not valid: {words}") from error
    if expectation.scope is Scope.ROW and not isinstance(
        built, ColumnMapExpectation | ColumnPairMapExpectation | MulticolumnMapExpectation
    ):
        raise SuiteError(
            f"{suite.file.name}: {expectation.name} ({expectation.type}) says nothing of single rows: "
            "its scope is batch"
        )
    return built


@contextmanager
def _explain_errors(suite: Suite) -> Iterator[None]:
    """Whatever Great Expectations raises is a failure of the gate, never of the data."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except GateError:
        raise
    except Exception as error:
        raise GateError(f"Great Expectations failed on suite {suite.name}: {type(error).__name__}: {error}") from error


def _crash(info: Mapping[str, Any]) -> str:
    """The errors that were raised during an evaluation; empty without any. `info` is one report, or one per metric."""
    reports = [info] if "raised_exception" in info else list(info.values())
    messages = [str(report.get("exception_message")) for report in reports if report.get("raised_exception")]
    return "; ".join(dict.fromkeys(messages))


def _by_name(results: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {_name(result): result for result in results}


def _name(result: Mapping[str, Any]) -> str:
    return str(result["expectation_config"]["meta"]["name"])


def _column_missing(expectation: Expectation, lacking: Sequence[str], count: int) -> Evaluation:
    return evaluation_from(
        expectation, ExpectationOutcome(False, f"no row has {', '.join(lacking)}", count, tuple(range(count))), count
    )


def _evaluation(expectation: Expectation, result: dict[str, Any]) -> Evaluation:
    found = result["result"]
    outcome = ExpectationOutcome(
        bool(result["success"]),
        found.get("observed_value", found.get("partial_unexpected_list") or None),
        int(found.get("unexpected_count") or 0),
        tuple(found.get("unexpected_index_list") or ()),
    )
    shown = {name: value for name, value in found.items() if name not in _ROWS_AT_FAULT}
    return Evaluation(expectation, outcome, {**result, "result": shown})
