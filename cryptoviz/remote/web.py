"""The one way to ask the web: nobody's answer can hold us up, fill our memory, or send us into our own network.

    address -> permit -> resolve, all addresses public? -> connect to one of those -> redirect? again from the start
            -> body, decompressed within a limit -> Page | FetchError

One limit of time covers everything from the name to the last byte, however slowly it drips. The name is resolved once
and the connection goes to an address that was checked, so a name that changes its mind in between (DNS rebinding)
gains nothing; certificate and Host header are still the name's. Private addresses are for hosts in the settings only.
Proxies of the environment are not used: they would connect wherever they like.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, Protocol

import httpcore
import httpx

from cryptoviz.remote.errors import FetchError, Reason

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
_CONNECT_S: Final = 5.0
"""Longest wait for one of a host's addresses, so that a dead one leaves time for the next."""

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_NAT64: Final = IPv6Network("64:ff9b::/96")

Resolver = Callable[[str, int], list[str]]
"""The addresses of a host; raises OSError where it has none."""


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


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host by the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, also when it hides inside another."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        hidden = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped
        if hidden is None:
            return ip.is_global and ip in _GLOBAL_UNICAST and ip not in _SIX_TO_FOUR
        ip = hidden
    return ip.is_global and not ip.is_multicast


def origin(url: str) -> str:
    """Scheme, host and port of an address: ``https://example.com:443``.

    Raises:
        FetchError: it is no http(s) address.
    """
    parsed = _parsed(url)
    return f"{parsed.scheme}://{_host_port(parsed)}"


def fetch(
    url: str,
    policy: Policy,
    *,
    headers: Mapping[str, str] | None = None,
    etag: str | None = None,
    last_modified: str | None = None,
    permit: Callable[[str], None] | None = None,
    resolve: Resolver = resolve,
) -> Page:
    """What is at an address, following redirects.

    `etag` and `last_modified` of an earlier page make it conditional: the answer may be 304 without a body. `permit` is
    called with every address before it is asked, redirects too, and may raise. `headers` (keys of an API, say) go
    to the origin of `url` only.

    Raises:
        FetchError: there is no page within the policy.
    """
    deadline = _Deadline(policy.seconds)
    asked = {"user-agent": policy.user_agent, "accept-encoding": "gzip", "connection": "close"}
    asked |= {"if-none-match": etag} if etag else {}
    asked |= {"if-modified-since": last_modified} if last_modified else {}
    visited: set[str] = set()
    current = _parsed(url)
    home = _host_port(current), current.scheme
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
        own = headers if headers and (_host_port(current), current.scheme) == home else {}
        answer = _ask(current, {**asked, **own}, policy, deadline, resolve)
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
    """For people: a query may hold a key."""
    return str(url.copy_with(query=None))


def _host_port(url: httpx.URL) -> str:
    return _joined(url.host, url.port or _PORTS[url.scheme])


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ask(
    url: httpx.URL, headers: Mapping[str, str], policy: Policy, deadline: _Deadline, resolve: Resolver
) -> Page | str:
    """One request: the page, or the address it redirects to."""
    transport = _Transport(policy, deadline, resolve)
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
        raise FetchError(Reason.UNREACHABLE, f"{_host_port(url)}: {error}") from None
    except httpx.HTTPError as error:
        raise FetchError(Reason.PROTOCOL, f"{url.host}: {error}") from None


def _target(url: httpx.URL, response: httpx.Response) -> str:
    if response.next_request is None:
        raise FetchError(Reason.BAD_REDIRECT, f"{url.host} redirects to nowhere")
    return str(response.next_request.url)


def _body(response: httpx.Response, policy: Policy, deadline: _Deadline) -> tuple[bytes, int]:
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


@dataclass(frozen=True)
class _Deadline:
    seconds: float
    start: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def left(self, most: float | None = None) -> float:
        """The seconds left, or `most` where that is less.

        Raises:
            FetchError: none are.
        """
        left = self.seconds - self.elapsed()
        if left <= 0:
            raise FetchError(Reason.TIMEOUT, f"not done within {self.seconds:g} s")
        return left if most is None else min(left, most)


class _Transport(httpx.BaseTransport):
    """httpx's own transport cannot be told how to connect, httpcore's pool can."""

    def __init__(self, policy: Policy, deadline: _Deadline, resolve: Resolver) -> None:
        backend = _Backend(policy, deadline, resolve)
        self._pool = httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend, retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        try:
            answer = self._pool.handle_request(httpcore.Request(request.method, target, headers=request.headers.raw))
        except httpcore.TimeoutException as error:
            raise httpx.ReadTimeout(str(error)) from error
        except httpcore.ConnectError as error:
            raise httpx.ConnectError(str(error)) from error
        except (httpcore.ProtocolError, httpcore.NetworkError) as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        return httpx.Response(answer.status, headers=answer.headers, stream=_Parts(answer))

    def close(self) -> None:
        self._pool.close()


class _Parts(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._answer.iter_stream()
        except httpcore.TimeoutException as error:
            raise httpx.ReadTimeout(str(error)) from error
        except (httpcore.ProtocolError, httpcore.NetworkError) as error:
            raise httpx.RemoteProtocolError(str(error)) from error

    def close(self) -> None:
        self._answer.close()


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class _Backend(httpcore.NetworkBackend):
    """Connects to a checked address of a host, within the time that is left."""

    def __init__(self, policy: Policy, deadline: _Deadline, resolve: Resolver) -> None:
        self._policy, self._deadline, self._resolve = policy, deadline, resolve
        self._tcp = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._addresses(host, port)
        for number, address in enumerate(addresses, 1):
            patience = self._deadline.left(min(timeout or _CONNECT_S, _CONNECT_S))
            try:
                stream = self._tcp.connect_tcp(address, port, patience, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
            else:
                return _Stream(stream, self._deadline)
        raise FetchError(Reason.UNRESOLVED, f"{host} has no address")

    def _addresses(self, host: str, port: int) -> list[str]:
        addresses = self._looked_up(host, port)
        if _joined(host, port) in self._policy.private_hosts:
            return addresses
        # One private address among public ones is an attack too: which one is used would be luck.
        for address in addresses:
            if not is_public(address):
                raise FetchError(Reason.PRIVATE_ADDRESS, f"{_joined(host, port)} is the private address {address}")
        return addresses

    def _looked_up(self, host: str, port: int) -> list[str]:
        """The system's resolver knows no limit of time: ask it in a thread that may be left behind."""
        answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                answers.put(self._resolve(host, port))
            except (OSError, UnicodeError) as error:
                answers.put(error)

        threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
        try:
            answer = answers.get(timeout=self._deadline.left())
        except queue.Empty:
            raise FetchError(Reason.TIMEOUT, f"the address of {host} was not found in time") from None
        if isinstance(answer, Exception):
            raise FetchError(Reason.UNRESOLVED, f"{host}: {answer}")
        return answer


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends with the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        except httpcore.ConnectError as error:
            raise FetchError(Reason.TLS, f"{server_hostname}: {error}") from None
        return _Stream(stream, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
