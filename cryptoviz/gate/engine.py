"""The only module that knows Great Expectations: rows and a suite in, what failed and where out.

    rows -> frame (pandas) -> suite -> outcome of each expectation, with the positions of the rows at fault
    table -> SQL           -> suite -> the same, with the numbers of the rows at fault

Everything happens in memory: no file is written, nothing is sent, no progress is drawn. Importing Great Expectations
takes seconds, so it is imported by whom needs it, once.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
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

FEW: Final = 10
"""So many rows at fault may be extreme and true, where they are at most a quarter of the rows, or a single one."""

_BEYOND_CHANCE: Final = 10
"""How many times what a share allows makes the rest of a batch suspect too."""

_ROWS_AT_FAULT: Final = ("unexpected_list", "unexpected_index_list", "unexpected_index_query")
_VERDICTS: Final = {"result_format": "BOOLEAN_ONLY"}
_FORMAT: Final = {"result_format": "COMPLETE", "include_unexpected_rows": False, "partial_unexpected_count": _SHOWN}


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation. `rows` are the positions of the rows at fault, where it is about rows."""

    success: bool
    observed: Any
    unexpected_count: int
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Judged:
    """An expectation, its outcome, and the result as Great Expectations writes it, without the rows."""

    expectation: Expectation
    outcome: Outcome
    written: Mapping[str, Any]


def evaluate(suite: Suite, rows: Sequence[Mapping[str, Any]], *, briefly: bool = False) -> list[Judged]:
    """Judge rows (a mapping of column to value each, None for nothing) by a suite; in the order of the suite.

    An expectation on a column that no row has fails for every row. Without rows only expectations about the table as
    a whole are evaluated: any other would hold for nothing at all. `briefly` takes half the time, and says of what is
    met no more than that.

    Raises:
        SuiteError: an expectation of the suite does not exist, or has arguments that make no sense.
        GateError: Great Expectations itself failed.
    """
    known = {name for row in rows for name in row}
    lacking = {one.name: [name for name in one.columns if name not in known] for one in suite.expectations}
    with _explained(suite):
        built = {one.name: _built(suite, one) for one in suite.expectations}
        asked = [built[name] for name in built if not lacking[name]]
        found = {_name(one): one for one in _validated(suite, asked, rows, _VERDICTS if briefly else _FORMAT)}
        if briefly:
            failed = [built[name] for name, one in found.items() if not one["success"]]
            found |= {_name(one): one for one in _validated(suite, failed, rows, _FORMAT)}

    def judged(one: Expectation) -> Judged:
        if one.name not in found:
            return _column_missing(one, lacking[one.name], len(rows))
        if briefly and found[one.name]["success"]:
            return added(one, Outcome(True, None, 0), len(rows))
        return weighed(_judged(one, found[one.name]))

    return [judged(one) for one in suite.expectations if one.name in found or rows]


class Table:
    """The rows of one table, judged where they are: with SQL, over the connection that sees them.

    `number` is the column that tells the rows apart. A million rows cost what it takes to read them a few times; those
    at fault are looked for only where there are any. The connection commits by itself, and stays open. Whoever has done
    with it closes it: Great Expectations keeps what it knows of a table, some megabytes, until it is told to forget it.
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

    def evaluate(self, suite: Suite, count: int) -> list[Judged]:
        """Judge the rows (`count` of them) by a suite; in the order of the suite.

        Raises:
            SuiteError: an expectation of the suite does not exist, or has arguments that make no sense.
            GateError: Great Expectations itself failed.
        """
        # Its contexts and registries are shared by the whole process.
        with _ONE_AT_A_TIME, _explained(suite):
            built = {one.name: _built(suite, one) for one in suite.expectations}
            told = {_name(one): one for one in self._validated(suite, list(built.values()), _VERDICTS)}
            failed = [built[name] for name, one in told.items() if not one["success"]]
            if failed:
                # Of a table Great Expectations lists as many rows at fault as it would show.
                every = {**_FORMAT, "partial_unexpected_count": count, "unexpected_index_column_names": [self._number]}
                told |= {_name(one): one for one in self._validated(suite, failed, every)}
        return [self._judged(one, told[one.name], count) for one in suite.expectations]

    def _validated(self, suite: Suite, built: Sequence[Any], how: Mapping[str, Any]) -> list[dict[str, Any]]:
        from great_expectations.core.expectation_suite import ExpectationSuite  # noqa: PLC0415 - takes seconds

        asked = ExpectationSuite(name=suite.name, expectations=list(built))
        validation = self._batches.get_batch().validate(asked, result_format=dict(how))
        return [_plain(suite, result) for result in validation.results]

    def _judged(self, one: Expectation, result: dict[str, Any], count: int) -> Judged:
        if result["success"]:
            return added(one, Outcome(True, result["result"].get("observed_value"), 0), count)
        shown = {
            name: value[:_SHOWN] if name.startswith("partial_") else value for name, value in result["result"].items()
        }
        listed = shown.get("unexpected_index_list") or ()
        numbered = {**shown, "unexpected_index_list": [row[self._number] for row in listed]}
        return weighed(_judged(one, {**result, "result": numbered}))


def weighed(one: Judged) -> Judged:
    """What a share (`mostly`) that was not met says: of the batch, or of the rows at fault only.

    - Few rows, see `FEW`, may be extreme and true: each is a warning, and nothing is held back.
    - More rows are held back each, where the severity of the expectation is critical.
    - More than half of the rows, or more than `FEW` beyond ten times what the share allows, condemn the batch.
    """
    share, result = one.expectation.kwargs.get("mostly"), one.written["result"]
    if share is None or one.outcome.success or one.expectation.scope is Scope.ROW:
        return one
    count, at_fault = result["element_count"] - (result.get("missing_count") or 0), one.outcome.unexpected_count
    allowed = round(count * (1 - share), 9)
    if at_fault > min(count / 2, FEW + _BEYOND_CHANCE * allowed):
        return one
    severity = one.expectation.severity
    if severity is not Severity.INFO and at_fault <= max(1, min(FEW, count / 4)):
        severity = Severity.WARNING
    configuration = {**one.written["expectation_config"], "severity": severity.value}
    return Judged(
        replace(one.expectation, scope=Scope.ROW, severity=severity),
        one.outcome,
        {**one.written, "expectation_config": configuration},
    )


def added(one: Expectation, outcome: Outcome, count: int) -> Judged:
    """The outcome of an expectation that was evaluated elsewhere, written as Great Expectations would."""
    written = {
        "success": outcome.success,
        "expectation_config": {
            "type": one.type,
            "kwargs": dict(one.kwargs),
            "meta": {"name": one.name, "why": one.why},
            "severity": one.severity.value,
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
    return Judged(one, outcome, written)


def document(suite: Suite, judged: Sequence[Judged]) -> dict[str, Any]:
    """The validation as Great Expectations writes it, without the rows."""
    met = sum(one.outcome.success for one in judged)
    return {
        "success": met == len(judged),
        "suite_name": suite.name,
        "results": [one.written for one in judged],
        "statistics": {
            "evaluated_expectations": len(judged),
            "successful_expectations": met,
            "unsuccessful_expectations": len(judged) - met,
            "success_percent": 100 * met / len(judged) if judged else None,
        },
        "meta": {},
    }


def check(suite: Suite) -> None:
    """Whether Great Expectations understands every expectation of a suite.

    Raises:
        SuiteError: it does not; the message names the file and the expectation.
    """
    for one in suite.expectations:
        _built(suite, one)


def _validated(
    suite: Suite, built: Sequence[Any], rows: Sequence[Mapping[str, Any]], how: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    from great_expectations.core.expectation_suite import ExpectationSuite  # noqa: PLC0415 - takes seconds

    if not built:
        return
    batch = _batches().get_batch({"dataframe": _frame(suite, rows)})
    validation = batch.validate(ExpectationSuite(name=suite.name, expectations=list(built)), result_format=dict(how))
    for result in validation.results:
        yield _plain(suite, result)


def _plain(suite: Suite, result: Any) -> dict[str, Any]:
    plain: dict[str, Any] = result.to_json_dict()
    plain["expectation_config"]["kwargs"].pop("batch_id", None)
    if crash := _crash(plain["exception_info"]):
        raise GateError(f"Great Expectations could not evaluate {_name(plain)} of suite {suite.name}: {crash}")
    return plain


def _frame(suite: Suite, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """The columns that the suite looks at: each costs time at every condition."""
    import pandas as pd  # noqa: PLC0415 - takes seconds

    names = list(dict.fromkeys(name for one in suite.expectations for name in one.columns))
    return pd.DataFrame({name: [row.get(name) for row in rows] for name in names}, index=range(len(rows)))


def _table(connection: Connection[Any], source_name: str, name: str) -> Any:
    """The rows of a table as Great Expectations asks for them, over a connection that it does not close."""
    source = _context().data_sources.add_postgres(
        source_name,
        # Never used: the connection is there already.
        connection_string="postgresql+psycopg://nobody:nothing@nowhere/nothing",
        kwargs={"creator": lambda: connection, "poolclass": _lent()},
    )
    return source.add_table_asset(name, table_name=name).add_batch_definition_whole_table("all")


@cache
def _lent() -> type[Pool]:
    """A pool of one connection that belongs to somebody else: who forgets a table must not close it."""
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415 - takes a moment

    class Lent(StaticPool):
        def _close_connection(self, *_lent: object, **_how: object) -> None:
            """It stays open."""

    return Lent


_NUMBERS: Final = itertools.count()
_ONE_AT_A_TIME: Final = Lock()


@cache
def _batches() -> Any:
    """Where frames are handed in."""
    return (
        _context()
        .data_sources.add_pandas("gate")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("all")
    )


def load() -> None:
    """Load Great Expectations, so that whoever judges next in this process need not wait for it."""
    # The variable as well as the setting: what sends usage statistics differs between versions.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations  # noqa: F401, PLC0415 - takes seconds


@cache
def _context() -> Any:
    """One context in memory for the whole process, that tells nobody."""
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


def _built(suite: Suite, one: Expectation) -> Any:
    from great_expectations.expectations.expectation import (  # noqa: PLC0415 - takes seconds
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )
    from great_expectations.expectations.expectation_configuration import (  # noqa: PLC0415
        ExpectationConfiguration,
    )

    # A suite that is given configurations logs and leaves out those it does not understand: each is built here.
    told: dict[str, Any] = {"severity": one.severity.value, "meta": {"name": one.name, "why": one.why}}
    try:
        configuration = ExpectationConfiguration(type=one.type, kwargs=dict(one.kwargs), **told)
        built = configuration.to_domain_obj()
    except Exception as error:
        words = " ".join(str(error).split())
        raise SuiteError(f"{suite.file.name}: expectation {one.name} is not valid: {words}") from error
    if one.scope is Scope.ROW and not isinstance(
        built, ColumnMapExpectation | ColumnPairMapExpectation | MulticolumnMapExpectation
    ):
        raise SuiteError(f"{suite.file.name}: {one.name} ({one.type}) says nothing of single rows: its scope is batch")
    return built


@contextmanager
def _explained(suite: Suite) -> Iterator[None]:
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
    """What was raised while an expectation was evaluated; empty: nothing. One report, or one for each metric."""
    reports = [info] if "raised_exception" in info else list(info.values())
    said = [str(one.get("exception_message")) for one in reports if one.get("raised_exception")]
    return "; ".join(dict.fromkeys(said))


def _name(result: Mapping[str, Any]) -> str:
    return str(result["expectation_config"]["meta"]["name"])


def _column_missing(one: Expectation, lacking: Sequence[str], count: int) -> Judged:
    return added(one, Outcome(False, f"no row has {', '.join(lacking)}", count, tuple(range(count))), count)


def _judged(one: Expectation, result: dict[str, Any]) -> Judged:
    found = result["result"]
    outcome = Outcome(
        bool(result["success"]),
        found.get("observed_value", found.get("partial_unexpected_list") or None),
        int(found.get("unexpected_count") or 0),
        tuple(found.get("unexpected_index_list") or ()),
    )
    shown = {name: value for name, value in found.items() if name not in _ROWS_AT_FAULT}
    return Judged(one, outcome, {**result, "result": shown})
