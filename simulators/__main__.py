"""``python -m simulators``: the simulated exchanges, as the settings say, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import sys

from cryptoviz.serving import run_server
from cryptoviz.settings import Settings
from simulators.server import Simulator


async def _serve(settings: Settings, stop: asyncio.Event) -> None:
    await Simulator.of(settings).serve(stop)


if __name__ == "__main__":
    sys.exit(run_server(_serve, "SIMULATOR_PORT"))
