"""The coins as CoinGecko and CoinMarketCap list them: a pure function of seed and time.

The coins that the simulated exchanges trade have their prices; the others move by themselves.
"""

from __future__ import annotations

import csv
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from simulators.market import SimulatedSeries
from simulators.trades import SECOND, Spec

CACHE_S: Final = 30
"""Both services answer the same for so long."""

_COINS: Final = Path(__file__).with_name("coins.csv")
_TRADED: Final = frozenset({"BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LTC", "DOT"})
_STEADY: Final = frozenset({"usdt", "usdc", "usde", "dai", "pyusd"})
_DECIMALS: Final = 8
_WAVES: Final = ((45 * 86_400, 0.18), (6 * 86_400, 0.06), (86_400, 0.025), (7200, 0.008), (600, 0.002))
_STEADY_PART: Final = 0.004
_LONGEST_LAG_S: Final = 420
_WITHOUT_MAX_SUPPLY: Final = 3
_QUOTE_LAG_S: Final = 60


@dataclass(frozen=True)
class Coin:
    """What does not change about a coin."""

    id: str
    symbol: str
    name: str
    cmc_id: int
    price: float
    supply: float


@dataclass(frozen=True)
class Quote:
    """A coin now: price in US dollars, what is derived from it, and its place."""

    coin: Coin
    rank: int
    price: float
    cap: float
    volume: float
    change_1h: float
    change_24h: float
    change_7d: float
    updated: datetime


@cache
def coins() -> tuple[Coin, ...]:
    """Every coin of the simulated market."""
    with _COINS.open(encoding="utf-8") as file:
        return tuple(
            Coin(row["id"], row["symbol"], row["name"], int(row["cmc_id"]), float(row["price"]), float(row["supply"]))
            for row in csv.DictReader(file)
        )


class Market:
    """All coins at any time."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._series = {
            base: SimulatedSeries(Spec("web", f"{base}/USD", _DECIMALS, _DECIMALS), seed, 1.0) for base in _TRADED
        }

    def quotes(self, now: datetime) -> list[Quote]:
        """The coins by market cap, largest first, as the services say within the same half minute."""
        at = int(now.timestamp()) // CACHE_S * CACHE_S
        priced = sorted(coins(), key=lambda coin: coin.supply * self._price(coin, at), reverse=True)
        return [self._quote(coin, rank, at) for rank, coin in enumerate(priced, 1)]

    def _quote(self, coin: Coin, rank: int, at: int) -> Quote:
        draw = random.Random(f"{self._seed}|{coin.id}|{at // 600}")  # noqa: S311 - a reproducible market
        updated = at - draw.randrange(_QUOTE_LAG_S)
        if draw.random() < 0.03:
            updated = at - draw.randrange(_LONGEST_LAG_S)
        price = self._price(coin, updated)
        hour, day, week = (100 * (price / self._price(coin, updated - back) - 1) for back in (3600, 86_400, 604_800))
        return Quote(
            coin,
            rank,
            price,
            price * coin.supply,
            price * coin.supply * draw.uniform(0.02, 0.12),
            hour,
            day,
            week,
            datetime.fromtimestamp(updated, UTC) + timedelta(milliseconds=draw.randrange(1000)),
        )

    def _price(self, coin: Coin, second: int) -> float:
        series = self._series.get(coin.symbol.upper())
        if series is not None:
            return float(series.latest((second + 1) * SECOND, 1).ticks[0]) / 10**_DECIMALS
        phases = random.Random(f"{self._seed}|{coin.id}")  # noqa: S311 - a reproducible market
        level = sum(part * math.sin(2 * math.pi * (second / length + phases.random())) for length, part in _WAVES)
        price = coin.price * math.exp(level * (_STEADY_PART if coin.symbol in _STEADY else 1))
        return float(f"{price:.6g}")


def coingecko(quotes: list[Quote]) -> list[dict[str, Any]]:
    """Rows of ``/coins/markets``."""
    return [_coingecko(quote) for quote in quotes]


def _coingecko(quote: Quote) -> dict[str, Any]:
    coin = quote.coin
    limited = coin.cmc_id % _WITHOUT_MAX_SUPPLY != 0
    high, low = coin.price * 1.74, coin.price * 0.0009
    before = quote.price / (1 + quote.change_24h / 100)
    return {
        "id": coin.id,
        "symbol": coin.symbol,
        "name": coin.name,
        "image": f"https://coin-images.coingecko.com/coins/images/{coin.cmc_id}/large/{coin.id}.png?1696501400",
        "current_price": _shown(quote.price),
        "market_cap": round(quote.cap),
        "market_cap_rank": quote.rank,
        "fully_diluted_valuation": round(quote.cap * 1.05) if limited else None,
        "total_volume": round(quote.volume),
        "high_24h": _shown(quote.price * 1.012),
        "low_24h": _shown(quote.price * 0.987),
        "price_change_24h": quote.price - before,
        "price_change_percentage_24h": round(quote.change_24h, 5),
        "market_cap_change_24h": round((quote.price - before) * coin.supply),
        "market_cap_change_percentage_24h": round(quote.change_24h, 5),
        "circulating_supply": coin.supply,
        "total_supply": coin.supply * 1.05,
        "max_supply": coin.supply * 1.05 if limited else None,
        "ath": _shown(high),
        "ath_change_percentage": round(100 * (quote.price / high - 1), 5),
        "ath_date": "2025-10-06T18:57:42.558Z",
        "atl": _shown(low),
        "atl_change_percentage": round(100 * (quote.price / low - 1), 5),
        "atl_date": "2015-03-05T00:00:00.000Z",
        "roi": {"times": 38.1, "currency": "btc", "percentage": 3810.2} if coin.id == "ethereum" else None,
        "last_updated": _instant(quote.updated),
        "price_change_percentage_1h_in_currency": quote.change_1h,
        "price_change_percentage_24h_in_currency": quote.change_24h,
        "price_change_percentage_7d_in_currency": quote.change_7d,
    }


def incident(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same page on the day an unknown coin ranked first: everybody else is one place lower."""
    first = rows[0] | {
        "id": "meta-dollar-v2",
        "symbol": "mdv2",
        "name": "Meta Dollar V2",
        "image": "missing_large.png",
        "current_price": 3.3,
        "market_cap": 3_300_000_000_000,
        "market_cap_rank": 1,
        "fully_diluted_valuation": None,
        "total_volume": 5,
        "high_24h": 3.3,
        "low_24h": 3.3,
        "circulating_supply": 1_000_000_000_000.0,
        "total_supply": None,
        "max_supply": None,
        "ath": 3.3,
        "atl": 3.3,
        "roi": None,
    }
    return [first, *(row | {"market_cap_rank": row["market_cap_rank"] + 1} for row in rows)]


def odd_coingecko(rows: list[dict[str, Any]]) -> list[Any]:
    """The same page with everything that was ever odd about a row."""
    nulls = {"market_cap": None, "market_cap_rank": None, "total_volume": None, "ath": None, "circulating_supply": None}
    return [
        rows[0],
        rows[1] | nulls,
        {name: value for name, value in rows[2].items() if name != "current_price"},
        rows[3] | {"current_price": 1e-7},
        rows[4] | {"market_cap": 10**40},
        rows[5] | {"current_price": "12.5 dollars"},
        rows[6] | {"last_updated": None},
        rows[7] | {"current_price": -1},
        "not an object",
        *rows[8:],
    ]


def coinmarketcap(quotes: list[Quote], now: datetime) -> dict[str, Any]:
    """The body of ``/v1/cryptocurrency/listings/latest``; its prices differ from CoinGecko's by a little."""
    return {"status": _status(now, spent=math.ceil(len(quotes) / 200)), "data": [_listed(quote) for quote in quotes]}


def odd_coinmarketcap(body: dict[str, Any]) -> dict[str, Any]:
    """The same listing with rows that lack what they should have."""
    first, second, third, *others = body["data"]
    dollars = second["quote"]["USD"] | {"price": None, "market_cap": None}
    return body | {"data": [first, second | {"quote": {"USD": dollars}}, third | {"quote": {}}, "no object", *others]}


def refusal(code: int, message: str, now: datetime) -> dict[str, Any]:
    """CoinMarketCap's error."""
    return {"status": _status(now, spent=0, code=code, message=message)}


def _listed(quote: Quote) -> dict[str, Any]:
    coin = quote.coin
    factor = 1 + 0.0004 * math.sin(coin.cmc_id)
    at = _instant(quote.updated.replace(microsecond=0))
    return {
        "id": coin.cmc_id,
        "name": coin.name,
        "symbol": coin.symbol.upper() if coin.symbol != "steth" else "stETH",
        "slug": coin.id,
        "num_market_pairs": 100 + coin.cmc_id % 900,
        "date_added": "2010-07-13T00:00:00.000Z",
        "tags": ["mineable"] if coin.symbol in ("btc", "ltc", "doge") else [],
        "max_supply": coin.supply * 1.05 if coin.cmc_id % _WITHOUT_MAX_SUPPLY else None,
        "circulating_supply": coin.supply,
        "total_supply": coin.supply * 1.05,
        "platform": None,
        "infinite_supply": not coin.cmc_id % _WITHOUT_MAX_SUPPLY,
        "cmc_rank": quote.rank,
        "self_reported_circulating_supply": None,
        "self_reported_market_cap": None,
        "tvl_ratio": None,
        "last_updated": at,
        "quote": {
            "USD": {
                "price": quote.price * factor,
                "volume_24h": quote.volume * 1.07,
                "volume_change_24h": 3.14159265,
                "percent_change_1h": quote.change_1h,
                "percent_change_24h": quote.change_24h,
                "percent_change_7d": quote.change_7d,
                "market_cap": quote.price * factor * coin.supply,
                "market_cap_dominance": 1.0,
                "fully_diluted_market_cap": quote.price * factor * coin.supply * 1.05,
                "tvl": None,
                "last_updated": at,
            }
        },
    }


def _status(now: datetime, *, spent: int, code: int = 0, message: str | None = None) -> dict[str, Any]:
    return {
        "timestamp": _instant(now),
        "error_code": code,
        "error_message": message,
        "elapsed": 17,
        "credit_count": spent,
        "notice": None,
    }


def _shown(price: float) -> float | int:
    """A price as CoinGecko writes it: whole dollars where they are many."""
    return round(price) if price >= 10_000 else float(f"{price:.6g}")


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
