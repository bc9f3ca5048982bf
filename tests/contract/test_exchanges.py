"""An exchange is one folder and one entry in a list: everything else follows from its declaration."""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cryptoviz.exchanges import EXCHANGES, ExchangeName, spelling
from cryptoviz.exchanges.spec import ExchangeSpec
from cryptoviz.pairs import is_pair
from cryptoviz.settings import PROJECT_ROOT, Mode, Settings, SettingsError, load
from cryptoviz.storage.migrations import read
from cryptoviz.streams.facts import Stream
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


def documented(path: Path) -> Iterator[tuple[str, str]]:
    """The names of a module's classes and values that have a docstring, and that docstring."""
    body = ast.parse(path.read_text()).body
    for node, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.ClassDef):
            yield node.name, ast.get_docstring(node) or ""
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(following, ast.Expr):
            yield node.targets[0].id, ast.literal_eval(following.value)


def samples(text: str) -> list[str]:
    """The frames in a docstring: what starts a line with a bracket, as far as it goes."""
    found, decoder = [], json.JSONDecoder()
    for match in re.finditer(r"^\s*(?=[\[{])", text, re.MULTILINE):
        with contextlib.suppress(ValueError):  # the second line of a frame
            found.append(text[match.end() : decoder.raw_decode(text, match.end())[1]])
    return found


def keys(value: Any) -> set[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set(value if isinstance(value, dict) else ()).union(*map(keys, inner))


@SPECS
def test_every_wire_type_has_a_sample_that_it_reads_and_every_letter_in_it_a_meaning(spec: ExchangeSpec) -> None:
    module = importlib.import_module(f"cryptoviz.exchanges.{spec.name}.wire")
    shown = 0
    named = {
        field.encode_name
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        for field in msgspec.structs.fields(kind)
    }
    for name, text in documented(Path(str(module.__file__))):
        kind = getattr(module, name)
        for sample in samples(text):
            shown += 1
            msgspec.json.decode(sample, type=kind)
            letters = {key for key in keys(json.loads(sample)) if len(key) == 1} - named - {"e"}
            told = set(re.findall(r"`(\w)`", " ".join(text for _name, text in documented(Path(str(module.__file__))))))
            assert letters <= told, f"{name}: what do {letters - told} mean?"
        fields = getattr(kind, "__struct_fields__", ())
        inside = set(re.findall(r"`(\w+)`", text)) & vars(module).keys()
        assert samples(text) or inside or fields in {(), ("data",), ("pairs",), ("code", "msg")}, (
            f"{name} has no sample"
        )
    assert shown >= 5
