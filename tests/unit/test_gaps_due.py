"""When a run is started to ask the exchanges, and how the state of the history is told."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from cryptoviz.gaps.completeness import BackfillProgress, HistoryState, percent
from cryptoviz.gaps.completeness_report import plot, report
from cryptoviz.gaps.scan import WaitingWork
from sensors.gaps import EXPLAINED_AFTER, GATHERED, MANY, PAUSE, PAUSE_AFTER_FAILURE, WHOLE_EVERY, ScanMemory, decide

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOTHING = WaitingWork(0, 0, None)
LOOKED = ScanMemory(whole=NOW.timestamp())


def waiting(
    candles: WaitingWork = NOTHING, trades: WaitingWork = NOTHING, differences: WaitingWork = NOTHING
) -> dict[str, WaitingWork]:
    return {"candles": candles, "trades": trades, "differences": differences}


def before(age: timedelta) -> float:
    return (NOW - age).timestamp()


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (waiting(), ""),
        (waiting(candles=WaitingWork(1, MANY, NOW)), f"{MANY} candles in 1 gaps"),
        (waiting(candles=WaitingWork(2, MANY - 1, NOW)), ""),
        (waiting(candles=WaitingWork(2, MANY - 1, NOW - GATHERED)), f"{MANY - 1} candles in 2 gaps"),
        (waiting(trades=WaitingWork(1, MANY, NOW)), f"{MANY} trades in 1 gaps"),
        (waiting(trades=WaitingWork(1, 1, NOW - GATHERED)), "1 trades in 1 gaps"),
        (waiting(differences=WaitingWork(9, 9, NOW - GATHERED)), ""),
        (waiting(differences=WaitingWork(9, 9, NOW - EXPLAINED_AFTER)), "9 differences without a cause"),
    ],
)
def test_many_are_asked_about_at_once_and_few_are_gathered(found: dict[str, WaitingWork], why: str) -> None:
    assert decide(found, LOOKED, NOW, failed=False) == (why, False)


def test_runs_keep_a_distance_and_a_longer_one_from_a_failure() -> None:
    found = waiting(candles=WaitingWork(1, MANY, NOW))
    for failed, pause in ((False, PAUSE), (True, PAUSE_AFTER_FAILURE)):
        soon, later = (replace(LOOKED, requested_at=before(age)) for age in (pause - timedelta(seconds=1), pause))
        assert decide(found, soon, NOW, failed=failed) == ("", False)
        assert decide(found, later, NOW, failed=failed)[0]


def test_the_whole_history_is_due_once_a_day() -> None:
    yesterday = replace(LOOKED, whole=before(WHOLE_EVERY))
    assert decide(waiting(), yesterday, NOW, failed=False) == ("the whole history, once a day", True)
    assert decide(waiting(), replace(yesterday, requested_at=NOW.timestamp()), NOW, failed=False) == ("", False)


def backfill(**changed: Any) -> BackfillProgress:
    given = BackfillProgress(
        "kraken BTC/USD 1m",
        "in_progress",
        NOW - timedelta(days=90),
        NOW,
        NOW - timedelta(days=60),
        129_600,
        43_200,
        "",
        NOW - timedelta(minutes=2),
        NOW - timedelta(minutes=1),
    )
    return replace(given, **changed)


def test_a_backfill_is_expected_to_go_on_as_fast_as_so_far() -> None:
    assert backfill().expected_end == NOW + timedelta(minutes=1)
    assert backfill(processed=129_600).expected_end == NOW - timedelta(minutes=1)
    for changed in ({"processed": 0}, {"total": 0}, {"status": "failed"}, {"updated_at": NOW - timedelta(minutes=2)}):
        assert backfill(**changed).expected_end is None


def test_nothing_incomplete_is_called_complete() -> None:
    assert percent(999_999, 1_000_000) == 99.99
    assert percent(10, 10) == 100


DAYS = {
    date(2026, 11, 21): {"expected": 720, "stored": 720, "no_trades": 0, "source_missing": 0, "lost_by_us": 0,
                         "unexplained": 0},
    date(2026, 11, 20): {"expected": 1440, "stored": 1439, "no_trades": 0, "source_missing": 0, "lost_by_us": 0,
                         "unexplained": 1},
    date(2020, 1, 1): {"expected": 1440, "stored": 1440, "no_trades": 0, "source_missing": 0, "lost_by_us": 0,
                       "unexplained": 0},
}  # fmt: skip


def test_one_missing_candle_is_seen_in_the_plot_and_days_outside_are_not() -> None:
    uri = plot(DAYS, date(2026, 11, 21))
    kind, _, body = uri.partition(",")
    assert kind == "data:image/svg+xml;base64"
    paths = ElementTree.fromstring(b64decode(body)).findall("{http://www.w3.org/2000/svg}path")
    stored, unexplained = (path.attrib["d"].split("M")[1:] for path in paths)
    assert [shape.partition("h")[0] for shape in stored] == ["704 60", "712 60"]
    assert [shape.partition("h")[0] for shape in unexplained] == ["704 2"]


def test_the_page_names_what_is_missing_and_what_is_under_way() -> None:
    gap = {"kind": "candles", "exchange": "kraken", "label": None, "status": "open", "gaps": 2, "missing": 1234,
           "oldest": NOW, "due_at": NOW + timedelta(minutes=5)}  # fmt: skip
    tier = {"subject": "candles", "tier": "cold", "rows": 1_000_000, "bytes": 2_500_000}
    state = HistoryState(NOW, [], [], [gap], [backfill(), backfill(status="failed", error="a | b")], [tier])
    told = report(state)
    assert "| candles | kraken | not yet asked about | open | 2 | 1,234 | 2026-11-21 12:00 | 12:05 |" in told
    assert "███░░░░░░░ 33%" in told
    assert "| 12:01 |" in told
    assert "a \\| b" in told
    assert "| candles | cold | 1,000,000 | 2.5 |" in told
    assert state.numbers["open gaps in candles"] == 2
    assert state.numbers["backfills running"] == state.numbers["backfills failed"] == 1
    assert state.numbers["candles cold MB"] == 2.5
