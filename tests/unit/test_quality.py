"""What the checks make of figures: sound ones pass, each kind of violation fails as an error or a warning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from cryptoviz.gate.table_rules import (
    CheckVerdict,
    FigureRow,
    bounds,
    closed,
    complete,
    equal,
    fresh,
    healed,
    jumps,
    parts,
    unique,
)

PAIR = {"exchange": "kraken", "pair": "DOGE/USD"}
OTHER = {"exchange": "kraken", "pair": "BTC/USD"}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SENT = {"first_id": 1, "last_id": 100, "newest_id": 110, "newest_age": 1.0, "stored": 100, "missing": 0, "explained": 0,
        "healing": 0}  # fmt: skip
GAP = {"exchange": "kraken", "open": 2, "failed": 1, "trades": 7}
EQUAL = {"compared": 10, "all_trades": 99, "exchange": None, "pair": None, "minute": None, "stored_trades": None,
         "trades": None, "stored_close": None, "close": None}  # fmt: skip

age = partial(fresh, age="age")


@pytest.mark.parametrize(
    ("judge", "rows"),
    [
        (age, [PAIR | {"age": 800}, OTHER | {"age": 3}]),
        (unique, [PAIR | {"trades": 5, "duplicates": 0, "example": None}]),
        (partial(complete, sent={}), [PAIR | SENT, OTHER | SENT | {"missing": 3, "explained": 3}]),
        (partial(complete, sent={("kraken", "DOGE/USD"): 130}), [PAIR | SENT]),
        (healed, []),
        (healed, [GAP | {"oldest": 60.0}]),
        (bounds, [PAIR | {"candles": 5, "impossible": 0, "example": None}]),
        (jumps, [PAIR | {"jump": 9.9, "candles": 60}, OTHER | {"jump": None, "candles": 1}]),
        (closed, [PAIR | {"minutes": 60, "missing": 0, "unclosed": 0}]),
        (parts, [PAIR | {"candles": 5, "differing": 0}]),
        (equal, [EQUAL]),
    ],
)
def test_sound_figures_pass(judge: Callable[[list[FigureRow]], CheckVerdict], rows: list[FigureRow]) -> None:
    verdict = judge(rows)
    assert verdict.passed
    assert verdict.words


@pytest.mark.parametrize(
    ("judge", "rows", "severe", "words"),
    [
        (age, [PAIR | {"age": 601}, OTHER | {"age": 700}], True, "nothing new of kraken"),
        (age, [PAIR | {"age": 121}, OTHER | {"age": 700}], False, "nothing new of kraken"),
        (age, [PAIR | {"age": None}, OTHER | {"age": 1}], False, "1 pairs quiet for more than 15 minutes"),
        (age, [PAIR | {"age": None}], True, "nothing new of kraken"),
        (unique, [PAIR | {"trades": 5, "duplicates": 2, "example": 4}], True, "2 trades are stored twice"),
        (partial(complete, sent={}), [PAIR | SENT | {"missing": 3, "explained": 1}], True, "2 trades are missing"),
        (partial(complete, sent={}), [PAIR | SENT | {"missing": 3, "healing": 3}], False, "3 trades are being fetched"),
        (
            partial(complete, sent={("kraken", "DOGE/USD"): 130}),
            [PAIR | SENT | {"newest_age": 61}],
            True,
            "20 trades were sent and are not stored",
        ),
        (healed, [GAP | {"oldest": 700.0}], False, "2 gaps are open, the oldest for 12 minutes"),
        (healed, [GAP | {"oldest": 4000.0}], True, "2 gaps are open"),
        (bounds, [PAIR | {"candles": 5, "impossible": 1, "example": NOON}], True, "1 candles are impossible"),
        (jumps, [PAIR | {"jump": 10.1, "candles": 60}], False, "1 pairs jumped by more than 10 %"),
        (closed, [PAIR | {"minutes": 60, "missing": 1, "unclosed": 2}], True, "1 have no candle and 2 an open one"),
        (parts, [PAIR | {"candles": 5, "differing": 1}], True, "1 candles differ from their minutes"),
        (equal, [EQUAL | PAIR | {"minute": NOON, "trades": 4}], True, "1 candles differ from their trades"),
    ],
)
def test_violations_fail(
    judge: Callable[[list[FigureRow]], CheckVerdict], rows: list[FigureRow], severe: bool, words: str
) -> None:
    verdict = judge(rows)
    assert (verdict.passed, verdict.severe) == (False, severe)
    assert words in verdict.words
    assert verdict.rows
    assert all(isinstance(value, int | float) for value in verdict.numbers.values())


def test_the_latest_last_heard_of_comes_first() -> None:
    rows: list[Mapping[str, Any]] = [OTHER | {"age": 3}, PAIR | {"age": 800.04}]
    assert [row["age s"] for row in fresh(rows, "age").rows] == [800.0, 3]
    assert fresh(rows, "age").numbers["kraken age s"] == 3
