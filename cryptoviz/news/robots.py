"""What a site permits us to read, and how often: robots.txt by RFC 9309, and a delay between requests to a host.

    address -> robots.txt of its origin (remembered for a day) -> may it be read? -> wait for the host's turn

A site without robots.txt (4xx) permits everything; one that cannot be asked now (5xx, 429, no connection) nothing,
unless an earlier robots.txt is stored. https://www.rfc-editor.org/rfc/rfc9309.html#section-2.3.1
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from protego import Protego

from cryptoviz.remote import web
from cryptoviz.remote.errors import FetchError, Reason
from cryptoviz.remote.network import Resolver, look_up
from cryptoviz.remote.web import Policy

KEPT: Final = timedelta(hours=24)
"""How long RFC 9309 permits the use of a robots.txt without fetching it again."""

MAX_BYTES: Final = 512 * 1024
"""Of a longer robots.txt the beginning counts; RFC 9309 asks for 500 KiB at least."""

_MAX_SECONDS: Final = 10.0


@dataclass(frozen=True)
class RobotsText:
    """A robots.txt as it was read; an empty one allows everything."""

    body: str
    fetched_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class _Rules:
    """The rules of an origin, or the error for which they are unknown; then nothing is permitted."""

    parsed: Protego | None
    error: FetchError | None = None


class Robots:
    """The rules of each site, fetched once. `fetched` is to be stored; safe to share between threads."""

    def __init__(
        self,
        policy: Policy,
        known: Mapping[str, RobotsText],
        now: datetime,
        *,
        resolve: Resolver = look_up,
        end: float = float("inf"),
    ) -> None:
        self.fetched: dict[str, RobotsText] = {}
        self._policy = replace(policy, max_bytes=MAX_BYTES, truncate=True)
        self._product = policy.user_agent.partition("/")[0]
        self._known, self._now, self._resolve, self._end = known, now, resolve, end
        self._rules: dict[str, Future[_Rules]] = {}
        self._lock = threading.Lock()

    def check(self, url: str) -> None:
        """Raise unless the page may be read.

        Raises:
            FetchError: it may not, or the robots.txt of its site cannot be read.
        """
        rules = self._shared_rules(web.origin(url))
        if rules.error is not None:
            raise FetchError(rules.error.reason, f"robots.txt cannot be read: {rules.error.detail}")
        if rules.parsed is not None and not rules.parsed.can_fetch(url, self._product):
            raise FetchError(Reason.NOT_PERMITTED, f"robots.txt of {urlsplit(url).netloc} forbids it")

    def crawl_delay(self, url: str) -> float:
        """The seconds that the site asks for between two requests; 0: it does not say."""
        parsed = self._shared_rules(web.origin(url)).parsed
        return float(parsed.crawl_delay(self._product) or 0) if parsed is not None else 0.0

    def _shared_rules(self, origin: str) -> _Rules:
        with self._lock:
            mine = origin not in self._rules
            answer = self._rules.setdefault(origin, Future())
        if mine:
            try:
                answer.set_result(self._rules_of(origin))
            except BaseException as error:
                answer.set_exception(error)
                raise
        return answer.result()

    def _rules_of(self, origin: str) -> _Rules:
        known = self._known.get(origin)
        if known is not None and known.expires_at > self._now:
            return _Rules(Protego.parse(known.body))
        try:
            body = self._fetch(f"{origin}/robots.txt")
        except FetchError as error:
            return _Rules(Protego.parse(known.body)) if known is not None else _Rules(None, error)
        self.fetched[origin] = RobotsText(body, self._now, self._now + KEPT)
        return _Rules(Protego.parse(body))

    def _fetch(self, url: str) -> str:
        seconds = min(self._policy.seconds, _MAX_SECONDS, max(0.0, self._end - time.monotonic()))
        page = web.fetch(url, replace(self._policy, seconds=seconds), resolve=self._resolve)
        if page.status == HTTPStatus.TOO_MANY_REQUESTS or page.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise FetchError(Reason.NOT_PERMITTED, f"status {page.status}")
        # UTF-8, whatever it says; PostgreSQL stores no NUL.
        return page.body.decode("utf-8", "replace").replace("\0", "") if page.status < 300 else ""


class Turns:
    """Spaces the requests to a host by `delay` seconds, or by the longer Crawl-delay of its site, up to `longest`.

    Hosts of our own (`private_hosts`) are not spaced.
    """

    def __init__(
        self,
        robots: Robots,
        *,
        delay: float,
        longest: float,
        private_hosts: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._robots, self._delay, self._longest, self._private = robots, delay, longest, private_hosts
        self._clock, self._sleep = clock, sleep
        self._free_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, url: str, until: float) -> None:
        """Wait for our turn at the host of `url`.

        Raises:
            FetchError: our turn would come after `until`.
        """
        host = urlsplit(url).netloc
        own = 0.0 if host in self._private else self._delay
        rest = max(own, min(self._robots.crawl_delay(url), self._longest))
        with self._lock:
            now = self._clock()
            turn = max(now, self._free_at.get(host, now))
            if turn >= until:
                raise FetchError(Reason.TIMEOUT, f"no turn at {host} within the poll's time")
            self._free_at[host] = turn + rest
        if turn > now:
            self._sleep(turn - now)

    def check_patience(self, url: str) -> None:
        """Raise where the site asks for a longer delay than we would wait.

        Raises:
            FetchError: its Crawl-delay is longer.
        """
        rest = self._robots.crawl_delay(url)
        if rest > self._longest:
            raise FetchError(Reason.NOT_PERMITTED, f"{urlsplit(url).netloc} wants {rest:g} s between two requests")
