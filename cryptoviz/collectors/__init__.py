"""Collectors: an exchange's live trades, tickers and candles, without a hole, as records on the bus.

exchange socket -> session -> parse -> continuity -> bus -> Kafka
                                       gaps -> REST -> bus
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cryptoviz.bus import Producer
from cryptoviz.collectors.binance import Binance
from cryptoviz.collectors.collector import Collector
from cryptoviz.collectors.exchange import Exchange
from cryptoviz.collectors.kraken import Kraken
from cryptoviz.collectors.ledger import DatabaseStore, Ledger
from cryptoviz.collectors.rest import RestClient
from cryptoviz.settings import Settings

EXCHANGES: Final[Mapping[str, Callable[[Sequence[str]], Exchange]]] = {"binance": Binance, "kraken": Kraken}


async def run(exchange: str, settings: Settings, stop: asyncio.Event, report: Callable[[dict[str, Any]], None]) -> None:
    """Collect one exchange until `stop`; `report` gets the collector's state about once a second.

    Raises:
        KeyError: there is no adapter for `exchange`.
    """
    source = EXCHANGES[exchange](settings.pairs(exchange))
    bus = Producer(settings)
    collector = Collector(
        source, settings, bus, Ledger(DatabaseStore(exchange, settings)), rest_client(source, settings)
    )
    bus.on_lost = collector.on_lost
    await collector.run(stop, report)


def rest_client(exchange: Exchange, settings: Settings) -> RestClient:
    """The REST interface of an exchange, with its rate budget."""
    per_s = exchange.traits.rest_per_s
    return RestClient(
        settings.rest_url(exchange.name),
        per_s=per_s,
        burst=exchange.traits.rest_burst,
        timeout_s=settings.rest_timeout_s,
    )
