"""The tables that processes outside Dagster write: what they hold, whence, and how fresh they must be.

    topic --spark/ingestion--> table          collector --> collector_position

Columns and their meaning come from the schema, lineage from the topics: nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg

from assets.keys import ARCHIVE, ARTICLES, MARKET, MOOD, RETENTION
from assets.streams import (
    INGESTION,
    LIVE,
    MARKET_OWNERS,
    NEWS_OWNERS,
    PLATFORM_OWNERS,
    code,
    collector_key,
    owners,
    topic_key,
)
from cryptoviz.settings import Settings
from cryptoviz.storage.catalogue import tables
from cryptoviz.topics import INGESTED

CANDLES: Final = "candles"
TRADES: Final = "trade_data"
TRADE_GAPS: Final = "trade_gaps"
COMPLETENESS: Final = "completeness"

LIVE_TABLES: Final = frozenset({"ticker_data", TRADES, "exchange_candles", CANDLES})
"""The tables that a live market fills all the time: they have a freshness policy."""

_TRADED: Final[Mapping[str, str]] = {
    "window_start": "timestamp",
    "window_end": "timestamp",
    "exchange": "exchange",
    "symbol": "pair",
    "open": "price",
    "high": "price",
    "low": "price",
    "close": "price",
    "volume": "volume",
    "trade_count": "trade_id",
}
"""Column of `candles` -> column of `trade_data` that it is computed from."""


@dataclass(frozen=True)
class _Node:
    """A table beside those of the topics: who writes it, what it is computed from, where it stands."""

    written_by: str
    deps: Sequence[dg.CoercibleToAssetKey]
    group: str
    newest_first: str
    owners: Sequence[str] = PLATFORM_OWNERS
    more: str = ""


def table_assets(settings: Settings) -> list[dg.AssetSpec]:
    """Every table that something outside Dagster writes, for these settings."""
    return [
        *(
            _spec(
                topic.table,
                deps=[INGESTION],
                written_by="the Spark job `ingestion`",
                group="tables",
                newest_first='"timestamp"' if "timestamp" in topic.columns() else "window_start",
                owners=owners(topic),
                origins={
                    column: dg.TableColumnDep(topic_key(topic.name), field.split(".")[0])
                    for column, field in topic.columns().items()
                },
            )
            for topic in INGESTED
            if topic.table
        ),
        _spec(
            CANDLES,
            deps=[INGESTION, TRADES],
            written_by="the Spark job `ingestion`, in the transaction that stores the trades",
            group="tables",
            newest_first="window_start",
            owners=MARKET_OWNERS,
            origins={column: dg.TableColumnDep(dg.AssetKey(TRADES), source) for column, source in _TRADED.items()},
        ),
        *(
            _spec(
                name,
                deps=node.deps,
                written_by=node.written_by,
                group=node.group,
                newest_first=node.newest_first,
                owners=node.owners,
                more=node.more,
            )
            for name, node in _others(settings.exchanges).items()
        ),
    ]


def _others(exchanges: Iterable[str]) -> dict[str, _Node]:
    collectors = [collector_key(name) for name in exchanges]
    streams = [*collectors, INGESTION]
    return {
        "candle_differences": _Node(
            "the database, where a fetched candle takes the place of a streamed one",
            [CANDLES],
            "history",
            "found_at",
            MARKET_OWNERS,
        ),
        "collector_position": _Node("the collectors", collectors, "history", "received_at", MARKET_OWNERS),
        "held_trades": _Node("the imports of trades, until their quarantine is decided", [], "history", "minute"),
        "candle_repairs": _Node("the job `repair_candles`", [CANDLES], "history", "received_at", MARKET_OWNERS),
        "trade_coverage": _Node(
            "the database, where candles of trades are made or closed", [TRADES], "history", "until", MARKET_OWNERS
        ),
        "indicator_changes": _Node(
            "the database, whenever somebody writes closed candles", [CANDLES], "history", "number", MARKET_OWNERS
        ),
        "indicator_states": _Node(
            "whoever computes indicators", ["indicators"], "history", "window_start", MARKET_OWNERS
        ),
        "import_progress": _Node(
            "the command `cryptoviz import`, with the rows of each file", [], "history", "updated_at", MARKET_OWNERS
        ),
        "staged_candles": _Node(
            "whoever fetches or imports candles", list(exchanges), "history", "staged_at", MARKET_OWNERS
        ),
        "backfill_progress": _Node(
            "whoever fetches the configured history, with each page",
            ["staged_candles"],
            "history",
            "updated_at",
            MARKET_OWNERS,
            "How far each series is: `cryptoviz history`.",
        ),
        "candle_checkpoint": _Node("the function `refresh_candles`", [TRADES], "tables", "minute", MARKET_OWNERS),
        "archive_files": _Node(
            "the assets `archive` and `retention`",
            [ARCHIVE, RETENTION],
            "storage",
            "written_at",
            more="List, verify and restore: `cryptoviz archive`.",
        ),
        "sink_fence": _Node("the Spark job `ingestion`", [INGESTION], "supervision", "updated_at"),
        "stream_control": _Node("the jobs and commands that start and stop streams", [], "supervision", "updated_at"),
        "stream_status": _Node("the streams", streams, "supervision", "heartbeat"),
        "stream_events": _Node("the runner of each stream", streams, "supervision", "at"),
        "stream_verdicts": _Node("the sensor `stream_supervisor`", ["stream_status"], "supervision", "judged_at"),
        "platform_alerts": _Node("the sensors", ["stream_status"], "supervision", "opened_at"),
        "action_log": _Node("the jobs and commands that people run", [], "supervision", "at"),
        "source_states": _Node("the polls of market and mood", [MARKET, MOOD], "supervision", "asked_at"),
        "rest_budgets": _Node("whoever asks an exchange for its past", [], "supervision", "free_at"),
        "source_quotas": _Node("the polls of market and mood", [MARKET, MOOD], "supervision", "starts_at"),
        "article_revisions": _Node("the poll of the news", [ARTICLES], "supervision", "first_seen", NEWS_OWNERS),
        "shared_article_names": _Node("the poll of the news", [ARTICLES], "supervision", "first_seen", NEWS_OWNERS),
        "news_feed_states": _Node("the poll of the news", [ARTICLES], "supervision", "checked_at", NEWS_OWNERS),
        "robots_cache": _Node("the poll of the news", [ARTICLES], "supervision", "fetched_at", NEWS_OWNERS),
        "staging": _Node("the assets that poll", [ARTICLES, MARKET, MOOD], "quality", "staged_at"),
        "published_keys": _Node("the assets that poll", ["staging"], "quality", "published_at"),
        "quarantine": _Node(
            "the gate, in the run of the asset that it guards",
            ["staging", "instruments"],
            "quality",
            "last_seen_at",
            more="List, look at, release and discard rows: `cryptoviz quarantine`.",
        ),
        "quality_results": _Node("the gate", ["staging", "instruments"], "quality", "evaluated_at"),
        "quality_documents": _Node("the gate", ["staging", "instruments"], "quality", "evaluated_at"),
    }


def _spec(
    name: str,
    *,
    deps: Sequence[dg.CoercibleToAssetKey],
    written_by: str,
    group: str,
    newest_first: str,
    owners: Sequence[str],
    origins: Mapping[str, dg.TableColumnDep] | None = None,
    more: str = "",
) -> dg.AssetSpec:
    look = f"```sql\nSELECT * FROM {name} ORDER BY {newest_first} DESC LIMIT 10;\n```"
    return dg.AssetSpec(
        name,
        deps=list(deps),
        group_name=group,
        description="\n\n".join(
            part for part in (tables()[name].meaning, f"Written by {written_by}.", more, look) if part
        ),
        kinds={"timescaledb" if group == "tables" else "table", "postgres"},
        owners=owners,
        tags={"layer": "speed"},
        freshness_policy=LIVE if name in LIVE_TABLES else None,
        metadata={
            **table_metadata(name, origins),
            "newest rows": dg.MetadataValue.md(f"{look}\nin `cryptoviz db shell`"),
            **code("sql/schema.sql", "docs/data-dictionary.md"),
        },
    )


def table_metadata(name: str, origins: Mapping[str, dg.TableColumnDep] | None = None) -> dict[str, Any]:
    """The name of a table, its columns with what they mean, and where each comes from."""
    found = origins or {}
    lineage = {column: [origin] for column, origin in found.items()}
    return {
        "dagster/table_name": f"cryptoviz.public.{name}",
        "dagster/column_schema": dg.TableSchema(
            [
                dg.TableColumn(
                    column.name,
                    column.type,
                    description=_table_description(column.meaning, found.get(column.name)),
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in tables()[name].columns
            ]
        ),
        **({"dagster/column_lineage": dg.TableColumnLineage(lineage)} if lineage else {}),
    }


def _table_description(meaning: str, origin: dg.TableColumnDep | None) -> str:
    if origin is None:
        return meaning
    return f"{meaning} From {origin.asset_key.to_user_string()}: {origin.column_name}."
