"""What is gated before it is published through a topic, and how its rows are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final


@dataclass(frozen=True)
class Subject:
    """One kind of staged rows, published to `topic`.

    `series` are the fields that say what a row is one state of: of the failing states of a series only the newest is
    kept in quarantine, with how often it was seen. Empty: each key is a series of its own. A key published within
    `memory` is not staged again.
    """

    name: str
    topic: str
    memory: timedelta
    series: tuple[str, ...] = ()

    def series_of(self, key: str, payload: Mapping[str, Any]) -> str:
        """What a row with this key and payload is one state of."""
        return "|".join(str(payload.get(field)) for field in self.series) if self.series else key


SUBJECTS: Final[Mapping[str, Subject]] = {
    subject.name: subject
    for subject in (
        Subject("articles", "rawarticle", memory=timedelta(days=30)),
        Subject("market", "rawmarket", memory=timedelta(hours=6), series=("source", "symbol")),
        Subject("mood", "rawmood", memory=timedelta(days=30)),
    )
}
"""The subjects whose rows wait in `staging`.

What comes again after the memory is sent again, and its key makes that harmless. The suite of the market refuses what
is older than its memory, and the news remember every article themselves.
"""
