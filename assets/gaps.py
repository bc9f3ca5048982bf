"""What is missing in the history, and how complete it is: scan, ask the exchanges, heal, report.

    trade_data --> trade_gaps --ask--> trade_data, candles
    candles -----> candle_gaps --ask--> candles (rest) --> candle_differences --> completeness

The sensor `gaps_due` looks every minute without a run, and starts one where an exchange should be asked.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.audits import gate_check, outcome_of_all
from assets.keys import CANDLE_GAPS, COMPLETENESS, TRADE_GAPS
from assets.resources import Database, ExchangeRest
from assets.streams import MARKET_OWNERS, code, collector_key
from assets.tables import CANDLES, TRADES, table_metadata
from cryptoviz.backfill.publish import resume_left
from cryptoviz.candles.settle import settle_open
from cryptoviz.clock import now
from cryptoviz.gaps.completeness import HistoryState, read
from cryptoviz.gaps.completeness_report import report
from cryptoviz.gaps.differences import compare, explain
from cryptoviz.gaps.healing import heal_candles
from cryptoviz.gaps.healing_run import HealingResult, HealingRun, until_silent
from cryptoviz.gaps.healing_trades import heal_trades
from cryptoviz.gaps.labels import GapStatus
from cryptoviz.gaps.scan import EVER, GRACE, collected_series, pairs_of, scan, scan_everything, scan_trades
from cryptoviz.gaps.tables import GapOutcome
from cryptoviz.gate.report import GateError
from cryptoviz.settings import settings

if TYPE_CHECKING:
    from psycopg import Connection

HEAL_HISTORY: Final = dg.define_asset_job(
    "heal_history",
    selection=dg.AssetSelection.assets(TRADE_GAPS, CANDLE_GAPS, COMPLETENESS),
    description=(
        "Ask the exchanges for what is missing in trades and candles, store and label it, compare what was fetched with"
        " what was streamed, and tell the state; with `whole_history` after a look over all of it."
    ),
    tags={"dagster/max_runtime": "3600", "cryptoviz/long": "true"},
)

RECENT: Final = timedelta(hours=6)
"""How far back the candles of every series are scanned."""

RECENT_TRADES: Final = timedelta(hours=1)
COMPARED: Final = timedelta(days=1)
_PATIENCE: Final = timedelta(minutes=20)
_SHOWN: Final = 30
_FRESH: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=15))


class LookConfig(dg.Config):
    """What a run looks at before it asks."""

    whole_history: bool = False
    """Look over the whole history, not only over the last hours."""


def gap_assets(exchanges: Sequence[str]) -> list[dg.AssetsDefinition]:
    """The assets for the configured exchanges."""
    return [_trade_gaps(exchanges), _candle_gaps(exchanges), _completeness()]


def _trade_gaps(exchanges: Sequence[str]) -> dg.AssetsDefinition:
    @dg.asset(
        key=TRADE_GAPS,
        deps=[TRADES, *(collector_key(name) for name in exchanges)],
        group_name="history",
        kinds={"python", "postgres"},
        owners=MARKET_OWNERS,
        tags={"layer": "batch"},
        metadata={
            **table_metadata("trade_gaps"),
            **code(
                "assets/gaps.py", "cryptoviz/gaps/healing_trades.py", "sql/functions/trade_gaps.sql", "docs/history.md"
            ),
        },
    )
    def trade_gaps(
        context: dg.AssetExecutionContext, config: LookConfig, database: Database, exchange_rest: ExchangeRest
    ) -> dg.MaterializeResult[None]:
        """Trade ids that are missing: found, fetched, stored, labelled.

        The collectors find and heal what they miss themselves, and write it here; this finds what is missing all the
        same, and leaves alone what they are at work on. Materialize it to look and ask now, with `whole_history` in
        the config after a look over all stored trades. List the gaps: `cryptoviz gaps list`.
        """
        began, at = time.monotonic(), now()
        with database.writer() as connection, exchange_rest.history(database) as history:
            since = EVER if config.whole_history else at - RECENT_TRADES
            found = _scan_all_trades(connection, since, at - GRACE)
            healing = HealingRun(connection, history, until=at + _PATIENCE)
            results = _heal_exchanges(
                context,
                exchanges,
                lambda exchange: heal_trades(healing, [exchange]),
            )
        return dg.MaterializeResult(metadata=_healing_metadata(found, results, "trades", time.monotonic() - began))

    return trade_gaps


def _candle_gaps(exchanges: Sequence[str]) -> dg.AssetsDefinition:
    @dg.asset(
        key=CANDLE_GAPS,
        deps=[CANDLES, TRADE_GAPS, "instruments", *exchanges],
        group_name="history",
        kinds={"python", "postgres"},
        owners=MARKET_OWNERS,
        tags={"layer": "batch"},
        metadata={
            **table_metadata("candle_gaps"),
            **code(
                "assets/gaps.py",
                "cryptoviz/gaps/healing.py",
                "sql/functions/candle_gaps_recorded.sql",
                "docs/history.md",
            ),
        },
        # The table is right whatever was held back, and so is what depends on it.
        check_specs=[gate_check(CANDLE_GAPS, blocking=False)],
    )
    def candle_gaps(
        context: dg.AssetExecutionContext, config: LookConfig, database: Database, exchange_rest: ExchangeRest
    ) -> Iterator[Any]:
        """Candles that are missing: found, asked about, labelled `no_trades`, `source_missing` or `lost_by_us`, filled.

        Materialize it to look and ask now, with `whole_history` in the config after a look over every series from its
        beginning. What a backfill has before it, and the pairs whose trades the collector is fetching, are left to
        them. Candles that fail the gate go to quarantine and stay missing. List the gaps: `cryptoviz gaps list`.
        """
        from cryptoviz.imports import held  # noqa: PLC0415 - loading the code location needs no pyarrow

        began, at = time.monotonic(), now()
        with database.writer() as connection, exchange_rest.history(database) as history:
            series = collected_series(settings())
            held.settle(connection)
            left = resume_left(connection, at)
            if left:
                context.log.info("%d batches published that had passed when their runs were killed", left)
            if config.whole_history:
                scanned, found = scan_everything(connection, series, at - GRACE)
                context.log.info("candles that were open: %s", dict(settle_open(connection)))
            else:
                scanned, found = len(series), scan(connection, series, at - RECENT, at - GRACE)
            healing = HealingRun(connection, history, context.run.run_id, at + _PATIENCE)
            results = _heal_exchanges(context, exchanges, lambda exchange: heal_candles(healing, [exchange]))
        yield outcome_of_all([report for result in results for report in result.reports], CANDLE_GAPS)
        held_back = sum(result.held_back for result in results)
        figures = _healing_metadata(found, results, "candles", time.monotonic() - began)
        yield dg.MaterializeResult(
            asset_key=CANDLE_GAPS, metadata={"series looked at": scanned, "candles held back": held_back, **figures}
        )

    return candle_gaps


def _completeness() -> dg.AssetsDefinition:
    @dg.asset(
        key=COMPLETENESS,
        deps=[TRADE_GAPS, CANDLE_GAPS, "candle_differences"],
        group_name="history",
        kinds={"python", "postgres"},
        owners=MARKET_OWNERS,
        tags={"layer": "batch"},
        freshness_policy=_FRESH,
        metadata={
            **table_metadata("completeness"),
            **code(
                "assets/gaps.py",
                "cryptoviz/gaps/completeness.py",
                "cryptoviz/gaps/completeness_report.py",
                "docs/history.md",
            ),
        },
    )
    def completeness(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[None]:
        """The state of the whole history on one page: open the latest event, `state`.

        How complete every exchange and timeframe is, the open gaps by label, backfills with their expected end, and
        what lies in which tier. Told every five minutes without a run by the sensor `gaps_due`. Materialize it to
        compare what was fetched with what was streamed now, and write down why the two differ.
        """
        with database.writer() as connection:
            differing = sum(
                compare(connection, exchange, pairs, now() - COMPARED, now() - GRACE)
                for exchange, pairs in pairs_of(collected_series(settings())).items()
            )
            causes = Counter(explanation.cause.value for explanation in explain(connection, context.run.run_id))
            state = read(connection, now())
        return dg.MaterializeResult(
            metadata={
                **state_metadata(state),
                "differences found late": differing,
                **{f"differences {cause}": count for cause, count in causes.items()},
            }
        )

    return completeness


def state_metadata(state: HistoryState) -> dict[str, Any]:
    """The page, and the numbers that Dagster plots over time."""
    return {"state": dg.MetadataValue.md(report(state)), **state.numbers}


def _scan_all_trades(connection: "Connection[Any]", since: datetime, until: datetime) -> Counter[GapOutcome]:
    found: Counter[GapOutcome] = Counter()
    for exchange, pairs in pairs_of(collected_series(settings())).items():
        found += scan_trades(connection, exchange, pairs, since, until)
    return found


def _heal_exchanges(
    context: dg.AssetExecutionContext, exchanges: Iterable[str], heal: Callable[[str], Iterator[HealingResult]]
) -> list[HealingResult]:
    results = []
    try:
        for exchange in exchanges:
            for result in until_silent(heal(exchange)):
                results.append(result)
                context.log.info("%s: %s", result.subject, result.reason or _words(result.counts) or "found again")
    except GateError as error:
        raise dg.Failure(
            f"The gate itself failed, not the data: {error}. What it had to judge then was neither stored nor held "
            "back: it is asked for again.",
            allow_retries=False,
        ) from error
    return results


def _healing_metadata(
    found: Counter[GapOutcome], results: Sequence[HealingResult], what: str, seconds: float
) -> dict[str, Any]:
    became: Counter[GapOutcome] = Counter()
    for result in results:
        became.update(result.counts)
    shown = "\n".join(f"| {result.subject} | {_words(result.counts)} | {_why(result)} |" for result in results[:_SHOWN])
    table = f"| asked about | became | why not more |\n| --- | --- | --- |\n{shown}"
    return {
        f"{what} found missing": sum(count for (status, _label), count in found.items() if status == GapStatus.OPEN),
        "gaps asked about": len(results),
        f"{what} healed": sum(result.healed for result in results),
        **{f"{what} {status} {label or 'unlabelled'}": count for (status, label), count in _sorted(became)},
        "without an answer": sum(bool(result.reason) for result in results),
        **({"gaps": dg.MetadataValue.md(table)} if results else {}),
        "seconds": round(seconds, 2),
    }


def _why(result: HealingResult) -> str:
    held_back = f"{result.held_back} in quarantine" if result.held_back else ""
    return "; ".join(filter(None, (held_back, result.reason)))


def _words(counted: Mapping[GapOutcome, int]) -> str:
    return ", ".join(f"{count} {status} {label or ''}".strip() for (status, label), count in _sorted(counted))


def _sorted(counted: Mapping[GapOutcome, int]) -> list[tuple[GapOutcome, int]]:
    return sorted(counted.items(), key=lambda item: (item[0][0], item[0][1] or ""))
