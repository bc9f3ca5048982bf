"""The network under `web.fetch`: connections within a limit of time, and only to addresses that were checked.

    host -> resolve, all addresses public? -> connect to one of those -> every wait ends with the deadline

The name is resolved once and the connection goes to an address that was checked, so a name that changes its mind in
between (DNS rebinding) gains nothing; certificate and Host header are still the name's.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

import httpcore
import httpx

from cryptoviz.remote.errors import FetchError, Reason

_CONNECT_S: Final = 5.0
"""Longest wait for one of a host's addresses, so that a dead one leaves time for the next."""

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_NAT64: Final = IPv6Network("64:ff9b::/96")

Resolver = Callable[[str, int], list[str]]
"""The addresses of a host; raises OSError where it has none."""


def look_up(host: str, port: int) -> list[str]:
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


def host_port(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True)
class Deadline:
    """The end of a fetch, so many seconds after its beginning."""

    seconds: float
    start: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Seconds since the beginning."""
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


class Transport(httpx.BaseTransport):
    """Sends requests over checked connections. `private_hosts` (`host:port`) may have addresses that are not public.

    httpx's own transport cannot be given a way to connect, httpcore's pool can.
    """

    def __init__(self, private_hosts: frozenset[str], deadline: Deadline, resolve: Resolver) -> None:
        backend = _Backend(private_hosts, deadline, resolve)
        self._pool = httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend, retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the errors are those of httpx."""
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
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
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

    def __init__(self, private_hosts: frozenset[str], deadline: Deadline, resolve: Resolver) -> None:
        self._private_hosts, self._deadline, self._resolve = private_hosts, deadline, resolve
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
            timeout_s = self._deadline.left(min(timeout or _CONNECT_S, _CONNECT_S))
            try:
                stream = self._tcp.connect_tcp(address, port, timeout_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
            else:
                return _Stream(stream, self._deadline)
        raise FetchError(Reason.UNRESOLVED, f"{host} has no address")

    def _addresses(self, host: str, port: int) -> list[str]:
        addresses = self._resolved(host, port)
        if host_port(host, port) in self._private_hosts:
            return addresses
        # One private address among public ones is an attack too: which one is used would be luck.
        for address in addresses:
            if not is_public(address):
                raise FetchError(Reason.PRIVATE_ADDRESS, f"{host_port(host, port)} is the private address {address}")
        return addresses

    def _resolved(self, host: str, port: int) -> list[str]:
        """The addresses of a host; the system's resolver knows no limit of time, so a thread asks it that may be left
        behind.
        """
        answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

        def resolve() -> None:
            try:
                answers.put(self._resolve(host, port))
            except (OSError, UnicodeError) as error:
                answers.put(error)

        threading.Thread(target=resolve, name=f"resolve {host}", daemon=True).start()
        try:
            answer = answers.get(timeout=self._deadline.left())
        except queue.Empty:
            raise FetchError(Reason.TIMEOUT, f"the address of {host} was not found in time") from None
        if isinstance(answer, Exception):
            raise FetchError(Reason.UNRESOLVED, f"{host}: {answer}")
        return answer


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends with the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
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
