"""The columns that suites judge: the fields of each row as plain values, and what is derived from them.

    rows + what is known already -> a column for each field, and the derived ones of the subject -> engine

great_expectations/README.md lists the derived columns. A field that no row has is no column, so that the suite fails;
a value that cannot be read is None, and every suite says which columns must never be.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from cryptoviz.pairs import Timeframe
from cryptoviz.records import SentimentLabel, record_types
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

Columns = dict[str, Any]
"""The columns of one row."""

_DAY: Final = timedelta(days=1)
_FITTING: Final = ((25, "Extreme Fear"), (46, "Fear"), (54, "Neutral"), (75, "Greed"), (100, "Extreme Greed"))
"""Up to which value of the index its publisher uses which word."""

_ENOUGH_MOVES: Final = 10
"""How many prices it takes to speak of the whole market."""

_ENOUGH_KNOWN: Final = 20
"""How many pairs an exchange must list, or coins be asked for, to call an answer with few of them broken."""

_MARKUP: Final = re.compile(r"<\s*/?\s*[a-zA-Z!]")


@dataclass(frozen=True)
class Row:
    """One row to be judged. `payload` are its fields, `series` is what it is one state of, `run` fetched it."""

    key: str
    payload: Mapping[str, Any]
    origin: Mapping[str, Any] = field(default_factory=dict)
    series: str = ""
    run: str = ""
    number: int = 0


@dataclass(frozen=True)
class Known:
    """What the platform knows already and rows are compared with."""

    coins: Mapping[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    """(source, symbol) -> price and name that were published last, within the last hour."""

    days: frozenset[date] = frozenset()
    """The days whose mood is stored."""

    listed: Mapping[str, int] = field(default_factory=dict)
    """Exchange -> how many pairs the table says it lists."""


def known(connection: Connection[Any], subject: str, rows: Sequence[Row]) -> Known:
    """What the rows of a subject are compared with."""
    if subject == "market":
        received = max((when for row in rows if (when := instant(row.payload.get("received_at")))), default=None)
        found = connection.execute(query("gate_known_coins"), {"before": received}).fetchall()
        return Known(coins={(source, symbol): (float(price), name) for source, symbol, price, name in found})
    if subject == "mood":
        return Known(days=frozenset(day for (day,) in connection.execute(query("gate_known_days"))))
    if subject == "instruments":
        return Known(listed=dict(connection.execute(query("gate_known_listed")).fetchall()))
    return Known()


def columns(subject: str, rows: Sequence[Row], known: Known) -> list[Columns]:
    """The columns of each row, in the order of the rows."""
    derive = _DERIVED.get(subject)
    fields = [{name: _plain(name, value) for name, value in row.payload.items()} for row in rows]
    if derive is None:
        return fields
    return [{**plain, **derived} for plain, derived in zip(fields, derive(rows, known), strict=True)]


def instant(value: object) -> datetime | None:
    """An instant, or its ISO 8601 text, in UTC; None for anything else."""
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):  # in UTC it may be before the year 1
        return None


def number(value: object) -> float | None:
    """A number, or its text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _articles(rows: Sequence[Row], _known: Known) -> list[Columns]:
    return [_article(row.payload, row.origin) for row in rows]


def _article(payload: Mapping[str, Any], origin: Mapping[str, Any]) -> Columns:
    sentiment = payload.get("sentiment")
    sentiment = sentiment if isinstance(sentiment, Mapping) else {}
    score = number(sentiment.get("score"))
    title, summary, content = (_text(payload.get(name)) for name in ("title", "summary", "content"))
    coins = payload.get("cryptocurrencies_mentioned")
    published = _seconds(payload.get("received_at"), payload.get("published_at"))
    return {
        "link": _text(payload.get("url")),
        "title_length": len(title),
        "text_length": len(summary) + len(content),
        "markup": next((part for part in (title, summary) if _MARKUP.search(part)), None),
        "publication_known": payload.get("published_known", True) is True,
        "age_days": None if published is None else published / 86_400,
        "on_website": _on_website(payload, origin),
        "score": score,
        "label": str(sentiment.get("label")),
        "fitting_label": SentimentLabel.of(score).value if score is not None else None,
        "coins": " ".join(map(str, coins)) if isinstance(coins, list | tuple) else None,
    }


def _on_website(payload: Mapping[str, Any], origin: Mapping[str, Any]) -> bool:
    host, website = _host(payload.get("url")), _text(payload.get("website")).lower().removeprefix("www.")
    return bool(host) and (host in (website, _host(origin.get("url"))) or host.endswith(f".{website}"))


def _host(url: object) -> str:
    try:
        return (urlsplit(_text(url)).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def _market(rows: Sequence[Row], known: Known) -> list[Columns]:
    prices = {coin: price for coin, (price, _) in known.coins.items()} | {
        (str(row.payload.get("source")), str(row.payload.get("symbol"))): price
        for row in rows
        if (price := number(row.payload.get("price_usd"))) is not None
    }
    best: dict[tuple[str, str, str], tuple[float, int]] = {}
    for position, row in enumerate(rows):
        place = (number(row.payload.get("rank")) or math.inf, position)
        best[_answer(row)] = min(place, best.get(_answer(row), place))
    coins = [_coin(row, known, prices) for row in rows]
    moves: dict[str, list[float]] = {}
    for row, coin in zip(rows, coins, strict=True):
        if coin["price_ratio"] is not None:
            moves.setdefault(str(row.payload.get("source")), []).append(coin["price_ratio"])
    move = {source: median(found) for source, found in moves.items() if len(found) >= _ENOUGH_MOVES}
    return [
        {
            **coin,
            "market_move": move.get(str(row.payload.get("source"))),
            "not_numbers": _not_numbers(row.payload, *_OVERVIEW),
            "namesakes": int(best[_answer(row)][1] != position),
        }
        for position, (row, coin) in enumerate(zip(rows, coins, strict=True))
    ]


def _answer(row: Row) -> tuple[str, str, str]:
    """What no two coins of one answer may share."""
    return row.run, str(row.payload.get("source")), str(row.payload.get("symbol"))


def _coin(row: Row, known: Known, prices: Mapping[tuple[str, str], float]) -> Columns:
    payload = row.payload
    source, symbol = str(payload.get("source")), str(payload.get("symbol"))
    price, cap, volume, supply = (
        number(payload.get(name)) for name in ("price_usd", "market_cap", "volume_24h", "circulating_supply")
    )
    before, name = known.coins.get((source, symbol), (None, None))
    elsewhere = [found for (other, coin), found in prices.items() if coin == symbol and other != source]
    explained = price * supply if price and supply else None
    asked = number(row.origin.get("asked")) or 0.0
    return {
        "price": price,
        "cap": cap,
        "cap_to_volume": cap / max(volume or 0.0, 1.0) if cap is not None else None,
        "cap_explained": cap / explained if cap and explained else None,
        "age_s": _seconds(payload.get("received_at"), payload.get("timestamp")),
        "name_before": name,
        "price_ratio": _ratio(price, before),
        "price_elsewhere_ratio": _ratio(price, median(elsewhere) if elsewhere else None),
        "below_high": _ratio(price, number(payload.get("ath"))),
        "above_low": _ratio(price, number(payload.get("atl"))),
        "answered_share": _ratio(number(row.origin.get("answered")), asked) if asked >= _ENOUGH_KNOWN else None,
    }


def _mood(rows: Sequence[Row], known: Known) -> list[Columns]:
    days = [when.date() if (when := instant(row.payload.get("timestamp"))) else None for row in rows]
    every = sorted(known.days | {day for day in days if day is not None})
    missing = {
        after: ", ".join(str(before + _DAY * step) for step in range(1, (after - before).days))
        for before, after in pairwise(every)
        if after - before > _DAY
    }
    return [
        {**_index(row.payload), "missing_days": missing.get(day) if day is not None else None}
        for row, day in zip(rows, days, strict=True)
    ]


def _index(payload: Mapping[str, Any]) -> Columns:
    value, when = number(payload.get("value")), instant(payload.get("timestamp"))
    return {
        "index": value,
        "fitting": next((word for most, word in _FITTING if value is not None and value <= most), None),
        "seconds_of_day": (when - when.replace(hour=0, minute=0, second=0, microsecond=0)).seconds if when else None,
        "age_s": _seconds(payload.get("received_at"), payload.get("timestamp")),
    }


def _instruments(rows: Sequence[Row], known: Known) -> list[Columns]:
    listed = Counter(str(row.payload.get("exchange")) for row in rows)
    return [
        {
            "base": str(row.payload.get("pair")).split("/")[0],
            "not_numbers": _not_numbers(row.payload, "price_increment", "volume_increment"),
            "price_step": number(row.payload.get("price_increment")),
            "volume_step": number(row.payload.get("volume_increment")),
            "listed_share": _ratio(listed[exchange], before) if before >= _ENOUGH_KNOWN else None,
        }
        for row in rows
        for exchange in (str(row.payload.get("exchange")),)
        for before in (known.listed.get(exchange, 0),)
    ]


def _tickers(rows: Sequence[Row], _known: Known) -> list[Columns]:
    return [
        {
            "lag_s": _seconds(row.payload.get("received_at"), row.payload.get("timestamp")),
            "lacking": _lacking(row.payload, ("timestamp",), ("last", "bid", "ask", "volume_24h", "pct_change")),
            "spread": _difference(row.payload.get("ask"), row.payload.get("bid")),
            "last_to_middle": _ratio(number(row.payload.get("last")), _middle(row.payload)),
        }
        for row in rows
    ]


def _middle(payload: Mapping[str, Any]) -> float | None:
    bid, ask = number(payload.get("bid")), number(payload.get("ask"))
    return (bid + ask) / 2 if bid is not None and ask is not None else None


def _trades(rows: Sequence[Row], _known: Known) -> list[Columns]:
    prices: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        price = number(row.payload.get("price"))
        if price is not None:
            prices.setdefault(_series(row.payload, "pair"), []).append(price)
    middle = {series: median(found) for series, found in prices.items()}
    return [
        {
            "lag_s": _seconds(row.payload.get("received_at"), row.payload.get("timestamp")),
            "lacking": _lacking(row.payload, ("timestamp",), ("trade_id", "price", "volume")),
            "trade": str(row.payload.get("trade_id")),
            "price_to_median": _ratio(number(row.payload.get("price")), middle.get(_series(row.payload, "pair"))),
        }
        for row in rows
    ]


def _trades_import(rows: Sequence[Row], _known: Known) -> list[Columns]:
    return [{name: number(row.payload.get(name)) for name in ("microseconds", "age_s")} for row in rows]


def _candles(rows: Sequence[Row], _known: Known) -> list[Columns]:
    return [
        {
            "body_low": min(_numbers(row.payload, "open", "close"), default=None),
            "body_high": max(_numbers(row.payload, "open", "close"), default=None),
            "range_ratio": _ratio(number(row.payload.get("high")), number(row.payload.get("low"))),
            "length_s": _seconds(row.payload.get("window_end"), row.payload.get("window_start")),
            "fitting_length_s": _LENGTHS.get(str(row.payload.get("timeframe"))),
            "lacking": _lacking(row.payload, ("window_start", "window_end"), _FIGURES),
            "traded": _above_zero(row.payload, "volume"),
            "has_trades": _above_zero(row.payload, "trade_count"),
        }
        for row in rows
    ]


def _fetched_candles(rows: Sequence[Row], _known: Known) -> list[Columns]:
    payloads = [row.payload for row in rows]
    counted = any((number(payload.get("trade_count")) or 0) > 0 for payload in payloads)
    in_order = sorted(range(len(rows)), key=lambda position: str(payloads[position].get("window_start")))
    before = {after: number(payloads[position].get("close")) for position, after in pairwise(in_order)}
    return [
        {**_fetched_candle(payload, counted), "jump": _ratio(number(payload.get("open")), before.get(position))}
        for position, payload in enumerate(payloads)
    ]


def _fetched_candle(payload: Mapping[str, Any], counted: bool) -> Columns:
    start, length = instant(payload.get("window_start")), _LENGTHS.get(str(payload.get("timeframe")))
    volume, trades = number(payload.get("volume")), number(payload.get("trade_count"))
    return {
        "body_low": min(_numbers(payload, "open", "close"), default=None),
        "body_high": max(_numbers(payload, "open", "close"), default=None),
        "lacking": _lacking(payload, ("window_start",), _FIGURES),
        "range_ratio": _ratio(number(payload.get("high")), number(payload.get("low"))),
        "length_s": _seconds(payload.get("window_end"), payload.get("window_start")),
        "fitting_length_s": length,
        "off_grid_s": start.timestamp() % length if start and length else None,
        "ahead_s": _seconds(payload.get("window_end"), payload.get("received_at")),
        "traded": None if volume is None else volume != 0,
        "has_trades": trades != 0 if counted and trades is not None else None,
    }


def _alerts(rows: Sequence[Row], _known: Known) -> list[Columns]:
    return [
        {
            "lag_s": _seconds(row.payload.get("received_at"), row.payload.get("timestamp")),
            "lacking": _lacking(row.payload, ("timestamp",), ("last_price", "change_percent", "threshold")),
            "move": abs(change) if (change := number(row.payload.get("change_percent"))) is not None else None,
            "fitting_type": None if change is None else "price_up" if change > 0 else "price_down",
        }
        for row in rows
    ]


_OVERVIEW: Final = (
    "market_cap",
    "volume_24h",
    "change_1h",
    "change_24h",
    "change_7d",
    "ath",
    "atl",
    "circulating_supply",
    "rank",
)
_FIGURES: Final = ("open", "high", "low", "close", "volume", "trade_count")
_LENGTHS: Final = {str(timeframe): float(timeframe.seconds) for timeframe in Timeframe}

_DERIVED: Final[Mapping[str, Callable[[Sequence[Row], Known], list[Columns]]]] = {
    "alerts": _alerts,
    "articles": _articles,
    "candles": _candles,
    "candles_rest": _fetched_candles,
    "instruments": _instruments,
    "market": _market,
    "mood": _mood,
    "tickers": _tickers,
    "trades": _trades,
    "trades_import": _trades_import,
}


def _numeric() -> frozenset[str]:
    """The fields that are numbers in every record that has them."""
    kinds = (msgspec.inspect.IntType, msgspec.inspect.FloatType, msgspec.inspect.DecimalType)
    found: dict[str, bool] = {}
    for record in record_types():
        for one in msgspec.inspect.type_info(record).fields:  # type: ignore[attr-defined]
            types = getattr(one.type, "types", (one.type,))
            found[one.name] = found.get(one.name, True) and any(isinstance(kind, kinds) for kind in types)
    return frozenset(name for name, numeric in found.items() if numeric)


_NUMERIC: Final = _numeric()


def _plain(name: str, value: Any) -> str | float | None:
    """A field as it is judged: a number where records have one, else text; None where there is nothing to read."""
    if name in _NUMERIC:
        return number(value)
    return value if isinstance(value, str) or value is None else str(value)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _numbers(payload: Mapping[str, Any], *names: str) -> Iterable[float]:
    return [found for name in names if (found := number(payload.get(name))) is not None]


def _seconds(later: Any, earlier: Any) -> float | None:
    after, before = instant(later), instant(earlier)
    return (after - before).total_seconds() if after is not None and before is not None else None


def _lacking(payload: Mapping[str, Any], times: Iterable[str], numbers: Iterable[str]) -> int:
    """How many of a row's times and numbers are missing, or are none."""
    return sum(instant(payload.get(name)) is None for name in times) + sum(
        number(payload.get(name)) is None for name in numbers
    )


def _not_numbers(payload: Mapping[str, Any], *names: str) -> str | None:
    """The fields that say something, but no number; None: there is no such field."""
    wrong = [name for name in names if payload.get(name) is not None and number(payload[name]) is None]
    return ", ".join(wrong) or None


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def _difference(value: Any, base: Any) -> float | None:
    left, right = number(value), number(base)
    return left - right if left is not None and right is not None else None


def _above_zero(payload: Mapping[str, Any], name: str) -> bool | None:
    found = number(payload.get(name))
    return None if found is None else found > 0


def _series(payload: Mapping[str, Any], name: str) -> tuple[str, str]:
    return str(payload.get("exchange")), str(payload.get(name))
