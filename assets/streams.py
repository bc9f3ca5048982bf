"""The graph outside Dagster: exchanges, collectors, topics, the Spark job and the tables it writes.

    exchange -> collector -> topic -> spark/ingestion -> table

Nothing here runs: every node is external, derived from the registries of the library, so that the graph shows what
really happens and a table written by Spark is never shown as written by Dagster.
"""

from __future__ import annotations

import types
import typing
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import dagster as dg

from cryptoviz.records import Candle, Record
from cryptoviz.settings import PROJECT_ROOT, Settings
from cryptoviz.topics import INGESTED, TOPICS, Topic

INGESTION: Final = dg.AssetKey(["spark", "ingestion"])
CANDLES: Final = "candles"
TRADE_GAPS: Final = "trade_gaps"

_MARKET_OWNERS: Final = ("team:market-data",)
_NEWS_OWNERS: Final = ("team:news",)
_PLATFORM_OWNERS: Final = ("team:platform",)
_NEWS_TOPICS: Final = frozenset({"rawarticle", "rawmarket", "rawmood"})
_COLLECTED: Final[Mapping[str, tuple[str, ...]]] = {
    "kraken": ("rawticker", "rawtrade", "rawalert"),
    "binance": ("rawticker", "rawtrade", "rawcandle", "rawalert"),
}
"""The topics that each collector writes. Kraken's `ohlc` never says that a candle is closed: it is not collected."""

_TABLE_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "ticker_data": "The state of each market: last price, best bid and ask, and the rolling last 24 hours.",
    "trade_data": "Every trade, each exactly once, live or healed.",
    "exchange_candles": "The exchanges' own live candles: an independent witness for `candles`.",
    "alert_data": "Prices that moved more than the threshold within the window.",
    "article_data": "News articles with the coins they mention and their sentiment, by revision.",
    "market_data": "Coins in the market overviews of CoinGecko and CoinMarketCap.",
    "fear_greed_data": "The fear and greed index of each UTC day: 0 is extreme fear, 100 extreme greed.",
}
_TYPES: Final[Mapping[type, tuple[str, str]]] = {
    datetime: ("timestamptz", "string, RFC 3339"),
    Decimal: ("numeric", "string, exact decimal"),
    str: ("text", "string"),
    int: ("bigint", "integer"),
    float: ("double precision", "number"),
    bool: ("boolean", "boolean"),
}
_GAP_COLUMNS: Final = (
    dg.TableColumn("exchange", "text"),
    dg.TableColumn("pair", "text", description="BASE/QUOTE"),
    dg.TableColumn("first_missing_id", "bigint", description="first trade id of the hole"),
    dg.TableColumn("last_missing_id", "bigint", description="last trade id of the hole"),
    dg.TableColumn("label", "text", description="no_trades, source_missing or lost_by_us"),
    dg.TableColumn("status", "text", description="open, healing, healed, explained or failed"),
    dg.TableColumn("attempts", "integer", description="how often healing was tried"),
    dg.TableColumn("detected_at", "timestamptz"),
    dg.TableColumn("healed_at", "timestamptz"),
    dg.TableColumn("detail", "jsonb"),
    dg.TableColumn("received_at", "timestamptz"),
)


def external_assets(settings: Settings) -> list[dg.AssetSpec]:
    """Every node of the graph that lives outside Dagster, for these settings."""
    exchanges = settings.exchanges
    return [
        *(_exchange(name, settings) for name in exchanges),
        *(_collector(name, settings) for name in exchanges),
        *(_topic(topic, exchanges, settings) for topic in TOPICS.values()),
        _ingestion(),
        *(_table(topic, topic.table, topic.record) for topic in INGESTED if topic.table and topic.record),
        _candles(),
        _trade_gaps(exchanges),
    ]


def topic_key(name: str) -> dg.AssetKey:
    """The asset key of a topic."""
    return dg.AssetKey(["kafka", name])


def collector_key(exchange: str) -> dg.AssetKey:
    """The asset key of the stream that collects from an exchange."""
    return dg.AssetKey(f"collector_{exchange}")


def _exchange(name: str, settings: Settings) -> dg.AssetSpec:
    pairs = ", ".join(settings.pairs(name))
    return dg.AssetSpec(
        name,
        group_name="sources",
        description=f"The exchange {name}: its public WebSocket and REST interfaces, without a key.\n\nPairs: {pairs}.",
        kinds={"api", "websocket"},
        owners=_MARKET_OWNERS,
        tags={"layer": "speed", "mode": str(settings.mode)},
        metadata={
            "WebSocket": dg.MetadataValue.url(settings.ws_url(name)),
            "REST": dg.MetadataValue.url(settings.rest_url(name)),
            "pairs": len(settings.pairs(name)),
        },
    )


def _collector(exchange: str, settings: Settings) -> dg.AssetSpec:
    return dg.AssetSpec(
        collector_key(exchange),
        deps=[exchange],
        group_name="streams",
        description=(
            f"Turns every message of {exchange} into a validated record and sends it to Kafka. Trade ids are checked "
            "for continuity; what is missing is fetched over REST."
        ),
        kinds={"python", "websocket"},
        owners=_MARKET_OWNERS,
        tags={"layer": "speed"},
        metadata={
            "pairs": len(settings.pairs(exchange)),
            "restart": dg.MetadataValue.md(f"`cryptoviz stream restart collector_{exchange}`"),
            **_code(f"cryptoviz/collectors/{exchange}.py"),
        },
    )


def _topic(topic: Topic, exchanges: Iterable[str], settings: Settings) -> dg.AssetSpec:
    columns = _columns(topic.record, _fields(topic.record), wire=True) if topic.record else ()
    return dg.AssetSpec(
        topic_key(topic.name),
        deps=_writers(topic, exchanges),
        group_name="topics",
        description=topic.description,
        kinds={"kafka"},
        owners=_owners(topic),
        tags={"layer": "speed"},
        metadata={
            "dagster/uri": f"kafka://{settings.bootstrap_servers}/{topic.name}",
            "retention": _duration(topic.retention),
            "partitions": settings.kafka_partitions,
            "record": topic.record.__name__ if topic.record else "the original bytes",
            "tail": dg.MetadataValue.md(f"`cryptoviz topics tail {topic.name} -n 5`"),
            **({"dagster/column_schema": dg.TableSchema(columns)} if columns else {}),
            **_code("cryptoviz/topics.py"),
        },
    )


def _writers(topic: Topic, exchanges: Iterable[str]) -> list[dg.AssetKey]:
    if topic.name in ("candle", "deadletter"):
        return [INGESTION]
    return [collector_key(name) for name in exchanges if topic.name in _COLLECTED.get(name, ())]


def _ingestion() -> dg.AssetSpec:
    return dg.AssetSpec(
        INGESTION,
        deps=[topic_key(topic.name) for topic in INGESTED],
        group_name="streams",
        description=(
            "The Spark job `ingestion`: every record into its table exactly once, the candles it touches in the same "
            "transaction, what is undecodable or impossible to `deadletter` with its reason."
        ),
        kinds={"spark", "kafka"},
        owners=_PLATFORM_OWNERS,
        tags={"layer": "speed"},
        metadata={
            "restart": dg.MetadataValue.md("`cryptoviz stream restart ingestion`"),
            **_code("streaming/sink.py"),
        },
    )


def _table(topic: Topic, table: str, record: type[Record]) -> dg.AssetSpec:
    return _table_spec(
        table,
        description=_TABLE_DESCRIPTIONS[table],
        columns=_columns(record, topic.columns(), wire=False),
        owners=_owners(topic),
    )


def _candles() -> dg.AssetSpec:
    return _table_spec(
        CANDLES,
        description=(
            "Candles of 1m, 5m, 15m, 1h and 1d, recomputed from `trade_data` in the transaction that stored the trades."
        ),
        columns=_columns(Candle, {name: name for name in Candle.__struct_fields__}, wire=False),
        owners=_MARKET_OWNERS,
    )


def _table_spec(
    name: str, *, description: str, columns: Sequence[dg.TableColumn], owners: Sequence[str]
) -> dg.AssetSpec:
    return dg.AssetSpec(
        name,
        deps=[INGESTION],
        group_name="tables",
        description=f"{description}\n\nWritten by the Spark job `ingestion`.",
        kinds={"timescaledb", "postgres"},
        owners=owners,
        tags={"layer": "speed"},
        metadata={
            "dagster/table_name": f"cryptoviz.public.{name}",
            "dagster/column_schema": dg.TableSchema(columns),
            "newest rows": dg.MetadataValue.md(f"```sql\nSELECT * FROM {name} ORDER BY 1 DESC LIMIT 10;\n```"),
            **_code("sql/schema.sql"),
        },
    )


def _trade_gaps(exchanges: Iterable[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        TRADE_GAPS,
        deps=[collector_key(name) for name in exchanges],
        group_name="history",
        description=(
            "Holes in the trade ids of each pair, with the reason and whether they are healed.\n\n"
            "Written by the collectors."
        ),
        kinds={"postgres"},
        owners=_MARKET_OWNERS,
        tags={"layer": "speed"},
        metadata={
            "dagster/table_name": f"cryptoviz.public.{TRADE_GAPS}",
            "dagster/column_schema": dg.TableSchema(_GAP_COLUMNS),
            "list": dg.MetadataValue.md("`cryptoviz gaps list`"),
            **_code("sql/schema.sql"),
        },
    )


def _fields(record: type[Record]) -> dict[str, str]:
    return {name: name for name in record.__struct_fields__}


def _columns(record: type[Record], columns: Mapping[str, str], *, wire: bool) -> list[dg.TableColumn]:
    return [_column(name, _annotation(record, field.split(".")), wire=wire) for name, field in columns.items()]


def _annotation(record: Any, path: Sequence[str]) -> Any:
    annotation = typing.get_type_hints(record)[path[0]]
    return _annotation(annotation, path[1:]) if path[1:] else annotation


def _column(name: str, annotation: Any, *, wire: bool) -> dg.TableColumn:
    alternatives = list(typing.get_args(annotation)) if isinstance(annotation, types.UnionType) else [annotation]
    nullable = type(None) in alternatives
    kept = next(kind for kind in alternatives if kind is not type(None))
    return dg.TableColumn(
        name,
        type=_type(kept, wire=wire),
        description=_words(kept),
        constraints=dg.TableColumnConstraints(nullable=nullable),
    )


def _type(kind: Any, *, wire: bool) -> str:
    if typing.get_origin(kind) is tuple:
        return "array of strings" if wire else "text[]"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        kind = str
    column, message = _TYPES.get(kind, ("jsonb", "object"))
    return message if wire else column


def _words(kind: Any) -> str | None:
    return ", ".join(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else None


def _owners(topic: Topic) -> Sequence[str]:
    if topic.name == "deadletter":
        return _PLATFORM_OWNERS
    return _NEWS_OWNERS if topic.name in _NEWS_TOPICS else _MARKET_OWNERS


def _duration(retention: timedelta) -> str:
    return f"{retention.days} days" if retention.days != 1 else "1 day"


def _code(path: str) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(file_path=str(PROJECT_ROOT / path), label=path)
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}
