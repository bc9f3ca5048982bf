"""A seeded market whose history is a pure function of (seed, rate, exchange, pair, time).

    schedule of an hour -> price, side, volume and count of each second -> trades of a second
                                                                        -> candles of a minute

Nothing is simulated from a start: any second of any year since `ORIGIN` is computed directly, so a restarted
simulator continues the same series and REST history, candles and live trades agree exactly. All trades of one pair
in one second share price and side (takers sweeping one level); a second's volume is split among its trades without
remainder, so candles come from seconds alone and still equal the aggregate of the trades to the last digit.
Trade ids count the trades of a pair since `ORIGIN`, so another rate or seed is another series of ids.
Prices are integers of ticks and volumes integers of lots; nothing here is rounded after it was drawn.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ORIGIN: Final = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
"""Second since the epoch at which every simulated market opened."""

SECOND: Final = 1_000_000_000
"""Nanoseconds in a second."""

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
_WEEK: Final = 7 * DAY
_MONDAY: Final = 4 * DAY
_LOW_BITS: Final = 20
_FAR: Final = np.iinfo(np.int64).max

_BLOCK_HOURS: Final = 12
_SHARES: Final = {
    "BTC": 0.4,
    "ETH": 0.25,
    "SOL": 0.15,
    "XRP": 0.1,
    "DOGE": 0.05,
    "ADA": 0.03,
    "LTC": 0.015,
    "DOT": 0.005,
}
_OTHER_SHARE: Final = 0.005
_PRICES: Final = {
    "BTC": 78_000.0,
    "ETH": 3_100.0,
    "SOL": 150.0,
    "XRP": 2.1,
    "DOGE": 0.16,
    "ADA": 0.52,
    "LTC": 92.0,
    "DOT": 3.4,
}
_OTHER_PRICE: Final = 1.5

# Length in seconds of one step of a noise, and its amplitude in the logarithm of the price: together +-20 %.
_NOISES: Final = (
    (60 * DAY, 0.12),
    (10 * DAY, 0.045),
    (2 * DAY, 0.02),
    (8 * HOUR, 0.01),
    (2 * HOUR, 0.005),
    (1800, 0.0025),
    (300, 0.0012),
    (60, 0.0005),
)
_FAST_NOISE: Final = (10, 0.0002)
_JUMP: Final = 0.012
_JUMP_RARITY: Final = 25
_NOTIONAL_PER_SECOND: Final = 20_000.0
_NOTIONAL_RANGE: Final = (2.0, 500.0)


def _key(*parts: object) -> np.uint64:
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def _mix(key: np.uint64, numbers: Ints) -> NDArray[np.uint64]:
    """A random 64-bit word for each number: the finalizer of splitmix64."""
    word = numbers.astype(np.uint64)
    word *= np.uint64(0x9E3779B97F4A7C15)
    word += key
    word ^= word >> np.uint64(30)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(27)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return word


def _unit(key: np.uint64, numbers: Ints) -> Floats:
    """A random float in [0, 1) for each number."""
    return (_mix(key, numbers) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _steps(key: np.uint64, start: int, end: int, length: int) -> tuple[Ints, Floats]:
    first, last = start // length, end // length + 1
    grid = np.arange(first, last + 1)
    return grid * length, 2.0 * _unit(key, grid) - 1.0


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


class _Minutes(NamedTuple):
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
    """One row of `_Minutes`."""

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


def _minutes(edges: Ints, *, count: Ints, ticks: Ints, lots: Ints, buys: Bools, first_ids: Ints) -> _Minutes:
    """Aggregate slices (seconds or trades, oldest first) into minutes; `edges` are the first slice of each minute."""
    filled = count > 0
    position = np.arange(len(count))
    ends = np.append(edges[1:], len(count)) - 1
    first = np.minimum.reduceat(np.where(filled, position, len(count) - 1), edges)
    last = np.maximum.reduceat(np.where(filled, position, 0), edges)
    first, last = np.clip(first, edges, ends), np.clip(last, edges, ends)
    high, low = ticks * (lots >> _LOW_BITS), ticks * (lots & ((1 << _LOW_BITS) - 1))
    total = np.add.reduceat
    return _Minutes(
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


def _larger(minutes: _Minutes, edges: Ints) -> _Minutes:
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
    return _Minutes(
        open=minutes.open[first],
        high=np.maximum.reduceat(minutes.high, edges),
        low=np.minimum.reduceat(minutes.low, edges),
        close=minutes.close[last],
        first_id=minutes.first_id[first],
        **sums,
    )


def _joined(parts: list[_Minutes]) -> _Minutes:
    return parts[0] if len(parts) == 1 else _Minutes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _of_trades(trades: Trades, first_minute: int, minutes: int) -> _Minutes:
    """The minutes of these trades; a slice with count 0 at the start of each minute makes empty minutes exist."""
    starts = (first_minute + np.arange(minutes)) * MINUTE * SECOND
    at = np.searchsorted(trades.times, starts)
    zeros = np.zeros(minutes, dtype=np.int64)
    return _minutes(
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
    def _full_minutes(self, first: int, last: int) -> _Minutes:
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

    def _bars(self, length: int, first: int, last: int, now: int) -> _Minutes:
        open_minute = min(now // (MINUTE * SECOND), last // MINUTE)
        parts = []
        if open_minute > first // MINUTE:
            parts.append(self._full_minutes(first // MINUTE, open_minute))
        if open_minute < last // MINUTE:
            live = self.between(max(open_minute * MINUTE, first) * SECOND, now)
            parts.append(_of_trades(live, open_minute, 1))
        minutes = _joined(parts)
        if length == MINUTE:
            return minutes
        return _larger(minutes, np.arange(0, len(minutes.trades), length // MINUTE))

    def _carried(self, columns: _Minutes, first: int, length: int) -> Iterator[Bar]:
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


@dataclass(frozen=True)
class _Seconds:
    """What happens in each second of some hours; `before` is the number of trades before it (and at the end)."""

    start: int
    before: Ints
    ticks: Ints
    lots: Ints
    buys: Bools


def _minutes_of(seconds: _Seconds) -> _Minutes:
    return _minutes(
        np.arange(0, len(seconds.ticks), MINUTE),
        count=np.diff(seconds.before),
        ticks=seconds.ticks,
        lots=seconds.lots,
        buys=seconds.buys,
        first_ids=seconds.before[:-1] + 1,
    )


class SimulatedSeries(Series):
    """The simulated trades of one pair: a pure function of seed, rate, exchange, pair and time.

    `rate` is the average number of trades a second of this pair.
    """

    def __init__(self, spec: Spec, seed: int, rate: float) -> None:
        self.spec = spec
        self.rate = rate
        self._coin = _key(seed, spec.base)
        self._own = _key(seed, rate, spec.exchange, spec.pair)
        self._keys = {
            name: _key(int(self._own), name) for name in ("schedule", "level", "side", "size", "time", "lots")
        }
        self._noise_keys = [_key(int(self._coin), length) for length, _ in _NOISES]
        self._jump_key = _key(int(self._coin), "jump")
        self._fast_key = _key(int(self._coin), "fast")
        self._micro_per_hour = round(rate * HOUR * 1_000_000)
        lowest, highest = _NOTIONAL_RANGE
        self._notional = min(max(_NOTIONAL_PER_SECOND / (rate / share_of(spec.base)), lowest), highest)
        # Bound per instance, so that a discarded market frees its memory.
        self._hour = lru_cache(maxsize=4)(self._make_hour)
        self._hour_minutes = lru_cache(maxsize=1500)(self._make_hour_minutes)
        self._day = lru_cache(maxsize=1500)(self._make_day)
        self._second = lru_cache(maxsize=4)(self._make_second)

    @property
    def begin(self) -> int:
        """The opening of the market."""
        return ORIGIN * SECOND

    def _before_hour(self, hour: int) -> int:
        return hour * self._micro_per_hour // 1_000_000

    def _make_hour(self, hour: int) -> _Seconds:
        return self._seconds(hour, 1)

    def _seconds(self, hour: int, hours: int) -> _Seconds:
        """Some hours at once: the same values as one by one, for less."""
        start = ORIGIN + hour * HOUR
        seconds = np.arange(start, start + hours * HOUR)
        before = self._schedule(hour, seconds)
        counts = np.diff(before)
        price = self._price(seconds)
        ticks = np.maximum(np.rint(price * 10.0**self.spec.price_decimals), 1).astype(np.int64)
        size = 0.25 + 2.25 * _unit(self._keys["size"], seconds) ** 2
        mean = self._notional / price * 10.0**self.spec.volume_decimals
        lots = np.maximum(np.rint(counts * mean * size).astype(np.int64), counts)
        buys = (_mix(self._keys["side"], seconds) & np.uint64(1)).astype(np.bool_)
        return _Seconds(start, before, ticks, lots, buys)

    def _schedule(self, hour: int, seconds: Ints) -> Ints:
        """The number of trades before each second: an hour's total is fixed, its minutes are uneven when thin."""
        hours = len(seconds) // HOUR
        edges = np.array([[self._before_hour(hour + number)] for number in range(hours + 1)])
        unevenness = max(3.0 / (1.0 + self.rate), 0.15)
        minutes = seconds[::MINUTE] // MINUTE
        weights = np.repeat(np.exp(unevenness * (2.0 * _unit(self._keys["schedule"], minutes) - 1.0)), 60)
        weights = weights * (0.5 + _unit(self._keys["schedule"], -seconds))
        # Each hour for itself: its sums begin at zero, and its end is exactly the beginning of the next.
        upto = np.cumsum(weights.reshape(hours, HOUR), axis=1)
        passed = np.zeros_like(upto)
        passed[:, 1:] = upto[:, :-1] / upto[:, -1:]
        before = edges[:-1] + np.floor(np.diff(edges, axis=0) * passed).astype(np.int64)
        result: Ints = np.append(before.ravel(), edges[-1])
        return result

    def _price(self, seconds: Ints) -> Floats:
        # All but the fastest noise have their corners on full minutes: they are summed there and interpolated once.
        start, end = int(seconds[0]), int(seconds[-1]) + 1
        minutes = np.arange(start, end + 1, MINUTE)
        level = np.full(len(minutes), np.log(_PRICES.get(self.spec.base, _OTHER_PRICE)))
        for (length, amplitude), key in zip(_NOISES, self._noise_keys, strict=True):
            grid, values = _steps(key, start, end, length)
            level += amplitude * np.interp(minutes, grid, values)
        grid, values = _steps(self._jump_key, start, end, MINUTE)
        level += _JUMP * values[: len(minutes)] ** _JUMP_RARITY
        grid, values = _steps(self._fast_key, start, end, _FAST_NOISE[0])
        level = np.interp(seconds, minutes, level) + _FAST_NOISE[1] * np.interp(seconds, grid, values)
        level += 0.0002 * (_unit(self._keys["level"], seconds) - 0.5)
        price: Floats = np.exp(level)
        return price

    def _make_second(self, second: int) -> Trades:
        return self._of_seconds(second, second + 1)

    def _of_seconds(self, start: int, end: int) -> Trades:
        """The trades of the seconds [start, end) since the epoch."""
        parts = []
        second = max(start, ORIGIN)
        while second < end:
            hour = self._hour((second - ORIGIN) // HOUR)
            stop = min(end, hour.start + HOUR)
            parts.append(self._of_part(hour, second - hour.start, stop - hour.start))
            second = stop
        return Trades.joined(parts)

    def _of_part(self, hour: _Seconds, start: int, stop: int) -> Trades:
        counts = np.diff(hour.before[start : stop + 1])
        slot = np.repeat(np.arange(start, stop), counts)
        total = len(slot)
        ids = hour.before[start] + 1 + np.arange(total)
        index = ids - 1 - hour.before[slot]
        count = np.repeat(counts, counts)
        # Each trade has its own cell of the second and stays in the first nine tenths of it: times strictly grow.
        micros = ((index + 0.9 * _unit(self._keys["time"], ids)) * (1e6 / count)).astype(np.int64)
        weight = 1 + (_mix(self._keys["lots"], ids) & np.uint64(1023)).astype(np.int64)
        upto = np.cumsum(weight)
        ahead = upto - weight
        first = np.arange(total) - index
        whole = upto[first + count - 1] - ahead[first] if total else upto
        spread = hour.lots[slot] - count
        lots = 1 + (
            np.floor(spread * ((upto - ahead[first]) / whole)) - np.floor(spread * ((ahead - ahead[first]) / whole))
        ).astype(np.int64)
        times = ((hour.start + slot) * 1_000_000 + micros) * 1000
        return Trades(ids, times, hour.ticks[slot], lots, hour.buys[slot])

    def second(self, second: int) -> Trades:
        """All trades of one second since the epoch, remembered for a moment."""
        return self._second(second)

    def between(self, start: int, end: int) -> Trades:
        """The trades with start <= time < end."""
        return self._of_seconds(start // SECOND, -(-end // SECOND)).between(start, end)

    def by_id(self, first: int, last: int) -> Trades:
        """The trades with first <= id <= last."""
        first = max(first, 1)
        if last < first:
            return Trades.joined([])
        trades = self._of_seconds(self._second_of(first), self._second_of(last) + 1)
        low, high = np.searchsorted(trades.ids, [first, last + 1]).tolist()
        return trades.part(low, high)

    def _second_of(self, trade_id: int) -> int:
        hour = (trade_id - 1) * 1_000_000 // self._micro_per_hour
        while self._before_hour(hour + 1) < trade_id:
            hour += 1
        while self._before_hour(hour) >= trade_id:
            hour -= 1
        block = self._hour(hour)
        return block.start + int(np.searchsorted(block.before, trade_id)) - 1

    def count_before(self, instant: int) -> int:
        """The id of the last trade before the instant."""
        second = instant // SECOND
        if second < ORIGIN:
            return 0
        block = self._hour((second - ORIGIN) // HOUR)
        count = int(block.before[second - block.start])
        if instant % SECOND:
            count += int(np.searchsorted(self.second(second).times, instant))
        return count

    def _make_hour_minutes(self, hour: int) -> _Minutes:
        return _minutes_of(self._hour(hour))

    def _full_minutes(self, first: int, last: int) -> _Minutes:
        origin = ORIGIN // MINUTE
        hours = range((first - origin) // 60, -(-(last - origin) // 60))
        whole = _joined([self._hour_minutes(hour) for hour in hours])
        skip = first - origin - hours.start * 60
        return _Minutes(*(column[skip : skip + last - first] for column in whole))

    def _make_day(self, day: int) -> _Minutes:
        """The hours of a day."""
        first = (day * DAY - ORIGIN) // HOUR
        blocks = range(first, first + DAY // HOUR, _BLOCK_HOURS)
        minutes = _joined([_minutes_of(self._seconds(hour, _BLOCK_HOURS)) for hour in blocks])
        return _larger(minutes, np.arange(0, DAY // MINUTE, HOUR // MINUTE))

    def _bars(self, length: int, first: int, last: int, now: int) -> _Minutes:
        """As in any series, but whole days are remembered: years of long candles must not cost seconds each time."""
        days = range(-(-first // DAY), min(now // SECOND, last) // DAY)
        if length % HOUR or not days:
            return super()._bars(length, first, last, now)
        parts = [self._day(day) for day in days]
        if first < days.start * DAY:
            parts.insert(0, super()._bars(HOUR, first, days.start * DAY, now))
        if days.stop * DAY < last:
            parts.append(super()._bars(HOUR, days.stop * DAY, last, now))
        hours = _joined(parts)
        return _larger(hours, np.arange(0, len(hours.trades), length // HOUR))


def share_of(base: str) -> float:
    """How large a part of an exchange's trades falls on a coin, before the parts are scaled to a sum of 1."""
    return _SHARES.get(base, _OTHER_SHARE)


def simulate(specs: list[Spec], seed: int, rate: float) -> dict[str, SimulatedSeries]:
    """The market of one exchange: `rate` trades a second on average, all pairs together."""
    whole = sum(share_of(spec.base) for spec in specs)
    return {spec.pair: SimulatedSeries(spec, seed, rate * share_of(spec.base) / whole) for spec in specs}
