"""Candles of a whole day, made anew from the stored trades: the answer to "rerun yesterday".

trade_data --day, exchange--> candles that differ -> rebuild -> candles that still differ
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.metadata import table_value
from assets.partitions import days_with_trades
from assets.resources import Database
from assets.streams import MARKET_OWNERS, code
from assets.tables import TRADES
from cryptoviz.candles.rebuild import TradesRemovedError, rebuild
from cryptoviz.gate.table_rules import CheckVerdict, equal
from cryptoviz.settings import Settings
from cryptoviz.storage.queries import fetch_rows, query

if TYPE_CHECKING:
    from psycopg import Connection

KEY: Final = dg.AssetKey("candles_daily_rebuild")
UNCHANGED: Final = "nothing_left_to_differ"

_DAY: Final = timedelta(days=1)
_SHOWN: Final = 20
_COLUMNS: Final = ("exchange", "pair", "minute", "stored_trades", "trades", "stored_close", "close")


class NothingToRebuildError(ValueError):
    """There are no trades of that day to make candles from; nothing was changed."""


@dataclass
class Rebuilt:
    """What a day came to: the comparison before and after, and the rows that were written, by timeframe."""

    before: CheckVerdict
    after: CheckVerdict
    written: Counter[str] = field(default_factory=Counter)
    kept: Mapping[tuple[str, str], int] = field(default_factory=dict)


def rebuild_day(connection: "Connection[Any]", exchange: str, pairs: Sequence[str], day: datetime) -> Rebuilt:
    """Make the candles of a UTC day of an exchange anew from its trades, hour by hour; what REST said stays.

    Raises:
        NothingToRebuildError: no trade of that day is stored; the message says from when on they are.
        TradesRemovedError: part of that day's trades is no longer stored.
    """
    bounds = {"exchange": exchange, "since": day, "until": day + _DAY}
    before = _compared(connection, bounds)
    if not before.numbers["trades"]:
        raise NothingToRebuildError(_nothing(connection, exchange, day))
    written: Counter[str] = Counter()
    for step in rebuild(connection, exchange, pairs, day, day + _DAY):
        written.update(step.changed)
    kept = {(frame, source): count for frame, source, count in connection.execute(query("candles_kept"), bounds)}
    return Rebuilt(before, _compared(connection, bounds), written, kept)


def candles_daily_rebuild(settings: Settings, today: date) -> dg.AssetsDefinition:
    """The asset for these settings. `today` bounds the partitions: trades are kept for about a month."""

    @dg.asset(
        key=KEY,
        deps=[TRADES],
        partitions_def=days_with_trades(today),
        group_name="history",
        kinds={"python", "postgres"},
        owners=MARKET_OWNERS,
        tags={"layer": "batch"},
        # Not eager: trades arrive all the time, a day is made anew once, when it is over and its trades are sound.
        automation_condition=(
            dg.AutomationCondition.on_missing() & dg.AutomationCondition.all_deps_blocking_checks_passed()
        ),
        check_specs=[
            dg.AssetCheckSpec(
                UNCHANGED,
                asset=KEY,
                description="After the rebuild every 1m candle of the day equals its trades.",
            )
        ],
        metadata=code("assets/candles.py", "cryptoviz/candles/rebuild.py", "sql/functions/candles.sql"),
    )
    def candles_daily_rebuild(
        context: dg.AssetExecutionContext, database: Database
    ) -> Iterator[dg.MaterializeResult[None]]:
        """The candles of one UTC day, made anew in the table `candles` from the trades in `trade_data`.

        Materialize a partition to rerun that day; choose a range to backfill. Safe to repeat: what has not changed is
        not written, candles that came over REST stay. It also runs by itself for each day that has ended, once the
        blocking checks of `trade_data` pass. An exchange whose trades of that day are no longer stored (they are kept
        30 days) keeps its candles; where that is so of every exchange, as on a day without any trades, nothing changes
        and the check warns. For some pairs or hours use the job `rebuild_candles`.
        """
        began, day = time.monotonic(), datetime.fromisoformat(context.partition_key).replace(tzinfo=UTC)
        done: dict[str, Rebuilt] = {}
        refused: dict[str, str] = {}
        with database.writer() as connection:
            for exchange in settings.exchanges:
                try:
                    done[exchange] = rebuild_day(connection, exchange, settings.pairs(exchange), day)
                except (NothingToRebuildError, TradesRemovedError) as error:
                    refused[exchange] = str(error)
                    context.log.warning("%s: %s", exchange, error)
        left = sum(rebuilt.after.numbers["differing"] for rebuilt in done.values())
        # Running it again brings no trades back: a failure of such a day would stay the last word on it for ever.
        explanations = {exchange: rebuilt.after.words for exchange, rebuilt in done.items()} or refused
        yield dg.MaterializeResult(
            metadata=_metadata(done, refused, time.monotonic() - began),
            check_results=[
                dg.AssetCheckResult(
                    passed=bool(done) and not left,
                    check_name=UNCHANGED,
                    severity=dg.AssetCheckSeverity.ERROR if done else dg.AssetCheckSeverity.WARN,
                    description="; ".join(f"{exchange}: {words}" for exchange, words in explanations.items()),
                    metadata={"differences left": left},
                )
            ],
        )

    return candles_daily_rebuild


def _compared(connection: "Connection[Any]", bounds: Mapping[str, Any]) -> CheckVerdict:
    return equal(fetch_rows(connection, "candles_differing", bounds))


def _nothing(connection: "Connection[Any]", exchange: str, day: datetime) -> str:
    row = connection.execute(query("oldest_trade"), {"exchange": exchange}).fetchone()
    oldest = row[0] if row else None
    if oldest is None:
        return "no trade is stored at all. Start the collector first."
    if oldest > day:
        return (
            f"its trades are not stored (the oldest is of {oldest:%Y-%m-%d %H:%M} UTC). Its candles stay as they are."
        )
    return "no trade of that day is stored. Its candles stay as they are."


def _metadata(done: Mapping[str, Rebuilt], refused: Mapping[str, str], seconds: float) -> dict[str, Any]:
    written: Counter[str] = sum((rebuilt.written for rebuilt in done.values()), Counter())
    differing = [row for rebuilt in done.values() for row in rebuilt.before.rows]
    return {
        "trades": sum(rebuilt.before.numbers["trades"] for rebuilt in done.values()),
        **({"dagster/row_count": sum(sum(rebuilt.kept.values()) for rebuilt in done.values())} if done else {}),
        "differences found": sum(rebuilt.before.numbers["differing"] for rebuilt in done.values()),
        "differences left": sum(rebuilt.after.numbers["differing"] for rebuilt in done.values()),
        # Longer candles are written again with each hour of the day that changed.
        "rows written": sum(written.values()),
        **{f"rows written {frame}": count for frame, count in sorted(written.items())},
        "candles over REST, left alone": sum(
            count for rebuilt in done.values() for (_frame, source), count in rebuilt.kept.items() if source == "rest"
        ),
        "exchanges left as they are": len(refused),
        "seconds": round(seconds, 2),
        **{f"why not {exchange}": why for exchange, why in refused.items()},
        **(
            {"first differences": table_value([{name: row[name] for name in _COLUMNS} for row in differing[:_SHOWN]])}
            if differing
            else {}
        ),
    }
