"""Heals gaps: asks the exchange for the missing trades, sends them, and closes the gap once they are acknowledged.

    open gap -> REST pages -> bus (rawtrade) -> acknowledged -> healed | explained (the exchange has no such trades)

Runs beside the live stream; the exchange's rate budget is shared with everything else that asks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from cryptoviz.bus import Bus
from cryptoviz.collectors.gaps import Continuity, Gap
from cryptoviz.collectors.ledger import GapRow, Ledger
from cryptoviz.exchanges.adapter import Exchange, UnknownPairError
from cryptoviz.gaps.labels import GapStatus
from cryptoviz.logs import logger
from cryptoviz.remote.backoff import Backoff
from cryptoviz.remote.errors import RemoteError
from cryptoviz.remote.rest import RestClient

_ASKED_BEFORE_GIVING_UP: Final = 3
_AGAIN: Final = Backoff(first_s=1.0, longest_s=60.0)
_SETTLE_POLL_S: Final = 0.02
_ROOM: Final = 0.5

_log = logger(__name__)


class Healer:
    """Works off gaps, those of one pair one after the other."""

    def __init__(
        self,
        exchange: Exchange,
        bus: Bus,
        ledger: Ledger,
        rest: RestClient,
        continuity: Mapping[str, Continuity],
        *,
        again: Backoff = _AGAIN,
    ) -> None:
        self.healed = 0
        self.explained = 0
        self.fetched = 0
        self._exchange = exchange
        self._bus = bus
        self._ledger = ledger
        self._rest = rest
        self._continuity = continuity
        self._again = again
        # One worker per pair: a page fetched for one gap often fills the pair's next ones, too.
        self._queues: dict[str, asyncio.Queue[Gap]] = {pair: asyncio.Queue() for pair in continuity}

    def add(self, gap: Gap) -> None:
        """Heal this gap, soon."""
        self._queues[gap.pair].put_nowait(gap)

    async def run(self) -> None:
        """Heal until cancelled."""
        async with asyncio.TaskGroup() as group:
            for pair, queue in self._queues.items():
                group.create_task(self._work(queue), name=f"heal {pair}")

    async def _work(self, queue: asyncio.Queue[Gap]) -> None:
        while True:
            gap = await queue.get()
            await self._make_room()
            if not await self._attempt(gap):
                self._postpone(gap)

    async def _attempt(self, gap: Gap) -> bool:
        """One attempt; whether the gap is closed."""
        gap.status = GapStatus.HEALING
        gap.attempts += 1
        self._ledger.gap(GapRow.of(gap))
        try:
            newest = await self._fetch(gap)
        except (RemoteError, UnknownPairError) as error:
            _log.warning("healing_failed", exchange=gap.exchange, pair=gap.pair, gap=gap.first, error=str(error))
            gap.status = GapStatus.OPEN
            self._ledger.gap(GapRow.of(gap))
            return False
        if not gap.missing:
            await self._settle(gap)
        if gap.missing and not self._given_up(gap, newest):
            return False
        self._close(gap)
        return True

    async def _fetch(self, gap: Gap) -> int:
        """Fetch and send what is missing; returns the exchange's newest trade id where that matters, else 0."""
        continuity = self._continuity[gap.pair]
        since = gap.since or gap.detected_at
        if gap.missing:
            async for page in self._exchange.trades(self._rest, gap.pair, *gap.missing.bounds(), since):
                for trade in page:
                    # A page may hold what other gaps miss, too; what no gap misses is at the broker already.
                    if continuity.fill(trade.trade_id):
                        await self._make_room()
                        self._bus.send("rawtrade", trade)
                        self.fetched += 1
        await self._settle(gap)
        if not gap.missing:
            return 0
        newest = await self._exchange.newest(self._rest, gap.pair)
        return newest.trade_id if newest is not None else 0

    async def _settle(self, gap: Gap) -> None:
        """Wait until everything sent so far for this pair is acknowledged, or lost and back in a gap."""
        key = f"{gap.exchange}:{gap.pair}"
        mark = self._bus.mark("rawtrade", key)
        while not self._bus.settled("rawtrade", key, mark):  # noqa: ASYNC110 - known only by asking the bus
            await asyncio.sleep(_SETTLE_POLL_S)

    async def _make_room(self) -> None:
        """Leave at least half of the bus's buffer to the live stream."""
        while self._bus.crowded(_ROOM):  # noqa: ASYNC110 - known only by asking the bus
            await asyncio.sleep(_SETTLE_POLL_S)

    def _given_up(self, gap: Gap, newest: int) -> bool:
        """Whether to stop asking: the exchange has newer trades and has said several times that these are not there."""
        if gap.attempts < _ASKED_BEFORE_GIVING_UP or not newest:
            return False
        if newest < gap.last:
            # Ids that the exchange itself has not reached: a frame with a nonsensical id opened this gap.
            _log.warning("nonsense_ids", exchange=gap.exchange, pair=gap.pair, newest=newest, last=gap.last)
            self._continuity[gap.pair].forget_above(newest)
        return True

    def _close(self, gap: Gap) -> None:
        self._continuity[gap.pair].finish(gap)
        now = datetime.now(UTC)
        for (first, last), label, status in gap.results():
            healed = status is GapStatus.HEALED
            self.healed += healed
            self.explained += not healed
            self._ledger.gap(
                GapRow(gap.pair, first, last, label, status, gap.attempts, gap.detected_at, now if healed else None)
            )
            _log.info(
                "gap_closed",
                exchange=gap.exchange,
                pair=gap.pair,
                first=first,
                last=last,
                label=label.value,
                attempts=gap.attempts,
            )

    def _postpone(self, gap: Gap) -> None:
        asyncio.get_running_loop().call_later(self._again.seconds(gap.attempts), self.add, gap)
