"""Simulated trades in integers, and what is made of them: pairs with their steps, trades, minutes, candles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


Bools = NDArray[np.bool_]


SECOND: Final = 1_000_000_000
"""Nanoseconds in a second."""


MINUTE: Final = 60


DAY: Final = 86_400


_WEEK: Final = 7 * DAY


_MONDAY: Final = 4 * DAY


_LOW_BITS: Final = 20


_FAR: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Spec:
    """What an exchange says about one of its pairs, and how busy it is."""

    exchange: str
    pair: str
    price_decimals: int
    volume_decimals: int

    @property
    def base(self) -> str:
        """The coin that is traded."""
        return self.pair.partition("/")[0]

    @property
    def quote(self) -> str:
        """The coin that it is priced in."""
        return self.pair.partition("/")[2]

    def price(self, tick: int) -> str:
        """A price in ticks as an exact decimal with every digit of the tick size."""
        return decimal(tick, self.price_decimals)

    def volume(self, lots: int) -> str:
        """A volume in lots as an exact decimal with every digit of the lot size."""
        return decimal(lots, self.volume_decimals)


def decimal(value: int, decimals: int) -> str:
    """`value` / 10**`decimals`, exactly, with that many digits after the point (none and no point for 0)."""
    if decimals == 0:
        return str(value)
    scale = 10**decimals
    return f"{value // scale}.{value % scale:0{decimals}d}"


@dataclass(frozen=True)
class Trades:
    """Trades of one pair, oldest first, as columns. Times are nanoseconds since the epoch, strictly growing."""

    ids: Ints
    times: Ints
    ticks: Ints
    lots: Ints
    buys: Bools

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, start: int, stop: int) -> Self:
        """The trades at positions [start, stop)."""
        window = slice(max(start, 0), max(stop, 0))
        return type(self)(
            self.ids[window], self.times[window], self.ticks[window], self.lots[window], self.buys[window]
        )

    def between(self, start: int, end: int) -> Self:
        """The trades with start <= time < end, in nanoseconds."""
        first, last = np.searchsorted(self.times, [start, end]).tolist()
        return self.part(first, last)

    def rows(self) -> list[tuple[int, int, int, int, bool]]:
        """(id, time, tick, lots, taker bought) of each trade."""
        columns = (self.ids, self.times, self.ticks, self.lots, self.buys)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    @classmethod
    def of(cls, rows: list[tuple[int, int, int, int, bool]]) -> Self:
        """The trades in these rows."""
        if not rows:
            return cls.joined([])
        ids, times, ticks, lots, buys = zip(*rows, strict=True)
        whole = np.int64
        return cls(
            np.array(ids, dtype=whole),
            np.array(times, dtype=whole),
            np.array(ticks, dtype=whole),
            np.array(lots, dtype=whole),
            np.array(buys, dtype=np.bool_),
        )

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """All parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            empty = np.empty(0, dtype=np.int64)
            return cls(empty, empty, empty, empty, np.empty(0, dtype=np.bool_))
        return cls(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.ticks for part in parts]),
            np.concatenate([part.lots for part in parts]),
            np.concatenate([part.buys for part in parts]),
        )


class Bar(NamedTuple):
    """One candle. Prices in ticks, volumes in lots, quote volumes in ticks times lots; `trades` 0: price carried."""

    start: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    trades: int
    quote: int
    buy_lots: int
    buy_quote: int
    first_id: int


class Minutes(NamedTuple):
    """Minutes as columns; prices are meaningless where `trades` is 0. Quote sums in two halves, not to overflow."""

    open: Ints
    high: Ints
    low: Ints
    close: Ints
    lots: Ints
    trades: Ints
    quote_high: Ints
    quote_low: Ints
    buy_lots: Ints
    buy_quote_high: Ints
    buy_quote_low: Ints
    first_id: Ints


class _MinuteRow(NamedTuple):
    """One row of `Minutes`."""

    open: int
    high: int
    low: int
    close: int
    lots: int
    trades: int
    quote_high: int
    quote_low: int
    buy_lots: int
    buy_quote_high: int
    buy_quote_low: int
    first_id: int


def minutes_between(edges: Ints, *, count: Ints, ticks: Ints, lots: Ints, buys: Bools, first_ids: Ints) -> Minutes:
    """Aggregate slices (seconds or trades, oldest first) into minutes; `edges` are the first slice of each minute."""
    filled = count > 0
    position = np.arange(len(count))
    ends = np.append(edges[1:], len(count)) - 1
    first = np.minimum.reduceat(np.where(filled, position, len(count) - 1), edges)
    last = np.maximum.reduceat(np.where(filled, position, 0), edges)
    first, last = np.clip(first, edges, ends), np.clip(last, edges, ends)
    high, low = ticks * (lots >> _LOW_BITS), ticks * (lots & ((1 << _LOW_BITS) - 1))
    total = np.add.reduceat
    return Minutes(
        open=ticks[first],
        high=np.maximum.reduceat(np.where(filled, ticks, -1), edges),
        low=np.minimum.reduceat(np.where(filled, ticks, _FAR), edges),
        close=ticks[last],
        lots=total(lots, edges),
        trades=total(count, edges),
        quote_high=total(high, edges),
        quote_low=total(low, edges),
        buy_lots=total(lots * buys, edges),
        buy_quote_high=total(high * buys, edges),
        buy_quote_low=total(low * buys, edges),
        first_id=first_ids[first],
    )


def larger(minutes: Minutes, edges: Ints) -> Minutes:
    """Aggregate minutes into longer candles."""
    filled = minutes.trades > 0
    position = np.arange(len(filled))
    ends = np.append(edges[1:], len(filled)) - 1
    first = np.minimum.reduceat(np.where(filled, position, len(filled) - 1), edges)
    last = np.maximum.reduceat(np.where(filled, position, 0), edges)
    first, last = np.clip(first, edges, ends), np.clip(last, edges, ends)
    sums = {
        name: np.add.reduceat(getattr(minutes, name), edges)
        for name in ("lots", "trades", "quote_high", "quote_low", "buy_lots", "buy_quote_high", "buy_quote_low")
    }
    return Minutes(
        open=minutes.open[first],
        high=np.maximum.reduceat(minutes.high, edges),
        low=np.minimum.reduceat(minutes.low, edges),
        close=minutes.close[last],
        first_id=minutes.first_id[first],
        **sums,
    )


def joined(parts: list[Minutes]) -> Minutes:
    return parts[0] if len(parts) == 1 else Minutes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def minutes_of_trades(trades: Trades, first_minute: int, minutes: int) -> Minutes:
    """The minutes of these trades; a slice with count 0 at the start of each minute makes empty minutes exist."""
    starts = (first_minute + np.arange(minutes)) * MINUTE * SECOND
    at = np.searchsorted(trades.times, starts)
    zeros = np.zeros(minutes, dtype=np.int64)
    return minutes_between(
        at + np.arange(minutes),
        count=np.insert(np.ones(len(trades), dtype=np.int64), at, zeros),
        ticks=np.insert(trades.ticks, at, zeros),
        lots=np.insert(trades.lots, at, zeros),
        buys=np.insert(trades.buys, at, zeros.astype(np.bool_)),
        first_ids=np.insert(trades.ids, at, zeros),
    )


class Series(ABC):
    """The trades of one pair. Instants are nanoseconds since the epoch; ids are consecutive."""

    spec: Spec

    @property
    @abstractmethod
    def begin(self) -> int:
        """The instant of the first possible trade."""

    @abstractmethod
    def between(self, start: int, end: int) -> Trades:
        """The trades with start <= time < end."""

    @abstractmethod
    def by_id(self, first: int, last: int) -> Trades:
        """The trades with first <= id <= last, as far as they exist."""

    @abstractmethod
    def count_before(self, instant: int) -> int:
        """The number of trades before the instant, counted so that it is the id of the last one (0: none)."""

    @abstractmethod
    def _full_minutes(self, first: int, last: int) -> Minutes:
        """The minutes [first, last) since the epoch, all of them complete."""

    def latest(self, now: int, count: int) -> Trades:
        """The newest `count` trades before `now`."""
        last = self.count_before(now)
        return self.by_id(max(last - count + 1, 1), last)

    def bars(self, length: int, start: int, end: int, now: int) -> list[Bar]:
        """The candles of `length` seconds whose start lies in [start, end) seconds, as they are at `now`.

        The last one is still open when `now` lies in it. Candles without trades carry the last price; candles before
        the first trade do not exist.
        """
        offset = _MONDAY if length == _WEEK else 0
        start = max(start, self.begin // SECOND - length + 1)
        first = -(-(start - offset) // length) * length + offset
        last = min(
            -(-(end - offset) // length) * length + offset,
            (now // SECOND - offset) // length * length + offset + length,
        )
        if last <= first:
            return []
        columns = self._bars(length, first, last, now)
        return list(self._carried(columns, first, length))

    def _bars(self, length: int, first: int, last: int, now: int) -> Minutes:
        open_minute = min(now // (MINUTE * SECOND), last // MINUTE)
        parts = []
        if open_minute > first // MINUTE:
            parts.append(self._full_minutes(first // MINUTE, open_minute))
        if open_minute < last // MINUTE:
            live = self.between(max(open_minute * MINUTE, first) * SECOND, now)
            parts.append(minutes_of_trades(live, open_minute, 1))
        minutes = joined(parts)
        if length == MINUTE:
            return minutes
        return larger(minutes, np.arange(0, len(minutes.trades), length // MINUTE))

    def _carried(self, columns: Minutes, first: int, length: int) -> Iterator[Bar]:
        close: int | None = None
        before = self.latest(first * SECOND, 1)
        last_id = 0
        if len(before):
            close, last_id = int(before.ticks[0]), int(before.ids[0])
        for number, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            minute = _MinuteRow(*row)
            start = first + number * length
            if minute.trades:
                close = minute.close
                last_id = minute.first_id + minute.trades - 1
                yield Bar(
                    start,
                    minute.open,
                    minute.high,
                    minute.low,
                    minute.close,
                    minute.lots,
                    minute.trades,
                    (minute.quote_high << _LOW_BITS) + minute.quote_low,
                    minute.buy_lots,
                    (minute.buy_quote_high << _LOW_BITS) + minute.buy_quote_low,
                    minute.first_id,
                )
            elif close is not None:
                yield Bar(start, close, close, close, close, 0, 0, 0, 0, 0, last_id + 1)
