"""The twin of the collectors' store: gaps and positions stay in memory."""

from __future__ import annotations

from cryptoviz.collectors.ledger import GapRow, Position, StoreAwayError
from cryptoviz.gaps.labels import GapStatus


class MemoryStore:
    """The twin of `DatabaseStore`: rows in dictionaries; `online` False plays an outage."""

    def __init__(self) -> None:
        self.online = True
        self.positions: dict[str, Position] = {}
        self.gaps: dict[tuple[str, int], GapRow] = {}
        self.listed: dict[str, str | None] = {}

    def spellings(self) -> dict[str, str | None]:
        """How the exchange itself spells each pair that it lists; empty: not known yet."""
        self._check()
        return self.listed

    def load(self) -> tuple[list[Position], list[GapRow]]:
        """The positions and the gaps not yet healed."""
        self._check()
        unhealed = [row for row in self.gaps.values() if row.status in {GapStatus.OPEN, GapStatus.HEALING}]
        return list(self.positions.values()), unhealed

    def save(self, gaps: list[GapRow], positions: list[Position]) -> None:
        """Keep all of it."""
        self._check()
        self.gaps.update({(row.pair, row.first): row for row in gaps})
        self.positions.update({position.pair: position for position in positions})

    def _check(self) -> None:
        if not self.online:
            raise StoreAwayError("switched off")
