"""What a reader finds in the topics, with Kafka's own console consumer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer as KafkaProducer
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from cryptoviz.bus import Producer, create_topics, list_topics, tail
from cryptoviz.records import Alert, AlertType, Article, Record, Sentiment, SentimentLabel, Side, Ticker, Trade
from cryptoviz.settings import Settings, load
from cryptoviz.stack.jars import kafka_jars
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.topics import TOPICS
from tests.conftest import free_ports

pytestmark = [pytest.mark.services, pytest.mark.slow]

NOW = datetime.now(UTC)
MARKET: dict[str, Any] = {"received_at": NOW, "timestamp": NOW, "exchange": "kraken", "pair": "BTC/USD"}
PRICE = Decimal("67000.10")
RECORDS: dict[str, Record] = {
    "rawticker": Ticker(
        **MARKET, last=PRICE, bid=PRICE, ask=PRICE, volume_24h=Decimal("12.50"), pct_change=Decimal("-0.5")
    ),
    "rawtrade": Trade(**MARKET, price=PRICE, volume=Decimal("0.100"), side=Side.BUY, trade_id=1),
    "rawalert": Alert(
        **MARKET, last_price=PRICE, change_percent=0.7, threshold=0.5, alert_type=AlertType.PRICE_UP
    ),
    "rawarticle": Article(
        received_at=NOW,
        published_at=NOW,
        scraped_at=NOW,
        article_id="1",
        revision=1,
        title="t",
        url="https://news.example/1",
        website="news.example",
        source="news",
        summary="",
        content="",
        tags=("market",),
        cryptocurrencies_mentioned=("BTC",),
        sentiment=Sentiment(score=0.7, label=SentimentLabel.POSITIVE),
    ),
}  # fmt: skip
FIELDS = {
    "rawticker": "pair last bid ask volume_24h timestamp pct_change",
    "rawtrade": "pair price volume timestamp side",
    "rawarticle": "title url source summary content published_at scraped_at tags cryptocurrencies_mentioned sentiment "
    "published_known",
    "rawalert": "pair last_price change_percent threshold alert_type timestamp",
}


class StockKafka(LocalKafka):
    """A single broker with Kafka's own defaults: it makes topics by itself."""

    tuning = ""


def settings_of_topics(settings: Settings) -> dict[str, dict[str, str]]:
    """What each topic has been given, as opposed to the broker's defaults."""
    with KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers) as admin:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in TOPICS]
        found = admin.describe_configs(resources, config_filter="all")["topic"]
    return {
        topic: {
            name: entry["value"] for name, entry in entries.items() if entry["config_source"] == "DYNAMIC_TOPIC_CONFIG"
        }
        for topic, entries in found.items()
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A broker of its own, with one message in each topic: other tests count what is in theirs.

    Two topics are there before ours are made: one that the broker made by itself, one that an administrator made.
    """
    port, controller_port = free_ports(2)
    broker = StockKafka(tmp_path_factory.mktemp("kafka"), port, controller_port, heap_mb=256)
    broker.prepare()
    broker.start()
    settings = load(kafka_bootstrap_servers=broker.bootstrap_servers)
    early = KafkaProducer({"bootstrap.servers": broker.bootstrap_servers})
    early.produce("candle", b"{}")
    assert early.flush(60) == 0
    by_hand = {"num_partitions": 1, "replication_factor": 1, "configs": {"retention.ms": "123456"}}
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers) as admin:
        admin.create_topics({"rawmood": by_hand})
    assert set(create_topics(settings)) == set(TOPICS)
    producer = Producer(settings)
    producer.start()
    for topic, record in RECORDS.items():
        producer.send(topic, record)
    assert producer.flush(60)
    yield settings
    producer.close()
    broker.stop()


def test_every_topic_exists_with_three_partitions(filled: Settings) -> None:
    assert list_topics(filled) == dict.fromkeys(TOPICS, 3)


def test_topics_are_kept_as_we_say_unless_an_administrator_says_otherwise(filled: Settings) -> None:
    found = settings_of_topics(filled)
    kept = {name: int(settings["retention.ms"]) for name, settings in found.items()}
    assert kept.pop("rawmood") == 123_456
    assert kept == {name: topic.retention.total_seconds() * 1000 for name, topic in TOPICS.items() if name != "rawmood"}
    others = {"cleanup.policy": "delete", "retention.bytes": "-1", "message.timestamp.type": "CreateTime"}
    assert all(settings.items() >= others.items() for settings in found.values())
    assert create_topics(filled) == []


@pytest.mark.parametrize("topic", RECORDS)
def test_a_console_consumer_prints_readable_json(filled: Settings, topic: str, tmp_path: Path) -> None:
    consumer = subprocess.run(
        [
            *("java", "-cp", ":".join(map(str, kafka_jars(load()))), "org.apache.kafka.tools.consumer.ConsoleConsumer"),
            *("--bootstrap-server", filled.bootstrap_servers, "--topic", topic),
            *("--from-beginning", "--max-messages", "1", "--timeout-ms", "60000"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=tmp_path,
    )
    [line] = [line for line in consumer.stdout.splitlines() if line.startswith("{")]
    message = json.loads(line)
    assert set(FIELDS[topic].split()) <= message.keys()
    if topic == "rawarticle":
        assert message["sentiment"] == {"score": 0.7, "label": "positive"}
    if topic == "rawtrade":
        assert (message["price"], message["volume"]) == ("67000.10", "0.100")


@pytest.mark.parametrize("topic", RECORDS)
def test_messages_carry_their_headers(filled: Settings, topic: str) -> None:
    [message] = list(tail(filled, topic, 1))
    assert set(message.headers) == {"source", "type", "exchange", "symbol", "schema"}
    assert message.headers["type"] == topic.encode()
    assert message.headers["source"]
