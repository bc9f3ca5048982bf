"""The checks of the tables that streams fill, and of the history: a statement over the recent window, and a judgement.

    sql/queries/checks.sql -> cryptoviz.gate.table_rules -> AssetCheckResult with numbers
    the newest rows         -> suites of expectations (assets.windows) -> the check `expectations`

All run in one run every five minutes, and each alone on demand. Those that block also hold back what Dagster computes
from the table.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.audits import outcome, reviewed
from assets.keys import CHECKED
from assets.metadata import table_value
from assets.resources import Database, Sources
from assets.tables import CANDLES, COMPLETENESS, TRADE_GAPS, TRADES
from assets.windows import EXPECTATIONS, WINDOWS, look
from assets.windows import standing as lasting
from cryptoviz.gate import table_rules
from cryptoviz.gate.table_rules import CheckVerdict, FigureRow
from cryptoviz.settings import Settings
from cryptoviz.storage.queries import fetch_rows, statements

if TYPE_CHECKING:
    from psycopg import Connection

CHECK_TABLES: Final = dg.define_asset_job(
    "check_tables",
    selection=dg.AssetSelection.checks_for_assets(*CHECKED),
    description="Judge the recent rows of every table that streams fill, and the history: all checks in one run.",
    tags={"dagster/max_runtime": "600", "dagster/priority": "1", "kind": "check"},
)

_LONGEST_STATEMENT: Final = "set statement_timeout = '60s'"
_RECOMPUTED: Final = (timedelta(minutes=11), timedelta(minutes=1))
"""The closed minutes that are compared with their trades: from and to so long ago."""


@dataclass(frozen=True)
class Gate:
    """One check. `blocking`: a failure with severity ERROR holds back what Dagster computes from the table."""

    table: str
    name: str
    statement: str
    judge: Callable[[Sequence[FigureRow]], CheckVerdict]
    description: str
    blocking: bool = False
    parameters: Callable[[datetime], Mapping[str, Any]] = field(default=lambda _now: {})

    @property
    def key(self) -> dg.AssetCheckKey:
        """What Dagster calls it."""
        return dg.AssetCheckKey(dg.AssetKey(self.table), self.name)


def gates(settings: Settings, sent: Callable[[], Mapping[tuple[str, str], int]]) -> list[Gate]:
    """Every check, for these settings; `sent` asks the sources that count what they sent."""
    series = [(exchange, pair) for exchange in settings.exchanges for pair in settings.pairs(exchange)]
    parameters = {"exchanges": [exchange for exchange, _ in series], "pairs": [pair for _, pair in series]}
    return [
        *(
            Gate(
                table,
                "fresh",
                "pair_freshness",
                partial(table_rules.fresh, age=age),
                "Every exchange has new rows. The table shows each pair, the latest last heard of first.",
                parameters=lambda _now: parameters,
            )
            for table, age in ((TRADES, "trade_age"), ("ticker_data", "ticker_age"))
        ),
        Gate(
            TRADES,
            "unique",
            "check_duplicate_trades",
            table_rules.unique,
            "No trade of the last hour is stored twice, not even under another timestamp.",
            blocking=True,
        ),
        Gate(
            TRADES,
            "sent_equals_stored",
            "check_stored_trades",
            lambda rows: table_rules.complete(rows, sent()),
            "The ids of the last hour have no hole that is not known, and what the simulators count as sent is stored.",
            blocking=True,
        ),
        Gate(TRADE_GAPS, "healed", "check_open_gaps", table_rules.healed, "No gap in the trades stays open for long."),
        *(
            Gate(
                table,
                "possible",
                "check_candle_bounds",
                table_rules.bounds,
                "In every candle of the last day open and close lie between low and high, and the window fits.",
                blocking=True,
                parameters=lambda _now, table=table: {"relation": table},  # type: ignore[misc]
            )
            for table in (CANDLES, "exchange_candles")
        ),
        Gate(
            CANDLES,
            "no_jumps",
            "check_price_jumps",
            table_rules.jumps,
            f"No close of the last hour is more than {table_rules.JUMP_PERCENT:.0f} % away from the one before.",
        ),
        Gate(
            CANDLES,
            "closed",
            "check_closed_candles",
            table_rules.closed,
            "Every minute of the last hour that has trades has its 1m candle, closed where all of them are stored.",
            blocking=True,
        ),
        Gate(
            CANDLES,
            "wholes_equal_parts",
            "check_candle_parts",
            table_rules.parts,
            "The closed 5m, 15m and 1h candles of the last two hours are what their 1m candles come to.",
            blocking=True,
        ),
        Gate(
            CANDLES,
            "equal_trades",
            "candles_differing",
            table_rules.equal,
            "The 1m candles of the last ten closed minutes are what their trades come to.",
            blocking=True,
            parameters=_last_minutes,
        ),
        Gate(
            CANDLES,
            "fetched_equals_streamed",
            "check_candle_differences",
            table_rules.agreeing,
            "Where a candle that was fetched in the last day differs from its trades, the cause is known and not ours.",
        ),
        Gate(
            COMPLETENESS,
            "explained",
            "check_unexplained_gaps",
            table_rules.explained,
            "Of every candle that is missing it is soon known why; what a backfill has before it is left out.",
        ),
        Gate(
            COMPLETENESS,
            "nothing_lost",
            "check_lost_candles",
            table_rules.lost,
            "Nothing is missing that the exchanges have.",
        ),
    ]


def table_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """The checks of the tables, for these settings."""

    def declared() -> dict[dg.AssetCheckKey, Gate]:
        return {gate.key: gate for gate in gates(settings, dict)}

    @dg.multi_asset_check(
        name="judge_tables",
        specs=[
            dg.AssetCheckSpec(
                gate.name,
                asset=gate.table,
                description=gate.description,
                blocking=gate.blocking,
                metadata={"statement": f"{statements()[gate.statement].file}: {gate.statement}"},
            )
            for gate in declared().values()
        ]
        + [window.spec() for window in WINDOWS],
        can_subset=True,
        description="Judges the recent rows of the tables that streams fill.",
    )
    def judge_tables(
        context: dg.AssetCheckExecutionContext, database: Database, sources: Sources
    ) -> Iterator[dg.AssetCheckResult]:
        with database.reader() as connection:
            connection.execute(_LONGEST_STATEMENT)
            for gate in gates(settings, sources.sent):
                if gate.key in context.selected_asset_check_keys:
                    verdict = evaluate(gate, connection, datetime.now(UTC))
                    if not verdict.passed:
                        context.log.warning("%s %s: %s", gate.table, gate.name, verdict.words)
                    yield result(gate, verdict)
                    # The tables are reported without a run every minute, and Dagster takes a check of another run
                    # than the latest report for one of older rows: reported without a run too, the verdict stands.
                    context.instance.report_runless_asset_event(standing(gate, verdict))
        for window in WINDOWS:
            if window.key in context.selected_asset_check_keys:
                with reviewed(context.op_execution_context), database.writer() as connection:
                    connection.execute(_LONGEST_STATEMENT)
                    report = look(window, connection, settings, context.run.run_id)
                yield outcome(report, window.key.asset_key, EXPECTATIONS)
                context.instance.report_runless_asset_event(lasting(window, report))

    return judge_tables


def evaluate(gate: Gate, connection: "Connection[Any]", now: datetime) -> CheckVerdict:
    """Run the statement of a check and judge its rows."""
    return gate.judge(fetch_rows(connection, gate.statement, gate.parameters(now)))


def result(gate: Gate, verdict: CheckVerdict) -> dg.AssetCheckResult:
    """A verdict as the outcome of a run."""
    return dg.AssetCheckResult(
        passed=verdict.passed,
        check_name=gate.name,
        asset_key=gate.table,
        severity=_severity(verdict),
        description=verdict.words,
        metadata=_metadata(verdict),
    )


def standing(gate: Gate, verdict: CheckVerdict) -> dg.AssetCheckEvaluation:
    """A verdict that stands until the next one, whatever the table reports meanwhile."""
    return dg.AssetCheckEvaluation(
        asset_key=gate.key.asset_key,
        check_name=gate.name,
        passed=verdict.passed,
        severity=_severity(verdict),
        description=verdict.words,
        metadata=_metadata(verdict),
        blocking=gate.blocking,
    )


def _severity(verdict: CheckVerdict) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if verdict.severe else dg.AssetCheckSeverity.WARN


def _metadata(verdict: CheckVerdict) -> dict[str, Any]:
    return {**verdict.numbers, **({"rows": table_value(verdict.rows)} if verdict.rows else {})}


def _last_minutes(now: datetime) -> Mapping[str, Any]:
    minute = now.replace(second=0, microsecond=0)
    return {"exchange": None, "since": minute - _RECOMPUTED[0], "until": minute - _RECOMPUTED[1]}
