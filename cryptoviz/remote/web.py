"""Fetches a page from the web; no answer can hold us up, fill our memory, or send us into our own network.

    address -> permit -> resolve, all addresses public? -> connect to one of those -> redirect? again from the start
            -> body, decompressed within a limit -> Page | FetchError

One limit of time covers everything from the name to the last byte, however slowly it drips. Private addresses are for
hosts in the settings only (see `network`). Proxies of the environment are not used: they would connect wherever they
like.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import httpx

from cryptoviz.remote.errors import FetchError, Reason
from cryptoviz.remote.network import Deadline, Resolver, Transport, host_port, look_up

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}


class WebSettings(Protocol):
    """What the settings say about asking the web."""

    @property
    def web_user_agent(self) -> str: ...

    @property
    def web_timeout_s(self) -> float: ...

    @property
    def web_max_bytes(self) -> int: ...

    @property
    def private_hosts(self) -> Iterable[str]: ...


@dataclass(frozen=True)
class Policy:
    """What a fetch may cost and where it may go. `private_hosts` are `host:port`, the only ones inside our network."""

    user_agent: str
    seconds: float = 20
    max_bytes: int = 4 * 1024 * 1024
    max_redirects: int = 5
    private_hosts: frozenset[str] = frozenset()
    truncate: bool = False
    """A longer body is cut at `max_bytes` instead of refused."""

    @classmethod
    def of(cls, settings: WebSettings) -> Policy:
        """The policy of the settings; in demo mode the simulated web is within reach."""
        return cls(
            user_agent=settings.web_user_agent,
            seconds=settings.web_timeout_s,
            max_bytes=settings.web_max_bytes,
            private_hosts=frozenset(settings.private_hosts),
        )


@dataclass(frozen=True)
class Page:
    """An answer, whatever its status. `url` is where it came from after redirects; `wire_bytes` were on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    seconds: float
    wire_bytes: int = 0

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case; empty where none was sent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def origin(url: str) -> str:
    """Scheme, host and port of an address: ``https://example.com:443``.

    Raises:
        FetchError: it is no http(s) address.
    """
    parsed = _parsed(url)
    return f"{parsed.scheme}://{_authority(parsed)}"


def fetch(
    url: str,
    policy: Policy,
    *,
    headers: Mapping[str, str] | None = None,
    etag: str | None = None,
    last_modified: str | None = None,
    permit: Callable[[str], None] | None = None,
    resolve: Resolver = look_up,
) -> Page:
    """What is at an address, following redirects.

    `etag` and `last_modified` of an earlier page make it conditional: the answer may be 304 without a body. `permit` is
    called with every address before it is asked, redirects too, and may raise. `headers` (keys of an API, say) go
    to the origin of `url` only.

    Raises:
        FetchError: there is no page within the policy.
    """
    deadline = Deadline(policy.seconds)
    standard = {"user-agent": policy.user_agent, "accept-encoding": "gzip", "connection": "close"}
    standard |= {"if-none-match": etag} if etag else {}
    standard |= {"if-modified-since": last_modified} if last_modified else {}
    visited: set[str] = set()
    current = _parsed(url)
    home = _authority(current), current.scheme
    while True:
        if str(current) in visited:
            raise FetchError(Reason.REDIRECT_LOOP, f"{_without_query(current)} leads back to itself")
        if len(visited) > policy.max_redirects:
            raise FetchError(
                Reason.TOO_MANY_REDIRECTS,
                f"{_without_query(_parsed(url))} redirects more than {policy.max_redirects} times",
            )
        visited.add(str(current))
        if permit is not None:
            permit(str(current))
        own = headers if headers and (_authority(current), current.scheme) == home else {}
        answer = _request(current, {**standard, **own}, policy, deadline, resolve)
        if isinstance(answer, Page):
            return answer
        current = _parsed(answer)


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
        host = parsed.host  # decoded only now: an "xn--" that stands for nothing raises here
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchError(Reason.BAD_ADDRESS, f"{url[:200]!r}: {error}") from None
    if parsed.scheme not in _PORTS or not host or not 0 < (parsed.port or 80) <= 65535:
        raise FetchError(Reason.BAD_ADDRESS, f"{url[:200]!r} is no http(s) address")
    if parsed.userinfo:
        raise FetchError(Reason.BAD_ADDRESS, "an address with a user name in it")
    return parsed.copy_with(fragment=None)


def _without_query(url: httpx.URL) -> str:
    """The address for messages: a query may hold a key."""
    return str(url.copy_with(query=None))


def _authority(url: httpx.URL) -> str:
    return host_port(url.host, url.port or _PORTS[url.scheme])


def _request(
    url: httpx.URL, headers: Mapping[str, str], policy: Policy, deadline: Deadline, resolve: Resolver
) -> Page | str:
    """One request: the page, or the address it redirects to."""
    transport = Transport(policy.private_hosts, deadline, resolve)
    try:
        with (
            httpx.Client(transport=transport, trust_env=False, timeout=policy.seconds) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code in _REDIRECTS:
                return _target(url, response)
            body, wire_bytes = _body(response, policy, deadline)
            return Page(response.status_code, response.headers, body, str(url), deadline.elapsed(), wire_bytes)
    except UnicodeError as error:
        raise FetchError(Reason.BAD_REDIRECT, f"{url.host} redirects to no host: {error}") from None
    except httpx.TimeoutException:
        raise FetchError(Reason.TIMEOUT, f"{url.host} did not answer in time") from None
    except httpx.ConnectError as error:
        raise FetchError(Reason.UNREACHABLE, f"{_authority(url)}: {error}") from None
    except httpx.HTTPError as error:
        raise FetchError(Reason.PROTOCOL, f"{url.host}: {error}") from None


def _target(url: httpx.URL, response: httpx.Response) -> str:
    if response.next_request is None:
        raise FetchError(Reason.BAD_REDIRECT, f"{url.host} redirects to nowhere")
    return str(response.next_request.url)


def _body(response: httpx.Response, policy: Policy, deadline: Deadline) -> tuple[bytes, int]:
    """The decompressed body and its size on the wire; never more than the limit is held, whatever was announced."""
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > policy.max_bytes and not policy.truncate:
        raise FetchError(Reason.TOO_LARGE, f"{announced} bytes announced, {policy.max_bytes} allowed")
    body, wire_bytes = bytearray(), 0
    for part in _decompressed(response, policy.max_bytes):
        deadline.left()
        body += part
        wire_bytes = response.num_bytes_downloaded
        if max(len(body), wire_bytes) > policy.max_bytes:
            if policy.truncate:
                break
            raise FetchError(Reason.TOO_LARGE, f"more than {policy.max_bytes} bytes")
    return bytes(body[: policy.max_bytes]), wire_bytes


def _decompressed(response: httpx.Response, limit: int) -> Iterator[bytes]:
    """The body in parts of at most one byte more than `limit` each.

    httpx would decompress a whole chunk at once, a thousand times its size in the worst case.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        yield from response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip"):
        raise FetchError(Reason.ENCODING, f"content encoding {encoding[:50]!r}, which nobody asked for")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    seen = False
    for part in response.iter_raw():
        seen = True
        try:
            yield inflater.decompress(part, limit + 1)
        except zlib.error as error:
            raise FetchError(Reason.ENCODING, f"broken gzip: {error}") from None
    if seen and not inflater.eof:
        raise FetchError(Reason.ENCODING, "gzip that ends too early")
