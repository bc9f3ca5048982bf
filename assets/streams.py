"""The streams outside Dagster: exchanges, collectors, topics and the Spark job; `tables` has what they write.

    exchange -> collector -> topic -> spark/ingestion -> table
    news feed, market overview -> poll/... (assets.polls) -> topic -> ...

Nothing here runs: every node is external, derived from the registries of the library, so that the graph shows what
really happens and a table written by Spark is never shown as written by Dagster.
"""

from __future__ import annotations

import types
import typing
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import dagster as dg

from assets.keys import ARTICLES, MARKET, MOOD
from cryptoviz.exchanges import EXCHANGES
from cryptoviz.news.feeds import load_feeds
from cryptoviz.settings import PROJECT_ROOT, Settings
from cryptoviz.storage.catalogue import tables
from cryptoviz.topics import INGESTED, TOPICS, Topic

INGESTION: Final = dg.AssetKey(["spark", "ingestion"])

MARKET_OWNERS: Final = ("team:market-data",)
NEWS_OWNERS: Final = ("team:news",)
PLATFORM_OWNERS: Final = ("team:platform",)
POLLED: Final[Mapping[str, dg.AssetKey]] = {"rawarticle": ARTICLES, "rawmarket": MARKET, "rawmood": MOOD}
"""Topic -> the poll that fills it."""

_TYPES: Final[Mapping[type, str]] = {
    datetime: "string, RFC 3339",
    Decimal: "string, exact decimal",
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
}
_DEADLETTER: Final = (
    dg.TableColumn("key", "bytes", description="The key of the refused message."),
    dg.TableColumn("value", "bytes", description="The refused message as it was."),
    dg.TableColumn("topic", "header", description="Where it was, such as rawtrade, or ws:kraken for a frame."),
    dg.TableColumn("partition", "header", description="Its partition there; empty for a frame."),
    dg.TableColumn("offset", "header", description="Its offset there; empty for a frame."),
    dg.TableColumn("error_class", "header", description="The kind of error."),
    dg.TableColumn("error", "header", description="Why it was refused."),
)
LIVE: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=10), warn_window=timedelta(minutes=2))
"""What a live market feeds: something new arrives within seconds, or something is wrong."""

LIVE_TOPICS: Final = frozenset({"rawticker", "rawtrade", "rawcandle", "candle"})


def stream_assets(settings: Settings) -> list[dg.AssetSpec]:
    """The exchanges, collectors and topics of these settings, what is polled, and the Spark job."""
    exchanges = settings.exchanges
    return [
        *(_exchange(name, settings) for name in exchanges),
        *_polled(settings),
        *(_collector(name, settings) for name in exchanges),
        *(_topic(topic, exchanges, settings) for topic in TOPICS.values()),
        _ingestion(),
    ]


def topic_key(name: str) -> dg.AssetKey:
    """The asset key of a topic."""
    return dg.AssetKey(["kafka", name])


def collector_key(exchange: str) -> dg.AssetKey:
    """The asset key of the stream that collects from an exchange."""
    return dg.AssetKey(f"collector_{exchange}")


def _exchange(name: str, settings: Settings) -> dg.AssetSpec:
    spec = EXCHANGES[name]
    pairs = ", ".join(settings.pairs(name))
    return dg.AssetSpec(
        name,
        group_name="sources",
        description=f"{spec.title}: its public WebSocket and REST interfaces, without a key.\n\nPairs: {pairs}.",
        kinds={"api", "websocket"},
        owners=MARKET_OWNERS,
        tags={"layer": "speed", "mode": str(settings.mode)},
        metadata={
            "WebSocket": dg.MetadataValue.url(settings.ws_url(name)),
            "REST": dg.MetadataValue.url(settings.rest_url(name)),
            "pairs": len(settings.pairs(name)),
            "trade ids": "consecutive" if spec.consecutive_ids else "with holes",
            "empty minutes": spec.empty_minutes.value,
            **code(*spec.sources.values()),
        },
    )


def _polled(settings: Settings) -> Iterator[dg.AssetSpec]:
    """The sources that are asked by the clock."""
    feeds = load_feeds(settings)
    yield _source(
        "news_feeds",
        "The news feeds (RSS and Atom) and the article pages behind them:\n\n"
        + "\n".join(f"- {feed.name}: <{feed.url}>" for feed in feeds),
        settings,
        {"feeds": len(feeds)},
        "cryptoviz/news/feeds.json",
    )
    for name, words, url in (
        ("coingecko", "CoinGecko's market overview.", settings.coingecko_address),
        (
            "coinmarketcap",
            "CoinMarketCap's market overview. Asked only where the setting `CRYPTOVIZ_COINMARKETCAP_KEY` has a key.",
            settings.coinmarketcap_address,
        ),
        ("fear_greed", "The fear and greed index of alternative.me.", settings.fear_greed_address),
    ):
        yield _source(name, words, settings, {"REST": dg.MetadataValue.url(url)}, f"cryptoviz/pollers/{name}.py")


def _source(name: str, words: str, settings: Settings, facts: Mapping[str, Any], path: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        name,
        group_name="sources",
        description=words,
        kinds={"api"},
        owners=NEWS_OWNERS,
        tags={"layer": "batch", "mode": str(settings.mode)},
        metadata={**facts, **code(path)},
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
        owners=MARKET_OWNERS,
        tags={"layer": "speed"},
        freshness_policy=LIVE,
        metadata={
            "pairs": len(settings.pairs(exchange)),
            "restart": dg.MetadataValue.md(f"`cryptoviz stream restart collector_{exchange}`"),
            **code(EXCHANGES[exchange].sources["live"], "cryptoviz/collectors/collector.py"),
        },
    )


def _topic(topic: Topic, exchanges: Iterable[str], settings: Settings) -> dg.AssetSpec:
    return dg.AssetSpec(
        topic_key(topic.name),
        deps=_writers(topic, exchanges),
        group_name="topics",
        description=topic.description,
        kinds={"kafka"},
        owners=owners(topic),
        tags={"layer": "speed"},
        freshness_policy=LIVE if topic.name in LIVE_TOPICS else None,
        metadata={
            "dagster/uri": f"kafka://{settings.bootstrap_servers}/{topic.name}",
            "retention": _duration(topic.retention),
            "partitions": settings.kafka_partitions,
            "record": topic.record.__name__ if topic.record else "the original bytes",
            "tail": dg.MetadataValue.md(f"`cryptoviz topics tail {topic.name} -n 5`"),
            "dagster/column_schema": dg.TableSchema(_columns(topic)),
            **code("cryptoviz/topics.py", "cryptoviz/records.py", "docs/data-dictionary.md"),
        },
    )


def _writers(topic: Topic, exchanges: Iterable[str]) -> list[dg.AssetKey]:
    if topic.name in ("candle", "deadletter"):
        return [INGESTION]
    if topic.name in POLLED:
        return [POLLED[topic.name]]
    return [collector_key(name) for name in exchanges if topic.name in EXCHANGES[name].topics]


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
        owners=PLATFORM_OWNERS,
        tags={"layer": "speed"},
        freshness_policy=LIVE,
        metadata={
            "restart": dg.MetadataValue.md("`cryptoviz stream restart ingestion`"),
            **code("streaming/sink.py"),
        },
    )


def _columns(topic: Topic) -> Sequence[dg.TableColumn]:
    if topic.record is None:
        return _DEADLETTER
    table = topic.table or "candles"
    stored = {column.name: column.meaning for column in tables()[table].columns}
    meanings = {field: stored.get(column, "") for column, field in topic.columns().items()} or stored
    annotations = typing.get_type_hints(topic.record)
    return [_column(name, annotations[name], meanings.get(name)) for name in topic.record.__struct_fields__]


def _column(name: str, annotation: Any, meaning: str | None) -> dg.TableColumn:
    alternatives = list(typing.get_args(annotation)) if isinstance(annotation, types.UnionType) else [annotation]
    kept = next(kind for kind in alternatives if kind is not type(None))
    return dg.TableColumn(
        name,
        type=_type(kept),
        description=" ".join(part for part in (meaning, _words(kept)) if part) or None,
        constraints=dg.TableColumnConstraints(nullable=type(None) in alternatives),
    )


def _type(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return "array of strings"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        kind = str
    return _TYPES.get(kind, "object")


def _words(kind: Any) -> str | None:
    return f"One of {', '.join(kind)}." if isinstance(kind, type) and issubclass(kind, StrEnum) else None


def owners(topic: Topic) -> Sequence[str]:
    """The owners of a topic and of the table that its records go to."""
    if topic.name == "deadletter":
        return PLATFORM_OWNERS
    return NEWS_OWNERS if topic.name in POLLED else MARKET_OWNERS


def _duration(retention: timedelta) -> str:
    return f"{retention.days} days" if retention.days != 1 else "1 day"


def code(*paths: str) -> dict[str, Any]:
    """Links to files of the project."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        references = [dg.LocalFileCodeReference(file_path=str(PROJECT_ROOT / path), label=path) for path in paths]
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=list(references))}
