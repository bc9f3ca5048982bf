"""How a replay ends when what it needs is away."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from cryptoviz.settings import Settings
from streaming import replay

DAY = datetime(2026, 11, 21, tzinfo=UTC)


class OwnershipWithoutDatabase:
    """A claim made while the database answered; its last sign of life finds it away."""

    epoch = 1

    def __init__(self, *_: Any) -> None:
        pass

    def claim(self) -> bool:
        return True

    def beat(self, *_: Any) -> None:
        raise psycopg.OperationalError("the connection is closed")

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "said"),
    [(psycopg.OperationalError("connection refused\nby nobody"), "connection refused"), (psycopg.Error(), "Error")],
)
def test_a_replay_that_loses_the_database_says_why_and_keeps_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    def broken(*_: Any) -> int:
        raise error

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(replay, "Ownership", OwnershipWithoutDatabase)
    monkeypatch.setattr(replay, "Replay", lambda *_: None)
    monkeypatch.setattr(replay, "_run", broken)
    assert replay.run(Settings(), "rawtrade", DAY, DAY) == 1
    assert json.loads(capsys.readouterr().out) == {"error": said}
    monkeypatch.setattr(replay, "_run", lambda *_: 143)
    assert replay.run(Settings(), "rawtrade", DAY, DAY) == 143
