"""Collectors: an exchange's live trades, tickers and candles, without a hole, as records on the bus.

exchange socket -> session -> parse -> continuity -> bus -> Kafka
                                       gaps -> REST -> bus
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from cryptoviz.bus import Producer
from cryptoviz.collectors.collector import Collector
from cryptoviz.collectors.ledger import DatabaseStore, Ledger
from cryptoviz.exchanges import EXCHANGES, unconfirmed
from cryptoviz.exchanges.adapter import Exchange
from cryptoviz.logs import logger
from cryptoviz.remote.rest import RestClient
from cryptoviz.settings import Settings

_log = logger(__name__)

_LISTED_WITHIN_S: Final = 5.0
"""How long a start waits for what the exchange is known to list; collecting never waits for the database."""


class NoPairsError(Exception):
    """No configured pair of an exchange can be collected; the message says why for each."""


async def run(exchange: str, settings: Settings, stop: asyncio.Event, report: Callable[[dict[str, Any]], None]) -> None:
    """Collect one exchange until `stop`; `report` gets the collector's state about once a second.

    A pair whose spelling the exchange does not confirm is left out, and the state says why.

    Raises:
        KeyError: there is no adapter for `exchange`.
        NoPairsError: no pair is left.
        PairsChangedError: what may be collected has changed; start anew.
    """
    ledger = Ledger(DatabaseStore(exchange, settings))
    refused = await refused_pairs(exchange, settings.pairs(exchange), ledger)
    pairs = [pair for pair in settings.pairs(exchange) if pair not in refused]
    if not pairs:
        raise NoPairsError("; ".join(f"{pair}: {reason}" for pair, reason in refused.items()))
    source = EXCHANGES[exchange].live_adapter()(pairs)
    bus = Producer(settings)
    collector = Collector(source, settings, bus, ledger, rest_client(source, settings), refused=refused)
    bus.on_lost = collector.on_lost
    await collector.run(stop, report)


async def refused_pairs(exchange: str, pairs: Sequence[str], ledger: Ledger) -> dict[str, str]:
    """The pairs that are not collected, and why; while the database is away the table of spellings alone decides."""
    found = None
    with contextlib.suppress(TimeoutError):
        found = await asyncio.wait_for(ledger.refused(exchange, pairs), _LISTED_WITHIN_S)
    refused = unconfirmed(exchange, pairs, {}) if found is None else found
    for pair, reason in refused.items():
        _log.error("pair_refused", exchange=exchange, pair=pair, reason=reason)
    return refused


def rest_client(exchange: Exchange, settings: Settings) -> RestClient:
    """The REST interface of an exchange, with its rate budget."""
    budget = EXCHANGES[exchange.name].live_budget
    return RestClient(
        settings.rest_url(exchange.name),
        per_s=budget.per_second,
        burst=budget.burst,
        timeout_s=settings.rest_timeout_s,
    )
