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
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.trades import (
    DAY,
    MINUTE,
    SECOND,
    Bools,
    Ints,
    Minutes,
    Series,
    Spec,
    Trades,
    joined,
    larger,
    minutes_between,
)

Floats = NDArray[np.float64]

ORIGIN: Final = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
"""Second since the epoch at which every simulated market opened."""


HOUR: Final = 3600

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
class _Seconds:
    """What happens in each second of some hours; `before` is the number of trades before it (and at the end)."""

    start: int
    before: Ints
    ticks: Ints
    lots: Ints
    buys: Bools


def _minutes_of(seconds: _Seconds) -> Minutes:
    return minutes_between(
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

    def _make_hour_minutes(self, hour: int) -> Minutes:
        return _minutes_of(self._hour(hour))

    def _full_minutes(self, first: int, last: int) -> Minutes:
        origin = ORIGIN // MINUTE
        hours = range((first - origin) // 60, -(-(last - origin) // 60))
        whole = joined([self._hour_minutes(hour) for hour in hours])
        skip = first - origin - hours.start * 60
        return Minutes(*(column[skip : skip + last - first] for column in whole))

    def _make_day(self, day: int) -> Minutes:
        """The hours of a day."""
        first = (day * DAY - ORIGIN) // HOUR
        blocks = range(first, first + DAY // HOUR, _BLOCK_HOURS)
        minutes = joined([_minutes_of(self._seconds(hour, _BLOCK_HOURS)) for hour in blocks])
        return larger(minutes, np.arange(0, DAY // MINUTE, HOUR // MINUTE))

    def _bars(self, length: int, first: int, last: int, now: int) -> Minutes:
        """As in any series, but whole days are remembered: years of long candles must not cost seconds each time."""
        days = range(-(-first // DAY), min(now // SECOND, last) // DAY)
        if length % HOUR or not days:
            return super()._bars(length, first, last, now)
        parts = [self._day(day) for day in days]
        if first < days.start * DAY:
            parts.insert(0, super()._bars(HOUR, first, days.start * DAY, now))
        if days.stop * DAY < last:
            parts.append(super()._bars(HOUR, days.stop * DAY, last, now))
        hours = joined(parts)
        return larger(hours, np.arange(0, len(hours.trades), length // HOUR))


def share_of(base: str) -> float:
    """How large a part of an exchange's trades falls on a coin, before the parts are scaled to a sum of 1."""
    return _SHARES.get(base, _OTHER_SHARE)


def simulate(specs: list[Spec], seed: int, rate: float) -> dict[str, SimulatedSeries]:
    """The market of one exchange: `rate` trades a second on average, all pairs together."""
    whole = sum(share_of(spec.base) for spec in specs)
    return {spec.pair: SimulatedSeries(spec, seed, rate * share_of(spec.base) / whole) for spec in specs}
