"""`refresh_candles`: candles are a pure function of the trades, in whatever order and however often those arrive."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

import psycopg
import pytest

from cryptoviz.pairs import Timeframe
from cryptoviz.retention.tiering import tier
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect

pytestmark = pytest.mark.services

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime.now(UTC).replace(hour=22, minute=57, second=0, microsecond=0) - timedelta(days=2)
COLUMNS = "exchange, symbol, timeframe, window_start, window_end, open, high, low, close, volume, trade_count"


@dataclass(frozen=True, order=True)
class T:
    """A trade, ordered as candles order them."""

    at: datetime
    trade_id: int
    price: Decimal
    volume: Decimal
    exchange: str = "kraken"
    pair: str = "BTC/USD"


def insert(connection: psycopg.Connection, trades: Iterable[T]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)"
            " values (%s, %s, %s, %s, %s, %s, 'buy') on conflict do nothing",
            [(t.at, t.exchange, t.pair, t.trade_id, t.price, t.volume) for t in trades],
        )


def refresh(connection: psycopg.Connection, trades: Sequence[T]) -> list[tuple]:
    return connection.execute(
        f"select {COLUMNS} from refresh_candles(%s::text[], %s::text[], %s::timestamptz[])",
        ([t.exchange for t in trades], [t.pair for t in trades], [t.at for t in trades]),
    ).fetchall()


def stored(connection: psycopg.Connection) -> list[tuple]:
    return candles(connection, "candles")


def candles(connection: psycopg.Connection, relation: str) -> list[tuple]:
    return connection.execute(f"select {COLUMNS} from {relation} order by {COLUMNS}").fetchall()


def exact_sum(numbers: Iterable[Decimal]) -> Decimal:
    with localcontext(prec=60):
        return sum(numbers, Decimal(0))


def expected(trades: Iterable[T]) -> list[tuple]:
    """The reference: every candle straight from the trades."""
    windows: dict[tuple, list[T]] = {}
    for trade in trades:
        for timeframe in Timeframe:
            start = trade.at - (trade.at - EPOCH) % timeframe.length
            windows.setdefault(
                (trade.exchange, trade.pair, str(timeframe), start, start + timeframe.length), []
            ).append(trade)
    return sorted(
        (
            *window,
            min(part).price,
            max(trade.price for trade in part),
            min(trade.price for trade in part),
            max(part).price,
            exact_sum(trade.volume for trade in part),
            len(part),
        )
        for window, part in windows.items()
    )


def market(seed: int, count: int, *, span: timedelta = timedelta(hours=30)) -> list[T]:
    """Trades over several series, with equal instants, quiet stretches and numbers of many digits."""
    dice = random.Random(seed)
    series = [("kraken", "BTC/USD"), ("kraken", "ETH/USD"), ("binance", "BTC/USDT")]
    trades = []
    for trade_id in range(count):
        exchange, pair = dice.choice(series)
        at = START + timedelta(seconds=int(dice.betavariate(0.4, 0.4) * span.total_seconds()))
        price = Decimal(dice.randrange(1, 10**9)) / 10 ** dice.randrange(0, 9)
        volume = Decimal(dice.randrange(1, 10**12)).scaleb(-dice.randrange(0, 18))
        trades.append(T(at, trade_id, price, volume, exchange, pair))
    return trades


@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_any_batches_give_the_candles_of_all_trades(each_database: Settings, seed: int) -> None:
    trades = market(seed, 200)
    shuffled = random.Random(seed + 100).sample(trades, len(trades))
    with connect(Role.WRITER, each_database) as connection:
        size = [4, 37, 200][seed]
        for first in range(0, len(shuffled), size):
            batch = shuffled[first : first + size]
            insert(connection, batch)
            refresh(connection, batch)
        assert stored(connection) == expected(trades)


def test_a_busy_minute_is_right_although_it_is_not_read_whole(each_database: Settings) -> None:
    dice = random.Random(5)
    trades = [
        T(START + timedelta(milliseconds=45 * n), n, Decimal(dice.randrange(1, 10**6)), Decimal(dice.randrange(1, 99)))
        for n in range(1500)
    ]
    # In order with a jitter of some seconds, two stragglers from the beginning in the middle.
    arriving = sorted(trades, key=lambda trade: trade.at + timedelta(seconds=dice.random() * 3))
    arriving[800:800] = [arriving.pop(3), arriving.pop(10)]
    with connect(Role.WRITER, each_database) as connection:
        for first in range(0, len(arriving), 100):
            batch = arriving[first : first + 100]
            insert(connection, batch)
            refresh(connection, batch)
            assert stored(connection) == expected(arriving[: first + 100])
        [(kept,)] = connection.execute("select trade_count from candle_checkpoint").fetchall()
        assert kept > 0


def test_only_what_changed_is_written_and_returned(each_database: Settings) -> None:
    trades = market(7, 60)
    with connect(Role.WRITER, each_database) as connection:
        insert(connection, trades)
        assert sorted(refresh(connection, trades)) == stored(connection) == expected(trades)
        assert refresh(connection, trades) == []
        touched = connection.execute(
            f"select {COLUMNS} from touched_candles(%s::text[], %s::text[], %s::timestamptz[])",
            ([t.exchange for t in trades], [t.pair for t in trades], [t.at for t in trades]),
        ).fetchall()
        assert sorted(touched) == expected(trades)


def test_a_late_trade_corrects_the_candles_of_its_windows(each_database: Settings) -> None:
    first = T(START + timedelta(seconds=30), 2, Decimal(100), Decimal(1))
    late = T(START + timedelta(seconds=10), 1, Decimal(250), Decimal("0.000000000000000001"))
    with connect(Role.WRITER, each_database) as connection:
        insert(connection, [first])
        refresh(connection, [first])
        insert(connection, [late])
        assert len(refresh(connection, [late])) == len(Timeframe)
        assert stored(connection) == expected([first, late])
        [(open_, volume)] = connection.execute("select open, volume from candles where timeframe = '1d'").fetchall()
    assert (open_, volume) == (Decimal(250), Decimal("1.000000000000000001"))


def test_a_candle_of_rest_is_not_overwritten_and_counts_for_the_longer_ones(each_database: Settings) -> None:
    trade = T(START, 1, Decimal(100), Decimal(1))
    with connect(Role.WRITER, each_database) as connection:
        connection.execute(
            "insert into candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,"
            " volume, trade_count, closed, source)"
            " values (%s, %s, 'kraken', 'BTC/USD', '1m', 90, 110, 80, 95, 7, 5, true, 'rest')",
            (START, START + timedelta(minutes=1)),
        )
        insert(connection, [trade])
        changed = refresh(connection, [trade])
        assert [row[2] for row in changed] == ["5m", "15m", "1h", "1d"]
        figures = connection.execute(
            "select distinct open, high, low, close, volume, trade_count from candles"
        ).fetchall()
    assert figures == [tuple(map(Decimal, (90, 110, 80, 95, 7, 5)))]


def test_minutes_without_trades_count_only_where_no_minute_has_any(each_database: Settings) -> None:
    five = START - (START - EPOCH) % timedelta(hours=1)
    quiet, counted, uncounted, after = (five + timedelta(minutes=n) for n in range(4))
    with connect(Role.WRITER, each_database) as connection:
        for start, price, volume, trades in ((quiet, 120, 0, 0), (counted, 100, 3, 2), (after, 120, 0, 0)):
            fetched(connection, start, price, volume, trades)
        refreshed = T(uncounted, 1, Decimal(90), Decimal(1))
        insert(connection, [refreshed])
        refresh(connection, [refreshed])
        assert wholes(connection) == {tuple(map(Decimal, (100, 100, 90, 90, 4, 3)))}
        # Of trades that nobody counted the whole has no count either.
        fetched(connection, uncounted, 90, 5, 0)
        for whole in ("5m", "15m", "1h", "1d"):
            settled = "select from settle_candles('kraken', 'BTC/USD', %s, %s, %s)"
            connection.execute(settled, [whole, five, after])
        assert wholes(connection) == {tuple(map(Decimal, (100, 100, 90, 90, 8, 0)))}
        summary = "select open, high, low, close, volume, minutes from candles_hourly_summary"
        assert connection.execute(summary).fetchall() == [tuple(map(Decimal, (100, 100, 90, 90, 8, 4)))]


def fetched(connection: psycopg.Connection, start: datetime, price: int, volume: int, trades: int) -> None:
    connection.execute(
        "select store_fetched_candles('kraken', 'BTC/USD', '1m', array[%s::timestamptz], array[%s::numeric],"
        " array[%s::numeric], array[%s::numeric], array[%s::numeric], array[%s::numeric], array[%s::bigint])",
        [start, price, price, price, price, volume, trades],
    )


def wholes(connection: psycopg.Connection) -> set[tuple]:
    statement = "select open, high, low, close, volume, trade_count from candles where timeframe <> '1m'"
    return set(connection.execute(statement).fetchall())


def test_a_day_of_some_hours_is_not_closed_and_says_how_much_is_known(each_database: Settings) -> None:
    day = START.replace(hour=0, minute=0) - timedelta(days=1)
    trades = [T(day + timedelta(minutes=5 * n), n, Decimal(100 + n), Decimal(1)) for n in range(11 * 12 + 1)]
    with connect(Role.WRITER, each_database) as connection:
        insert(connection, trades)
        refresh(connection, trades)
        [known] = connection.execute(
            "select known_minutes, minutes from partial_candles where timeframe = '1d'"
        ).fetchall()
        assert known == (11 * 60 - 1, 24 * 60)
        around = [T(day - timedelta(hours=1), -1, Decimal(99), Decimal(1)),
                  T(day + timedelta(days=1), len(trades), Decimal(300), Decimal(1))]  # fmt: skip
        insert(connection, around)
        refresh(connection, around)
        assert connection.execute(
            "select closed, close, trade_count from candles where timeframe = '1d' and window_start = %s", [day]
        ).fetchall() == [(True, Decimal(100 + 11 * 12), len(trades))]


def test_odd_trade_ids_stop_nothing(each_database: Settings) -> None:
    minute = START - timedelta(days=1)
    numbers = [0, 7, 7, 8, 2**63 - 1]
    trades = [T(minute + timedelta(seconds=50 * n), number, Decimal(100), Decimal(1))
              for n, number in enumerate(numbers)]  # fmt: skip
    with connect(Role.WRITER, each_database) as connection:
        insert(connection, trades)
        refresh(connection, trades)
        connection.execute("select count(*) from close_candles()")
        assert stored(connection) == expected(trades)
        known = connection.execute("select since, until from trade_coverage").fetchall()
        assert known == [(trades[1].at, trades[3].at)]


def test_closed_says_that_the_window_has_ended_and_is_known(each_database: Settings) -> None:
    now = datetime.now(UTC)
    start = now - (now - EPOCH) % timedelta(minutes=5) - timedelta(minutes=5)
    made = [T(start + timedelta(seconds=20 * n), n, Decimal(100), Decimal(1)) for n in range(12)]
    around = [T(start - timedelta(seconds=1), -1, Decimal(100), Decimal(1)),
              T(start + timedelta(minutes=5), 12, Decimal(100), Decimal(1))]  # fmt: skip
    with connect(Role.WRITER, each_database) as connection:
        # Of the first minute nobody knows what was before and in it; after the fourth no trade has come yet.
        assert closed(connection, [made[0], *made[2:]], start) == {(1, "1m"), (2, "1m")}
        assert closed(connection, [], start) == {(1, "1m"), (2, "1m")}
        assert closed(connection, around, start) == {(1, "1m"), (2, "1m"), (3, "1m")}
        assert closed(connection, [made[1]], start) == {(0, "1m"), (1, "1m"), (2, "1m"), (3, "1m"), (0, "5m")}
        assert connection.execute("select count(*) from close_candles()").fetchone() == (0,)


def closed(connection: psycopg.Connection, trades: list[T], start: datetime) -> set[tuple[int, str]]:
    """What is closed once these trades have come, too: the number of its minute, and its timeframe."""
    insert(connection, trades)
    refresh(connection, trades)
    connection.execute("select count(*) from close_candles()")
    rows = connection.execute("select window_start, timeframe from candles where closed").fetchall()
    return {((instant - start) // timedelta(minutes=1), timeframe) for instant, timeframe in rows}


def test_a_latecomer_does_not_replace_a_candle_whose_trades_were_retired(each_database: Settings) -> None:
    trades = [T(START + timedelta(seconds=n), n, Decimal(100 + n), Decimal(1)) for n in range(5)]
    late = T(START + timedelta(seconds=30), 99, Decimal(1), Decimal(1))
    with connect(Role.WRITER, each_database) as connection:
        insert(connection, trades)
        refresh(connection, trades)
        connection.execute("delete from trade_data")
        insert(connection, [late])
        assert refresh(connection, [late]) == []
        assert stored(connection) == expected(trades)


def test_writers_of_one_pair_take_turns_and_lose_nothing(each_database: Settings) -> None:
    trades = market(11, 240, span=timedelta(minutes=3))

    def write(part: list[T]) -> None:
        with connect(Role.WRITER, each_database) as connection:
            for first in range(0, len(part), 10):
                with connection.transaction():
                    insert(connection, part[first : first + 10])
                    refresh(connection, part[first : first + 10])

    with ThreadPoolExecutor() as threads:
        list(threads.map(write, [trades[n::4] for n in range(4)]))
    with connect(Role.READER, each_database) as connection:
        assert stored(connection) == expected(trades)


def test_an_older_snapshot_is_refused(each_database: Settings) -> None:
    with connect(Role.WRITER, each_database) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(psycopg.errors.RaiseException, match="READ COMMITTED"):
            refresh(connection, [T(START, 1, Decimal(1), Decimal(1))])


def test_no_trades_no_candles(each_database: Settings) -> None:
    with connect(Role.WRITER, each_database) as connection:
        assert refresh(connection, []) == []
        assert refresh(connection, [T(START, 1, Decimal(1), Decimal(1))]) == []


def test_a_shorter_hot_age_holds_for_late_trades_and_fetched_candles(each_database: Settings) -> None:
    day = START - timedelta(days=2)
    trades = [T(day + timedelta(minutes=n), n, Decimal(100 + n), Decimal(1)) for n in range(30)]
    late = T(day + timedelta(minutes=3, seconds=5), 99, Decimal(500), Decimal(2))
    with connect(Role.WRITER, each_database, autocommit=True) as connection:
        connection.execute("update tiering_policy set hot_age = '2 days' where timeframe = '1m'")
        insert(connection, trades)
        refresh(connection, trades)
        assert connection.execute("select tier_old_candles()").fetchone() == (30,)
        insert(connection, [late])
        refresh(connection, [late])
        assert candles(connection, "all_candles") == expected([*trades, late])

        assert connection.execute("select tier_old_candles()").fetchone() == (30,)
        fetched = day + timedelta(minutes=10)
        connection.execute(
            "select store_fetched_candles('kraken', 'BTC/USD', '1m', array[%s::timestamptz],"
            " '{1}', '{900}', '{1}', '{1}', '{5}', '{5}')",
            [fetched],
        )
        rows = candles(connection, "all_candles")
        assert len(rows) == len(expected([*trades, late]))
        assert {row[6] for row in rows if row[2] == "1d" or (row[3] == fetched and row[2] == "1m")} == {Decimal(900)}


def test_a_trade_of_the_minutes_around_the_hot_age_keeps_the_longer_candle_whole(each_database: Settings) -> None:
    edge = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=2)
    edge -= (edge - EPOCH) % timedelta(minutes=5)
    trades = [T(edge + timedelta(minutes=n), n, Decimal(100 + n), Decimal(1)) for n in range(5)]
    late = T(edge + timedelta(minutes=4, seconds=5), 99, Decimal(50), Decimal(2))
    with connect(Role.WRITER, each_database, autocommit=True) as connection:
        insert(connection, trades)
        refresh(connection, trades)
        age = datetime.now(UTC) - edge - timedelta(minutes=3)
        connection.execute("update tiering_policy set hot_age = %s where timeframe = '1m'", [age])
        assert connection.execute("select tier_old_candles()").fetchone() == (3,)
        insert(connection, [late])
        refresh(connection, [late])
        assert candles(connection, "all_candles") == expected([*trades, late])


def test_candles_that_cold_storage_has_better_do_not_end_tiering(each_database: Settings) -> None:
    day = START - timedelta(days=11)
    trades = [T(day + timedelta(minutes=n), n, Decimal(100 + n), Decimal(1)) for n in range(30)]
    with connect(Role.WRITER, each_database, autocommit=True) as connection:
        insert(connection, trades)
        refresh(connection, trades)
        connection.execute(
            "insert into cold_storage.candles select * from candles where timeframe = '1m'"
            " order by window_start limit 10"
        )
        connection.execute("update cold_storage.candles set source = 'rest'")
        assert [moved.rows for moved in tier(connection, batch=10)] == [10, 10, 10]
        assert connection.execute("select count(*) from candles where timeframe = '1m'").fetchone() == (0,)
        sources = connection.execute("select source, count(*) from all_candles where timeframe = '1m' group by 1")
        assert sorted(sources) == [("rest", 10), ("stream", 20)]


def test_a_trade_older_than_the_hot_age_corrects_candles_in_cold_storage(each_database: Settings) -> None:
    day = START - timedelta(days=11)
    trades = [T(day + timedelta(minutes=n), n, Decimal(100 + n), Decimal(1)) for n in range(30)]
    late = T(day + timedelta(minutes=3, seconds=5), 99, Decimal(500), Decimal(2))
    with connect(Role.WRITER, each_database) as connection:
        insert(connection, trades)
        refresh(connection, trades)
        assert connection.execute("select tier_old_candles()").fetchone() == (30,)
        insert(connection, [late])
        refresh(connection, [late])
        rows = candles(connection, "all_candles")
    assert rows == expected([*trades, late])
