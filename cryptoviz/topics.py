"""The Kafka topics: what each carries, how it is keyed, how long it is kept, and which table it ends in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from cryptoviz.records import Alert, Article, Candle, FearGreed, MarketSnapshot, Record, Ticker, Trade


@dataclass(frozen=True)
class Topic:
    """One topic.

    `table` is where Spark stores its records (None: nowhere). `columns` maps table columns to record fields where
    the two differ; a dotted field reaches into a nested record. `omitted` are fields that the table does not keep.
    """

    name: str
    description: str
    retention: timedelta
    record: type[Record] | None = None
    key: Callable[[Any], str] | None = None
    table: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    omitted: frozenset[str] = frozenset()

    def columns(self) -> dict[str, str]:
        """Table column -> record field, in the record's order; empty for a topic without a table."""
        if self.record is None or self.table is None:
            return {}
        by_field = {source: column for column, source in self.renamed.items()}
        plain = [name for name in self.record.__struct_fields__ if name not in self.omitted]
        nested = {column: source for column, source in self.renamed.items() if "." in source}
        return {by_field.get(name, name): name for name in plain} | nested


def _exchange_pair(record: Ticker | Trade | Alert) -> str:
    return f"{record.exchange}:{record.pair}"


def _candle_series(record: Candle) -> str:
    return f"{record.exchange}:{record.symbol}:{record.timeframe}"


TOPICS: Final[Mapping[str, Topic]] = {
    topic.name: topic
    for topic in (
        Topic(
            "rawticker",
            "Tickers as the exchanges send them.",
            timedelta(days=7),
            Ticker,
            _exchange_pair,
            "ticker_data",
        ),
        Topic(
            "rawtrade",
            "Every trade, live or healed.",
            timedelta(days=7),
            Trade,
            _exchange_pair,
            "trade_data",
        ),
        Topic(
            "rawcandle",
            "The exchanges' own live candles, open and closed.",
            timedelta(days=7),
            Candle,
            lambda candle: f"{candle.exchange}:{candle.symbol}",
            "exchange_candles",
        ),
        Topic(
            "rawalert",
            "Prices that moved more than the threshold.",
            timedelta(days=1),
            Alert,
            _exchange_pair,
            "alert_data",
        ),
        Topic(
            "rawarticle",
            "News articles with their sentiment.",
            timedelta(days=7),
            Article,
            lambda article: article.source,
            "article_data",
            renamed={
                "timestamp": "published_at",
                "sentiment_score": "sentiment.score",
                "sentiment_label": "sentiment.label",
            },
            omitted=frozenset({"scraped_at", "source", "content", "tags", "sentiment"}),
        ),
        Topic(
            "rawmarket",
            "Market overviews of CoinGecko and CoinMarketCap.",
            timedelta(days=7),
            MarketSnapshot,
            lambda snapshot: f"{snapshot.source}:{snapshot.symbol}",
            "market_data",
        ),
        Topic(
            "rawmood",
            "The fear and greed index.",
            timedelta(days=30),
            FearGreed,
            lambda mood: mood.source,
            "fear_greed_data",
            omitted=frozenset({"source"}),
        ),
        Topic(
            "candle",
            "Candles as just committed to the database, open and closed, every timeframe touched.",
            timedelta(days=2),
            Candle,
            _candle_series,
        ),
        Topic(
            "deadletter",
            "What could not be stored: the original bytes, where they were, and why they were refused.",
            timedelta(days=30),
        ),
    )
}

INGESTED: Final = tuple(topic for topic in TOPICS.values() if topic.table is not None)
"""The topics that the Spark job `ingestion` writes into tables."""
