"""Asking a source for JSON: quotas before each request, retries for what may pass, a reason for each refusal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import tenacity

from cryptoviz.pollers import state, wire
from cryptoviz.remote import web
from cryptoviz.remote.retry_after import retry_after
from cryptoviz.remote.web import FetchError, Page, Policy
from cryptoviz.settings import Settings
from cryptoviz.settings.quotas import Quotas

if TYPE_CHECKING:
    from psycopg import Connection

ATTEMPTS: Final = 3
_TRYING_S: Final = 25.0
"""No further attempt begins later than this."""

_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 8.0
"""A source that wants to be left alone for longer than this is left to the next runs."""

_UNSAID_PAUSE_S: Final = 60.0
"""What a source that is asked too often gets where it does not say for how long."""

_OVERLOADED: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT})
_PASSING: Final = frozenset(
    {web.Reason.TIMEOUT, web.Reason.UNREACHABLE, web.Reason.UNRESOLVED, web.Reason.PROTOCOL, web.Reason.TLS}
)


class SourceError(Exception):
    """Why a source gave no rows: `reason` in a word, `detail` in a sentence.

    `again`: another attempt may help, after `after` seconds where the source said so. `pause`: how many seconds it
    wants to be left alone. `counts`: it is a failure of the source, not of our asking too much.
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        again: bool = False,
        after: float | None = None,
        pause: float | None = None,
        counts: bool = True,
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.again = again
        self.after = after
        self.pause = pause
        self.counts = counts


@dataclass(frozen=True)
class Means:
    """What a poller needs from outside: the web, the time, and a way to wait."""

    fetch: Callable[..., Page] = web.fetch
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep


Refusal = Callable[[Any, float | None, datetime], SourceError | None]
"""Looks for an error in a body, whatever the status; it is told the seconds of Retry-After and the time."""


@dataclass(frozen=True)
class Source:
    """What is particular about a source. `cost` is what one request takes of a long quota."""

    name: str
    quotas: Quotas
    every: timedelta
    headers: Mapping[str, str] = field(default_factory=dict)
    refusal: Refusal = lambda _body, _after, _now: None
    cost: int = 1


@dataclass(frozen=True)
class Answer:
    """A page of a source that was understood."""

    body: Any
    headers: Mapping[str, str]
    url: str
    received_at: datetime


class Client:
    """Asks one source, and counts what that took."""

    def __init__(self, source: Source, connection: Connection[Any], settings: Settings, means: Means) -> None:
        self._source = source
        self._connection = connection
        self._means = means
        self._policy = replace(Policy.of(settings), seconds=settings.poller_timeout_s)
        self._taken = False
        self.requests = 0
        self.bytes = 0
        self.http_status: int | None = None

    def take(self) -> None:
        """Take the next request out of the quotas; `get` does it where this was not called before.

        Raises:
            ExhaustedError: they have nothing left.
        """
        source = self._source
        state.take(self._connection, source.name, source.quotas, self._means.now(), source.cost)
        self._taken = True

    def get(self, url: str, etag: str | None = None) -> Answer | None:
        """The JSON at an address; None where the source says that it has not changed since `etag`.

        Raises:
            SourceError: there is none, after as many attempts as make sense.
            ExhaustedError: the quotas have nothing left.
        """
        retrying = tenacity.Retrying(
            sleep=self._means.sleep,
            stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_after_delay(_TRYING_S),
            wait=_wait,
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, SourceError) and error.again),
            reraise=True,
        )
        return retrying(self._attempt, url, etag)

    def _attempt(self, url: str, etag: str | None) -> Answer | None:
        if not self._taken:
            self.take()
        self._taken = False
        self.requests += 1
        self.http_status = None
        headers = {"Accept": "application/json", **self._source.headers}
        try:
            page = self._means.fetch(url, self._policy, headers=headers, etag=etag)
        except FetchError as error:
            raise SourceError(str(error.reason), error.detail, again=error.reason in _PASSING) from None
        self.http_status = page.status
        self.bytes += len(page.body)
        if page.status == HTTPStatus.NOT_MODIFIED and etag is not None:
            return None
        return self._understood(page)

    def _understood(self, page: Page) -> Answer:
        now = self._means.now()
        after = retry_after(page.headers.get("retry-after"), now)
        try:
            body = wire.decode(page.body)
        except wire.NotJsonError as error:
            raise _refused(page, after) or _not_json(page, error) from None
        refusal = self._source.refusal(body, after, now) or _refused(page, after)
        if refusal is not None:
            raise refusal
        return Answer(body, page.headers, page.url, now)


def _wait(retry: tenacity.RetryCallState) -> float:
    """Growing, with jitter, and never less than what the source asked for."""
    error = retry.outcome.exception() if retry.outcome is not None else None
    asked = error.after or 0.0 if isinstance(error, SourceError) else 0.0
    return max(asked, _growing(retry))


_growing: Final = tenacity.wait_exponential_jitter(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S, jitter=_FIRST_WAIT_S)


def _refused(page: Page, after: float | None) -> SourceError | None:
    """What a status other than 200 means."""
    if page.status == HTTPStatus.OK:
        return None
    if page.status in _OVERLOADED:
        return limited(f"HTTP {page.status}", after)
    if page.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _waiting(SourceError("server_error", f"HTTP {page.status}", again=True), after)
    return SourceError("refused", f"HTTP {page.status}: {_words(page.body)}")


def limited(detail: str, after: float | None) -> SourceError:
    """The source is asked too often; `after`: for how many seconds it wants to be left alone, if it said so."""
    error = SourceError("rate_limited", detail, counts=False)
    return _waiting(error, _UNSAID_PAUSE_S if after is None else after)


def shape(detail: str) -> SourceError:
    """JSON of another shape than documented."""
    return SourceError("unexpected_shape", detail)


def _waiting(error: SourceError, after: float | None) -> SourceError:
    """The error with the time that the source wants: a short one is waited for, a long one left to the next runs."""
    if after is None:
        return error
    return SourceError(
        error.reason,
        f"{error.detail}, to be asked again after {after:.0f} s",
        again=after <= _LONGEST_WAIT_S,
        after=after,
        pause=after,
        counts=error.counts,
    )


def _not_json(page: Page, error: Exception) -> SourceError:
    if page.content_type == "text/html" or page.body.lstrip()[:1] == b"<":
        return SourceError("html", f"a page for people instead of JSON: {_words(page.body)}")
    return SourceError("not_json", str(error))


def _words(body: bytes) -> str:
    return " ".join(body[:200].decode(errors="replace").split())[:120]
