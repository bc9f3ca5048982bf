"""Calls to the database from an event loop: one at a time, each in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class DatabaseCalls:
    """Runs blocking calls beside the event loop, one after the other.

    The threads are daemons: a call that waits for a database that hangs holds up neither the loop nor the end of the
    process.
    """

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    async def run(self, call: Callable[[], T]) -> T:
        """The result of the call; raises what the call raises."""
        async with self._one_at_a_time:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[T] = loop.create_future()

            def settle(result: T | None, error: Exception | None) -> None:
                if not answer.done():
                    if error is not None:
                        answer.set_exception(error)
                    else:
                        answer.set_result(result)  # type: ignore[arg-type]

            def call_database() -> None:
                try:
                    result, failure = call(), None
                except Exception as error:  # noqa: BLE001 - raised again in the loop
                    result, failure = None, error
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(settle, result, failure)

            threading.Thread(target=call_database, name="database", daemon=True).start()
            return await answer
