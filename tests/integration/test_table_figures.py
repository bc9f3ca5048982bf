"""The figures of the tables from a real database of each edition, and those of the topics from a real broker."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from assets.streams import stream_assets, topic_key
from assets.tables import table_assets
from cryptoviz.bus import BusError, create_topics, offsets
from cryptoviz.settings import Role, Settings
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.storage.database import connect
from cryptoviz.topics import TOPICS
from sensors.tables import AssetFigures, exchange_figures, table_figures, topic_figures

pytestmark = pytest.mark.services

INSERT = """insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)
select %s::timestamptz - id * interval '1 second', 'kraken', 'BTC/USD', id, 1, 1, 'buy'
from generate_series(0, %s - 1) id"""


def figures(settings: Settings) -> dict[str, AssetFigures]:
    with connect(Role.READER, settings, autocommit=True) as connection:
        return {one.asset.to_user_string(): one for one in table_figures(connection)}


def test_figures_of_tables(each_database: Settings) -> None:
    before = figures(each_database)
    assert (before["trade_data"].mark, before["trade_data"].newest) == (0, None)
    newest = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=10)
    with connect(Role.OWNER, each_database, autocommit=True) as connection:
        # More than a day, so that a hypertable has several parts.
        connection.execute(INSERT, [newest, 100_000])
        connection.execute("analyze trade_data")
        connection.execute("insert into stream_status (name, state, batch_ms) values ('ingestion', 'running', 12.345)")
    trades = figures(each_database)["trade_data"]
    assert trades.newest == newest
    assert trades.mark == int(newest.timestamp()) * 1_000_000
    assert 45 <= trades.numbers["rows in the last minute"] <= 50
    assert trades.numbers["dagster/row_count"] == pytest.approx(100_000, rel=0.05)
    assert trades.numbers["size on disk MB"] > 5
    assert trades.numbers["batch ms"] == 12.3
    assert "batch ms" not in figures(each_database)["collector_position"].numbers


def test_figures_of_exchanges(database: Settings) -> None:
    heard = datetime.now(UTC) - timedelta(seconds=10)
    with connect(Role.OWNER, database, autocommit=True) as connection:
        assert exchange_figures(connection) == []
        connection.execute(INSERT, [heard, 100])
        (kraken,) = exchange_figures(connection)
    assert kraken.asset == dg.AssetKey("kraken")
    assert kraken.newest is not None
    assert abs(kraken.newest - heard) < timedelta(seconds=1)
    assert 45 <= kraken.numbers["trades in the last minute"] <= 50
    assert kraken.numbers["tickers in the last minute"] == 0


def test_every_table_with_figures_is_a_node_and_the_other_way_round(database: Settings) -> None:
    nodes = {spec.key.to_user_string() for spec in table_assets(database)}
    unwatched = {"candle_checkpoint", "stream_events", "stream_verdicts", "action_log"}
    unwatched |= {"published_keys", "quality_results", "quality_documents", "indicator_changes", "indicator_states"}
    unwatched |= {"archive_files", "backfill_progress", "candle_differences", "import_progress", "staged_candles"}
    unwatched |= {"rest_budgets", "held_trades", "candle_repairs", "trade_coverage"}
    assert figures(database).keys() == nodes - unwatched


def led_offsets(settings: Settings) -> dict[str, dict[int, range]]:
    """The offsets of all topics, as soon as every new partition has a leader."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return offsets(settings, TOPICS)
        except BusError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_figures_of_topics(kafka_broker: LocalKafka, database: Settings) -> None:
    settings = database.model_copy(update={"kafka_bootstrap_servers": kafka_broker.bootstrap_servers})
    create_topics(settings)
    found = {one.asset: one for one in topic_figures(led_offsets(settings))}
    assert found.keys() == {topic_key(name) for name in TOPICS}
    assert found.keys() <= {spec.key for spec in stream_assets(settings)}
    assert found[topic_key("rawtrade")].numbers["partitions"] == settings.kafka_partitions
