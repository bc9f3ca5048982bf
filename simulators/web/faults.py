"""What can go wrong at a simulated site or API: by order over HTTP, and by itself at fixed times after the start."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from simulators.faults import Orders
from simulators.web.hostile import OVER_BYTES

INNER_ADDRESS: Final = "http://192.0.2.1/"
"""Not public, and nobody's: of a network that is reserved for documents (RFC 5737)."""


class Kind(StrEnum):
    """What can go wrong."""

    BREAK = "break"
    """The document is cut off in the middle: a feed that ends within an entry, JSON that is none."""
    ILL_FORMED = "ill_formed"
    """A feed with a bare ampersand in every entry, as real ones have at times: not XML, and yet all there."""
    HANG = "hang"
    """The request is not answered for a minute."""
    DRIP = "drip"
    """The answer comes, a byte at a time, for a minute."""
    CUT = "cut"
    """The connection ends in the middle of the body."""
    REDIRECT = "redirect"
    """To `location`, by default an address that is not public."""
    REDIRECT_LOOP = "redirect_loop"
    ENTITY = "entity"
    """A feed that declares an entity of its own."""
    HUGE = "huge"
    """A feed of `size_bytes`, by default a little more than is accepted."""
    HUGE_GZIP = "huge_gzip"
    """The same, compressed."""
    RATE_LIMIT = "rate_limit"
    """429, with Retry-After unless `retry_after_s` is 0."""
    SERVER_ERROR = "server_error"
    """503, or `status`."""
    HTML = "html"
    """200 with a page for people."""
    ERROR_BODY = "error_body"
    """The API's own error `error`; from CoinMarketCap and alternative.me in a 200 answer."""
    ODD_VALUES = "odd_values"
    """API rows with null ranks, missing fields, 1e-7, texts for numbers, and one that is no object."""
    NOT_A_NUMBER = "not_a_number"
    """A bare NaN in the body of an API."""
    INCIDENT = "incident"
    """CoinGecko ranks an unknown coin first, with a market cap of 3.3 trillion on a volume of 5."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault as ordered over HTTP. `path`: only where it occurs in the path; `count`, `duration_s`: how long."""

    source: str
    kind: Kind
    path: str | None = None
    probability: float = 1.0
    count: int | None = None
    duration_s: float | None = None
    retry_after_s: int = 1
    status: int = 503
    error: int = 1001
    location: str = INNER_ADDRESS
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=2 * OVER_BYTES)] = OVER_BYTES


@dataclass(frozen=True)
class Spell:
    """A fault that comes by itself: `first_s` after the start for `length_s`, and again every `every_s`."""

    source: str
    kind: Kind
    first_s: float
    length_s: float
    every_s: float

    def holds(self, elapsed_s: float) -> bool:
        """Whether it is in force so long after the start."""
        since = elapsed_s - self.first_s
        return since >= 0 and since % self.every_s < self.length_s


DEMO: Final = (Spell("coingecko", Kind.INCIDENT, first_s=120, length_s=115, every_s=1200),)
"""What the demo shows by itself: the upstream incident, within the first four minutes and every twenty."""


class Faults:
    """The faults in force at one source."""

    def __init__(self, source: str, seed: int, schedule: tuple[Spell, ...]) -> None:
        self.orders: Orders[Order] = Orders(seed)
        self._spells = [spell for spell in schedule if spell.source == source]
        self._source = source

    def strikes(self, path: str, elapsed_s: float) -> Order | None:
        """The fault that hits a request now: what was ordered comes before what is due by itself."""
        ordered = self.orders.next(lambda order: order.path is None or order.path in path)
        if ordered is not None:
            return ordered
        due = next((spell.kind for spell in self._spells if spell.holds(elapsed_s)), None)
        return None if due is None else Order(self._source, due)
