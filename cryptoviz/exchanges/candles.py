"""Candles made of trades or of an exchange's rows. Pure; equal to what the database makes of the same trades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from cryptoviz.exchanges.history import Impossible, Page, Row, Span
from cryptoviz.logs import logger
from cryptoviz.pairs import Series
from cryptoviz.records import FRACTION_DIGITS, INTEGER_DIGITS, Candle, Trade, fetched_candle

_NOTHING: Final = Decimal(0)

_MOST_TRADES: Final = 2**63 - 1

Figure = Decimal | None
Figures = tuple[Figure, Figure, Figure, Figure, Figure, int]
"""Open, high, low, close, volume, number of trades."""

_log = logger(__name__)


@dataclass(frozen=True)
class Built:
    """Candles of consecutive windows; `silent`: where nobody traded and no earlier price is known."""

    rows: Sequence[Row]
    silent: Sequence[Span]
    price: Decimal | None
    """The last price before the end."""


def page_of(rows: Iterable[Row], until: datetime, silent: Sequence[Span] = ()) -> Page:
    """A page of rows, what cannot be a candle apart from the candles."""
    candles: list[Candle] = []
    impossible: list[Impossible] = []
    for row in rows:
        if isinstance(row, Candle):
            candles.append(row)
        else:
            impossible.append(row)
    return Page(candles, until, silent, impossible)


def candle(series: Series, start: datetime, figures: Figures, received_at: datetime) -> Row:
    """The closed candle of a window; where no candle can be like that, what it is instead, and a warning."""
    opening, high, low, closing, volume, trades = figures
    try:
        if opening is None or high is None or low is None or closing is None or volume is None:
            raise ValueError("a number is missing")
        if not 0 <= trades <= _MOST_TRADES:
            raise ValueError("trade_count is negative" if trades < 0 else "trade_count is too large")
        return fetched_candle(series, start, (opening, high, low, closing), volume, trades, received_at=received_at)
    except ValueError as error:
        _log.warning("candle_impossible", series=str(series), window_start=start.isoformat(), reason=str(error))
        return Impossible(
            window_start=start,
            window_end=start + series.timeframe.length,
            open=_storable(opening),
            high=_storable(high),
            low=_storable(low),
            close=_storable(closing),
            volume=_storable(volume),
            trade_count=trades if abs(trades) <= _MOST_TRADES else None,
            reason=str(error),
        )


def _storable(number: Figure) -> Figure:
    if number is None or not number.is_finite():
        return None
    digits = number.normalize()
    exponent = digits.as_tuple().exponent
    narrow = isinstance(exponent, int) and exponent >= -FRACTION_DIGITS and digits.adjusted() < INTEGER_DIGITS
    return number if narrow else None


def build(
    series: Series,
    trades: Sequence[Trade],
    since: datetime,
    until: datetime,
    price: Decimal | None,
    *,
    refused: Mapping[datetime, str] = MappingProxyType({}),
) -> Built:
    """The candles of all windows from `since` to `until`, from all trades in them; `price` is the last before.

    A window without trades carries the price on. Trades are taken in the order of time and id. `refused`: windows of
    which a trade was given that is impossible: they are no candles, for that reason, and no price is known after them.
    """
    ordered = sorted(trades, key=lambda trade: (trade.timestamp, trade.trade_id))
    received_at = datetime.now(UTC)
    rows: list[Row] = []
    silent: list[Span] = []
    start, position = since, 0
    while start < until:
        end = start + series.timeframe.length
        first = position
        while position < len(ordered) and ordered[position].timestamp < end:
            position += 1
        if start in refused:
            rows.append(Impossible(start, end, None, None, None, None, None, None, refused[start]))
            price = None
        elif position > first:
            rows.append(_of_trades(series, start, ordered[first:position], received_at))
            price = ordered[position - 1].price
        elif price is not None:
            rows.append(candle(series, start, (price, price, price, price, _NOTHING, 0), received_at))
        else:
            silent = _longer(silent, start, end)
        start = end
    return Built(rows, silent, price)


def _longer(spans: list[Span], start: datetime, end: datetime) -> list[Span]:
    """The spans and one that may continue the last of them."""
    if spans and spans[-1][1] == start:
        return [*spans[:-1], (spans[-1][0], end)]
    return [*spans, (start, end)]


def _of_trades(series: Series, start: datetime, trades: Sequence[Trade], received_at: datetime) -> Row:
    prices = [trade.price for trade in trades]
    volume = sum((trade.volume for trade in trades), _NOTHING)
    figures = (prices[0], max(prices), min(prices), prices[-1], volume, len(trades))
    return candle(series, start, figures, received_at)
