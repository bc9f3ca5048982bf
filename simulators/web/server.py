"""One server with all simulated sites and APIs, and the control address that tests and the demo use.

/coindesk/...  /cointelegraph/...  ...  /coingecko/...  /coinmarketcap/...  /fear_greed/...  <- clients
/hostile/<kind> always misbehaves                      /control/{health,counters,fault,reset}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from aiohttp import web

from cryptoviz.logs import logger
from cryptoviz.settings import Mode, Settings
from simulators.threads import in_thread
from simulators.web import hostile, market, mood, news, sites
from simulators.web.answers import CHANGE, CHANGES, changed_text, digest, json_answer, plain, unmodified
from simulators.web.counters import Counters
from simulators.web.faults import DEMO, INNER_ADDRESS, Faults, Kind, Order, Spell
from simulators.web.market import Market, Quote
from simulators.web.news import SITES, Item, Site

_log = logger(__name__)

APIS: Final = ("coingecko", "coinmarketcap", "fear_greed")
ROBOTS: Final = "robots"
HOSTILE: Final = "hostile"
SOURCES: Final = (*SITES, *APIS, ROBOTS, HOSTILE)
"""Everything that has counters and can misbehave."""

_MOST_PER_PAGE: Final = 250
_CMC_ERRORS: Final = {
    1001: (401, "This API Key is invalid."),
    1002: (401, "API key missing."),
    1003: (402, "Your API Key must be activated."),
    1006: (403, "Your API Key subscription plan doesn't support this endpoint."),
    1008: (429, "You've exceeded your API Key's HTTP request rate limit. Rate limits reset every minute."),
    1009: (429, "You've exceeded your API Key's daily rate limit."),
    1010: (429, "You've exceeded your API Key's monthly rate limit."),
    1011: (429, "You've hit an IP rate limit."),
}
_VALIDATORS: Final = {
    "coindesk": ("ETag",),
    "cointelegraph": ("Last-Modified",),
    "decrypt": ("ETag",),
    "theblock": (),
    "cryptoslate": ("ETag", "Last-Modified"),
    "bitcoinmagazine": ("ETag", "Last-Modified"),
}
"""What each site lets a reader ask again with."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Source:
    """One site or API: its faults and its counters."""

    name: str
    faults: Faults
    counters: Counters = field(default_factory=Counters)


class WebSimulator:
    """The simulated web on one port of `host`. Port 0 takes a free one; `url` says which.

    `schedule` are faults that come by themselves; `clock` tells the time that feeds and prices are of.

    ``async with WebSimulator(port=0, seed=1) as web: ...``
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 1,
        schedule: tuple[Spell, ...] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.host = host
        self.port = port
        self.seed = seed
        self.clock = clock
        self.sources = {name: Source(name, Faults(name, seed, schedule)) for name in SOURCES}
        self._market = Market(seed)
        self._quotes: tuple[int, list[Quote]] = (0, [])
        self._started = time.monotonic()
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The simulated web that the settings describe."""
        schedule = DEMO if settings.mode is Mode.DEMO else ()
        return cls(
            host=settings.listen_host,
            port=settings.web_simulator_port,
            seed=settings.simulator_seed,
            schedule=schedule,
        )

    @property
    def url(self) -> str:
        """Where it answers on this machine, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def feed_url(self, site: str) -> str:
        """Where a site's feed is."""
        return f"{self.url}/{site}/{SITES[site].feed}"

    def order(self, source: str, kind: Kind, **parameters: Any) -> None:
        """Let a fault begin, as over /control/fault."""
        self.sources[source].faults.orders.order(Order(source, kind, **parameters))

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is in use.
        """
        application = web.Application()
        application.add_routes(self._routes())
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = int(self._runner.addresses[0][1])
        self._started = time.monotonic()
        _log.info("simulated_web_ready", url=self.url, sources=list(self.sources))

    async def stop(self) -> None:
        """End what hangs and stop listening."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/control/health", self._health),
            web.get("/control/counters", self._counters),
            web.get("/control/fault", self._faults),
            web.post("/control/fault", self._fault),
            web.delete("/control/fault", self._clear),
            web.post("/control/reset", self._reset),
            web.get("/robots.txt", self._of(ROBOTS, self._robots)),
            web.get("/coingecko/api/v3/coins/markets", self._of("coingecko", self._coingecko)),
            web.get("/coinmarketcap/v1/cryptocurrency/listings/latest", self._of("coinmarketcap", self._coinmarketcap)),
            web.get("/fear_greed/fng/", self._of("fear_greed", self._fear_greed)),
            web.get("/hostile/{kind}", self._always),
            *(web.get(f"/{name}/{{path:.*}}", self._of(name, self._site)) for name in SITES),
        ]

    # Answers

    def _of(self, name: str, handler: Handler) -> Handler:
        """A source's handler: counted, and first of all subject to its faults."""
        source = self.sources[name]

        async def handle(request: web.Request) -> web.StreamResponse:
            source.counters.requests[request.path] += 1
            order = source.faults.strikes(request.path, time.monotonic() - self._started)
            response = await self._suffer(source, order, request) if order is not None else None
            if response is None:
                response = await handler(request)
            source.counters.statuses[response.status] += 1
            return response

        return handle

    async def _suffer(self, source: Source, order: Order, request: web.Request) -> web.StreamResponse | None:
        """The answer of a fault; None where it only changes the ordinary answer."""
        source.counters.faults[order.kind] += 1
        if order.kind in CHANGES:
            request[CHANGE] = order
            return None
        if order.kind is Kind.ERROR_BODY:
            return self._refusal(source.name, order)
        if order.kind is Kind.HANG:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), hostile.LONGEST_S)
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
        streamed = _STREAMED.get(order.kind)
        return await streamed(request) if streamed is not None else plain(order, request)

    def _refusal(self, name: str, order: Order) -> web.Response:
        if name == "coinmarketcap":
            message = _CMC_ERRORS.get(order.error, (400, "An internal error."))[1]
            return json_answer(market.refusal(order.error, message, self.clock()))
        if name == "fear_greed":
            return json_answer(mood.refusal("Invalid request"))
        status = {"error_code": order.error, "error_message": "You've exceeded the Rate Limit."}
        return json_answer({"status": status})

    async def _always(self, request: web.Request) -> web.StreamResponse:
        """/hostile/<kind>: a feed that always misbehaves in that way."""
        source = self.sources[HOSTILE]
        source.counters.requests[request.path] += 1
        try:
            order = Order(HOSTILE, Kind(request.match_info["kind"]), location=request.query.get("to", INNER_ADDRESS))
        except ValueError:
            return web.Response(status=HTTPStatus.NOT_FOUND, text="no such kind")
        response = await self._suffer(source, order, request)
        if response is None:
            text = sites.feed_text(SITES["decrypt"], self._items(SITES["decrypt"]), f"{self._base(request)}/decrypt")
            response = changed_text(request, text, "application/rss+xml")
        source.counters.statuses[response.status] += 1
        return response

    # Sites

    def _base(self, request: web.Request) -> str:
        return f"http://{request.host}"

    def _items(self, site: Site) -> list[Item]:
        return news.feed(site, self.seed, self.clock())

    async def _robots(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=sites.robots_text())

    async def _site(self, request: web.Request) -> web.StreamResponse:
        name, _, path = request.path.lstrip("/").partition("/")
        site, root = SITES[name], f"{self._base(request)}/{name}"
        if path.rstrip("/") == site.feed.rstrip("/"):
            return self._feed(request, site, root)
        item = news.article(site, self.seed, path, self.clock())
        if item is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text=hostile.PAGE, content_type="text/html")
        self.sources[name].counters.pages[request.path] += 1
        return changed_text(request, sites.page_text(site, item, root, self.clock()), "text/html")

    def _feed(self, request: web.Request, site: Site, root: str) -> web.StreamResponse:
        items = self._items(site)
        text = sites.feed_text(site, items, root)
        modified = format_datetime(max(item.updated for item in items), usegmt=True)
        known = {"ETag": f'W/"{digest(text)}"', "Last-Modified": modified}
        headers = {name: known[name] for name in _VALIDATORS[site.name]} | {"Cache-Control": "max-age=60"}
        if unmodified(request, headers):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        if CHANGE not in request:
            self.sources[site.name].counters.served(items, root)
        return changed_text(request, text, "application/rss+xml", headers)

    # APIs

    def _listing(self) -> list[Quote]:
        slot = int(self.clock().timestamp()) // market.CACHE_S
        if self._quotes[0] != slot:
            self._quotes = (slot, self._market.quotes(self.clock()))
        return self._quotes[1]

    async def _coingecko(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("vs_currency") != "usd":
            return json_answer({"error": "invalid vs_currency"}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        per_page = min(int(request.query.get("per_page", "100")), _MOST_PER_PAGE)
        page = int(request.query.get("page", "1"))
        rows: list[Any] = market.coingecko(self._listing())
        order: Order | None = request.get(CHANGE)
        if order is not None and order.kind is Kind.INCIDENT:
            rows = market.incident(rows)
        if order is not None and order.kind is Kind.ODD_VALUES:
            rows = market.odd_coingecko(rows)
        wanted = rows[(page - 1) * per_page : page * per_page]
        following = request.rel_url.with_query({**request.query, "page": str(page + 1)})
        headers = {
            "Cache-Control": "max-age=30, public, must-revalidate, s-maxage=30",
            "Access-Control-Expose-Headers": "link, per-page, total",
            "Vary": "Accept-Encoding, Origin",
            "per-page": str(per_page),
            "total": str(len(rows)),
            "link": f'<{self._base(request)}{following}>; rel="next"',
        }
        return self._api(request, wanted, headers)

    async def _coinmarketcap(self, request: web.Request) -> web.StreamResponse:
        now = self.clock()
        if not request.headers.get("X-CMC_PRO_API_KEY"):
            status, message = _CMC_ERRORS[1002]
            return json_answer(market.refusal(1002, message, now), status=status)
        start, limit = int(request.query.get("start", "1")), int(request.query.get("limit", "100"))
        body = market.coinmarketcap(self._listing()[start - 1 : start - 1 + limit], now)
        order: Order | None = request.get(CHANGE)
        if order is not None and order.kind is Kind.ODD_VALUES:
            body = market.odd_coinmarketcap(body)
        return self._api(request, body, {"Cache-Control": "no-cache"}, etag=False)

    async def _fear_greed(self, request: web.Request) -> web.StreamResponse:
        try:
            limit = int(request.query.get("limit", "1"))
        except ValueError:
            return json_answer(mood.refusal("Invalid limit"))
        body = mood.index(self.clock(), limit, request.query.get("date_format", ""), self.seed)
        order: Order | None = request.get(CHANGE)
        if order is not None and order.kind is Kind.ODD_VALUES:
            body = mood.odd(body)
        return self._api(request, body, {"Cache-Control": "max-age=300"}, etag=False)

    def _api(
        self, request: web.Request, body: Any, headers: dict[str, str], *, etag: bool = True
    ) -> web.StreamResponse:
        text = json.dumps(body, separators=(",", ":"))
        if etag:
            headers = {**headers, "ETag": f'W/"{digest(text)}"'}
            if unmodified(request, headers):
                return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return changed_text(request, text, "application/json", headers)

    # Control

    def _named(self, request: web.Request) -> list[Source]:
        name = request.query.get("source")
        return list(self.sources.values()) if name is None else [self.sources[name]]

    async def _health(self, _request: web.Request) -> web.Response:
        return json_answer({"status": "ok", "elapsed_s": round(time.monotonic() - self._started, 1)})

    async def _counters(self, request: web.Request) -> web.Response:
        return json_answer({source.name: source.counters.report() for source in self._named(request)})

    async def _faults(self, request: web.Request) -> web.Response:
        return json_answer({source.name: source.faults.orders.listed() for source in self._named(request)})

    async def _fault(self, request: web.Request) -> web.Response:
        try:
            order = msgspec.json.decode(await request.read(), type=Order)
        except msgspec.MsgspecError as error:
            return json_answer({"error": str(error)}, status=HTTPStatus.BAD_REQUEST)
        if order.source not in self.sources:
            return json_answer(
                {"error": f"no source {order.source}; there are {', '.join(self.sources)}"},
                status=HTTPStatus.BAD_REQUEST,
            )
        self.sources[order.source].faults.orders.order(order)
        return json_answer({"ordered": msgspec.to_builtins(order)})

    async def _clear(self, request: web.Request) -> web.Response:
        for source in self._named(request):
            source.faults.orders.clear()
        return json_answer({"cleared": True})

    async def _reset(self, request: web.Request) -> web.Response:
        for source in self._named(request):
            source.counters.reset()
        return json_answer({"reset": True})


_STREAMED: Final[dict[Kind, Handler]] = {
    Kind.DRIP: hostile.drip,
    Kind.CUT: hostile.cut,
}


@contextlib.contextmanager
def running(**parameters: Any) -> Iterator[WebSimulator]:
    """A simulated web in a thread of its own, for code that is not asynchronous; parameters as of `WebSimulator`."""
    with in_thread(WebSimulator(**parameters), "simulated web") as simulator:
        yield simulator
