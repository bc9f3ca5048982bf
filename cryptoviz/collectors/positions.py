"""Positions of pairs on their way to the ledger: stored only once every message up to them is settled.

capture: where the pair is, and the message to wait for -> settled? -> ledger
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cryptoviz.bus import Bus
from cryptoviz.collectors.ledger import Ledger
from cryptoviz.collectors.pair import CollectedPair

_TOPIC: Final = "rawtrade"


def capture(pairs: Iterable[CollectedPair], bus: Bus) -> None:
    """Remember where each pair is, and which message must be acknowledged before that may be stored."""
    for pair in pairs:
        at = pair.position()
        if at is not None and pair.captured is None:
            pair.captured = (at, bus.mark(_TOPIC, pair.key))


def settle(pairs: Iterable[CollectedPair], bus: Bus, ledger: Ledger) -> None:
    """Pass on the positions whose messages are settled; lost messages must have become gaps before."""
    for pair in pairs:
        if pair.captured is None:
            continue
        position, mark = pair.captured
        if not bus.settled(_TOPIC, pair.key, mark):
            continue
        pair.captured = None
        now = pair.position()
        if now is not None:
            ledger.position(min(position, now, key=lambda at: at.trade_id))
