"""Bodies that no reader should swallow, made while they are sent: the simulator never holds one."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import cache
from typing import Final

from aiohttp import web

HUGE_BYTES: Final = 200 * 1024 * 1024
BOMB_BYTES: Final = 1024 * 1024 * 1024
"""What the gzip bomb unpacks to."""

_MEGABYTE: Final = 1024 * 1024
_CHUNK: Final = 64 * 1024
_DRIP_S: Final = 0.2
_GZIP_HEADER: Final = bytes.fromhex("1f8b08000000000000ff")
_RSS_HEAD: Final = b'<?xml version="1.0"?><rss version="2.0"><channel><title>Huge</title><link>http://localhost/</link>'

ENTITY_BOMB: Final = (
    '<?xml version="1.0"?>\n<!DOCTYPE rss [\n<!ENTITY a0 "lol lol lol lol lol lol lol lol lol lol">\n'
    + "\n".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + '\n<!ENTITY secret SYSTEM "file:///etc/passwd">\n]>\n'
    '<rss version="2.0"><channel><title>Bomb</title><item><guid>bomb-1</guid><title>&a9;</title>'
    "<description>&secret;</description></item></channel></rss>\n"
)
PAGE: Final = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    "<body><h1>Checking your browser before you continue</h1></body></html>"
)


async def huge(request: web.Request) -> web.StreamResponse:
    """200 MB of items."""
    item = b"<item><guid>%s</guid><title>More</title></item>" % (b"0" * 900)
    chunk = item * (_CHUNK // len(item))
    response = await _begun(request, {})
    await response.write(_RSS_HEAD)
    sent = 0
    with suppress(ConnectionResetError):
        while sent < HUGE_BYTES:
            await response.write(chunk)
            sent += len(chunk)
    return response


async def gzip_bomb(request: web.Request) -> web.StreamResponse:
    """A valid gzip stream of about a megabyte."""
    response = await _begun(request, {"Content-Encoding": "gzip"})
    with suppress(ConnectionResetError):
        async for part in _bomb():
            await response.write(part)
    return response


async def drip(request: web.Request) -> web.StreamResponse:
    """A byte at a time, until the reader has had enough."""
    response = await _begun(request, {})
    with suppress(ConnectionResetError):
        while True:
            await response.write(b" ")
            await asyncio.sleep(_DRIP_S)
    return response


async def cut(request: web.Request) -> web.StreamResponse:
    """Some bytes of a longer body, then nothing."""
    response = web.StreamResponse(headers={"Content-Type": "application/xml", "Content-Length": "100000"})
    await response.prepare(request)
    await response.write(b'<?xml version="1.0"?><rss')
    if request.transport is not None:
        request.transport.abort()
    return response


async def _begun(request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/rss+xml; charset=utf-8", **headers})
    await response.prepare(request)
    return response


async def _bomb() -> AsyncIterator[bytes]:
    yield _GZIP_HEADER
    first, again, last = await asyncio.to_thread(_deflated)
    yield first
    for part in _batches(again, BOMB_BYTES // _MEGABYTE - 1):
        yield part
    yield last


def _batches(block: bytes, count: int) -> Iterator[bytes]:
    together = 64
    for start in range(0, count, together):
        yield block * min(together, count - start)


@cache
def _deflated() -> tuple[bytes, bytes, bytes]:
    """The stream's beginning, a block that may follow itself for ever, and its end with the checksum."""
    zeros = bytes(_MEGABYTE)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
    again = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS).flush()
    checksum = 0
    for _ in range(BOMB_BYTES // _MEGABYTE):
        checksum = zlib.crc32(zeros, checksum)
    trailer = checksum.to_bytes(4, "little") + (BOMB_BYTES % 2**32).to_bytes(4, "little")
    return first, again, end + trailer
