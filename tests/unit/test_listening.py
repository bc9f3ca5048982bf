"""Our own servers answer on loopback alone, unless the settings say that others are to reach them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from cryptoviz.reports.server import serve
from cryptoviz.settings import Mode, Settings
from simulators.server import Simulator
from simulators.web.server import WebSimulator
from tests.conftest import free_ports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the whole of 127/8 at once")

OTHER = "127.0.0.2"
"""An address of this machine that a server on 127.0.0.1 does not answer on, as a container's is."""


@asynccontextmanager
async def reports(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    served = asyncio.create_task(serve(settings, stop))
    yield
    stop.set()
    await served


async def answers(host: str, port: int, path: str) -> bool:
    """Whether a server says anything at all there."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(f"http://{host}:{port}{path}"):
                return True
        except aiohttp.ClientConnectionError:
            return False


@pytest.mark.parametrize("listen_host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(
    ("server", "port", "path"),
    [
        (Simulator.of, "simulator_port", "/control/health"),
        (WebSimulator.of, "web_simulator_port", "/control/health"),
        (reports, "reports_port", "/health"),
    ],
)
def test_a_server_answers_where_the_settings_say(
    server: Callable[[Settings], AbstractAsyncContextManager[object]],
    port: str,
    path: str,
    listen_host: str,
    tmp_path: Path,
) -> None:
    settings = Settings(mode=Mode.DEMO, state_dir=tmp_path, listen_host=listen_host, **{port: free_ports(1)[0]})

    async def answered_elsewhere() -> bool:
        async with server(settings):
            for _ in range(1000):
                if await answers("127.0.0.1", getattr(settings, port), path):
                    break
                await asyncio.sleep(0.01)
            return await answers(OTHER, getattr(settings, port), path)

    assert asyncio.run(answered_elsewhere()) == (listen_host == "0.0.0.0")
