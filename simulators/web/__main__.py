"""``python -m simulators.web``: the simulated web, as the settings say, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import sys

from cryptoviz.serving import run_server
from cryptoviz.settings import Settings
from simulators.web.server import WebSimulator


async def _serve(settings: Settings, stop: asyncio.Event) -> None:
    async with WebSimulator.of(settings):
        await stop.wait()


if __name__ == "__main__":
    sys.exit(run_server(_serve, "WEB_SIMULATOR_PORT"))
