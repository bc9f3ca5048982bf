"""One server with every simulated exchange, and the control address that tests and the demo use.

/kraken/...  /binance/...  <- clients, an address for each exchange whose declaration names a simulator
/control/{counters,expected,requests,fault,lack,listing,pause,resume,replay,limits,reset} <- tests, the demo
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

import msgspec
from aiohttp import web

from cryptoviz.exchanges import EXCHANGES
from cryptoviz.logs import logger
from cryptoviz.settings import Settings
from simulators.exchange import Exchange, json
from simulators.faults import Lack, Listing, Order
from simulators.threads import in_thread

_log = logger(__name__)

_MOST_EXPECTED: Final = 100_000
_FEW_COINS: Final = ("BTC", "ETH", "DOT")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors of the control address say what was wrong."""
    try:
        return await handler(request)
    except (ValueError, KeyError, OSError) as error:
        if not request.path.startswith("/control"):
            raise
        return json({"error": f"{type(error).__name__}: {error}"}, status=400)


class Simulator:
    """The exchanges on one port of `host`. Port 0 takes a free one; `url` says which.

    `pairs` and `options` are by exchange: its pairs where they are not a few of its usual ones, and what else its
    simulator takes.

    ``async with Simulator(port=0, seed=1, rate=100, pairs={"kraken": ["BTC/USD"]}) as simulator: ...``
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 1,
        rate: float = 40,
        pairs: Mapping[str, Sequence[str]] = MappingProxyType({}),
        options: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        listed_from: date | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.exchanges: dict[str, Exchange] = {
            name: spec.simulated()(
                list(pairs.get(name, _few(spec.pairs))), seed=seed, rate=rate, **options.get(name, {})
            )
            for name, spec in EXCHANGES.items()
            if spec.simulator is not None
        }
        if listed_from is not None:
            since = int(datetime.combine(listed_from, time(), UTC).timestamp())
            for name, exchange in self.exchanges.items():
                for pair in exchange.feeds:
                    exchange.list_pair(Listing(name, pair, since))
        self._runner: web.AppRunner | None = None
        self._flows: list[asyncio.Task[None]] = []
        self._warming: asyncio.Task[None] | None = None
        self._stopping = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The simulator that the settings describe."""
        return cls(
            host=settings.listen_host,
            port=settings.simulator_port,
            seed=settings.simulator_seed,
            rate=settings.simulator_rate,
            pairs={name: settings.pairs(name) for name in EXCHANGES},
            listed_from=settings.simulator_listed_from,
        )

    @property
    def url(self) -> str:
        """Where it answers on this machine, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """The same for WebSockets."""
        return f"ws://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen and let trades flow.

        Raises:
            OSError: the port is in use.
        """
        application = web.Application(middlewares=[_explained])
        for exchange in self.exchanges.values():
            application.add_routes(exchange.routes())
        application.add_routes(self._control())
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        addresses = self._runner.addresses
        self.port = int(addresses[0][1])
        self._flows = [
            asyncio.create_task(exchange.run(), name=f"simulated {name}") for name, exchange in self.exchanges.items()
        ]
        self._warming = asyncio.create_task(asyncio.to_thread(self._warm))
        _log.info("simulators_ready", url=self.url, exchanges=list(self.exchanges))

    def _warm(self) -> None:
        """Compute the last day of each pair beside the event loop: the first ticker then finds it done."""
        for exchange in self.exchanges.values():
            for feed in exchange.feeds.values():
                if self._stopping:
                    return
                feed.statistics(exchange.now(feed))

    async def stop(self) -> None:
        """End all sockets and stop listening."""
        self._stopping = True
        if self._warming is not None:
            await self._warming
        for flow in self._flows:
            flow.cancel()
        await asyncio.gather(*self._flows, return_exceptions=True)
        for exchange in self.exchanges.values():
            exchange.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def serve(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. A flow that breaks is an error, not silence.

        Raises:
            Exception: whatever broke a flow.
        """
        async with self:
            waiting = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait([waiting, *self._flows], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            for task in done:
                task.result()

    # Control

    def _control(self) -> list[web.RouteDef]:
        return [
            web.get("/control/health", self._health),
            web.get("/control/counters", self._counters),
            web.get("/control/expected", self._expected),
            web.get("/control/fault", self._faults),
            web.post("/control/fault", self._fault),
            web.delete("/control/fault", self._clear),
            web.get("/control/requests", self._requests),
            web.post("/control/lack", self._lack),
            web.delete("/control/lack", self._have_all),
            web.post("/control/listing", self._listing),
            web.post("/control/pause", self._pause),
            web.post("/control/resume", self._resume),
            web.post("/control/replay", self._replay),
            web.post("/control/limits", self._limits),
            web.post("/control/reset", self._reset),
        ]

    def _named(self, request: web.Request, body: dict[str, Any] | None = None) -> list[Exchange]:
        name = (body or {}).get("exchange") or request.query.get("exchange")
        if name is None:
            return list(self.exchanges.values())
        if name not in self.exchanges:
            raise ValueError(f"no exchange {name}; there are {', '.join(self.exchanges)}")
        return [self.exchanges[name]]

    async def _health(self, _request: web.Request) -> web.Response:
        sockets = {name: len(exchange.sessions) for name, exchange in self.exchanges.items()}
        broken = any(flow.done() for flow in self._flows)
        return json({"status": "down" if broken else "ok", "sockets": sockets}, status=503 if broken else 200)

    async def _counters(self, request: web.Request) -> web.Response:
        return json({exchange.name: exchange.report() for exchange in self._named(request)})

    async def _expected(self, request: web.Request) -> web.Response:
        (exchange,) = self._named(request)
        feed = exchange.feeds[request.query["pair"]]
        now = exchange.now(feed)
        first = int(request.query["from_id"])
        last = min(int(request.query["to_id"]), first + _MOST_EXPECTED - 1, feed.series.count_before(now))
        rows = (await asyncio.to_thread(feed.series.by_id, first, last)).rows()
        spec = feed.spec
        return json(
            [
                {
                    "trade_id": trade_id,
                    "time_ns": instant,
                    "price": spec.price(tick),
                    "volume": spec.volume(lots),
                    "side": "buy" if buy else "sell",
                }
                for trade_id, instant, tick, lots, buy in rows
            ]
        )

    async def _faults(self, request: web.Request) -> web.Response:
        return json({exchange.name: exchange.faults.listed() for exchange in self._named(request)})

    async def _fault(self, request: web.Request) -> web.Response:
        order = msgspec.json.decode(await request.read(), type=Order)
        for exchange in self._named(request, {"exchange": order.exchange}):
            exchange.order(order)
        return json({"ordered": order})

    async def _clear(self, request: web.Request) -> web.Response:
        for exchange in self._named(request):
            exchange.faults.clear()
        return json({"cleared": True})

    async def _requests(self, request: web.Request) -> web.Response:
        return json({exchange.name: exchange.requests.report() for exchange in self._named(request)})

    async def _lack(self, request: web.Request) -> web.Response:
        lack = msgspec.json.decode(await request.read(), type=Lack)
        for exchange in self._named(request, {"exchange": lack.exchange}):
            exchange.lack(lack)
        return json({"lacking": lack})

    async def _have_all(self, request: web.Request) -> web.Response:
        for exchange in self._named(request):
            exchange.have_all()
        return json({"lacking": None})

    async def _listing(self, request: web.Request) -> web.Response:
        listing = msgspec.json.decode(await request.read(), type=Listing)
        for exchange in self._named(request, {"exchange": listing.exchange}):
            exchange.list_pair(listing)
        return json({"listed": listing})

    async def _pause(self, request: web.Request) -> web.Response:
        return json({exchange.name: exchange.halt() for exchange in self._named(request)})

    async def _resume(self, request: web.Request) -> web.Response:
        for exchange in self._named(request):
            exchange.resume()
        return json({"resumed": True})

    async def _replay(self, request: web.Request) -> web.Response:
        body = await request.json()
        (exchange,) = self._named(request, {"exchange": body["exchange"]})
        replay = await asyncio.to_thread(exchange.replay, body["pair"], Path(body["path"]), float(body.get("speed", 0)))
        ids = replay.series.trades.ids
        return json({"trades": len(ids), "first_id": int(ids[0]), "last_id": int(ids[-1])})

    async def _limits(self, request: web.Request) -> web.Response:
        body = await request.json()
        for exchange in self._named(request, body):
            exchange.limit = int(body["limit"]) if body.get("limit") is not None else None
        return json({"limit": body.get("limit")})

    async def _reset(self, request: web.Request) -> web.Response:
        for exchange in self._named(request):
            exchange.reset()
        return json({"reset": True})


def _few(pairs: Sequence[str]) -> list[str]:
    return [pair for pair in pairs if pair.partition("/")[0] in _FEW_COINS]


@contextlib.contextmanager
def running(**parameters: Any) -> Iterator[Simulator]:
    """A simulator in a thread of its own, for code that is not asynchronous; parameters as of `Simulator`."""
    with in_thread(Simulator(**parameters), "simulators") as simulator:
        yield simulator
