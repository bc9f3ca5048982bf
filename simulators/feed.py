"""The live end of one simulated pair: what happened since the last tick, and the last 24 hours."""

from __future__ import annotations

import asyncio

import msgspec

from simulators.counters import PairCounters
from simulators.faults import Lack
from simulators.market import SimulatedSeries
from simulators.replay import Replay
from simulators.trades import DAY, MINUTE, SECOND, Bar, Series, Spec, Trades

Row = tuple[int, int, int, int, bool]
"""A trade: id, nanoseconds since the epoch, price in ticks, volume in lots, taker bought."""


class Statistics(msgspec.Struct, frozen=True):
    """The last 24 hours of a pair, by whole minutes, and its last trade. Integers of ticks and lots."""

    open: int
    high: int
    low: int
    last: int
    last_lots: int
    lots: int
    quote: int
    count: int
    first_id: int
    last_id: int
    last_time: int
    start: int

    @property
    def average(self) -> float:
        """The volume-weighted average price in ticks."""
        return self.quote / self.lots if self.lots else float(self.last)

    @property
    def change_percent(self) -> float:
        """The change of the price over the window."""
        return (self.last - self.open) / self.open * 100


class Feed:
    """The live end of one pair: a cursor through its trades."""

    def __init__(self, series: SimulatedSeries, now: int) -> None:
        self.spec: Spec = series.spec
        self.simulated = series
        self.replay: Replay | None = None
        self.counters = PairCounters(generated_before=series.count_before(now))
        self.cursor = now
        self.listed_from = 0
        self.lacks: list[Lack] = []
        self._second = -1
        self._rows: list[Row] = []
        self._at = 0
        self._day: tuple[int, Bar] | None = None
        self.computing = asyncio.Lock()

    @property
    def series(self) -> Series:
        """The trades that are served: simulated or recorded."""
        return self.replay.series if self.replay else self.simulated

    def has(self, bar: Bar, timeframe: str) -> bool:
        """Whether a candle of a timeframe can be had over REST."""
        return bar.start >= self.listed_from and not any(
            lack.since <= bar.start < lack.until and lack.timeframe in {"", timeframe} and not lack.trades
            for lack in self.lacks
        )

    def lacking(self, start: int, end: int, timeframe: str) -> int:
        """For how many of these seconds the source has no candle."""
        return sum(
            max(0, min(end, lack.until) - max(start, lack.since))
            for lack in self.lacks
            if lack.timeframe in {"", timeframe} and not lack.trades
        )

    def held(self, first: int, last: int, count: int) -> Trades:
        """The first `count` trades with first <= id <= last that can be had over REST."""
        rows: list[Row] = []
        hidden = [(lack.since * SECOND, lack.until * SECOND) for lack in self.lacks if lack.trades]
        first = max(first, self.series.count_before(self.listed_from * SECOND) + 1 if self.listed_from else first)
        while first <= last and len(rows) < count:
            page = self.series.by_id(first, min(first + count - len(rows) - 1, last))
            if not hidden:
                return page
            if not len(page):
                break
            rows += [row for row in page.rows() if not any(since <= row[1] < until for since, until in hidden)]
            first = int(page.ids[-1]) + 1
        return Trades.of(rows)

    def skip_to(self, now: int) -> None:
        """Move the cursor without looking: nobody listens."""
        if self.replay is None and now > self.cursor:
            self.cursor = now
            self._second = -1

    def take(self, now: int) -> list[Row]:
        """The trades since the last call, up to `now` exclusive."""
        if self.replay is not None:
            return self.replay.release().rows() if not self.replay.finished else []
        if now <= self.cursor:
            return []
        rows: list[Row] = []
        for second in range(self.cursor // SECOND, now // SECOND + 1):
            self._load(second)
            start = self._at
            stop = start
            while stop < len(self._rows) and self._rows[stop][1] < now:
                stop += 1
            rows += self._rows[start:stop]
            self._at = stop
        self.cursor = now
        return rows

    def _load(self, second: int) -> None:
        if second == self._second:
            return
        trades = self.simulated.second(second)
        self._rows = trades.between(self.cursor, (second + 1) * SECOND).rows()
        self._second, self._at = second, 0

    def statistics(self, now: int, newest: Row | None = None) -> Statistics | None:
        """The last 24 hours before `now`; None before the first trade. `newest` is the last trade, where known."""
        if newest is None:
            rows = self.series.latest(now, 1).rows()
            if not rows:
                return None
            newest = rows[0]
        last_id, last_time, last, last_lots, _ = newest
        minute = now // (MINUTE * SECOND)
        if self._day is None or self._day[0] != minute:
            bars = self.series.bars(MINUTE, (minute - DAY // MINUTE) * MINUTE, minute * MINUTE, now)
            self._day = (minute, _summed(bars, last))
        day = self._day[1]
        return Statistics(
            open=day.open,
            high=max(day.high, last),
            low=min(day.low, last),
            last=last,
            last_lots=last_lots,
            lots=day.lots,
            quote=day.quote,
            count=day.trades,
            first_id=day.first_id or last_id,
            last_id=last_id,
            last_time=last_time,
            start=(minute - DAY // MINUTE) * MINUTE,
        )


def _summed(bars: list[Bar], last: int) -> Bar:
    if not bars:
        return Bar(0, last, last, last, last, 0, 0, 0, 0, 0, 0)
    return Bar(
        bars[0].start,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.lots for bar in bars),
        sum(bar.trades for bar in bars),
        sum(bar.quote for bar in bars),
        sum(bar.buy_lots for bar in bars),
        sum(bar.buy_quote for bar in bars),
        bars[0].first_id,
    )
