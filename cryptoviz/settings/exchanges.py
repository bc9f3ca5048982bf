"""The settings that each exchange has: made from its declaration, under names that start with the exchange's.

ExchangeSpec -> kraken_pairs, kraken_history, kraken_ws_url, kraken_rest_url, kraken_history_per_minute
             -> binance_weight_per_minute, where the exchange says what was used of its limit
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from cryptoviz.exchanges import EXCHANGES
from cryptoviz.exchanges.spec import ExchangeSpec
from cryptoviz.settings.values import History, Pairs, Positive, SettingsGroup


def fields_of(spec: ExchangeSpec) -> Iterator[tuple[str, Any, Any]]:
    """Name, type and default with description of each setting of an exchange."""
    name, title, budget = spec.name, spec.title, spec.history_budget
    demo = f"; in demo mode by default {spec.simulator.history}" if spec.simulator and spec.simulator.history else ""
    yield (
        f"{name}_pairs",
        Pairs,
        Field(list(spec.pairs), description=f"{title}'s pairs, BASE/QUOTE, separated by commas{spec.pairs_note}."),
    )
    yield f"{name}_history", History, Field("", description=f"History, as above, of {title} alone{demo}.")
    yield f"{name}_ws_url", str, Field("", description=f"{title}'s {spec.ws.meaning}.")
    yield f"{name}_rest_url", str, Field("", description=f"{title}'s {spec.rest.meaning}.")
    yield (
        f"{name}_history_per_minute",
        Positive,
        Field(
            budget.per_minute,
            description=f"{budget.unit} a minute for {title}'s history, all runs together.{budget.note}",
        ),
    )
    if budget.used is not None:
        yield (
            f"{name}_weight_per_minute",
            Positive,
            Field(
                budget.used.at_most,
                description=f"Weight a minute used by all at this address, as {title} counts it "
                f"({budget.used.note}), from which on its history waits for the next minute.",
            ),
        )


def _made(specs: Iterable[ExchangeSpec]) -> Any:
    fields: dict[str, Any] = {name: (kind, field) for spec in specs for name, kind, field in fields_of(spec)}
    return create_model("ExchangeSettings", __base__=SettingsGroup, __module__=__name__, **fields)


if TYPE_CHECKING:

    class ExchangeSettings(SettingsGroup):
        """The settings of all exchanges, by exchange and in the order of the list."""

else:
    ExchangeSettings = _made(EXCHANGES.values())
