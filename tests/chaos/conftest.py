"""The stack that chaos happens to."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from tests.chaos.stack import LocalStack

MakeStack = Callable[[float], LocalStack]


@pytest.fixture
def make_stack() -> Iterator[MakeStack]:
    """Makes a local stack at a rate of trades a second of each exchange. It is stopped and forgotten at the end,
    also after Ctrl-C or SIGTERM, and no process of it stays."""
    folder = Path(tempfile.mkdtemp(prefix="cryptoviz-chaos-"))
    folder.chmod(0o755)  # as root PostgreSQL is another user
    stacks: list[LocalStack] = []

    def make(simulator_rate: float) -> LocalStack:
        stacks.append(LocalStack(folder, simulator_rate))
        return stacks[-1]

    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield make
    finally:
        # Whoever is impatient now would leave processes behind.
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        for stack in stacks:
            stack.down()
        shutil.rmtree(folder, ignore_errors=True)
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
