"""Streamed and fetched candles are compared; every difference ends with its cause, as a quality result."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest

from cryptoviz.candles.fetched import store
from cryptoviz.gaps.differences import SUITE, TRADES_ARRIVE_WITHIN, Cause, compare, explain
from cryptoviz.gaps.healing_run import HealingRun
from cryptoviz.gaps.healing_trades import heal_trades
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.records import Candle, Trade
from tests.integration.simulated_history import SimulatedHistory, stored, values

pytestmark = pytest.mark.services

EXCHANGE, PAIR = "kraken", "BTC/USD"
SERIES = Series(EXCHANGE, PAIR, Timeframe.M1)
START = (datetime.now(UTC) - timedelta(hours=5)).replace(minute=0, second=0, microsecond=0)
MINUTE = timedelta(minutes=1)


def later() -> datetime:
    """When whatever was found until now is settled."""
    return datetime.now(UTC) + 2 * TRADES_ARRIVE_WITHIN


@pytest.fixture
def history() -> SimulatedHistory:
    return SimulatedHistory(EXCHANGE, [PAIR], rate=1)


def stream(connection: psycopg.Connection, trades: list[Trade]) -> None:
    """Store trades and make their candles, as the ingestion does."""
    connection.cursor().executemany(
        "insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        [(one.timestamp, EXCHANGE, PAIR, one.trade_id, one.price, one.volume, one.side) for one in trades],
    )
    connection.execute(
        "select count(*) from refresh_candles(%s::text[], %s::text[], %s::timestamptz[])",
        [[EXCHANGE] * len(trades), [PAIR] * len(trades), [one.timestamp for one in trades]],
    )


def trades(history: SimulatedHistory, minutes: int) -> list[Trade]:
    first, last = (int(instant.timestamp()) * 10**9 for instant in (START, START + minutes * MINUTE))
    return history.made(PAIR, history.market(PAIR).between(first, last).rows())


def fetched(history: SimulatedHistory, minutes: int) -> list[Candle]:
    return history.candles(SERIES, START, START + minutes * MINUTE)


def minute(instant: datetime) -> int:
    return (instant - START) // MINUTE


def causes(connection: psycopg.Connection) -> dict[tuple[int, str], str]:
    rows = connection.execute("select window_start, timeframe, cause from candle_differences").fetchall()
    return {(minute(start), timeframe): cause for start, timeframe, cause in rows}


def revised(row: Candle, **numbers: Any) -> Candle:
    return msgspec.structs.replace(row, **numbers)


def test_equal_candles_leave_no_trace(each_writer: psycopg.Connection, history: SimulatedHistory) -> None:
    stream(each_writer, trades(history, 10))
    rows = [row for row in fetched(history, 10) if row.trade_count]
    store(each_writer, SERIES, rows)
    store(each_writer, SERIES, rows)
    assert stored(each_writer, SERIES) == [values(row) for row in rows]
    assert {source for (source,) in each_writer.execute("select source from candles where timeframe = '1m'")} == {
        "rest"
    }
    assert compare(each_writer, EXCHANGE, [PAIR], START, later()) == 0
    assert explain(each_writer, "run", clock=later) == []
    assert each_writer.execute("select success, unexpected_count from quality_results").fetchall() == [(True, 0)]


def test_every_difference_ends_with_its_cause_and_is_a_result(
    each_writer: psycopg.Connection, history: SimulatedHistory
) -> None:
    made, rows = trades(history, 40), fetched(history, 40)
    lost = {minute(one.timestamp): one.trade_id for one in made if minute(one.timestamp) in {5, 6}}
    late = [one for one in made if minute(one.timestamp) == 10][:1]
    stream(each_writer, [one for one in made if one.trade_id not in lost.values() and one not in late])
    step = Decimal("0.01")
    each_writer.execute(
        "insert into instruments (exchange, pair, status, price_increment, volume_increment)"
        " values (%s, %s, 'online', %s, 0.00000001)",
        [EXCHANGE, PAIR, step],
    )
    live = rows[20]
    each_writer.execute(
        "insert into exchange_candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,"
        " volume, trade_count, closed) values (%s, %s, %s, %s, '1m', %s, %s, %s, %s, %s, %s, true)",
        [START + 20 * MINUTE, START + 21 * MINUTE, EXCHANGE, PAIR, live.open, live.high, live.low, live.close,
         live.volume, live.trade_count],
    )  # fmt: skip
    rows[15] = revised(rows[15], high=rows[15].high + step)
    rows[20] = revised(rows[20], volume=rows[20].volume + 1)
    rows[25] = revised(rows[25], volume=rows[25].volume + 1)
    store(each_writer, SERIES, [row for row in rows if row.trade_count])
    assert explain(each_writer, "too soon") == []
    stream(each_writer, late)

    explained = explain(each_writer, "run", clock=later)
    assert causes(each_writer) == {
        **{(number, "1m"): Cause.MISSING_TRADES for number in lost},
        (10, "1m"): Cause.LATE_TRADES,
        (15, "1m"): Cause.ROUNDING,
        (20, "1m"): Cause.SOURCE_REVISED,
        (25, "1m"): Cause.UNEXPLAINED,
    }
    assert {one.series for one in explained} == {SERIES}
    assert all(one.detail["evidence"] for one in explained)
    results = each_writer.execute(
        "select success, observed->>'cause' from quality_results where suite = %s and run = 'run'"
        " and unexpected_count = 1",
        [SUITE],
    ).fetchall()
    assert sorted(results) == sorted((False, cause) for cause in causes(each_writer).values())
    assert explain(each_writer, "again", clock=later) == []

    gaps = each_writer.execute("select first_missing_id, status from trade_gaps order by 1").fetchall()
    assert gaps == [(number, "open") for number in sorted(lost.values())]
    assert sum(one.healed for one in heal_trades(HealingRun(each_writer, history), [EXCHANGE])) == len(lost)


def test_minutes_that_were_fetched_before_their_trades_came_are_compared_too(
    each_writer: psycopg.Connection, history: SimulatedHistory
) -> None:
    made, rows = trades(history, 10), [row for row in fetched(history, 10) if row.trade_count]
    gone = next(one.trade_id for one in made if minute(one.timestamp) == 4)
    store(each_writer, SERIES, rows)
    stream(each_writer, [one for one in made if one.trade_id != gone])
    assert stored(each_writer, SERIES) == [values(row) for row in rows]
    assert compare(each_writer, EXCHANGE, [PAIR], START, later()) == 1
    assert compare(each_writer, EXCHANGE, [PAIR], START, later()) == 0
    explain(each_writer, "run", clock=later)
    assert causes(each_writer) == {(4, "1m"): Cause.MISSING_TRADES}


def test_what_nobody_can_check_any_more_is_said_to_be_unexplained(
    each_writer: psycopg.Connection, history: SimulatedHistory
) -> None:
    stream(each_writer, trades(history, 3))
    each_writer.execute("delete from trade_data")
    rows = fetched(history, 3)
    store(each_writer, SERIES, [revised(rows[1], volume=rows[1].volume * 2)])
    [explained] = explain(each_writer, "run", clock=later)
    assert explained.cause is Cause.UNEXPLAINED
    assert explained.detail["evidence"] == "no trade of the window is stored any more"
    assert explained.detail["volume"] == {
        "streamed": str(rows[1].volume),
        "fetched": str(rows[1].volume * 2),
    }


def test_an_interface_that_counts_no_trades_contradicts_nobody(
    each_writer: psycopg.Connection, history: SimulatedHistory
) -> None:
    stream(each_writer, trades(history, 3))
    rows = [revised(row, trade_count=0) for row in fetched(history, 3) if row.trade_count]
    store(each_writer, SERIES, rows)
    assert causes(each_writer) == {}


def test_a_cause_is_looked_for_again_when_the_trades_come(
    each_writer: psycopg.Connection, history: SimulatedHistory
) -> None:
    made, rows = trades(history, 10), fetched(history, 10)
    behind = [one for one in made if minute(one.timestamp) == 4]
    stream(each_writer, [one for one in made if one not in behind[1:]])
    store(each_writer, SERIES, [rows[4]])
    [first] = explain(each_writer, "while ingestion is behind", clock=later)
    assert first.cause is not Cause.LATE_TRADES
    assert explain(each_writer, "nothing has changed", clock=later) == []

    stream(each_writer, behind[1:])
    [again] = explain(each_writer, "it has caught up", clock=later)
    assert causes(each_writer) == {(4, "1m"): Cause.LATE_TRADES}
    assert again.detail["evidence"] == "the trades now come to what was fetched"
    stream(each_writer, [])
    assert explain(each_writer, "settled", clock=later) == []


def test_fetched_longer_candles_are_compared_with_their_minutes(
    each_writer: psycopg.Connection, history: SimulatedHistory
) -> None:
    hours = Series(EXCHANGE, PAIR, Timeframe.H1)
    fives = Series(EXCHANGE, PAIR, Timeframe.M5)
    [hour] = history.candles(hours, START, START + 60 * MINUTE)
    rows, [five, equal, *_] = fetched(history, 60), history.candles(fives, START, START + 60 * MINUTE)
    store(each_writer, fives, [revised(five, high=five.high + 5), equal])
    store(each_writer, hours, [revised(hour, volume=hour.volume + 1)])
    store(each_writer, SERIES, rows[:-1])
    # Of the hour a minute lacks, and with it nobody can say what the whole comes to.
    assert compare(each_writer, EXCHANGE, [PAIR], START, START + MINUTE) == 1
    store(each_writer, SERIES, rows)
    assert compare(each_writer, EXCHANGE, [PAIR], START, START + MINUTE) == 1
    assert compare(each_writer, EXCHANGE, [PAIR], START, START + MINUTE) == 0
    explained = {one.series.timeframe: one for one in explain(each_writer, "run", clock=later)}
    assert causes(each_writer) == {(0, "5m"): Cause.SOURCE_REVISED, (0, "1h"): Cause.SOURCE_REVISED}
    assert explained[Timeframe.M5].detail["high"] == {
        "streamed": str(five.high), "fetched": str(five.high + 5)
    }  # fmt: skip

    store(each_writer, fives, [five])
    compare(each_writer, EXCHANGE, [PAIR], START, START + MINUTE)
    explain(each_writer, "what the exchange says now", clock=later)
    assert causes(each_writer)[0, "5m"] == Cause.LATE_TRADES
