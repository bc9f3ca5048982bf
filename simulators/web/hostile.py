"""Answers that a careful reader refuses, each no larger or longer than it takes to see that; harmless to all others."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Final

from aiohttp import web

from cryptoviz.settings import Settings

OVER_BYTES: Final = Settings.model_fields["web_max_bytes"].default + 64 * 1024
"""A little more than the largest page that is accepted by default."""
LONGEST_S: Final = 60.0
"""After that whatever hangs or drips ends."""

_DRIP_S: Final = 0.2
_RSS: Final = (
    '<?xml version="1.0"?>\n{doctype}<rss version="2.0"><channel><title>{title}</title>{items}</channel></rss>\n'
)

ENTITY: Final = _RSS.format(
    doctype='<!DOCTYPE rss [<!ENTITY site "A site">]>\n',
    title="Declared",
    items="<item><guid>declared-1</guid><title>&site;</title></item>",
)
"""A feed with one entity of its own, declared and used."""
PAGE: Final = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    "<body><h1>Checking your browser before you continue</h1></body></html>"
)


@cache
def oversized(size: int) -> bytes:
    """A whole feed of at least so many bytes, in words that do not compress well."""
    return _RSS.format(doctype="", title="Large", items="".join(_items(size))).encode()


def _items(size: int) -> Iterator[str]:
    written = number = 0
    while written < size:
        words = hashlib.sha256(str(number).encode()).hexdigest()
        yield (item := f"<item><guid>{number}</guid><title>{words}</title></item>")
        written, number = written + len(item), number + 1


def huge(size: int) -> web.Response:
    """A feed beyond the size that is asked for."""
    return web.Response(body=oversized(size), content_type="application/rss+xml", charset="utf-8")


def huge_gzip(size: int) -> web.Response:
    """The same compressed: about half of it on the wire."""
    response = huge(size)
    response.body = gzip.compress(oversized(size), mtime=0)
    response.headers["Content-Encoding"] = "gzip"
    return response


async def drip(request: web.Request) -> web.StreamResponse:
    """A byte at a time, until the reader has had enough."""
    response = web.StreamResponse(headers={"Content-Type": "application/rss+xml; charset=utf-8"})
    await response.prepare(request)
    with suppress(ConnectionResetError):
        for _ in range(int(LONGEST_S / _DRIP_S)):
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
