"""A server as a program: the settings are read, logs configured, and it serves until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

from cryptoviz import logs
from cryptoviz.settings import PREFIX, Settings, SettingsError, settings

Serve = Callable[[Settings, asyncio.Event], Awaitable[None]]
"""Serves as the settings say until the event is set; raises OSError when its port is taken."""


def run_server(serve: Serve, port: str) -> int:
    """Serve until SIGTERM or SIGINT. `port` is the name of the setting of its port, without the prefix.

    The exit status: 2 when the settings make no sense, 1 when the port is taken; both are told on standard error.
    """
    try:
        configured = settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure(configured.log_level, json=configured.log_json)
    try:
        asyncio.run(_until_signal(serve, configured))
    except OSError as error:
        sys.stderr.write(f"{error}. Free the port or set {PREFIX}{port}.\n")
        return 1
    return 0


async def _until_signal(serve: Serve, configured: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(configured, stop)
