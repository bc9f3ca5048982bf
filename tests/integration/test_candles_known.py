"""Every closed candle is what all trades come to, wherever it came from; what is not known whole says how much is.

The reference makes candles of every timeframe straight from the trades of a made-up market. The database gets these
trades by the stream, by imports and late, some never, and some of its candles from the exchange.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptoviz.candles.rebuild import rebuild_pair
from cryptoviz.candles.settle import settle, settle_open
from cryptoviz.pairs import Timeframe, floor
from cryptoviz.storage.queries import query

pytestmark = pytest.mark.services

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 500 * DAY
EXCHANGE = "kraken"
SHORTER = {whole: [part for part in Timeframe if part.length < whole.length] for whole in Timeframe}
_numbers = itertools.count()

Figures = tuple[Decimal, Decimal, Decimal, Decimal, Decimal, int]
Window = tuple[Timeframe, datetime]


@dataclass(frozen=True)
class T:
    """A trade; the market numbers them from 0 on, in the order of time."""

    number: int
    at: datetime
    price: Decimal
    volume: Decimal


@st.composite
def markets(draw: st.DrawFn) -> list[T]:
    """Trades with quiet seconds, minutes, hours, days and a year between them."""
    seconds = [timedelta(seconds=number) for number in (0, 7, 25, 60, 120, 240, 420, 1860, 10_800)]
    pauses = [*seconds, DAY, 2 * DAY, 365 * DAY]
    at = START + draw(st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(hours=23, minutes=57)]))
    trades: list[T] = []
    year_passed = False
    for number in range(draw(st.integers(2, 24))):
        pause = draw(st.sampled_from(pauses[:-1] if year_passed else pauses))
        year_passed |= pause == pauses[-1]
        at += pause if number else timedelta(0)
        price, lots = draw(st.integers(90, 110)), draw(st.integers(1, 9))
        trades.append(T(number, at, Decimal(price), Decimal(lots).scaleb(-8)))
    return trades


@dataclass
class World:
    """What happened, what of it is stored, and what follows from that: the reference."""

    trades: list[T]
    pair: str
    stored: set[int] = field(default_factory=set)
    fetched: dict[Window, bool] = field(default_factory=dict)
    """Windows that the exchange gave, and whether it counts trades."""
    quiet: set[datetime] = field(default_factory=set)
    """Minutes of which the exchange says that there were no trades."""

    def figures(self, timeframe: Timeframe, start: datetime) -> Figures | None:
        """What all trades come to; without trades the price before is carried on, None where there is none."""
        within = [trade for trade in self.trades if start <= trade.at < start + timeframe.length]
        if within:
            prices = [trade.price for trade in within]
            volume = sum((trade.volume for trade in within), Decimal(0))
            return prices[0], max(prices), min(prices), prices[-1], volume, len(within)
        before = [trade.price for trade in self.trades if trade.at < start]
        return (*[before[-1]] * 4, Decimal(0), 0) if before else None

    def stretches(self) -> list[tuple[datetime, datetime]]:
        """From where to where every trade is stored."""
        found: list[list[T]] = []
        for trade in self.trades:
            if trade.number in self.stored:
                if found and found[-1][-1].number == trade.number - 1:
                    found[-1].append(trade)
                else:
                    found.append([trade])
        return [(run[0].at, run[-1].at) for run in found]

    def known_minutes(self, timeframe: Timeframe, start: datetime) -> int:
        """How many minutes of a window are known."""
        stretches = self.stretches()
        fetched = [(first, first + part.length) for part, first in self.fetched if part in SHORTER[timeframe]]
        return sum(
            minute in self.quiet
            or any(since < minute and minute + MINUTE <= until for since, until in stretches)
            or any(since <= minute < until for since, until in fetched)
            for minute in minutes(start, start + timeframe.length)
        )


def minutes(since: datetime, until: datetime) -> Iterator[datetime]:
    while since < until:
        yield since
        since += MINUTE


def arrive(connection: psycopg.Connection, world: World, trades: Iterable[T], *, streamed: bool) -> None:
    """Some trades are stored, and their candles made, as ingestion or an import does."""
    new = list(trades)
    with connection.transaction():
        connection.cursor().executemany(
            "insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)"
            " values (%s, %s, %s, %s, %s, %s, 'buy') on conflict do nothing",
            [(one.at, EXCHANGE, world.pair, one.number, one.price, one.volume) for one in new],
        )
        world.stored |= {one.number for one in new}
        if streamed:
            connection.execute(
                query("candles_refresh"), {"exchange": EXCHANGE, "pair": world.pair, "instants": [t.at for t in new]}
            )
            connection.execute(query("close_candles"))
    if not streamed:
        assert list(rebuild_pair(connection, EXCHANGE, world.pair, floor(new[0].at, Timeframe.M1), new[-1].at + MINUTE))


def fetch(connection: psycopg.Connection, world: World, windows: Iterable[Window], *, counted: bool) -> None:
    """The exchange gives candles of some windows."""
    given: dict[Timeframe, dict[datetime, Figures]] = {}
    for timeframe, start in windows:
        figures = world.figures(timeframe, start)
        if figures is not None:
            given.setdefault(timeframe, {})[start] = figures
            world.fetched[timeframe, start] = counted
    for timeframe, rows in given.items():
        *numbers, counts = zip(*rows.values(), strict=True)
        names = ("opens", "highs", "lows", "closes", "volumes")
        asked = {name: list(column) for name, column in zip(names, numbers, strict=True)}
        asked |= {"starts": list(rows), "trade_counts": [count if counted else 0 for count in counts]}
        named = {"exchange": EXCHANGE, "symbol": world.pair, "timeframe": timeframe.value}
        connection.execute(query("candles_store_fetched"), {**named, **asked})


def silence(connection: psycopg.Connection, world: World, found: Iterable[datetime]) -> None:
    """The exchange says of minutes that there were no trades."""
    for minute in found:
        if any(minute <= trade.at < minute + MINUTE for trade in world.trades) or minute in world.quiet:
            continue
        world.quiet.add(minute)
        connection.execute(
            "insert into candle_gaps (exchange, symbol, timeframe, gap_start, gap_end, missing, label, status)"
            " values (%s, %s, '1m', %s, %s, 1, 'no_trades', 'explained')",
            [EXCHANGE, world.pair, minute, minute + MINUTE],
        )


def look_over(connection: psycopg.Connection, world: World) -> None:
    """The regular look over all that is stored."""
    days = {floor(at, Timeframe.D1) for at in [*(trade.at for trade in world.trades), *(at for _, at in world.fetched)]}
    for day in sorted(days):
        settle(connection, EXCHANGE, world.pair, day, day + DAY)


def candles(connection: psycopg.Connection, world: World) -> dict[Window, tuple[Figures, bool, str]]:
    rows = connection.execute(
        "select timeframe, window_start, open, high, low, close, volume, trade_count, closed, source"
        " from all_candles where symbol = %s", [world.pair],
    ).fetchall()  # fmt: skip
    return {(Timeframe(row[0]), row[1]): (row[2:8], row[8], row[9]) for row in rows}


def partial(connection: psycopg.Connection, world: World) -> dict[Window, tuple[int, int]]:
    rows = connection.execute(
        "select timeframe, window_start, known_minutes, minutes from partial_candles where symbol = %s", [world.pair]
    ).fetchall()
    return {(Timeframe(timeframe), start): (known, of) for timeframe, start, known, of in rows}


def assert_closed_ones_are_right(connection: psycopg.Connection, world: World) -> None:
    for (timeframe, start), (figures, closed, _source) in candles(connection, world).items():
        wanted = world.figures(timeframe, start)
        if closed:
            assert wanted is not None
            assert figures[:5] == wanted[:5], (timeframe, start)
            assert figures[5] == wanted[5] or figures[5] == 0 < figures[4], (timeframe, start)


def assert_all_that_is_known_is_closed(connection: psycopg.Connection, world: World) -> None:
    kept, unknown = candles(connection, world), partial(connection, world)
    for (timeframe, start), (_figures, closed, source) in kept.items():
        known, whole = world.known_minutes(timeframe, start), timeframe.seconds // 60
        assert closed == (source == "rest" or known == whole), (timeframe, start, known)
        assert ((timeframe, start) in unknown) == (not closed)
        if not closed:
            assert unknown[timeframe, start] == (known, whole), (timeframe, start)
    for part, start in list(kept):
        for timeframe in Timeframe:
            window = timeframe, floor(start, timeframe)
            if part in SHORTER[timeframe] and world.known_minutes(*window) == timeframe.seconds // 60:
                assert window in kept, window


def test_what_waited_for_long_is_closed_by_the_look_over_all_that_is_open(writer: psycopg.Connection) -> None:
    day = START + 490 * DAY
    trades = [T(n, day + (2 + n * 20) * MINUTE, Decimal(100), Decimal(1)) for n in range(80)]
    world = World(trades, "WAITS/USD", stored={trade.number for trade in trades})
    for part in (trades[10:], trades[:10]):
        arrive(writer, world, part, streamed=False)
    fetch(writer, world, [(Timeframe.M1, day + 2 * MINUTE)], counted=True)
    silence(writer, world, [day, day + MINUTE])
    assert settle_open(writer)["closed"] == len(Timeframe) - 1
    assert_all_that_is_known_is_closed(writer, world)
    assert settle_open(writer).total() == 0


@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_stored_candles_are_those_of_all_trades_or_marked_as_not_whole(
    writer: psycopg.Connection, data: st.DataObject
) -> None:
    world = World(data.draw(markets()), f"P{next(_numbers)}/USD")
    left = data.draw(st.sets(st.sampled_from([trade.number for trade in world.trades]), max_size=3))
    waiting = [trade for trade in world.trades if trade.number not in left]
    near = st.sampled_from(world.trades).flatmap(
        lambda trade: st.integers(-3, 6).map(lambda steps: floor(trade.at, Timeframe.M1) + steps * MINUTE)
    )
    while waiting:
        count = data.draw(st.integers(1, len(waiting)))
        late = data.draw(st.booleans())
        batch, waiting = (waiting[-count:], waiting[:-count]) if late else (waiting[:count], waiting[count:])
        arrive(writer, world, batch, streamed=data.draw(st.booleans()))
        windows = data.draw(st.lists(st.tuples(st.sampled_from(Timeframe), near), max_size=3))
        found = [(timeframe, floor(at, timeframe)) for timeframe, at in windows]
        if data.draw(st.booleans()):
            first = data.draw(near)
            found += [(Timeframe.M1, at) for at in minutes(first, first + data.draw(st.integers(1, 9)) * MINUTE)]
        fetch(writer, world, found, counted=data.draw(st.booleans()))
        silence(writer, world, data.draw(st.lists(near, max_size=4)))
        if data.draw(st.integers(0, 3)) == 0:
            writer.execute("select tier_old_candles()")
        assert_closed_ones_are_right(writer, world)
    look_over(writer, world)
    assert_closed_ones_are_right(writer, world)
    assert_all_that_is_known_is_closed(writer, world)
