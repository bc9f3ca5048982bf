"""The recent rows of the tables that streams fill, judged by their suites: nothing is held back, a check fails.

sql/queries/checks.sql -> audit -> AssetCheckResult, quality_results
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.audits import figures, severity, words
from cryptoviz.gate.audit import audit
from cryptoviz.gate.report import GateReport
from cryptoviz.gate.rows import CandidateRow
from cryptoviz.settings import Settings
from cryptoviz.storage.queries import fetch_rows, statements

if TYPE_CHECKING:
    from psycopg import Connection

EXPECTATIONS: Final = "expectations"
"""The check that the recent rows of a table meet their suite."""

MOST: Final = 100
"""The most rows of a pair that are judged."""


@dataclass(frozen=True)
class Window:
    """The recent rows of a table. `subject` names the suite, and the statement that reads them."""

    table: str
    subject: str

    @property
    def key(self) -> dg.AssetCheckKey:
        """What Dagster calls the check."""
        return dg.AssetCheckKey(dg.AssetKey(self.table), EXPECTATIONS)

    @property
    def statement(self) -> str:
        """The statement that reads the rows."""
        return f"check_window_{self.subject}"

    def spec(self) -> dg.AssetCheckSpec:
        """What Dagster shows of the check."""
        return dg.AssetCheckSpec(
            EXPECTATIONS,
            asset=self.table,
            description=f"The newest rows of each pair meet great_expectations/expectations/{self.subject}.json.",
            blocking=True,
            metadata={"statement": f"{statements()[self.statement].file}: {self.statement}"},
        )


WINDOWS: Final = (
    Window("ticker_data", "tickers"),
    Window("trade_data", "trades"),
    Window("candles", "candles"),
    Window("alert_data", "alerts"),
)


def look(window: Window, connection: "Connection[Any]", settings: Settings, run: str) -> GateReport:
    """Judge the recent rows of a table and write the results down.

    Raises:
        GateError: the gate itself failed.
    """
    series = [(exchange, pair) for exchange in settings.exchanges for pair in settings.pairs(exchange)]
    parameters = {
        "exchanges": [exchange for exchange, _ in series],
        "pairs": [pair for _, pair in series],
        "most": MOST,
    }
    found = fetch_rows(connection, window.statement, parameters)
    return audit(
        connection, window.subject, [CandidateRow(_key(row), row, run=run) for row in found], run, window.table
    ).report


def standing(window: Window, report: GateReport) -> dg.AssetCheckEvaluation:
    """A report that stands until the next one, whatever the table reports meanwhile."""
    return dg.AssetCheckEvaluation(
        asset_key=window.key.asset_key,
        check_name=EXPECTATIONS,
        passed=report.passed,
        severity=severity(report),
        description=words(report),
        metadata=figures(report),
        blocking=True,
    )


def _key(row: dict[str, Any]) -> str:
    parts = (row["timestamp"].isoformat(), row["exchange"], row.get("pair") or row.get("symbol"), row.get("timeframe"))
    return "|".join(str(part) for part in parts if part is not None)
