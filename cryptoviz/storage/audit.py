"""Who did what by hand, when, and what came of it: one row of `action_log` for each action."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection


@contextmanager
def recorded(
    connect: Callable[[], AbstractContextManager[Connection[Any]]],
    *,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Write the action down before the block, and its result after it with the facts put into the yielded dictionary.

    The result is `done`, `failed` or `cancelled`; `under way` stays where the process was killed.
    """
    began = time.monotonic()
    entry = {"actor": actor, "action": action, "subject": subject}
    with connect() as connection:
        found = connection.execute(
            query("action_log_begin"), entry | {"detail": driver.Jsonb({**detail, "result": "under way"})}
        ).fetchone()
    facts: dict[str, Any] = {}
    result = "cancelled"
    try:
        yield facts
        result = "done"
    except Exception as error:
        result = "failed"
        facts["why"] = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise
    finally:
        facts |= {"result": result, "seconds": round(time.monotonic() - began, 2)}
        with connect() as connection:
            connection.execute(
                query("action_log_finish"), {"id": found[0] if found else None, "detail": driver.Jsonb(facts)}
            )
