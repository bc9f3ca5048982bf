"""Columns derived for the suites of what the markets send: tickers, trades, candles, alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Final

from cryptoviz.gate.rows import CandidateRow, Columns, StoredContext
from cryptoviz.gate.values import (
    count_lacking,
    difference,
    instant,
    is_above_zero,
    number,
    numbers_of,
    ratio,
    seconds_between,
    series_of,
)
from cryptoviz.pairs import Timeframe


def ticker_columns(rows: Sequence[CandidateRow], _known: StoredContext) -> list[Columns]:
    return [
        {
            "lag_s": seconds_between(row.payload.get("received_at"), row.payload.get("timestamp")),
            "lacking": count_lacking(row.payload, ("timestamp",), ("last", "bid", "ask", "volume_24h", "pct_change")),
            "spread": difference(row.payload.get("ask"), row.payload.get("bid")),
            "last_to_middle": ratio(number(row.payload.get("last")), _middle(row.payload)),
        }
        for row in rows
    ]


def _middle(payload: Mapping[str, Any]) -> float | None:
    bid, ask = number(payload.get("bid")), number(payload.get("ask"))
    return (bid + ask) / 2 if bid is not None and ask is not None else None


def trade_columns(rows: Sequence[CandidateRow], _known: StoredContext) -> list[Columns]:
    prices: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        price = number(row.payload.get("price"))
        if price is not None:
            prices.setdefault(series_of(row.payload, "pair"), []).append(price)
    middle = {series: median(found) for series, found in prices.items()}
    return [
        {
            "lag_s": seconds_between(row.payload.get("received_at"), row.payload.get("timestamp")),
            "lacking": count_lacking(row.payload, ("timestamp",), ("trade_id", "price", "volume")),
            "trade": str(row.payload.get("trade_id")),
            "price_to_median": ratio(number(row.payload.get("price")), middle.get(series_of(row.payload, "pair"))),
        }
        for row in rows
    ]


def imported_trade_columns(rows: Sequence[CandidateRow], _known: StoredContext) -> list[Columns]:
    return [{name: number(row.payload.get(name)) for name in ("microseconds", "age_s")} for row in rows]


def candle_columns(rows: Sequence[CandidateRow], _known: StoredContext) -> list[Columns]:
    return [
        {
            "body_low": min(numbers_of(row.payload, "open", "close"), default=None),
            "body_high": max(numbers_of(row.payload, "open", "close"), default=None),
            "range_ratio": ratio(number(row.payload.get("high")), number(row.payload.get("low"))),
            "length_s": seconds_between(row.payload.get("window_end"), row.payload.get("window_start")),
            "fitting_length_s": _LENGTHS.get(str(row.payload.get("timeframe"))),
            "lacking": count_lacking(row.payload, ("window_start", "window_end"), _FIGURES),
            "traded": is_above_zero(row.payload, "volume"),
            "has_trades": is_above_zero(row.payload, "trade_count"),
        }
        for row in rows
    ]


def fetched_candle_columns(rows: Sequence[CandidateRow], _known: StoredContext) -> list[Columns]:
    payloads = [row.payload for row in rows]
    counted = any((number(payload.get("trade_count")) or 0) > 0 for payload in payloads)
    in_order = sorted(range(len(rows)), key=lambda position: str(payloads[position].get("window_start")))
    before = {after: number(payloads[position].get("close")) for position, after in pairwise(in_order)}
    return [
        {**_fetched_candle(payload, counted), "jump": ratio(number(payload.get("open")), before.get(position))}
        for position, payload in enumerate(payloads)
    ]


def _fetched_candle(payload: Mapping[str, Any], counted: bool) -> Columns:
    start, length = instant(payload.get("window_start")), _LENGTHS.get(str(payload.get("timeframe")))
    volume, trades = number(payload.get("volume")), number(payload.get("trade_count"))
    return {
        "body_low": min(numbers_of(payload, "open", "close"), default=None),
        "body_high": max(numbers_of(payload, "open", "close"), default=None),
        "lacking": count_lacking(payload, ("window_start",), _FIGURES),
        "range_ratio": ratio(number(payload.get("high")), number(payload.get("low"))),
        "length_s": seconds_between(payload.get("window_end"), payload.get("window_start")),
        "fitting_length_s": length,
        "off_grid_s": start.timestamp() % length if start and length else None,
        "ahead_s": seconds_between(payload.get("window_end"), payload.get("received_at")),
        "traded": None if volume is None else volume != 0,
        "has_trades": trades != 0 if counted and trades is not None else None,
    }


def alert_columns(rows: Sequence[CandidateRow], _known: StoredContext) -> list[Columns]:
    return [
        {
            "lag_s": seconds_between(row.payload.get("received_at"), row.payload.get("timestamp")),
            "lacking": count_lacking(row.payload, ("timestamp",), ("last_price", "change_percent", "threshold")),
            "move": abs(change) if (change := number(row.payload.get("change_percent"))) is not None else None,
            "fitting_type": None if change is None else "price_up" if change > 0 else "price_down",
        }
        for row in rows
    ]


_FIGURES: Final = ("open", "high", "low", "close", "volume", "trade_count")
_LENGTHS: Final = {str(timeframe): float(timeframe.seconds) for timeframe in Timeframe}
