"""Asks a source for JSON: quotas before each request, retries of transient failures, a reason for each failure."""

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
from cryptoviz.remote.backoff import Backoff
from cryptoviz.remote.errors import Failure, FetchError, RemoteError, failure_of_status, worth_retrying
from cryptoviz.remote.retry_after import retry_after_of
from cryptoviz.remote.web import Page, Policy
from cryptoviz.settings import Settings
from cryptoviz.settings.quotas import Quotas

if TYPE_CHECKING:
    from psycopg import Connection

ATTEMPTS: Final = 3
_TRYING_S: Final = 25.0
"""No further attempt begins later than this."""

_LONGEST_WAIT_S: Final = 8.0
"""The longest wait within a run; a longer Retry-After is left to the next runs."""

_BACKOFF: Final = Backoff(first_s=1.0, longest_s=_LONGEST_WAIT_S)

_DEFAULT_PAUSE_S: Final = 60.0
"""How long a source that was asked too often is left alone where it does not say."""


class SourceError(RemoteError):
    """Why a source gave no rows: `reason` in a word, `detail` in a sentence."""

    def __init__(
        self, reason: str, detail: str, failure: Failure = Failure.PERMANENT, retry_after: float | None = None
    ) -> None:
        if retry_after is not None:
            detail = f"{detail}, to be asked again after {retry_after:.0f} s"
        super().__init__(f"{reason}: {detail}", retry_after)
        self.reason = reason
        self.detail = detail
        self.failure = failure

    @property
    def retried(self) -> bool:
        """Whether another attempt may help within the run."""
        return worth_retrying(self, _LONGEST_WAIT_S)


@dataclass(frozen=True)
class Environment:
    """How a poller fetches, tells the time and waits; tests replace these."""

    fetch: Callable[..., Page] = web.fetch
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep


Refusal = Callable[[Any, float | None, datetime], SourceError | None]
"""Finds an error in a body, whatever the status; further arguments are the seconds of Retry-After and the time."""


@dataclass(frozen=True)
class SourceSpec:
    """How a source is asked. `cost` is what one request takes of the quota of a day or month."""

    name: str
    quotas: Quotas
    every: timedelta
    headers: Mapping[str, str] = field(default_factory=dict)
    refusal: Refusal = lambda _body, _after, _now: None
    cost: int = 1


@dataclass(frozen=True)
class Answer:
    """An answer of a source that is JSON and no error."""

    body: Any
    headers: Mapping[str, str]
    url: str
    received_at: datetime


class Client:
    """Asks one source, and counts its requests and bytes."""

    def __init__(
        self, source: SourceSpec, connection: Connection[Any], settings: Settings, environment: Environment
    ) -> None:
        self._source = source
        self._connection = connection
        self._environment = environment
        self._policy = replace(Policy.of(settings), seconds=settings.poller_timeout_s)
        self._taken = False
        self.requests = 0
        self.bytes = 0
        self.http_status: int | None = None

    def take_request(self) -> None:
        """Take the next request out of the quotas; `get` does it where this was not called before.

        Raises:
            ExhaustedError: a quota is used up.
        """
        source = self._source
        state.take_request(self._connection, source.name, source.quotas, self._environment.now(), source.cost)
        self._taken = True

    def get(self, url: str, etag: str | None = None) -> Answer | None:
        """The JSON at an address; None where the source says that it has not changed since `etag`.

        Raises:
            SourceError: there is none, after as many attempts as make sense.
            ExhaustedError: a quota is used up.
        """
        retrying = tenacity.Retrying(
            sleep=self._environment.sleep,
            stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_after_delay(_TRYING_S),
            wait=_BACKOFF,
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, SourceError) and error.retried),
            reraise=True,
        )
        return retrying(self._attempt, url, etag)

    def _attempt(self, url: str, etag: str | None) -> Answer | None:
        if not self._taken:
            self.take_request()
        self._taken = False
        self.requests += 1
        self.http_status = None
        headers = {"Accept": "application/json", **self._source.headers}
        try:
            page = self._environment.fetch(url, self._policy, headers=headers, etag=etag)
        except FetchError as error:
            raise SourceError(str(error.reason), error.detail, error.failure) from None
        self.http_status = page.status
        self.bytes += len(page.body)
        if page.status == HTTPStatus.NOT_MODIFIED and etag is not None:
            return None
        return self._answer(page)

    def _answer(self, page: Page) -> Answer:
        now = self._environment.now()
        after = retry_after_of(page.headers, now)
        try:
            body = wire.decode(page.body)
        except wire.NotJsonError as error:
            raise _refused(page, after) or _not_json(page, error) from None
        refusal = self._source.refusal(body, after, now) or _refused(page, after)
        if refusal is not None:
            raise refusal
        return Answer(body, page.headers, page.url, now)


def _refused(page: Page, after: float | None) -> SourceError | None:
    """What a status other than 200 means."""
    if page.status == HTTPStatus.OK:
        return None
    match failure_of_status(page.status):
        case Failure.LIMITED:
            return limited(f"HTTP {page.status}", after)
        case Failure.TRANSIENT:
            return SourceError("server_error", f"HTTP {page.status}", Failure.TRANSIENT, after)
        case _:
            return SourceError("refused", f"HTTP {page.status}: {_excerpt(page.body)}")


def limited(detail: str, after: float | None) -> SourceError:
    """The error for a source that was asked too often; `after`: the seconds for which it wants to be left alone."""
    return SourceError("rate_limited", detail, Failure.LIMITED, _DEFAULT_PAUSE_S if after is None else after)


def shape(detail: str) -> SourceError:
    """The error for JSON of another shape than documented."""
    return SourceError("unexpected_shape", detail)


def _not_json(page: Page, error: Exception) -> SourceError:
    if page.content_type == "text/html" or page.body.lstrip()[:1] == b"<":
        return SourceError("html", f"a page for people instead of JSON: {_excerpt(page.body)}")
    return SourceError("not_json", str(error))


def _excerpt(body: bytes) -> str:
    return " ".join(body[:200].decode(errors="replace").split())[:120]
