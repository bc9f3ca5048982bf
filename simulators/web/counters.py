"""What the simulated web was asked and what it answered, so that a test can assert both."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from simulators.web.news import Item


class Counters:
    """The counts of one source since the start or the last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin at zero."""
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.revisions: defaultdict[str, set[int]] = defaultdict(set)
        self.pages: Counter[str] = Counter()

    def served(self, items: list[Item], root: str) -> None:
        """A feed with these items was sent in full; their guids as that feed writes them."""
        for item in items:
            self.revisions[guid_of(item, root)].add(item.revision)

    def report(self) -> dict[str, Any]:
        """As JSON. `items`: guid -> revisions that were in a feed; `pages`: articles that were read."""
        return {
            "requests": dict(self.requests),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "faults": dict(self.faults),
            "items": {guid: sorted(revisions) for guid, revisions in self.revisions.items()},
            "pages": dict(self.pages),
        }


def guid_of(item: Item, root: str) -> str:
    """The guid in the feed: a UUID stands alone, the others are addresses."""
    return item.guid if item.guid.count("-") == 4 and "/" not in item.guid else f"{root}/{item.guid}"
