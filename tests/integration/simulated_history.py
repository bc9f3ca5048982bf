"""The simulated exchanges' past without HTTP, with stretches that the source itself lacks: what a healer may ask."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg

from cryptoviz.exchanges.history import Answer, Page, Span, TradesAnswer
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.records import Candle, CandleSource, Side, Trade
from simulators.market import SimulatedSeries, simulate
from simulators.trades import SECOND, Spec

_MADE: dict[tuple[object, ...], dict[Series, tuple[datetime, datetime, list[Candle]]]] = {}
"""The longest stretch of candles that was computed of each market: it is asked for again and again."""

COLUMNS = "window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume, trade_count"


class SimulatedHistory:
    """One exchange's candles and trades as its simulator computes them. `lacks`: windows that it does not have.

    `omits_empty`: it gives no candle for a window without trades, and says that there were none. `page`: the most
    windows in one answer to who pages. `first`: there is nothing before.
    """

    def __init__(self, exchange: str, pairs: Sequence[str], *, rate: float = 2, seed: int = 1) -> None:
        self.exchange = exchange
        self.lacks: set[tuple[Series, datetime]] = set()
        self.lacks_trades: set[tuple[str, int]] = set()
        self.omits_empty = False
        self.page = 1000
        self.first = datetime(2020, 1, 1, tzinfo=UTC)
        self.asked: list[tuple[str, datetime, datetime]] = []
        self._made = _MADE.setdefault((exchange, *pairs, rate, seed), {})
        self._specs = {pair: Spec(exchange, pair, 2, 8) for pair in pairs}
        self._markets = simulate(list(self._specs.values()), seed, rate)

    def market(self, pair: str) -> SimulatedSeries:
        """The simulated market of a pair."""
        return self._markets[pair]

    def candles(self, series: Series, since: datetime, until: datetime) -> list[Candle]:
        """Every candle of a range, those the source lacks included."""
        first, last, rows = self._made.get(series, (until, until, []))
        if not first <= since <= until <= last:
            rows = self._candles(series, since, until)
            if until - since > last - first:
                self._made[series] = since, until, rows
            return [*rows]
        start = bisect_left(rows, since, key=lambda row: row.window_start)
        return rows[start : bisect_right(rows, until, key=lambda row: row.window_end)]

    def _candles(self, series: Series, since: datetime, until: datetime) -> list[Candle]:
        seconds, spec, at = series.timeframe.seconds, self._specs[series.pair], datetime.now(UTC)
        bars = self._markets[series.pair].bars(
            seconds, int(since.timestamp()), int(until.timestamp()), int(until.timestamp()) * SECOND
        )
        return [
            Candle(
                received_at=at,
                window_start=start,
                window_end=start + series.timeframe.length,
                exchange=series.exchange,
                symbol=series.pair,
                timeframe=series.timeframe,
                open=Decimal(spec.price(bar.open)),
                high=Decimal(spec.price(bar.high)),
                low=Decimal(spec.price(bar.low)),
                close=Decimal(spec.price(bar.close)),
                volume=Decimal(spec.volume(bar.lots)),
                trade_count=bar.trades,
                closed=True,
                source=CandleSource.REST,
            )
            for bar in bars
            if bar.start + seconds <= until.timestamp()
            for start in [datetime.fromtimestamp(bar.start, UTC)]
        ]

    def closed_candles(
        self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime
    ) -> Answer:
        """As the protocol says."""
        series = Series(exchange, pair, timeframe)
        self.asked.append((f"{pair} {timeframe}", since, until))
        rows = [row for row in self.candles(series, since, until) if (series, row.window_start) not in self.lacks]
        silent: list[Span] = []
        if self.omits_empty:
            silent = [(row.window_start, row.window_end) for row in rows if not row.volume]
            rows = [row for row in rows if row.volume]
        return Answer(rows, complete=True, silent=silent)

    def pages(self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime) -> Iterator[Page]:
        """As the protocol says."""
        at = since
        while at < until:
            stop = min(until, at + self.page * timeframe.length)
            answer = self.closed_candles(exchange, pair, timeframe, max(at, self.first), stop)
            yield Page(answer.rows, stop, answer.silent, answer.impossible)
            at = stop

    def first_candle(self, exchange: str, pair: str, timeframe: Timeframe) -> datetime | None:
        """As the protocol says."""
        self.asked.append((f"{pair} {timeframe} first", self.first, self.first))
        return self.first

    def trades(
        self, exchange: str, pair: str, first_id: int, last_id: int, *, since: datetime, until: datetime
    ) -> TradesAnswer:
        """As the protocol says."""
        self.asked.append((f"{pair} trades", since, until))
        made = self.made(pair, self._markets[pair].by_id(first_id, last_id).rows())
        return TradesAnswer([trade for trade in made if (pair, trade.trade_id) not in self.lacks_trades], complete=True)

    def made(self, pair: str, rows: Iterable[tuple[int, int, int, int, bool]]) -> list[Trade]:
        """Rows of the market as trades."""
        spec, at = self._specs[pair], datetime.now(UTC)
        return [
            Trade(
                received_at=at,
                timestamp=datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time // 1000),
                exchange=self.exchange,
                pair=pair,
                price=Decimal(spec.price(tick)),
                volume=Decimal(spec.volume(lots)),
                side=Side.BUY if bought else Side.SELL,
                trade_id=number,
            )
            for number, time, tick, lots, bought in rows
        ]


def copy(connection: psycopg.Connection, rows: Iterable[Candle], source: str = "rest") -> None:
    """Put candles into a table."""
    with connection.cursor().copy(f"copy candles ({COLUMNS}, closed, source) from stdin") as into:
        for row in rows:
            into.write_row([*values(row), True, source])


def values(row: Candle) -> tuple:
    """A candle as a row of the table."""
    return tuple(getattr(row, name) for name in COLUMNS.split(", "))


def stored(connection: psycopg.Connection, series: Series) -> list[tuple]:
    """The candles of a series, hot and cold."""
    return connection.execute(
        f"select {COLUMNS} from all_candles where exchange = %s and symbol = %s and timeframe = %s order by 1",
        [series.exchange, series.pair, series.timeframe.value],
    ).fetchall()
