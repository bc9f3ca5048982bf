"""The table `indicators`: RSI, MACD, Bollinger bands and momentum of every closed candle.

    candles -> indicator_changes -> functions of the database -> indicators

What is due each minute is a few milliseconds of work in the database: the sensor `indicators_due` does it without a
run. A run of the asset does what takes longer.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

import dagster as dg

from assets.keys import INDICATORS
from assets.metadata import table_value
from assets.resources import Database
from assets.runs import HEAVY_SQL
from assets.streams import MARKET_OWNERS, code
from assets.tables import CANDLES, table_metadata
from cryptoviz.candles.indicators import IndicatorProgress, Refreshed, progress, rebuild, refresh

REFRESH_INDICATORS: Final = dg.define_asset_job(
    "refresh_indicators",
    selection=dg.AssetSelection.assets(INDICATORS),
    description="Compute the indicators of all candles that were written since; with `whole_history` of every candle.",
    tags={"dagster/max_runtime": "3600", "cryptoviz/long": "true"},
)

_PATIENCE_S: Final = 1800
_COLUMNS: Final = {"timeframe": "string", "series": "int", "newest candle": "string", "furthest behind": "string"}


class IndicatorsConfig(dg.Config):
    """What a run does."""

    whole_history: bool = False
    """Compute every series from its first candle on, whether its candles changed or not."""


@dg.asset(
    key=INDICATORS,
    deps=[CANDLES, "indicator_changes"],
    group_name="history",
    kinds={"timescaledb", "postgres"},
    owners=MARKET_OWNERS,
    tags={"layer": "batch"},
    pool=HEAVY_SQL,
    metadata={
        **table_metadata("indicators"),
        **code("assets/indicators.py", "cryptoviz/candles/indicators.py", "sql/functions/indicators.sql"),
    },
)
def indicators(
    context: dg.AssetExecutionContext, config: IndicatorsConfig, database: Database
) -> dg.MaterializeResult[None]:
    """RSI 14, MACD 12/26/9, Bollinger bands 20/2 and momentum 10 of every closed candle, all timeframes.

    New candles are computed each minute by the sensor `indicators_due`, candles that were corrected or filled in from
    the first change on. Materialize it to do so now. With `whole_history` in the config every series is computed from
    its first candle on; rows that are right are not written. The values are TA-Lib's.
    """
    began, corrected = time.monotonic(), 0
    with database.writer() as connection:
        if config.whole_history:
            for series, rows in rebuild(connection):
                corrected += rows
                context.log.info("%s: %d rows differed", " ".join(series), rows)
        done = refresh(connection, _PATIENCE_S)
        reached = progress(connection)
    return dg.MaterializeResult(
        metadata={
            **indicators_metadata(done, reached),
            **({"rows that differed in the whole history": corrected} if config.whole_history else {}),
            "seconds": round(time.monotonic() - began, 2),
        }
    )


def indicators_metadata(done: Refreshed, reached: Sequence[IndicatorProgress]) -> dict[str, Any]:
    """The numbers of a refresh, and how far the indicators are."""
    return {
        "rows written": done.candles + done.rows,
        "candles computed together": done.candles,
        "series corrected": done.series,
        "series still waiting": done.waiting,
        "series": sum(timeframe.series for timeframe in reached),
        "seconds": round(done.seconds, 3),
        **({"newest": dg.MetadataValue.timestamp(max(timeframe.newest for timeframe in reached))} if reached else {}),
        "timeframes": table_value(
            [
                {
                    "timeframe": timeframe.timeframe,
                    "series": timeframe.series,
                    "newest candle": f"{timeframe.newest:%Y-%m-%d %H:%M}",
                    "furthest behind": f"{timeframe.furthest_behind:%Y-%m-%d %H:%M}",
                }
                for timeframe in reached
            ],
            _COLUMNS,
        ),
    }
