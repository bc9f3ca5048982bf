"""CoinMarketCap's ``/v1/cryptocurrency/listings/latest``: the largest coins, a second opinion. Asked only with a key.

https://coinmarketcap.com/api/documentation/v1/ - its errors may come with status 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from cryptoviz.gate.staging import StagedRow
from cryptoviz.pollers import base, wire
from cryptoviz.pollers.base import Harvest, Poller
from cryptoviz.pollers.client import Client, Environment, SourceError, SourceSpec, limited, shape
from cryptoviz.pollers.outcome import Poll, PollOutcome, PollStatus
from cryptoviz.remote.errors import Failure
from cryptoviz.settings import Mode, Settings
from cryptoviz.settings.quotas import Period, parse

if TYPE_CHECKING:
    from psycopg import Connection

NAME: Final = "coinmarketcap"
SUBJECT: Final = "market"
_SIMULATED_KEY: Final = "demo"
_BASIC_PLAN: Final = {Period.MINUTE: 30, Period.MONTH: 10_000}
_COINS_PER_CREDIT: Final = 200
_MINUTE_LIMIT, _DAY_LIMIT, _MONTH_LIMIT, _ADDRESS_LIMIT = 1008, 1009, 1010, 1011
_KEYS: Final = range(1001, 1008)
_OURS: Final = range(400, 500)


def key(settings: Settings) -> str:
    """The key to ask with, empty where there is none; the simulated web takes any."""
    found = settings.coinmarketcap_key.get_secret_value()
    return found or (_SIMULATED_KEY if settings.mode is Mode.DEMO else "")


def poll(
    connection: Connection[Any], settings: Settings, environment: Environment | None = None, *, due_only: bool = False
) -> Poll:
    """Ask for the largest coins; rows for subject `market`. `due_only`: not before the setting's time has passed.

    The connection is outside of any transaction.

    Raises:
        psycopg.Error: our own database fails; failures of the source are in the outcome.
    """
    if not key(settings):
        return Poll(
            (), PollOutcome(NAME, PollStatus.SKIPPED, "no_key", "set CRYPTOVIZ_COINMARKETCAP_KEY to ask it too")
        )
    source = SourceSpec(
        NAME,
        parse(settings.coinmarketcap_quota) or _BASIC_PLAN,
        timedelta(seconds=settings.coinmarketcap_every_s),
        {"X-CMC_PRO_API_KEY": key(settings)},
        refusal=_refusal,
        cost=-(-settings.market_coins // _COINS_PER_CREDIT),
    )

    def ask(client: Client, _memory: Mapping[str, Any], harvest: Harvest) -> None:
        _ask(client, harvest, settings)

    return Poller(source, ask, connection, settings, environment or Environment()).poll(due_only=due_only)


def _ask(client: Client, harvest: Harvest, settings: Settings) -> None:
    query = urlencode({"start": 1, "limit": settings.market_coins, "convert": "USD"})
    answer = client.get(f"{settings.coinmarketcap_address}/v1/cryptocurrency/listings/latest?{query}")
    data = answer.body.get("data") if answer is not None and isinstance(answer.body, dict) else None
    if answer is None or not isinstance(data, list):
        raise shape("no list `data`")
    origin = {"source": NAME, "url": answer.url, "answered": len(data), "asked": settings.market_coins}
    harvest.rows += [
        _row(entry, {**origin, "position": position}, answer.received_at) for position, entry in enumerate(data)
    ]
    harvest.newest = base.newest(row.payload.get("timestamp") for row in harvest.rows)


def _row(entry: Any, origin: Mapping[str, Any], received_at: datetime) -> StagedRow:
    if not isinstance(entry, dict):
        return base.not_an_object(NAME, entry, origin, received_at)
    quote = entry["quote"].get("USD") if isinstance(entry.get("quote"), dict) else None
    dollars: Mapping[str, Any] = quote if isinstance(quote, dict) else {}
    symbol, at = wire.symbol(entry.get("symbol")), dollars.get("last_updated")
    payload = {
        "received_at": wire.instant(received_at),
        "timestamp": at,
        "source": NAME,
        "symbol": symbol,
        "name": entry.get("name"),
        "price_usd": wire.exact(dollars.get("price")),
        "market_cap": wire.exact(dollars.get("market_cap")),
        "volume_24h": wire.exact(dollars.get("volume_24h")),
        "change_1h": wire.computed(dollars.get("percent_change_1h")),
        "change_24h": wire.computed(dollars.get("percent_change_24h")),
        "change_7d": wire.computed(dollars.get("percent_change_7d")),
        "ath": None,
        "atl": None,
        "circulating_supply": wire.exact(entry.get("circulating_supply")),
        "rank": entry.get("cmc_rank"),
    }
    return StagedRow(f"{at}|{NAME}|{symbol}", payload, {**origin, "id": entry.get("id")})


def _refusal(body: Any, after: float | None, now: datetime) -> SourceError | None:
    """The error in a body: the minute's limit passes by itself, others last until tomorrow or need a person."""
    status = body.get("status") if isinstance(body, dict) else None
    if not isinstance(status, dict) or status.get("error_code") in (0, "0", None):
        return None
    code = status["error_code"]
    detail = f"error {code}: {str(status.get('error_message'))[:120]}"
    if code in (_MINUTE_LIMIT, _ADDRESS_LIMIT):
        return limited(detail, after)
    if code in (_DAY_LIMIT, _MONTH_LIMIT):
        period = Period.DAY if code == _DAY_LIMIT else Period.MONTH
        return limited(detail, (period.end(now) - now).total_seconds())
    if code in _KEYS:
        return SourceError("refused", f"{detail} (see CRYPTOVIZ_COINMARKETCAP_KEY)")
    return SourceError("api_error", detail, Failure.PERMANENT if code in _OURS else Failure.TRANSIENT)
