"""Kraken's messages, made of simulated trades: frames of WebSocket v2, rows of REST bodies."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from simulators.exchange import seconds_text
from simulators.feed import Feed, Row, Statistics
from simulators.trades import DAY, MINUTE, SECOND, Bar, Spec, decimal

_LEGACY: Final = {"BTC": "XXBT", "ETH": "XETH", "XRP": "XXRP", "LTC": "XLTC", "DOGE": "XXDG"}


_LEGACY_QUOTES: Final = {"USD": "ZUSD", "EUR": "ZEUR", "GBP": "ZGBP"}


_ALTNAMES: Final = {"BTC": "XBT", "DOGE": "XDG", "LUNC": "LUNA", "LUNA": "LUNA2", "USTC": "UST"}


_STREAM_NAMES: Final = {"LUNC": "LUNA", "LUNA": "LUNA2", "USTC": "UST"}


_PAIR_ALTNAMES: Final = {"DOGE"}


_ISO_MINUTE: Final = "%Y-%m-%dT%H:%M:00.000000000Z"


def iso(nanoseconds: int) -> str:
    """An instant as Kraken writes it: RFC 3339 with microseconds and Z."""
    whole, rest = divmod(nanoseconds, SECOND)
    return f"{_iso_second(whole)}.{rest // 1000:06d}Z"


_seconds: dict[int, str] = {}


def _iso_second(second: int) -> str:
    text = _seconds.get(second)
    if text is None:
        if len(_seconds) > 1000:
            _seconds.clear()
        text = _seconds[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text


def wire(message: Any) -> bytes:
    return msgspec.json.encode(message)


def _number(text: str) -> msgspec.Raw:
    """A JSON number with exactly these digits."""
    return msgspec.Raw(text.encode())


def nanoseconds(since: str) -> int:
    """Kraken takes seconds as well as nanoseconds; nobody asks for the year 292 billion."""
    whole, _, fraction = since.partition(".")
    value = int(whole)
    if value < 10**12:
        return value * SECOND + int((fraction + "0" * 9)[:9])
    return value


def trade_message(spec: Spec, rows: list[Row], kind: str) -> bytes:
    price_decimals = spec.price_decimals
    head = f'{{"symbol":"{symbol_of(spec.pair)}","side":"'
    previous, price = -1, ""
    items = []
    for trade_id, instant, tick, lots, buy in rows:
        if tick != previous:
            previous, price = tick, decimal(tick, price_decimals)
        second, rest = divmod(instant, SECOND)
        whole, part = divmod(lots, 100_000_000)
        items.append(
            f'{head}{"buy" if buy else "sell"}","price":{price},"qty":{whole}.{part:08d},'
            f'"ord_type":"{"limit" if trade_id % 3 else "market"}","trade_id":{trade_id},'
            f'"timestamp":"{_iso_second(second)}.{rest // 1000:06d}Z"}}'
        )
    return f'{{"channel":"trade","type":"{kind}","data":[{",".join(items)}]}}'.encode()


def ticker_message(spec: Spec, day: Statistics, kind: str) -> bytes:
    price, volume = spec.price, spec.volume
    average = f"{day.average / 10**spec.price_decimals:.{spec.price_decimals + 1}f}"
    change = day.last - day.open
    sign = "-" if change < 0 else ""
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{symbol_of(spec.pair)}",'
        f'"bid":{price(max(day.last - 1, 1))},'
        f'"bid_qty":{volume(day.last_lots * 3)},"ask":{price(day.last + 1)},"ask_qty":{volume(day.last_lots * 2)},'
        f'"last":{price(day.last)},"volume":{volume(day.lots)},"vwap":{average},"low":{price(day.low)},'
        f'"high":{price(day.high)},"change":{sign}{price(abs(change))},"change_pct":{day.change_percent:.2f},'
        f'"timestamp":"{iso(day.last_time)}"}}]}}'
    ).encode()


def ohlc_message(spec: Spec, bar: Bar, kind: str) -> bytes:
    begin = datetime.fromtimestamp(bar.start, UTC).strftime(_ISO_MINUTE)
    data = {
        "symbol": symbol_of(spec.pair),
        "open": _number(spec.price(bar.open)),
        "high": _number(spec.price(bar.high)),
        "low": _number(spec.price(bar.low)),
        "close": _number(spec.price(bar.close)),
        "trades": bar.trades,
        "volume": _number(spec.volume(bar.lots)),
        "vwap": _number(_average(spec, bar)),
        "interval_begin": begin,
        "interval": 1,
    }
    stamp = iso((bar.start + MINUTE) * SECOND)
    return wire({"channel": "ohlc", "type": kind, "timestamp": stamp, "data": [data]})


def _average(spec: Spec, bar: Bar) -> str:
    """The volume-weighted average price, rounded half up to the tick: integer arithmetic, so exactly."""
    return spec.price((2 * bar.quote + bar.lots) // (2 * bar.lots)) if bar.lots else "0.0"


def asset_id(coin: str) -> str:
    return _LEGACY.get(coin) or _LEGACY_QUOTES.get(coin) or _STREAM_NAMES.get(coin, coin)


def _altname(pair: str) -> str:
    base, _, quote = pair.partition("/")
    return _ALTNAMES.get(base, base) + _ALTNAMES.get(quote, quote)


def rest_id(pair: str) -> str:
    """Kraken's own name of a pair: legacy assets against legacy quotes carry their X and Z."""
    base, _, quote = pair.partition("/")
    if base in _LEGACY and quote in _LEGACY_QUOTES and base not in _PAIR_ALTNAMES:
        return _LEGACY[base] + _LEGACY_QUOTES[quote]
    return _altname(pair)


def _ws_name_v1(pair: str) -> str:
    return "/".join(_ALTNAMES.get(coin, coin) for coin in pair.split("/"))


def spellings(pair: str) -> set[str]:
    symbol = symbol_of(pair)
    return {rest_id(pair), _altname(pair), _ws_name_v1(pair), symbol, symbol.replace("/", "")}


@lru_cache(maxsize=1024)
def symbol_of(pair: str) -> str:
    """A pair in WebSocket v2: BTC and DOGE as everybody writes them, the Terra coins under Kraken's old names."""
    return "/".join(_STREAM_NAMES.get(coin, coin) for coin in pair.split("/"))


def ws_asset(coin: str) -> dict[str, Any]:
    precision = {"USD": 4, "EUR": 4}.get(coin, 10 if coin == "BTC" else 8)
    return {
        "id": coin,
        "status": "enabled",
        "precision": precision,
        "precision_display": 2 if coin in {"USD", "EUR"} else 5,
        "borrowable": True,
        "collateral_value": 1.0,
        "margin_rate": 0.02,
    }


def ws_pair(spec: Spec) -> dict[str, Any]:
    increment = _number(decimal(1, spec.price_decimals))
    symbol = symbol_of(spec.pair)
    base, _, quote = symbol.partition("/")
    return {
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "status": "online",
        "qty_precision": spec.volume_decimals,
        "qty_increment": _number("0.00000001"),
        "price_precision": spec.price_decimals,
        "cost_precision": 5,
        "marginable": True,
        "has_index": True,
        "cost_min": 0.5,
        "margin_initial": 0.2,
        "position_limit_long": 300,
        "position_limit_short": 240,
        "tick_size": increment,
        "price_increment": increment,
        "qty_min": 0.0001,
    }


def rest_asset(coin: str) -> dict[str, Any]:
    return {
        "aclass": "currency",
        "altname": _ALTNAMES.get(coin, coin),
        "decimals": 4 if coin in _LEGACY_QUOTES else 10,
        "display_decimals": 2 if coin in _LEGACY_QUOTES else 5,
        "status": "enabled",
    }


def rest_pair(spec: Spec) -> dict[str, Any]:
    return {
        "altname": _altname(spec.pair),
        "wsname": _ws_name_v1(spec.pair),
        "aclass_base": "currency",
        "base": asset_id(spec.base),
        "aclass_quote": "currency",
        "quote": asset_id(spec.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": spec.price_decimals,
        "lot_decimals": spec.volume_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3, 4, 5],
        "leverage_sell": [2, 3, 4, 5],
        "fees": [[0, 0.4], [10000, 0.35]],
        "fees_maker": [[0, 0.25], [10000, 0.2]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": decimal(1, spec.price_decimals),
        "status": "online",
        "long_position_limit": 80,
        "short_position_limit": 80,
    }


def _rest_price(spec: Spec, tick: int) -> str:
    """REST writes trade prices with at least five decimals."""
    missing = max(5 - spec.price_decimals, 0)
    return decimal(tick * 10**missing, spec.price_decimals + missing)


def rest_trade(spec: Spec, row: Row) -> list[Any]:
    trade_id, instant, tick, lots, buy = row
    kind = "l" if trade_id % 3 else "m"
    stamp = _number(seconds_text(instant))
    return [_rest_price(spec, tick), spec.volume(lots), stamp, "b" if buy else "s", kind, "", trade_id]


def rest_bar(spec: Spec, bar: Bar) -> list[Any]:
    prices = [spec.price(tick) for tick in (bar.open, bar.high, bar.low, bar.close)]
    return [bar.start, *prices, _average(spec, bar), spec.volume(bar.lots), bar.trades]


def rest_ticker(feed: Feed, day: Statistics, now: int) -> dict[str, Any]:
    spec = feed.spec
    midnight = now // SECOND // DAY * DAY
    today = [bar for bar in feed.series.bars(DAY, midnight, midnight + DAY, now) if bar.start == midnight][:1]
    bar = today[0] if today else Bar(midnight, day.last, day.last, day.last, day.last, 0, 0, 0, 0, 0, 0)

    def price(tick: int) -> str:
        return _rest_price(spec, tick)

    average = f"{day.average / 10**spec.price_decimals:.5f}"
    return {
        "a": [price(day.last + 1), "1", "1.000"],
        "b": [price(max(day.last - 1, 1)), "1", "1.000"],
        "c": [price(day.last), spec.volume(day.last_lots)],
        "v": [spec.volume(bar.lots), spec.volume(day.lots)],
        "p": [_average(spec, bar), average],
        "t": [bar.trades, day.count],
        "l": [price(bar.low), price(day.low)],
        "h": [price(bar.high), price(day.high)],
        "o": price(bar.open),
    }
