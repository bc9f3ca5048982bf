"""Binance's messages, made of simulated trades: events of streams, rows of REST bodies."""

from __future__ import annotations

from typing import Any, Final

from simulators.feed import Feed, Row, Statistics
from simulators.trades import Bar, Spec, decimal

_WIRE_DECIMALS: Final = 8


MILLI: Final = 1_000_000


def symbol_of(pair: str) -> str:
    return pair.replace("/", "")


def decimal_text(value: int, decimals: int) -> str:
    """A number as Binance writes it: always eight decimals."""
    return decimal(value * 10 ** (_WIRE_DECIMALS - decimals), _WIRE_DECIMALS)


def _quote(spec: Spec, value: int) -> str:
    """A quote volume in ticks times lots: exactly, with eight decimals, as tick and lot sizes need no more."""
    return decimal_text(value, spec.price_decimals + spec.volume_decimals)


def trade_events(spec: Spec, rows: list[Row], event: int) -> list[bytes]:
    head = f'{{"e":"trade","E":{event},"s":"{symbol_of(spec.pair)}","t":'
    scale = 10 ** (_WIRE_DECIMALS - spec.volume_decimals)
    previous, price = -1, ""
    events = []
    for trade_id, instant, tick, lots, buy in rows:
        if tick != previous:
            previous, price = tick, decimal_text(tick, spec.price_decimals)
        whole, part = divmod(lots * scale, 100_000_000)
        events.append(
            f'{head}{trade_id},"p":"{price}","q":"{whole}.{part:08d}","T":{instant // MILLI},'
            f'"m":{"false" if buy else "true"},"M":true}}'.encode()
        )
    return events


def aggregate(spec: Spec, row: Row) -> dict[str, Any]:
    trade_id, instant, tick, lots, buy = row
    return {
        "a": trade_id,
        "p": decimal_text(tick, spec.price_decimals),
        "q": decimal_text(lots, spec.volume_decimals),
        "f": trade_id,
        "l": trade_id,
        "T": instant // MILLI,
        "m": not buy,
        "M": True,
    }


def agg_event(spec: Spec, row: Row, event: int) -> dict[str, Any]:
    return {"e": "aggTrade", "E": event, "s": symbol_of(spec.pair), **aggregate(spec, row)}


def book_event(spec: Spec, row: Row) -> dict[str, Any]:
    lots = decimal_text(row[3], spec.volume_decimals)
    bid, ask = (decimal_text(tick, spec.price_decimals) for tick in (max(row[2] - 1, 1), row[2] + 1))
    return {"u": row[0], "s": symbol_of(spec.pair), "b": bid, "B": lots, "a": ask, "A": lots}


def ticker_event(spec: Spec, day: Statistics, event: int) -> dict[str, Any]:
    def price(tick: int) -> str:
        return decimal_text(tick, spec.price_decimals)

    return {
        "e": "24hrTicker",
        "E": event,
        "s": symbol_of(spec.pair),
        "p": _signed(spec, day.last - day.open),
        "P": f"{day.change_percent:.3f}",
        "w": f"{day.average / 10**spec.price_decimals:.8f}",
        "x": price(day.open),
        "c": price(day.last),
        "Q": decimal_text(day.last_lots, spec.volume_decimals),
        "b": price(max(day.last - 1, 1)),
        "B": decimal_text(day.last_lots * 3, spec.volume_decimals),
        "a": price(day.last + 1),
        "A": decimal_text(day.last_lots * 2, spec.volume_decimals),
        "o": price(day.open),
        "h": price(day.high),
        "l": price(day.low),
        "v": decimal_text(day.lots, spec.volume_decimals),
        "q": _quote(spec, day.quote),
        "O": day.start * 1000,
        "C": event,
        "F": day.first_id,
        "L": day.last_id,
        "n": day.count,
    }


def _signed(spec: Spec, tick: int) -> str:
    return ("-" if tick < 0 else "") + decimal_text(abs(tick), spec.price_decimals)


def candle_event(spec: Spec, bar: Bar, interval: str, length: int, *, closed: bool, event: int) -> dict[str, Any]:
    def price(tick: int) -> str:
        return decimal_text(tick, spec.price_decimals)

    return {
        "e": "kline",
        "E": event,
        "s": symbol_of(spec.pair),
        "k": {
            "t": bar.start * 1000,
            "T": (bar.start + length) * 1000 - 1,
            "s": symbol_of(spec.pair),
            "i": interval,
            "f": bar.first_id if bar.trades else -1,
            "L": bar.first_id + bar.trades - 1 if bar.trades else -1,
            "o": price(bar.open),
            "c": price(bar.close),
            "h": price(bar.high),
            "l": price(bar.low),
            "v": decimal_text(bar.lots, spec.volume_decimals),
            "n": bar.trades,
            "x": closed,
            "q": _quote(spec, bar.quote),
            "V": decimal_text(bar.buy_lots, spec.volume_decimals),
            "Q": _quote(spec, bar.buy_quote),
            "B": "0",
        },
    }


def rest_bar(spec: Spec, bar: Bar, length: int) -> list[Any]:
    return [
        bar.start * 1000,
        *(decimal_text(tick, spec.price_decimals) for tick in (bar.open, bar.high, bar.low, bar.close)),
        decimal_text(bar.lots, spec.volume_decimals),
        (bar.start + length) * 1000 - 1,
        _quote(spec, bar.quote),
        bar.trades,
        decimal_text(bar.buy_lots, spec.volume_decimals),
        _quote(spec, bar.buy_quote),
        "0",
    ]


def rest_trade(spec: Spec, row: Row) -> dict[str, Any]:
    trade_id, instant, tick, lots, buy = row
    return {
        "id": trade_id,
        "price": decimal_text(tick, spec.price_decimals),
        "qty": decimal_text(lots, spec.volume_decimals),
        "quoteQty": _quote(spec, tick * lots),
        "time": instant // MILLI,
        "isBuyerMaker": not buy,
        "isBestMatch": True,
    }


def rest_ticker(feed: Feed, day: Statistics, now: int) -> dict[str, Any]:
    event = ticker_event(feed.spec, day, now // MILLI)
    names = {
        "symbol": "s",
        "priceChange": "p",
        "priceChangePercent": "P",
        "weightedAvgPrice": "w",
        "prevClosePrice": "x",
        "lastPrice": "c",
        "lastQty": "Q",
        "bidPrice": "b",
        "bidQty": "B",
        "askPrice": "a",
        "askQty": "A",
        "openPrice": "o",
        "highPrice": "h",
        "lowPrice": "l",
        "volume": "v",
        "quoteVolume": "q",
        "openTime": "O",
        "closeTime": "C",
        "firstId": "F",
        "lastId": "L",
        "count": "n",
    }
    return {name: event[short] for name, short in names.items()}


def ticker_price_body(spec: Spec, day: Statistics) -> dict[str, Any]:
    return {"symbol": symbol_of(spec.pair), "price": decimal_text(day.last, spec.price_decimals)}


def book_body(spec: Spec, day: Statistics) -> dict[str, Any]:
    event = ticker_event(spec, day, 0)
    names = {"symbol": "s", "bidPrice": "b", "bidQty": "B", "askPrice": "a", "askQty": "A"}
    return {name: event[short] for name, short in names.items()}


def symbol_info(spec: Spec) -> dict[str, Any]:
    tick, lot = decimal_text(1, spec.price_decimals), decimal_text(1, spec.volume_decimals)
    return {
        "symbol": symbol_of(spec.pair),
        "status": "TRADING",
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000000.00000000", "stepSize": lot},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "avgPriceMins": 5},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }
