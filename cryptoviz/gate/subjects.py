"""The kinds of rows that pass the gate on their way to a topic, and how rows of one series are recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final


@dataclass(frozen=True)
class GateSubject:
    """One kind of staged rows, published to `topic`.

    Rows with equal `series` fields are states of one series: of its failing rows quarantine keeps only the newest, with
    how often one was seen. Without such fields each key is a series of its own. A key that was published within
    `memory` is not staged again.
    """

    name: str
    topic: str
    memory: timedelta
    series: tuple[str, ...] = ()

    def series_of(self, key: str, payload: Mapping[str, Any]) -> str:
        """The series of a row with this key and payload."""
        return "|".join(str(payload.get(field)) for field in self.series) if self.series else key


SUBJECTS: Final[Mapping[str, GateSubject]] = {
    subject.name: subject
    for subject in (
        GateSubject("articles", "rawarticle", memory=timedelta(days=30)),
        GateSubject("market", "rawmarket", memory=timedelta(hours=6), series=("source", "symbol")),
        GateSubject("mood", "rawmood", memory=timedelta(days=30)),
    )
}
"""The subjects whose rows wait in `staging`.

A row that comes again later is sent again, and its key makes that harmless. The suite of the market refuses rows older
than its memory, and the news reader remembers every article itself.
"""
