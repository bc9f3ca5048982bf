"""Steps run in order of their dependencies, at the same time where they may; the first failure is told at once."""

import threading
import time

import pytest

from cryptoviz.stack.errors import StackError
from cryptoviz.stack.steps import Done, Step, StepError, run, wait_until


def test_a_step_waits_for_those_it_names() -> None:
    order: list[str] = []

    def note(name: str) -> Step:
        after = {"b": ("a",), "c": ("b",)}.get(name, ())
        return Step(name, lambda _cancelled: order.append(name) or "", after)

    run([note("c"), note("b"), note("a")], lambda _done: None)
    assert order == ["a", "b", "c"]


def test_independent_steps_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=5)
    reported: list[Done] = []
    run([Step(name, lambda _cancelled: str(both.wait() >= 0)) for name in "ab"], reported.append)
    assert {done.name for done in reported} == {"a", "b"}


def test_a_name_that_is_not_among_the_steps_counts_as_done() -> None:
    run([Step("a", lambda _cancelled: "", after=("external",))], lambda _done: None)


def test_a_failure_names_its_step_and_tells_the_others_to_give_up() -> None:
    gave_up = threading.Event()

    def wait(cancelled: threading.Event) -> str:
        cancelled.wait(10)
        gave_up.set()
        return ""

    def fail(_cancelled: threading.Event) -> str:
        raise StackError("it broke", detail="the last line", fix="mend it")

    with pytest.raises(StepError, match="it broke") as caught:
        run([Step("waits", wait), Step("fails", fail)], lambda _done: None)
    assert (caught.value.step, caught.value.detail, caught.value.fix) == ("fails", "the last line", "mend it")
    assert gave_up.wait(5)


def test_steps_that_wait_for_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="wait for each other"):
        run([Step("a", lambda _: "", ("b",)), Step("b", lambda _: "", ("a",))], lambda _done: None)


def test_waiting_ends_when_cancelled() -> None:
    cancelled = threading.Event()
    cancelled.set()
    begun = time.monotonic()
    assert not wait_until(lambda: False, cancelled, 60)
    assert time.monotonic() - begun < 5
