"""Columns derived for the suites of what is polled: articles, market overviews, mood, instruments."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from cryptoviz.gate.rows import CandidateRow, Columns, StoredContext
from cryptoviz.gate.values import instant, names_without_number, number, ratio, seconds_between, stripped_text
from cryptoviz.records import SentimentLabel

_DAY: Final = timedelta(days=1)
_FITTING: Final = ((25, "Extreme Fear"), (46, "Fear"), (54, "Neutral"), (75, "Greed"), (100, "Extreme Greed"))
"""Up to which value of the index its publisher uses which word."""
_ENOUGH_MOVES: Final = 10
"""How many prices it takes to speak of the whole market."""
_ENOUGH_KNOWN: Final = 20
"""How many pairs an exchange must list, or coins be asked for, to call an answer with few of them broken."""
_MARKUP: Final = re.compile(r"<\s*/?\s*[a-zA-Z!]")


def article_columns(rows: Sequence[CandidateRow], _known: StoredContext) -> list[Columns]:
    return [_article(row.payload, row.origin) for row in rows]


def _article(payload: Mapping[str, Any], origin: Mapping[str, Any]) -> Columns:
    sentiment = payload.get("sentiment")
    sentiment = sentiment if isinstance(sentiment, Mapping) else {}
    score = number(sentiment.get("score"))
    title, summary, content = (stripped_text(payload.get(name)) for name in ("title", "summary", "content"))
    coins = payload.get("cryptocurrencies_mentioned")
    published = seconds_between(payload.get("received_at"), payload.get("published_at"))
    return {
        "link": stripped_text(payload.get("url")),
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
    host, website = _host(payload.get("url")), stripped_text(payload.get("website")).lower().removeprefix("www.")
    return bool(host) and (host in (website, _host(origin.get("url"))) or host.endswith(f".{website}"))


def _host(url: object) -> str:
    try:
        return (urlsplit(stripped_text(url)).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def overview_columns(rows: Sequence[CandidateRow], known: StoredContext) -> list[Columns]:
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
            "not_numbers": names_without_number(row.payload, *_OVERVIEW),
            "namesakes": int(best[_answer(row)][1] != position),
        }
        for position, (row, coin) in enumerate(zip(rows, coins, strict=True))
    ]


def _answer(row: CandidateRow) -> tuple[str, str, str]:
    """What no two coins of one answer may share."""
    return row.run, str(row.payload.get("source")), str(row.payload.get("symbol"))


def _coin(row: CandidateRow, known: StoredContext, prices: Mapping[tuple[str, str], float]) -> Columns:
    payload = row.payload
    source, symbol = str(payload.get("source")), str(payload.get("symbol"))
    price, cap, volume, supply = (
        number(payload.get(name)) for name in ("price_usd", "market_cap", "volume_24h", "circulating_supply")
    )
    before, name = known.coins.get((source, symbol), (None, None))
    elsewhere = [found for (quoting, coin), found in prices.items() if coin == symbol and quoting != source]
    explained = price * supply if price and supply else None
    requested = number(row.origin.get("asked")) or 0.0
    return {
        "price": price,
        "cap": cap,
        "cap_to_volume": cap / max(volume or 0.0, 1.0) if cap is not None else None,
        "cap_explained": cap / explained if cap and explained else None,
        "age_s": seconds_between(payload.get("received_at"), payload.get("timestamp")),
        "name_before": name,
        "price_ratio": ratio(price, before),
        "price_elsewhere_ratio": ratio(price, median(elsewhere) if elsewhere else None),
        "below_high": ratio(price, number(payload.get("ath"))),
        "above_low": ratio(price, number(payload.get("atl"))),
        "answered_share": ratio(number(row.origin.get("answered")), requested) if requested >= _ENOUGH_KNOWN else None,
    }


def mood_columns(rows: Sequence[CandidateRow], known: StoredContext) -> list[Columns]:
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
        "age_s": seconds_between(payload.get("received_at"), payload.get("timestamp")),
    }


def instrument_columns(rows: Sequence[CandidateRow], known: StoredContext) -> list[Columns]:
    listed_now = Counter(str(row.payload.get("exchange")) for row in rows)
    return [
        {
            "base": str(row.payload.get("pair")).split("/")[0],
            "not_numbers": names_without_number(row.payload, "price_increment", "volume_increment"),
            "price_step": number(row.payload.get("price_increment")),
            "volume_step": number(row.payload.get("volume_increment")),
            "listed_share": ratio(listed_now[exchange], before) if before >= _ENOUGH_KNOWN else None,
        }
        for row in rows
        for exchange in (str(row.payload.get("exchange")),)
        for before in (known.listed_pairs.get(exchange, 0),)
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
