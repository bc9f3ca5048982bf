"""Is a pair quiet, or is its subscription dead? REST tells.

no trade for a while -> REST: the newest trade -> ours: quiet
                                               -> a newer one: subscribe again; the second time, connect again
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from cryptoviz.collectors.pair import CollectedPair
from cryptoviz.collectors.session import Session
from cryptoviz.exchanges.adapter import Exchange, UnknownPairError
from cryptoviz.logs import logger
from cryptoviz.remote.errors import RemoteError
from cryptoviz.remote.rest import RestClient

_LOOK_S: Final = 1.0

_log = logger(__name__)


class Watchdog:
    """Watches the pairs of one exchange. `quiet_s` and `silence_s` are as in the settings."""

    def __init__(
        self,
        exchange: Exchange,
        pairs: Mapping[str, CollectedPair],
        rest: RestClient,
        session: Session,
        counters: Counter[str],
        *,
        quiet_s: float,
        silence_s: float,
        on_unknown: Callable[[str], None],
    ) -> None:
        self.checks: set[asyncio.Task[None]] = set()
        self._exchange = exchange
        self._pairs = pairs
        self._rest = rest
        self._session = session
        self._counters = counters
        self._quiet_s = quiet_s
        self._silence_s = silence_s
        self._on_unknown = on_unknown

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(min(_LOOK_S, self._quiet_s / 4))
            now = time.monotonic()
            connection = self._session.connection
            if connection is None or not connection.delivered.is_set():
                continue
            # An exchange without heartbeats that says nothing about any pair is suspicious sooner than one quiet pair.
            mute = not self._exchange.traits.heartbeats and now - connection.data_at >= self._silence_s
            limit = min(self._quiet_s, self._silence_s) if mute else self._quiet_s
            for pair in self._pairs.values():
                if pair.unchecked_for(now) >= limit:
                    pair.checked_at = now
                    task = asyncio.create_task(self._check(pair), name=f"check {pair.name}")
                    self.checks.add(task)
                    task.add_done_callback(self.checks.discard)

    async def catch_up(self) -> None:
        """A new connection delivers: whatever was traded since the last one is missing."""
        if self._exchange.traits.snapshot_trades:
            return  # the snapshot's trade ids show what is missing
        for pair in self._pairs.values():
            await self._missed(pair)

    async def _check(self, pair: CollectedPair) -> None:
        missed = await self._missed(pair)
        if missed is None:
            return
        if not missed:
            self._counters["quiet"] += 1
            pair.quiet()
            return
        times = pair.silent(time.monotonic())
        self._counters["deaf"] += 1
        _log.warning("subscription_dead", exchange=self._exchange.name, pair=pair.name, times=times)
        if times > 1:
            pair.times_silent = 0
            self._session.reconnect(f"{pair.name} stays silent while it is traded")
        else:
            await self._session.resubscribe([pair.name])

    async def _missed(self, pair: CollectedPair) -> bool | None:
        """Whether the exchange has a trade that we do not know to be missing yet; None: it gave no answer."""
        try:
            newest = await self._exchange.newest(self._rest, pair.name)
        except UnknownPairError as error:
            self._on_unknown(pair.name)
            _log.warning("pair_refused", exchange=self._exchange.name, pair=pair.name, error=str(error))
            return None
        except RemoteError as error:
            _log.warning("check_failed", exchange=self._exchange.name, pair=pair.name, error=str(error))
            return None
        return newest is not None and pair.continuity.expect(newest.trade_id, time.monotonic())
