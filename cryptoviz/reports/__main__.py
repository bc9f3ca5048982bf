"""``python -m cryptoviz.reports serve``: the reports on loopback, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
import sys

from cryptoviz import logs
from cryptoviz.reports.address import site_url
from cryptoviz.reports.server import serve
from cryptoviz.settings import PREFIX, SettingsError, settings

_USAGE = "usage: python -m cryptoviz.reports serve\n"


async def _serve() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    logs.logger(__name__).info("reports_ready", url=site_url(settings()))
    await serve(settings(), stop)


def main(arguments: list[str]) -> int:
    """Serve; 2 when the words or the settings make no sense, 1 when the port is taken."""
    if arguments != ["serve"]:
        sys.stderr.write(_USAGE)
        return 2
    try:
        configured = settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure(configured.log_level, json=configured.log_json)
    try:
        asyncio.run(_serve())
    except OSError as error:
        sys.stderr.write(f"{error}. Free the port or set {PREFIX}REPORTS_PORT.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
