"""An exchange is one folder and one entry in a list: everything else follows from its declaration."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from cryptoviz.exchanges import EXCHANGES, ExchangeName, spelling
from cryptoviz.exchanges.spec import ExchangeSpec
from cryptoviz.pairs import is_pair
from cryptoviz.settings import PROJECT_ROOT, Mode, Settings, SettingsError, load
from cryptoviz.storage.migrations import read
from cryptoviz.streams.supervision import Stream
from cryptoviz.topics import TOPICS

SPECS = pytest.mark.parametrize("spec", EXCHANGES.values(), ids=EXCHANGES)
HEAVY = ("ccxt", "httpx", "websockets", "aiohttp", "msgspec", "tenacity", "pydantic")


def test_the_list_has_exactly_the_folders_on_disk() -> None:
    folders = {path.parent.name for path in (PROJECT_ROOT / "cryptoviz" / "exchanges").glob("*/spec.py")}
    assert folders == set(EXCHANGES)


def test_the_list_is_cheap_to_read() -> None:
    code = f"import sys, cryptoviz.exchanges; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)
    assert done.stdout.strip() == "[]"


@SPECS
def test_what_a_declaration_names_is_there(spec: ExchangeSpec) -> None:
    adapter = spec.live_adapter()(list(spec.pairs))
    assert (adapter.name, adapter.pairs) == (spec.name, list(spec.pairs))
    assert callable(spec.history_adapter())
    for path in spec.sources.values():
        assert path.startswith(f"cryptoviz/exchanges/{spec.name}/")
        assert (PROJECT_ROOT / path).exists()
    assert set(spec.topics) <= set(TOPICS)
    if spec.simulator is not None:
        assert spec.simulated()(list(spec.pairs[:1]), seed=1, rate=1).name == spec.name


@SPECS
def test_the_default_pairs_are_pairs_that_the_exchange_can_be_asked_for(spec: ExchangeSpec) -> None:
    assert spec.pairs
    for pair in spec.pairs:
        assert is_pair(pair)
        assert spelling(spec.name, pair).rest


@SPECS
def test_everything_has_the_exchange(spec: ExchangeSpec) -> None:
    names = {f"{spec.name}_{what}" for what in ("pairs", "history", "ws_url", "rest_url", "history_per_minute")}
    assert names <= Settings.model_fields.keys()
    assert f"collector_{spec.name}" in set(Stream)
    assert spec.name in set(ExchangeName)
    live = Settings(mode=Mode.LIVE)
    assert live.pairs(spec.name) == list(spec.pairs)
    assert (live.ws_url(spec.name), live.rest_url(spec.name)) == (spec.ws.url, spec.rest.url)
    assert live.history_per_minute(spec.name) == spec.history_budget.per_minute


def test_the_database_knows_whose_trade_ids_are_consecutive() -> None:
    (function,) = (migration.text for migration in read() if migration.name == "functions/consecutive_ids")
    named = ", ".join(f"'{name}'" for name, spec in EXCHANGES.items() if spec.consecutive_ids)
    assert f"array[{named}]::text[]" in function


def test_the_demo_refuses_an_exchange_that_cannot_be_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoviz.settings.EXCHANGES", {**EXCHANGES, "kraken": without_simulator(EXCHANGES["kraken"])})
    with pytest.raises(SettingsError, match="kraken has no simulator"):
        load(mode="demo", exchanges=["kraken"])
    assert load(mode="demo", exchanges=["kraken"], kraken_ws_url="ws://x", kraken_rest_url="http://x").exchanges


def without_simulator(spec: ExchangeSpec) -> ExchangeSpec:
    return replace(spec, simulator=None)
