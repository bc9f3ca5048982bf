"""What the gate found, as Dagster shows it: one check named `gate` on every asset that the gate guards.

Report -> AssetCheckResult (figures, what failed and why, examples) -> if it blocks, dg.Failure
GateError, DeliveryError -> retry, then dg.Failure: the gate or the broker is at fault, never the data
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import dagster as dg

from assets.metadata import table_value
from assets.reports import quarantine_url, report_url
from cryptoviz.gate.outbox import DeliveryError
from cryptoviz.gate.report import ExpectationResult, GateError, GateReport, SuiteError

GATE: Final = "gate"

_RETRIES: Final = 2
_WAIT_S: Final = 20
_UNTOUCHED: Final = "Nothing was published and nothing held back: what was fetched waits in `staging` for the next run."
_WAITS: Final = "What passed waits in `staging`, and the next run sends what the broker has not acknowledged."


def gate_check(asset: dg.AssetKey, *, blocking: bool = True) -> dg.AssetCheckSpec:
    """The check of an asset that the gate guards; `blocking`: an error holds back what depends on the asset."""
    return dg.AssetCheckSpec(
        GATE,
        asset=asset,
        blocking=blocking,
        description="What was fetched meets the suite in great_expectations/expectations before it is published.",
    )


def gate_result(report: GateReport, asset: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    """The result of the check, and then the failure of the run if everything went to quarantine.

    Both are needed: a failing check alone does not stop the body of its asset.
    """
    yield outcome(report, asset)
    if report.blocked:
        why = "; ".join(f"{result.name}: {result.why}" for result in report.results if result.blocks)
        raise dg.Failure(
            f"All {report.counts.staged} rows of {report.subject} are in quarantine and nothing was published. {why} "
            f"`cryptoviz quarantine list` shows them.",
            metadata=figures(report),
            allow_retries=False,
        )


def outcome(
    report: GateReport, asset: dg.AssetKey, name: str = GATE, *, more: Mapping[str, int] | None = None
) -> dg.AssetCheckResult:
    """A report as the result of a check: an error where everything was held back, else a warning.

    `more`: figures beside the report's own, or instead of them.
    """
    return dg.AssetCheckResult(
        passed=report.passed,
        check_name=name,
        asset_key=asset,
        severity=severity(report),
        description=words(report),
        metadata={**figures(report), **(more or {})},
    )


def outcome_of_all(reports: Sequence[GateReport], asset: dg.AssetKey) -> dg.AssetCheckResult:
    """The check result for several reports: the verdict of the worst, with the figures of all."""
    if not reports:
        return dg.AssetCheckResult(passed=True, check_name=GATE, asset_key=asset, description="nothing new to judge")
    worst = max(reports, key=lambda report: (report.blocked, not report.passed))
    counts = Counter[str]()
    for report in reports:
        counts.update(staged=report.counts.staged, passed=report.counts.passed, quarantined=report.counts.quarantined)
    return outcome(worst, asset, more={**counts, "judged": len(reports)})


@contextmanager
def reviewed(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Iterator[None]:
    """Judging and delivering: an error of the gate or the broker within is retried, then fails the run and says so."""
    try:
        yield
    except SuiteError as error:
        raise dg.Failure(f"The suite is broken: {error}. {_UNTOUCHED}", allow_retries=False) from error
    except (GateError, DeliveryError) as error:
        gate = isinstance(error, GateError)
        what = "The gate itself failed" if gate else "The broker did not take what passed"
        if context.retry_number >= _RETRIES:
            what_now = _UNTOUCHED if gate else _WAITS
            raise dg.Failure(f"{what}, not the data: {error}. {what_now}", allow_retries=False) from error
        context.log.warning("%s, not the data: %s. Next attempt in %d s.", what, error, _WAIT_S)
        raise dg.RetryRequested(max_retries=_RETRIES, seconds_to_wait=_WAIT_S) from error


def severity(report: GateReport) -> dg.AssetCheckSeverity:
    """How bad a failure is: an error where a critical expectation about everything failed."""
    worst = any(result.blocks for result in report.results)
    return dg.AssetCheckSeverity.ERROR if worst else dg.AssetCheckSeverity.WARN


def words(report: GateReport) -> str:
    """A report in a sentence."""
    failed = ", ".join(result.name for result in report.failed)
    if report.standing:
        return f"nothing new to judge; what was found last stands: {failed or 'every expectation met'}"
    held = f", {report.counts.quarantined} of {report.counts.staged} rows in quarantine" if report.counts.staged else ""
    return f"not met: {failed}{held}" if failed else f"every expectation met by {report.counts.staged} rows"


def figures(report: GateReport) -> dict[str, Any]:
    """The figures of a report, what failed and why, and examples."""
    failed = [result for result in report.results if not result.success]
    examples = [
        {"expectation": result.name, "key": example.get("key"), "values": _values(example)}
        for result in failed
        for example in result.examples
    ]
    return {
        "staged": report.counts.staged,
        "passed": report.counts.passed,
        "quarantined": report.counts.quarantined,
        "expectations": len(report.results),
        "failed expectations": len(failed),
        "seconds": report.seconds,
        "report": report_url(report.asset),
        **({"quarantined rows": quarantine_url(report.subject)} if report.counts.quarantined else {}),
        "suite": dg.MetadataValue.path(f"great_expectations/expectations/{report.suite}.json"),
        **({"not met": table_value([_failed_row(result) for result in failed])} if failed else {}),
        **({"examples": table_value(examples)} if examples else {}),
    }


def _failed_row(result: ExpectationResult) -> dict[str, Any]:
    return {
        "expectation": result.name,
        "severity": result.severity.value,
        "of": result.scope.value,
        "rows": result.unexpected_count,
        "why": result.why,
        "observed": _text(result.observed),
    }


def _values(example: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {_text(value)}" for name, value in example.items() if name != "key")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
