"""CoinGecko's ``/coins/markets``: the largest coins with price, market cap, volume and changes.

https://docs.coingecko.com/reference/coins-markets
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
from cryptoviz.pollers.outcome import Poll
from cryptoviz.settings import Settings
from cryptoviz.settings.quotas import Period, Quotas, parse

if TYPE_CHECKING:
    from psycopg import Connection

NAME: Final = "coingecko"
SUBJECT: Final = "market"
_MOST_PER_PAGE: Final = 250
_LONGEST_TOTAL: Final = 18
_WITHOUT_KEY: Final = {Period.MINUTE: 30}
_WITH_DEMO_KEY: Final = {Period.MINUTE: 30, Period.MONTH: 10_000}
_WITH_PRO_KEY: Final = {Period.MINUTE: 500}
_KEYS: Final = {
    10_002: "it wants an API key; set CRYPTOVIZ_COINGECKO_KEY",
    10_005: "the plan of the key does not include this",
    10_010: "a key of a paid plan on the address of the others; set CRYPTOVIZ_COINGECKO_PRO",
    10_011: "a key without a paid plan on the address of paid plans; unset CRYPTOVIZ_COINGECKO_PRO",
    1020: "its network refuses our address",
}


def poll(
    connection: Connection[Any], settings: Settings, environment: Environment | None = None, *, due_only: bool = False
) -> Poll:
    """Ask for the largest coins; rows for subject `market`. `due_only`: not before the setting's time has passed.

    The connection is outside of any transaction.

    Raises:
        psycopg.Error: our own database fails; failures of the source are in the outcome.
    """
    key = settings.coingecko_key.get_secret_value()
    source = SourceSpec(
        NAME,
        _quotas(settings),
        timedelta(seconds=settings.coingecko_every_s),
        {("x-cg-pro-api-key" if settings.coingecko_pro else "x-cg-demo-api-key"): key} if key else {},
        refusal=_refusal,
    )

    def ask(client: Client, memory: Mapping[str, Any], harvest: Harvest) -> None:
        _ask(client, memory, harvest, settings)

    return Poller(source, ask, connection, settings, environment or Environment()).poll(due_only=due_only)


def _quotas(settings: Settings) -> Quotas:
    if settings.coingecko_quota:
        return parse(settings.coingecko_quota)
    if not settings.coingecko_key.get_secret_value():
        return _WITHOUT_KEY
    return _WITH_PRO_KEY if settings.coingecko_pro else _WITH_DEMO_KEY


def _ask(client: Client, memory: Mapping[str, Any], harvest: Harvest, settings: Settings) -> None:
    per_page = min(settings.market_coins, _MOST_PER_PAGE)
    etags: dict[str, str] = dict(memory.get("etags") or {})
    for page in range(1, -(-settings.market_coins // per_page) + 1):
        url = f"{settings.coingecko_address}/coins/markets?{_query(page, per_page)}"
        answer = client.get(url, etags.get(url))
        if answer is None:
            harvest.unmodified = True
            continue
        if not isinstance(answer.body, list):
            raise shape(f"{type(answer.body).__name__} instead of a list of coins")
        expected = _expected_rows(answer.headers.get("total"), page, per_page)
        origin = {"source": NAME, "url": answer.url, "answered": len(answer.body), "asked": expected}
        harvest.rows += [
            _row(entry, {**origin, "position": position}, answer.received_at)
            for position, entry in enumerate(answer.body)
        ]
        harvest.newest = base.newest(row.payload.get("timestamp") for row in harvest.rows)
        if etag := answer.headers.get("etag"):
            etags[url] = etag
        harvest.memory = {"etags": dict(etags)}


def _query(page: int, per_page: int) -> str:
    return urlencode(
        {
            "vs_currency": "usd",
            "order": "market_cap_desc",
            "per_page": per_page,
            "page": page,
            "sparkline": "false",
            "price_change_percentage": "1h,24h,7d",
        }
    )


def _expected_rows(total: str | None, page: int, per_page: int) -> int:
    """How many rows a page should have: the last one has what is left of `total`."""
    if total is None or not total.isdecimal() or len(total) > _LONGEST_TOTAL:
        return per_page
    return min(per_page, max(int(total) - (page - 1) * per_page, 1))


def _row(entry: Any, origin: Mapping[str, Any], received_at: datetime) -> StagedRow:
    if not isinstance(entry, dict):
        return base.not_an_object(NAME, entry, origin, received_at)
    symbol = wire.symbol(entry.get("symbol"))
    payload = {
        "received_at": wire.instant(received_at),
        "timestamp": entry.get("last_updated"),
        "source": NAME,
        "symbol": symbol,
        "name": entry.get("name"),
        "price_usd": wire.exact(entry.get("current_price")),
        "market_cap": wire.exact(entry.get("market_cap")),
        "volume_24h": wire.exact(entry.get("total_volume")),
        "change_1h": wire.computed(entry.get("price_change_percentage_1h_in_currency")),
        "change_24h": wire.computed(entry.get("price_change_percentage_24h_in_currency")),
        "change_7d": wire.computed(entry.get("price_change_percentage_7d_in_currency")),
        "ath": wire.exact(entry.get("ath")),
        "atl": wire.exact(entry.get("atl")),
        "circulating_supply": wire.exact(entry.get("circulating_supply")),
        "rank": entry.get("market_cap_rank"),
    }
    return StagedRow(f"{entry.get('last_updated')}|{NAME}|{symbol}", payload, {**origin, "id": entry.get("id")})


def _refusal(body: Any, after: float | None, _now: datetime) -> SourceError | None:
    """The error in a body; CoinGecko has three shapes of it, and may send one with any status."""
    if not isinstance(body, dict):
        return None
    status = body["status"] if isinstance(body.get("status"), dict) else body
    code, message = status.get("error_code"), status.get("error_message") or body.get("error") or ""
    if code is None and not message:
        return None
    if code == 429:
        return limited(f"error 429: {message}", after)
    meaning = _KEYS.get(code) if isinstance(code, int) else None
    words = meaning or str(message)[:120]
    return SourceError("refused", f"error {code}: {words}" if code is not None else words)
