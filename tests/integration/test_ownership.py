"""The row of a stream: who may write it, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cryptoviz.settings import Settings
from cryptoviz.streams.ownership import Ownership, StreamControl, StreamEvent

pytestmark = pytest.mark.services


@pytest.fixture
def owner(database: Settings) -> Iterator[Ownership]:
    one = Ownership("ingestion", database)
    assert one.claim()
    yield one
    one.close()


def test_an_epoch_raised_without_hearing_the_answer_is_still_ours(owner: Ownership) -> None:
    heard = owner.epoch
    assert owner.claim()
    owner.epoch = heard
    assert owner.beat("running") == StreamControl()
    assert owner.epoch == heard + 1


def test_another_runners_epoch_is_not_taken_for_ours(owner: Ownership, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = owner.epoch
    with monkeypatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "elsewhere")
        assert owner.claim()
    owner.epoch = heard
    assert owner.beat("running") is None


def test_what_an_error_quotes_does_not_silence_the_stream(owner: Ownership) -> None:
    assert owner.beat("running", {}, {"last_error": "bad \0 byte", "quoted": ["\0"]}) == StreamControl()
    owner.write_event(StreamEvent(datetime.now(UTC), "died", owner.epoch, "bad \0 byte", {"said": "\0"}))
