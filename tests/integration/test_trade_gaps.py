"""Gaps in trade ids: found wherever they are, healed from the exchange, and the candles with them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from cryptoviz.exchanges.history import TradesAnswer
from cryptoviz.gaps import healing_trades
from cryptoviz.gaps.healing_run import HealingRun
from cryptoviz.gaps.healing_trades import heal_trades
from cryptoviz.gaps.labels import GapLabel
from cryptoviz.gaps.rulings import TRADES_CONFIRMED
from cryptoviz.gaps.tables import record_trade_gaps
from cryptoviz.records import Trade
from cryptoviz.remote.errors import TransientError
from tests.integration.simulated_history import SimulatedHistory

pytestmark = pytest.mark.services

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
SINCE, UNTIL = TODAY - timedelta(hours=30), TODAY - timedelta(hours=4)
EXCHANGE, PAIRS = "kraken", ("BTC/USD", "ADA/USD")


def made(history: SimulatedHistory, pair: str, since: datetime = SINCE, until: datetime = UNTIL) -> list[Trade]:
    first, last = (int(instant.timestamp()) * 1_000_000_000 for instant in (since, until))
    return history.made(pair, history.market(pair).between(first, last).rows())


def insert(connection: psycopg.Connection, trades: Iterable[Trade]) -> None:
    columns = ("timestamp", "exchange", "pair", "trade_id", "price", "volume", "side")
    with connection.cursor().copy(f"copy trade_data ({', '.join(columns)}) from stdin") as into:
        for trade in trades:
            into.write_row([getattr(trade, name) for name in columns])


def find(connection: psycopg.Connection, pair: str, since: datetime = SINCE, until: datetime = UNTIL) -> list[tuple]:
    return connection.execute(
        "select first_missing_id, last_missing_id from find_trade_gaps(%s, %s, %s, %s)", [EXCHANGE, pair, since, until]
    ).fetchall()


def rows(connection: psycopg.Connection, pair: str, *statuses: str) -> list[tuple]:
    return connection.execute(
        "select first_missing_id, last_missing_id, label from trade_gaps where pair = %s and status = any(%s)"
        " order by first_missing_id",
        [pair, list(statuses)],
    ).fetchall()


def runs(ids: Iterable[int]) -> list[tuple[int, int]]:
    """Ids as spans, consecutive ones as one: the reference."""
    found: list[tuple[int, int]] = []
    for number in sorted(ids):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def ids(spans: Iterable[tuple]) -> dict[int, str | None]:
    return {number: label for first, last, label in spans for number in range(first, last + 1)}


def heal(connection: psycopg.Connection, history: SimulatedHistory) -> None:
    at = datetime.now(UTC)
    for day in range(0, 2 * TRADES_CONFIRMED + 1, 2):
        list(heal_trades(HealingRun(connection, history, clock=lambda day=day: at + timedelta(days=day)), [EXCHANGE]))


def test_every_hole_is_found_labelled_and_healed_until_all_equals_the_source(each_writer: psycopg.Connection) -> None:
    dice = random.Random(1)
    history = SimulatedHistory(EXCHANGE, PAIRS, rate=0.3)
    holes: dict[str, set[int]] = {}
    for pair in PAIRS:
        trades = made(history, pair)
        first, last = trades[0].trade_id, trades[-1].trade_id
        midnight = next(trade.trade_id for trade in trades if trade.timestamp >= TODAY - timedelta(days=1))
        # Single ones, a run over midnight, some hours; the first and the last trade are the range's own ends.
        lost = {dice.randrange(first + 1, last) for _ in range(9)} | set(range(midnight - 3, midnight + 3))
        hours = (TODAY - timedelta(hours=20), TODAY - timedelta(hours=16))
        lost |= {trade.trade_id for trade in trades if hours[0] <= trade.timestamp < hours[1]}
        lost -= {first, last}
        gone = [
            number for start in dice.sample(sorted(lost), 12) for number in range(start, start + dice.randrange(1, 9))
        ]
        history.lacks_trades |= {(pair, number) for number in gone if number in lost}
        holes[pair] = lost
        insert(each_writer, (trade for trade in trades if trade.trade_id not in lost))

    for pair, lost in holes.items():
        assert find(each_writer, pair) == runs(lost)
        record_trade_gaps(each_writer, EXCHANGE, pair, SINCE, UNTIL)
        assert record_trade_gaps(each_writer, EXCHANGE, pair, SINCE, UNTIL) == {}
        assert [row[:2] for row in rows(each_writer, pair, "open")] == runs(lost)
    heal(each_writer, history)

    for pair, lost in holes.items():
        lacks = {number for number in lost if (pair, number) in history.lacks_trades}
        assert find(each_writer, pair) == runs(lacks)
        assert ids(rows(each_writer, pair, "explained")) == dict.fromkeys(lacks, GapLabel.SOURCE_MISSING)
        assert ids(rows(each_writer, pair, "healed")).keys() == lost - lacks
        assert not rows(each_writer, pair, "open", "healing", "failed")
        source = [trade for trade in made(history, pair) if trade.trade_id not in lacks]
        assert each_writer.execute(
            "select trade_id, timestamp, price, volume, side from trade_data where pair = %s order by trade_id", [pair]
        ).fetchall() == [(one.trade_id, one.timestamp, one.price, one.volume, one.side) for one in source]
        refetched = {one.timestamp.replace(second=0, microsecond=0) for one in source if one.trade_id in lost}
        assert refetched == {
            start
            for (start,) in each_writer.execute(
                "select window_start from candles where symbol = %s and timeframe = '1m'", [pair]
            )
        }


def test_a_hole_over_an_edge_of_the_range_is_found_whole(each_writer: psycopg.Connection) -> None:
    history = SimulatedHistory(EXCHANGE, PAIRS, rate=0.3)
    trades = made(history, "BTC/USD")
    middle = trades[len(trades) // 2].timestamp
    lost = {one.trade_id for one in trades if abs(one.timestamp - middle) < timedelta(hours=5)}
    insert(each_writer, (one for one in trades if one.trade_id not in lost))
    [hole] = runs(lost)
    assert find(each_writer, "BTC/USD", SINCE, middle) == [hole]
    assert find(each_writer, "BTC/USD", middle, UNTIL) == [hole]
    assert find(each_writer, "BTC/USD", middle - timedelta(hours=1), middle) == [hole]
    assert find(each_writer, "BTC/USD", UNTIL, UNTIL + timedelta(hours=1)) == []
    assert find(each_writer, "ETH/USD") == []


def test_ids_out_of_the_order_of_time_are_no_hole(each_writer: psycopg.Connection) -> None:
    history = SimulatedHistory(EXCHANGE, PAIRS, rate=2)
    trades = made(history, "BTC/USD", SINCE, SINCE + timedelta(hours=2))
    hour = SINCE + timedelta(hours=1)
    swapped = [one.trade_id for one in trades if abs(one.timestamp - hour) < timedelta(seconds=20)]
    insert(each_writer, trades)
    each_writer.execute(
        "update trade_data set trade_id = -trade_id + %s where trade_id = any(%s)",
        [swapped[0] + swapped[-1], swapped],
    )
    for since, until in ((SINCE, UNTIL), (SINCE, hour), (hour, UNTIL)):
        assert find(each_writer, "BTC/USD", since, until) == []
    each_writer.execute("delete from trade_data where trade_id = %s", [swapped[3]])
    for since, until in ((SINCE, hour), (hour, UNTIL)):
        assert find(each_writer, "BTC/USD", since, until) in ([(swapped[3], swapped[3])], [])
    assert find(each_writer, "BTC/USD") == [(swapped[3], swapped[3])]


def test_what_the_collector_is_at_work_on_is_left_to_it(each_writer: psycopg.Connection) -> None:
    history = SimulatedHistory(EXCHANGE, PAIRS, rate=0.3)
    trades = made(history, "BTC/USD")
    first = trades[100].trade_id
    lost = set(range(first, first + 10))
    insert(each_writer, (one for one in trades if one.trade_id not in lost))
    each_writer.execute(
        "insert into trade_gaps (exchange, pair, first_missing_id, last_missing_id, label, status)"
        " values (%s, 'BTC/USD', %s, %s, 'lost_by_us', 'healing')",
        [EXCHANGE, first + 2, first + 5],
    )
    record_trade_gaps(each_writer, EXCHANGE, "BTC/USD", SINCE, UNTIL)
    assert [row[:2] for row in rows(each_writer, "BTC/USD", "open")] == [(first, first + 1), (first + 6, first + 9)]
    heal(each_writer, history)
    assert rows(each_writer, "BTC/USD", "healing") == [(first + 2, first + 5, "lost_by_us")]
    assert find(each_writer, "BTC/USD") == [(first + 2, first + 5)]


def test_a_large_hole_is_healed_slice_by_slice_and_what_came_stays(
    each_writer: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healing_trades, "SLICE", 40)

    class Bounded(SimulatedHistory):
        """Refuses more than a slice at once, and answers `answers` times."""

        answers = 3

        def trades(self, exchange: str, pair: str, first_id: int, last_id: int, **bounds: datetime) -> TradesAnswer:
            assert last_id - first_id < healing_trades.SLICE
            if not self.answers:
                raise TransientError("status 503")
            self.answers -= 1
            return super().trades(exchange, pair, first_id, last_id, **bounds)

    history = Bounded(EXCHANGE, PAIRS, rate=0.3)
    trades = made(history, "BTC/USD")[:500]
    first = trades[0].trade_id
    history.lacks_trades = {("BTC/USD", first + number) for number in (50, 130, 333)}
    insert(each_writer, (trades[0], trades[-1]))
    record_trade_gaps(each_writer, EXCHANGE, "BTC/USD", SINCE, UNTIL)
    at = datetime.now(UTC)
    [treated] = heal_trades(HealingRun(each_writer, history), [EXCHANGE])
    assert (treated.reason, treated.healed) == ("status 503", 119)
    assert [row[:2] for row in rows(each_writer, "BTC/USD", "open")] == [
        (first + 50, first + 50),
        (first + 121, first + 498),
    ]
    assert history.asked[1][1] == trades[40].timestamp

    history.answers = 3
    later = at + timedelta(days=1)
    clock = iter([later] * 8 + [later + timedelta(hours=1)] * 9)
    treated = next(
        heal_trades(
            HealingRun(each_writer, history, until=later + timedelta(minutes=1), clock=lambda: next(clock)), [EXCHANGE]
        )
    )
    assert (treated.reason, treated.healed) == ("out of time", 48)

    history.answers = 10_000
    heal(each_writer, history)
    assert ids(rows(each_writer, "BTC/USD", "explained")).keys() == {number for _pair, number in history.lacks_trades}
    assert not rows(each_writer, "BTC/USD", "open", "healing", "failed")
    assert len(each_writer.execute("select from trade_data").fetchall()) == 497


def test_what_nobody_collected_or_what_has_left_is_not_missing(each_writer: psycopg.Connection) -> None:
    history = SimulatedHistory(EXCHANGE, PAIRS, rate=0.3)
    trades = made(history, "BTC/USD")
    first, count = trades[0].trade_id, len(trades)
    lost = {100, 101, count // 2, count - 100}
    insert(each_writer, (one for one in trades if one.trade_id - first not in lost))
    record_trade_gaps(each_writer, EXCHANGE, "BTC/USD", SINCE, UNTIL)
    assert [row[0] - first for row in rows(each_writer, "BTC/USD", "open")] == [100, count // 2, count - 100]

    each_writer.execute(
        "insert into collector_position (exchange, pair, trade_id, timestamp, since)"
        " values (%s, 'BTC/USD', 1, now(), %s)",
        [EXCHANGE, trades[110].timestamp],
    )
    record_trade_gaps(each_writer, EXCHANGE, "BTC/USD", SINCE, UNTIL)
    kept = [(first + number, first + number, None) for number in (count // 2, count - 100)]
    assert rows(each_writer, "BTC/USD", "open") == kept

    each_writer.execute("delete from trade_data where trade_id < %s", [first + count // 2 + 5])
    record_trade_gaps(each_writer, EXCHANGE, "BTC/USD", SINCE, UNTIL)
    assert rows(each_writer, "BTC/USD", "open") == kept
    [treated] = heal_trades(HealingRun(each_writer, history), [EXCHANGE])
    assert (treated.subject.split()[-1], treated.healed) == (str(kept[1][0]), 1)

    insert(each_writer, trades[200:300])
    left = trades[300].timestamp, trades[count // 2 + 2].timestamp
    each_writer.execute(
        "insert into archive_files (subject, since, until, path, rows, first_at, last_at, bytes, sha256,"
        " schema_version) values ('trade_data', %s, %s, 'trades', 1, %s, %s, 1, repeat('0', 64), 1)",
        [*left, left[0], left[0]],
    )
    assert record_trade_gaps(each_writer, EXCHANGE, "BTC/USD", SINCE, UNTIL) == {}
    assert rows(each_writer, "BTC/USD", "open") == kept[:1]


def test_no_answer_leaves_the_gap_open_with_the_reason(each_writer: psycopg.Connection) -> None:
    history = SimulatedHistory(EXCHANGE, PAIRS, rate=0.3)
    trades = made(history, "BTC/USD")
    insert(each_writer, (one for one in trades if one is not trades[50]))
    record_trade_gaps(each_writer, EXCHANGE, "BTC/USD", SINCE, UNTIL)

    class Away(SimulatedHistory):
        def trades(self, *_asked: object, **_bounds: object) -> None:  # type: ignore[override]
            raise TransientError("status 503")

    away = Away(EXCHANGE, PAIRS)
    [treated] = heal_trades(HealingRun(each_writer, away), [EXCHANGE])
    assert treated.reason == "status 503"
    assert list(heal_trades(HealingRun(each_writer, away), [EXCHANGE])) == []
    assert rows(each_writer, "BTC/USD", "open") == [(trades[50].trade_id, trades[50].trade_id, None)]
