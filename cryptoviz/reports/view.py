"""The facts in the words of the pages: what each table's state is, what was wrong and why it matters.

facts + suites (the sentence why of each expectation) -> View -> templates
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from cryptoviz.gate import suites
from cryptoviz.gate.report import Severity, SuiteError
from cryptoviz.gate.suites import SUITES
from cryptoviz.reports.address import archive_page, quarantine_page, report_page, slug, suite_page
from cryptoviz.reports.facts import (
    FAILURES,
    MOST_FAILURES,
    Document,
    Facts,
    Failure,
    Finding,
    Held,
    Judgement,
    QuarantinedRow,
    TableState,
)
from cryptoviz.reports.trend import DAY, HOUR, Trend, trend

Load = Callable[[Document], Mapping[str, Any] | None]

_HOURS, _DAYS, _SPARK = 48, 30, 24
_LISTED: Final = 50
_OBSERVED: Final = 300
_PAYLOAD: Final = 6_000
_SAME: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Meaning:
    """What an expectation is for."""

    why: str
    severity: str = ""
    scope: str = ""


@dataclass(frozen=True)
class FindingView:
    """An expectation and what became of it, in words. `success` is None before it is judged."""

    expectation: str
    meaning: Meaning
    severity: str
    success: bool | None = None
    state: TableState | None = None
    extent: str = ""
    observed: str = ""


@dataclass(frozen=True)
class LinkedDocument:
    """A rendered document."""

    page: str
    evaluated_at: datetime
    failed: Sequence[str]

    @property
    def day(self) -> date:
        """The day it is of, in UTC."""
        return self.evaluated_at.date()


@dataclass(frozen=True)
class AssetView:
    """An asset that was judged, or a suite that has judged nothing yet (then without a judgement)."""

    name: str
    page: str
    suite: str
    file: str
    broken: str
    findings: Sequence[FindingView]
    judgement: Judgement | None = None
    rows: int | None = None
    held: int = 0
    spark: Trend | None = None
    hours: Trend | None = None
    days: Trend | None = None
    documents: Sequence[LinkedDocument] = ()

    @property
    def anchor(self) -> str:
        """Its place in the index."""
        return f"asset-{slug(self.name)}"

    @property
    def held_page(self) -> str:
        """The rows that its suite keeps back."""
        return quarantine_page(self.suite)

    @property
    def faults(self) -> list[FindingView]:
        """What was wrong, the worst first."""
        found = [finding for finding in self.findings if finding.state in (TableState.FAIL, TableState.WARNING)]
        return sorted(found, key=lambda finding: finding.state is not TableState.FAIL)

    @property
    def newest_documents(self) -> Sequence[LinkedDocument]:
        """The newest documents."""
        return self.documents[:_LISTED]

    @property
    def archive(self) -> str:
        """The page with all documents; empty when its own page has them."""
        return archive_page(self.name) if len(self.documents) > _LISTED else ""


@dataclass(frozen=True)
class FailureView:
    """What failed on a day."""

    failure: Failure
    page: str
    why: str
    state: TableState


@dataclass(frozen=True)
class RowView:
    """A quarantined row; payload and origin as text."""

    row: QuarantinedRow
    payload: str
    origin: str


@dataclass(frozen=True)
class SubjectView:
    """The quarantine of a subject."""

    held: Held
    page: str
    open: Sequence[RowView]
    resolved: Sequence[RowView]


@dataclass(frozen=True)
class View:
    """Everything that the pages show."""

    at: datetime
    assets: Sequence[AssetView]
    waiting: Sequence[AssetView]
    failures: Sequence[FailureView]
    held: Sequence[SubjectView]
    failure_days: int = FAILURES.days
    most_failures: int = MOST_FAILURES

    @classmethod
    def of(cls, facts: Facts, pages: Mapping[Document, str], load: Load) -> View:
        """The view of these facts; `pages` are the documents that are rendered, `load` reads one that is stored."""
        known = Suites.read()
        assets = [_asset(judgement, facts, known, pages, load) for judgement in facts.judgements]
        judged_suites = {judgement.suite for judgement in facts.judgements}
        return cls(
            facts.at,
            assets,
            [_waiting(name, known) for name in known.names if name not in judged_suites],
            [_failure(failure, known, {asset.name: asset for asset in assets}) for failure in facts.failures],
            [_subject(held, facts) for held in facts.held],
        )

    @property
    def worst(self) -> TableState:
        """The state of the worst table."""
        states = {asset.judgement.state for asset in self.assets if asset.judgement is not None}
        return next((state for state in (TableState.FAIL, TableState.WARNING) if state in states), TableState.PASS)

    @property
    def ill(self) -> list[AssetView]:
        """The tables that do not pass."""
        return [asset for asset in self.assets if asset.faults]


@dataclass(frozen=True)
class Suites:
    """What the committed suites say of their expectations; a suite that cannot be read is `broken`, with the reason."""

    meanings: Mapping[str, Mapping[str, Meaning]]
    broken: Mapping[str, str]

    @classmethod
    def read(cls) -> Suites:
        """Read them all."""
        meanings: dict[str, dict[str, Meaning]] = {}
        broken: dict[str, str] = {}
        for name in suites.names(SUITES):
            meanings[name] = {}
            try:
                suite = suites.read(name, SUITES)
            except SuiteError as error:
                broken[name] = str(error)
                continue
            meanings[name] = {
                expectation.name: Meaning(expectation.why, expectation.severity.value, expectation.scope.value)
                for expectation in suite.expectations
            }
        return cls(meanings, broken)

    @property
    def names(self) -> list[str]:
        """Every suite there is a file of."""
        return sorted(self.meanings)

    def file(self, suite: str) -> str:
        """The file of a suite, as people find it; empty when there is none."""
        return f"great_expectations/expectations/{suite}.json" if suite in self.meanings else ""

    def meaning(self, suite: str, expectation: str, then: Mapping[str, Meaning] | None = None) -> Meaning:
        """What an expectation is for: by its suite, by a document of the time, else its name in words."""
        by_suite = self.meanings.get(suite, {})
        words = expectation.replace("_", " ").capitalize()
        return by_suite.get(expectation) or (then or {}).get(expectation) or Meaning(f"{words}.")


def _asset(judgement: Judgement, facts: Facts, known: Suites, pages: Mapping[Document, str], load: Load) -> AssetView:
    stored = [document for document in facts.documents if document.asset == judgement.asset]
    newest = load(stored[0]) if stored else None
    meanings = (
        {finding.expectation: finding.meaning for finding in findings_of_document(newest)} if newest is not None else {}
    )
    current = newest if stored and abs(stored[0].evaluated_at - judgement.at) < _SAME else None
    tallies = facts.tallies.get(judgement.asset, {})
    rows = _rows_judged(current) if current is not None else None
    return AssetView(
        judgement.asset,
        report_page(judgement.asset),
        judgement.suite,
        known.file(judgement.suite),
        known.broken.get(judgement.suite, ""),
        list(_findings(judgement, known, meanings, rows)),
        judgement,
        rows,
        next((held.open for held in facts.held if held.subject == judgement.suite), 0),
        trend(tallies, facts.at, HOUR, _SPARK),
        trend(tallies, facts.at, HOUR, _HOURS),
        trend(tallies, facts.at, DAY, _DAYS),
        [
            LinkedDocument(pages[document], document.evaluated_at, document.failed)
            for document in stored
            if document in pages
        ],
    )


def _findings(
    judgement: Judgement, known: Suites, meanings: Mapping[str, Meaning], rows: int | None
) -> Iterator[FindingView]:
    """In the order of the suite, and then what the suite does not know."""
    order = {name: place for place, name in enumerate(known.meanings.get(judgement.suite, {}))}
    for finding in sorted(judgement.findings, key=lambda finding: order.get(finding.expectation, len(order))):
        yield FindingView(
            finding.expectation,
            known.meaning(judgement.suite, finding.expectation, meanings),
            finding.severity,
            finding.success,
            finding.state,
            _extent(finding, rows),
            "" if finding.observed in (None, []) else _brief(finding.observed),
        )


def _extent(finding: Finding, rows: int | None) -> str:
    if finding.success or not finding.rows:
        return ""
    of = f" of {rows:,}" if rows else ""
    return f"{finding.rows:,}{of} {'row' if (rows or finding.rows) == 1 else 'rows'}"


def _brief(observed: Any) -> str:
    text = ", ".join(map(_as_text, observed)) if isinstance(observed, list) else _as_text(observed)
    return text if len(text) <= _OBSERVED else f"{text[:_OBSERVED]}…"


def _as_text(value: Any) -> str:
    return f"{value:,.12g}" if isinstance(value, float) else str(value)


def _waiting(suite: str, known: Suites) -> AssetView:
    findings = [FindingView(name, meaning, meaning.severity) for name, meaning in known.meanings[suite].items()]
    return AssetView(suite, suite_page(suite), suite, known.file(suite), known.broken.get(suite, ""), findings)


def _failure(failure: Failure, known: Suites, assets: Mapping[str, AssetView]) -> FailureView:
    asset = assets.get(failure.asset)
    meanings = {finding.expectation: finding.meaning for finding in asset.findings} if asset is not None else {}
    return FailureView(
        failure,
        asset.page if asset is not None else "",
        known.meaning(failure.suite, failure.expectation, meanings).why,
        TableState.FAIL if failure.severity == Severity.CRITICAL else TableState.WARNING,
    )


def _subject(held: Held, facts: Facts) -> SubjectView:
    rows = {
        word: [RowView(row, plain(row.payload, _PAYLOAD), _origin(row.origin)) for row in found.get(held.subject, ())]
        for word, found in (("open", facts.open_rows), ("resolved", facts.resolved_rows))
    }
    return SubjectView(held, quarantine_page(held.subject), rows["open"], rows["resolved"])


def _origin(origin: Any) -> str:
    if isinstance(origin, Mapping):
        return ", ".join(f"{name}: {_brief(value)}" for name, value in origin.items())
    return _brief(origin)


def findings_of_document(document: Mapping[str, Any]) -> list[FindingView]:
    """The findings in a document, for each expectation that has a name and a reason."""
    return [
        FindingView(
            str(meta["name"]),
            Meaning(str(meta["why"])),
            str(configuration.get("severity") or ""),
            bool(result.get("success")),
        )
        for result in document.get("results") or ()
        for configuration in (result.get("expectation_config") or {},)
        for meta in (configuration.get("meta") or {},)
        if "name" in meta and "why" in meta
    ]


def _rows_judged(document: Mapping[str, Any]) -> int | None:
    counts = [(result.get("result") or {}).get("element_count") for result in document.get("results") or ()]
    return max((int(count) for count in counts if count is not None), default=None)


def plain(value: Any, most: int) -> str:
    """A value as text that people can read, cut where it is longer than `most` characters."""
    if not isinstance(value, str):
        value = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)
    return value if len(value) <= most else f"{value[:most]}\n… cut after {most:,} of {len(value):,} characters"
