"""A lock that processes of one machine share through a file; the system frees it when its holder ends."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_POLL_S: Final = 0.1


class LockHeldError(Exception):
    """Another process held the lock for the whole time that this one waited."""


@contextmanager
def file_lock(path: Path, wait_s: float) -> Iterator[None]:
    """Hold the lock during the block; wait up to `wait_s` seconds for it.

    Raises:
        LockHeldError: another process still has it.
    """
    with path.open("w") as lock:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LockHeldError(f"{path} is locked") from None
                time.sleep(_POLL_S)
        yield
