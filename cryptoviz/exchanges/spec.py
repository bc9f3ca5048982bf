"""What the platform must know of an exchange before it talks to it: one declaration, from which everything derives.

    cryptoviz/exchanges/<name>/spec.py -> the list in cryptoviz/exchanges/__init__.py
        -> settings, streams, Dagster's graph and choices, budgets, spellings, SQL, simulators

A declaration is data. What speaks to the exchange is named by its dotted name and loaded when it is first needed, so
that every command can read the list without importing a client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.exchanges.spellings import Spellings

if TYPE_CHECKING:
    from cryptoviz.exchanges.adapter import Exchange
    from cryptoviz.exchanges.history import HistoryAdapter
    from cryptoviz.remote.exchange import Rest

_NAME: Final = re.compile(r"[a-z][a-z0-9]*")


@dataclass(frozen=True)
class Endpoint:
    """An address of the real exchange. `meaning` says in the setting's description what it is: "REST address"."""

    url: str
    meaning: str


@dataclass(frozen=True)
class LiveBudget:
    """Requests that a collector may make over REST: weight a second, and how much of it at once."""

    per_second: float
    burst: float


@dataclass(frozen=True)
class UsedWeight:
    """The exchange says in a header what everybody at our address has used in this minute.

    From `at_most` on, the default of a setting, its history waits for the next minute.
    """

    header: str
    at_most: float
    note: str = ""


@dataclass(frozen=True)
class HistoryBudget:
    """Requests for the past, all runs and processes together: `per_minute` is the default of a setting.

    `unit` is what it counts, `note` what else the setting's description says.
    """

    per_minute: float
    unit: str = "Requests"
    note: str = ""
    used: UsedWeight | None = None


class EmptyMinutes(StrEnum):
    """What an exchange's candles say of a minute in which nobody traded."""

    LISTED = "listed"
    """A row with volume 0: a minute that is missing is missing at the exchange."""
    LEFT_OUT = "left out"
    """Nothing: whether a missing minute was empty or is lost, only its trades tell."""


@dataclass(frozen=True)
class SimulatorSpec:
    """The exchange's double on loopback, a subclass of `simulators.exchange.Exchange`, for the demo and tests.

    `ws_path` is where its socket answers; REST answers under the exchange's name. `history` is how much of the past
    the demo fetches, where the setting is empty and what everybody fetches is too much to simulate.
    """

    factory: str
    ws_path: str
    history: str = ""


@dataclass(frozen=True)
class ExchangeSpec:
    """One exchange.

    `name` is what the platform calls it everywhere, `title` what people do. `pairs` are collected by default;
    `pairs_note` is added to that setting's description.
    `ccxt_urls` points ccxt's exchange `ccxt_id` at a REST address: its names of addresses, with ``{rest}`` for ours.
    `live` and `history` are the dotted names of the adapters, as in ``package.module:Class``.
    `topics` are those that its collector fills. `consecutive_ids`: trades of a pair are numbered without leaving a
    number out, so that ids say what is missing. `listed_candles`: candles of a timeframe that its REST interface still
    gives, the newest ones; None: all there ever were.
    """

    name: str
    title: str
    pairs: Sequence[str]
    ws: Endpoint
    rest: Endpoint
    ccxt_urls: Mapping[str, str]
    live: str
    history: str
    live_budget: LiveBudget
    history_budget: HistoryBudget
    topics: Sequence[str]
    empty_minutes: EmptyMinutes
    consecutive_ids: bool
    listed_candles: int | None = None
    spellings: Spellings = field(default_factory=Spellings)
    pairs_note: str = ""
    ccxt_name: str = ""
    simulator: SimulatorSpec | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} cannot be part of settings and streams; write lower-case letters and digits"
            )

    @property
    def ccxt_id(self) -> str:
        """ccxt's name of the exchange."""
        return self.ccxt_name or self.name

    @property
    def sources(self) -> Mapping[str, str]:
        """The files of its adapters, relative to the project: `live` and `history`."""
        return {kind: _file(dotted) for kind, dotted in (("live", self.live), ("history", self.history))}

    def ccxt_addresses(self, rest: str) -> dict[str, str]:
        """ccxt's addresses for an exchange whose REST interface is at `rest`."""
        return {name: address.format(rest=rest) for name, address in self.ccxt_urls.items()}

    def live_adapter(self) -> Callable[[Sequence[str]], Exchange]:
        """What makes the adapter of live data of some pairs."""
        return _loaded(self.live)

    def history_adapter(self) -> Callable[[Rest, Callable[[], datetime]], HistoryAdapter]:
        """What makes the adapter of the past."""
        return _loaded(self.history)

    def simulated(self) -> Callable[..., Any]:
        """What makes its simulator.

        Raises:
            ValueError: it has none.
        """
        if self.simulator is None:
            raise ValueError(f"{self.name} has no simulator")
        return _loaded(self.simulator.factory)


def _file(dotted: str) -> str:
    return f"{dotted.partition(':')[0].replace('.', '/')}.py"


def _loaded(dotted: str) -> Callable[..., Any]:
    loaded: Callable[..., Any] = resolve_name(dotted)
    return loaded
