"""``python -m cryptoviz.reports serve``: the reports on loopback, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import sys

from cryptoviz import logs
from cryptoviz.reports.address import site_url
from cryptoviz.reports.server import serve
from cryptoviz.serving import run_server
from cryptoviz.settings import Settings

_USAGE = "usage: python -m cryptoviz.reports serve\n"


async def _serve(settings: Settings, stop: asyncio.Event) -> None:
    logs.logger(__name__).info("reports_ready", url=site_url(settings))
    await serve(settings, stop)


def main(arguments: list[str]) -> int:
    """Serve; the exit status is that of `run_server`, and 2 when the words make no sense."""
    if arguments != ["serve"]:
        sys.stderr.write(_USAGE)
        return 2
    return run_server(_serve, "REPORTS_PORT")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
