"""A web server of raw sockets for tests: it says exactly the bytes it is told to, as slowly or as long as it likes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Answer = bytes | Callable[[socket.socket, threading.Event], None]
"""What is sent, or what is done with the connection; the event says that the test is over."""


def page(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(target: str) -> bytes:
    """An answer that leads elsewhere."""
    return page(status="302 Found", location=target)


def hang(_connection: socket.socket, over: threading.Event) -> None:
    """Say nothing until the test is over."""
    over.wait(60)


def drip(head: bytes, drop: bytes = b"x") -> Answer:
    """Say `head`, then one drop at a time, always soon enough for a limit between two bytes."""

    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(0.02):
            connection.sendall(drop)

    return answer


@dataclass
class Site:
    """A running server. `requests` are the heads of what was asked, in lower case, in order."""

    port: int
    routes: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def asked(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [request.split(" ", 2)[1] for request in self.requests]


@contextlib.contextmanager
def serving(routes: dict[str, Answer], tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """Serve on a free port of the loopback interface until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    site, over = Site(listener.getsockname()[1], routes), threading.Event()
    threads: list[threading.Thread] = []

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection = tls.wrap_socket(connection, server_side=True) if tls else connection
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (part := connection.recv(65536)):
                    request += part
                if not request:
                    return
                site.requests.append(request.decode("latin-1").lower())
                said = site.routes.get(site.asked()[-1], page(status="404 Not Found"))
                if isinstance(said, bytes):
                    connection.sendall(said)
                else:
                    said(connection, over)

    def accept() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=answer, args=[connection], daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield site
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [acceptor, *threads]:
            thread.join(10)
