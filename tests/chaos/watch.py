"""What the tables hold, seen five times a second beside the load, and how far that is behind the simulated market.

market (pure function of pair and time, computed here) - newest stored trade - open gaps = trades not yet stored
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import query
from simulators.binance import SimulatedBinance
from simulators.kraken import SimulatedKraken

_POLL_S = 0.2
_NEWEST = """
SELECT asked.exchange, asked.pair, newest.trade_id, extract(epoch FROM newest.timestamp)::float8 AS happened
FROM unnest(%(exchanges)s::text[], %(pairs)s::text[]) AS asked (exchange, pair)
CROSS JOIN LATERAL (
    SELECT trade_id, timestamp FROM trade_data
    WHERE exchange = asked.exchange AND pair = asked.pair AND timestamp > now() - interval '1 hour'
    ORDER BY timestamp DESC, trade_id DESC LIMIT 1
) AS newest
"""
_MISSING = """
SELECT exchange, sum(last_missing_id - first_missing_id + 1)::bigint AS trades FROM trade_gaps
WHERE status NOT IN ('healed', 'explained') AND last_missing_id IS NOT NULL GROUP BY exchange
"""

Series = tuple[str, str]


@dataclass(frozen=True)
class Seen:
    """The database at one instant (`at`, seconds since the epoch)."""

    at: float
    newest: Mapping[Series, tuple[int, float]] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)
    streams: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Watch:
    """Looks on in a thread of its own: a database that hangs makes `seen` old, nothing else."""

    def __init__(self, settings: Settings) -> None:
        self.seen: Seen | None = None
        self.grew: dict[str, float] = dict.fromkeys(settings.exchanges, 0.0)
        self._totals: dict[str, int] = {}
        self._settings = settings
        self.rate = settings.simulator_rate
        seed = settings.simulator_seed
        markets = [
            SimulatedKraken(settings.pairs("kraken"), seed=seed, rate=self.rate),
            SimulatedBinance(settings.pairs("binance"), seed=seed, rate=self.rate, ping_s=60, session_s=86_400),
        ]
        self._market = {
            (market.name, pair): feed.simulated for market in markets for pair, feed in market.feeds.items()
        }
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()

    def unstored(self, seen: Seen, exchanges: Collection[str]) -> int:
        """Trades that had happened when the tables were looked at and were not in them."""
        behind = sum(
            series.count_before(int(seen.at * 1e9)) - seen.newest[key][0]
            for key, series in self._market.items()
            if key[0] in exchanges and key in seen.newest
        )
        return behind + sum(seen.missing.get(exchange, 0) for exchange in exchanges)

    def newest_age(self, seen: Seen, exchange: str) -> float:
        """Seconds since the newest stored trade of an exchange happened."""
        return seen.at - max((at for key, (_, at) in seen.newest.items() if key[0] == exchange), default=0.0)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with connect(Role.READER, self._settings, autocommit=True, application_name="chaos") as connection:
                    while not self._over.wait(_POLL_S):
                        self._look(connection)
            except psycopg.Error:
                self.seen = None
                self._over.wait(_POLL_S)

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        at = time.time()
        cursor = connection.cursor(row_factory=dict_row)
        keys = list(self._market)
        asked = {"exchanges": [exchange for exchange, _ in keys], "pairs": [pair for _, pair in keys]}
        newest = {
            (row["exchange"], row["pair"]): (row["trade_id"], row["happened"]) for row in cursor.execute(_NEWEST, asked)
        }
        missing = {row["exchange"]: row["trades"] for row in cursor.execute(_MISSING)}
        streams = {row["name"]: row for row in cursor.execute(query("stream_list"))}
        for exchange in self.grew:
            total = sum(trade_id for key, (trade_id, _) in newest.items() if key[0] == exchange)
            if total != self._totals.get(exchange):
                self._totals[exchange] = total
                self.grew[exchange] = at
        self.seen = Seen(at, newest, missing, streams)
