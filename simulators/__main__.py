"""``python -m simulators``: the simulated exchanges, as the settings say, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
import sys

from cryptoviz import logs
from cryptoviz.settings import PREFIX, SettingsError, settings
from simulators.server import Simulator


async def _serve() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Simulator.of(settings()).serve(stop)


def main() -> int:
    """Serve; 2 when the settings make no sense, 1 when the port is taken."""
    try:
        configured = settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure(configured.log_level, json=configured.log_json)
    try:
        asyncio.run(_serve())
    except OSError as error:
        sys.stderr.write(f"{error}. Free the port or set {PREFIX}SIMULATOR_PORT.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
