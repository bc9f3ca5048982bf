"""What the local stack raises: what failed, the evidence, and what to do next."""

from __future__ import annotations


class StackError(Exception):
    """Something of the local stack failed. `detail` is the end of its log, `fix` what to do next."""

    def __init__(self, message: str, *, detail: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.detail = detail
        self.fix = fix


def last_lines(text: str, count: int = 15) -> str:
    """The last lines of a log that say something."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])
