"""The sink against a real database: once, whatever comes twice, late, stale or spoilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
import pytest

from cryptoviz.pairs import Timeframe
from cryptoviz.records import Article, Candle, CandleSource, Record, Sentiment, SentimentLabel, Side, Trade
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.streams.ownership import Ownership, StreamControl
from cryptoviz.topics import INGESTED, TOPICS
from streaming import executors
from streaming.executors import write_partitions
from streaming.rows import copy_line
from streaming.sink import TABLES, Arriving, Fence, Sink, StaleEpochError, Touched, TruncatedError, UnstorableError

pytestmark = pytest.mark.services

NOW = datetime.now(UTC).replace(microsecond=0)
MINUTE = NOW.replace(second=0) - timedelta(minutes=10)


@pytest.fixture
def owner(database: Settings) -> Iterator[Ownership]:
    one = Ownership("ingestion", database)
    assert one.claim()
    yield one
    one.close()


@pytest.fixture
def sink(owner: Ownership) -> Iterator[Sink]:
    one = Sink(partial(connect, Role.WRITER, owner.settings))
    yield one
    one.close()


def fence(owner: Ownership, batch: int, **changes: Any) -> Fence:
    return replace(Fence("ingestion", owner.epoch, "query", -1, batch), **changes)


class Interrupted:
    """Lines of which the last comes only after something else has been done."""

    def __init__(self, lines: list[bytes], meanwhile: Callable[[], None]) -> None:
        self._lines = lines
        self._meanwhile = meanwhile

    def __iter__(self) -> Iterator[bytes]:
        yield from self._lines[:-1]
        self._meanwhile()
        yield self._lines[-1]


def trade(number: int, *, second: int = 0, price: str = "100", minute: datetime = MINUTE) -> Trade:
    return Trade(
        received_at=NOW, timestamp=minute + timedelta(seconds=second), exchange="kraken", pair="BTC/USD",
        price=Decimal(price), volume=Decimal("0.10"), side=Side.BUY, trade_id=number,
    )  # fmt: skip


def payload(topic: str, *records: Record) -> dict[str, list[bytes]]:
    return {topic: [copy_line(TOPICS[topic], record) for record in records]}


def touched(minute: datetime = MINUTE) -> Touched:
    return Touched(["kraken"], ["BTC/USD"], [minute])


def rows(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with connect(Role.READER, settings) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


def count(settings: Settings, table: str) -> int:
    return int(rows(settings, f"SELECT count(*) FROM {table}")[0][0])


def test_every_rule_is_the_tables_own_key(database: Settings) -> None:
    statement = """
        SELECT relname::text, array_agg(attname::text ORDER BY array_position(indkey::int[], attnum::int))
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid JOIN pg_attribute ON attrelid = indrelid
        WHERE indisprimary AND attnum = ANY (indkey) AND relnamespace = 'public'::regnamespace GROUP BY relname"""
    keys = dict(rows(database, statement))
    assert {topic.table for topic in INGESTED} == set(TABLES)
    assert {name: list(table.key) for name, table in TABLES.items()} == {name: keys[name] for name in TABLES}


def test_a_batch_is_rows_and_candles_of_every_timeframe(owner: Ownership, sink: Sink) -> None:
    stored = sink.store(fence(owner, 0), payload("rawtrade", trade(1), trade(2, second=5, price="101.50")), touched)
    assert stored.fresh
    assert {candle.timeframe for candle in stored.candles} == set(Timeframe)
    [minute] = [candle for candle in stored.candles if candle.timeframe is Timeframe.M1]
    assert (minute.open, minute.close, minute.volume, minute.trade_count, minute.closed) == (
        Decimal(100), Decimal("101.50"), Decimal("0.20"), 2, False
    )  # fmt: skip
    assert rows(owner.settings, "SELECT price::text FROM trade_data ORDER BY trade_id") == [("100",), ("101.50",)]


def test_a_batch_that_comes_again_is_skipped_and_its_candles_are_told_again(owner: Ownership, sink: Sink) -> None:
    assert not sink.has_stored(fence(owner, 4))
    first = sink.store(fence(owner, 4), payload("rawtrade", trade(1)), touched)
    assert [sink.has_stored(fence(owner, batch)) for batch in (3, 4, 5)] == [True, True, False]
    again = sink.store(fence(owner, 4), payload("rawtrade", trade(1), trade(2)), touched)
    assert not again.fresh
    assert {candle.timeframe for candle in again.candles} == {candle.timeframe for candle in first.candles}
    assert count(owner.settings, "trade_data") == 1


def test_a_new_query_that_counts_from_zero_again_neither_loses_nor_doubles(owner: Ownership, sink: Sink) -> None:
    sink.store(fence(owner, 7), payload("rawtrade", trade(1), trade(2)), touched)
    before = rows(owner.settings, "SELECT window_start, timeframe, trade_count FROM candles ORDER BY 1, 2")
    stored = sink.store(fence(owner, 0, query_id="another"), payload("rawtrade", trade(1), trade(2)), touched)
    assert stored.fresh
    assert count(owner.settings, "trade_data") == 2
    assert rows(owner.settings, "SELECT window_start, timeframe, trade_count FROM candles ORDER BY 1, 2") == before


def test_duplicates_within_and_between_batches_are_stored_once(owner: Ownership, sink: Sink) -> None:
    sink.store(fence(owner, 0), payload("rawtrade", trade(1), trade(2), trade(1)), touched)
    sink.store(fence(owner, 1), payload("rawtrade", trade(2), trade(3), trade(3)), touched)
    assert rows(owner.settings, "SELECT trade_id FROM trade_data ORDER BY 1") == [(1,), (2,), (3,)]
    assert rows(owner.settings, "SELECT trade_count FROM candles WHERE timeframe = '1d'") == [(3,)]


def test_trades_that_add_up_beyond_a_candles_bounds_do_not_stop_the_stream(owner: Ownership, sink: Sink) -> None:
    huge = [replace_volume(trade(number), Decimal(9 * 10**19)) for number in (1, 2)]
    stored = sink.store(fence(owner, 0), payload("rawtrade", *huge), touched)
    assert (stored.fresh, list(stored.candles)) == (True, [])
    assert rows(owner.settings, "SELECT volume FROM candles WHERE timeframe = '1m'") == [(18 * 10**19,)]


def replace_volume(one: Trade, volume: Decimal) -> Trade:
    return msgspec.structs.replace(one, volume=volume)


def test_a_trade_a_day_late_corrects_its_candles(owner: Ownership, sink: Sink) -> None:
    yesterday = MINUTE - timedelta(days=1)
    sink.store(fence(owner, 0), payload("rawtrade", trade(2, second=30, minute=yesterday)), lambda: touched(yesterday))
    late = trade(1, second=3, price="90", minute=yesterday)
    stored = sink.store(fence(owner, 1), payload("rawtrade", late), lambda: touched(yesterday))
    [minute] = [candle for candle in stored.candles if candle.timeframe is Timeframe.M1]
    assert (minute.open, minute.low, minute.close, minute.trade_count) == (90, 90, 100, 2)


def test_a_stale_driver_cannot_write(owner: Ownership, sink: Sink) -> None:
    stale = fence(owner, 0)
    owner.close()
    successor = Ownership("ingestion", owner.settings)
    assert successor.claim()
    with pytest.raises(StaleEpochError):
        sink.store(stale, payload("rawtrade", trade(1)), touched)
    assert count(owner.settings, "trade_data") == 0
    assert sink.store(fence(successor, 0), payload("rawtrade", trade(1)), touched).fresh
    successor.close()


def test_a_long_batch_holds_up_its_successor_and_not_the_heartbeat(owner: Ownership, sink: Sink) -> None:
    epoch, refused = owner.epoch, []

    def meanwhile() -> None:
        assert owner.beat("running") == StreamControl()
        try:
            owner.claim()
        except psycopg.errors.LockNotAvailable as error:
            refused.append(error)
        assert owner.beat("running") == StreamControl()

    lines = payload("rawtrade", trade(1), trade(2))["rawtrade"]
    assert sink.store(fence(owner, 0), {"rawtrade": Interrupted(lines, meanwhile)}, touched).fresh
    assert len(refused) == 1
    assert (count(owner.settings, "trade_data"), owner.epoch) == (2, epoch)
    assert owner.claim()
    assert owner.epoch == epoch + 1


def test_only_one_process_owns_a_stream(owner: Ownership) -> None:
    assert not Ownership("ingestion", owner.settings).claim()
    assert owner.beat("running")


def test_an_owner_whose_stream_has_another_runner_is_told_so(owner: Ownership) -> None:
    with connect(Role.WRITER, owner.settings) as connection:
        connection.execute("UPDATE stream_status SET epoch = epoch + 1, runner_pid = runner_pid + 1")
    assert owner.beat("running") is None


def test_an_epoch_raised_without_hearing_the_answer_is_the_owners_own(owner: Ownership) -> None:
    with connect(Role.WRITER, owner.settings) as connection:
        connection.execute("UPDATE stream_status SET epoch = epoch + 1")
    before = owner.epoch
    assert owner.beat("running") is not None
    assert owner.epoch == before + 1


def candle(close: str, received: int, *, closed: bool) -> Candle:
    return Candle(
        received_at=NOW + timedelta(seconds=received), window_start=MINUTE, window_end=MINUTE + timedelta(minutes=1),
        exchange="binance", symbol="BTC/USDT", timeframe=Timeframe.M1, open=Decimal(1), high=Decimal(9), low=Decimal(1),
        close=Decimal(close), volume=Decimal(1), trade_count=1, closed=closed, source=CandleSource.STREAM,
    )  # fmt: skip


def test_an_exchanges_candle_is_its_newest_word_and_closed_is_the_last(owner: Ownership, sink: Sink) -> None:
    settings, statement = owner.settings, "SELECT close, closed FROM exchange_candles"
    sink.store(
        fence(owner, 0), payload("rawcandle", candle("2", 1, closed=False), candle("3", 2, closed=False)), Touched
    )
    assert rows(settings, statement) == [(3, False)]
    sink.store(fence(owner, 1), payload("rawcandle", candle("2", 1, closed=False)), Touched)
    assert rows(settings, statement) == [(3, False)]
    sink.store(
        fence(owner, 2), payload("rawcandle", candle("5", 4, closed=True), candle("4", 5, closed=False)), Touched
    )
    assert rows(settings, statement) == [(5, True)]


def article(revision: int, title: str) -> Article:
    return Article(
        received_at=NOW, published_at=MINUTE, scraped_at=NOW, article_id="guid", revision=revision, title=title,
        url="https://example.org", website="example.org", source="example", summary="a\tb\\c\nd", content="", tags=(),
        cryptocurrencies_mentioned=("BTC", 'a"b\\'), sentiment=Sentiment(score=0.5, label=SentimentLabel.NEUTRAL),
        published_known=revision > 1,
    )  # fmt: skip


def test_an_article_is_its_highest_revision_and_any_text_survives(owner: Ownership, sink: Sink) -> None:
    sink.store(fence(owner, 0), payload("rawarticle", article(2, "two"), article(1, "one")), Touched)
    sink.store(fence(owner, 1), payload("rawarticle", article(1, "one")), Touched)
    statement = "SELECT title, revision, summary, cryptocurrencies_mentioned, published_known FROM article_data"
    assert rows(owner.settings, statement) == [("two", 2, "a\tb\\c\nd", ["BTC", 'a"b\\'], True)]


def test_a_row_the_database_refuses_is_found_and_the_batch_is_not_stored(owner: Ownership, sink: Sink) -> None:
    good, bad = article(1, "fine"), article(2, "nul \x00 byte")
    with pytest.raises(UnstorableError):
        sink.store(fence(owner, 0), payload("rawarticle", good, bad), Touched)
    assert count(owner.settings, "article_data") == 0
    refused = sink.refused_lines("rawarticle", payload("rawarticle", good, bad, good)["rawarticle"])
    assert list(refused) == [1]
    assert "0x00" in refused[1]
    assert count(owner.settings, "article_data") == 0
    assert sink.store(fence(owner, 0), payload("rawarticle", good), Touched).fresh


def test_the_sink_goes_on_after_its_connection_was_cut(owner: Ownership, sink: Sink) -> None:
    sink.store(fence(owner, 0), payload("rawtrade", trade(1)), touched)
    with connect(Role.WRITER, owner.settings, autocommit=True, application_name="cutter") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'cryptoviz' AND datname = current_database()"
        )
    with pytest.raises(psycopg.OperationalError):
        sink.store(fence(owner, 1), payload("rawtrade", trade(2)), touched)
    assert sink.store(fence(owner, 1), payload("rawtrade", trade(2)), touched).fresh
    assert count(owner.settings, "trade_data") == 2


def test_lines_that_still_arrive_are_stored_once_whatever_was_there(owner: Ownership, sink: Sink) -> None:
    sink.store(fence(owner, 0), payload("rawtrade", trade(2)), touched)
    pieces = [piece for number in (1, 2, 3) for piece in payload("rawtrade", trade(number))["rawtrade"]]
    for batch in (1, 1, 2):
        sink.store(fence(owner, batch), {"rawtrade": Arriving(iter(pieces))}, touched)
    assert rows(owner.settings, "SELECT trade_id FROM trade_data ORDER BY 1") == [(1,), (2,), (3,)]


def test_a_batch_stored_before_is_read_to_its_end_to_know_what_it_touched(owner: Ownership, sink: Sink) -> None:
    first = sink.store(fence(owner, 0), payload("rawtrade", trade(1)), touched)
    read: list[bytes] = []

    def lines() -> Iterator[bytes]:
        for piece in payload("rawtrade", trade(1))["rawtrade"]:
            read.append(bytes(piece))
            yield piece

    again = sink.store(fence(owner, 0), {"rawtrade": Arriving(lines())}, lambda: touched() if read else Touched())
    assert not again.fresh
    assert {candle.timeframe for candle in again.candles} == {candle.timeframe for candle in first.candles}


def arriving(*numbers: int) -> pa.RecordBatch:
    """Canonical trades of one partition as Spark hands them over, their offsets being their numbers."""
    trades = [trade(number) for number in numbers]
    return pa.record_batch(
        {
            "topic": ["rawtrade"] * len(trades),
            "partition": pa.array([0] * len(trades), pa.int32()),
            "offset": list(numbers),
            "key": pa.nulls(len(trades), pa.binary()),
            "value": pa.nulls(len(trades), pa.binary()),
            "line": [copy_line(TOPICS["rawtrade"], one).decode() for one in trades],
            "exchange": [one.exchange for one in trades],
            "pair": [one.pair for one in trades],
            "minute": [MINUTE for _ in trades],
            "happened_at": [one.timestamp for one in trades],
        }
    )


def test_half_a_partition_does_not_count_as_stored(
    owner: Ownership, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_sinks", {0: sink})
    connect_writer = partial(connect, Role.WRITER, owner.settings)
    write = partial(write_partitions, connect_writer, fence(owner, 0), {"rawtrade": {"0": 4}})
    with pytest.raises(TruncatedError):
        list(write(iter([arriving(0, 1)])))
    assert count(owner.settings, "trade_data") == 0
    [answer] = write(iter([arriving(0, 1), arriving(2, 3)]))
    assert [row["offset"] for row in answer.to_pylist() if row["kind"] == "count"] == [4]
    assert rows(owner.settings, "SELECT trade_id FROM trade_data ORDER BY 1") == [(0,), (1,), (2,), (3,)]
