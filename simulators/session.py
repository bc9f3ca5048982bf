"""One socket of a simulated exchange."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from aiohttp import web

_MAX_UNSENT: Final = 64 * 1024 * 1024


def text_frame(payload: bytes) -> bytes:
    """`payload` as one unmasked, uncompressed WebSocket text frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Session:
    """One socket. Frames are written straight to the transport: aiohttp's writer costs ten times as much a frame."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.socket = socket
        self.transport = transport
        self.channels: set[str] = set()
        self.muted = False
        self.last_sent = time.monotonic()

    def send(self, payload: bytes) -> None:
        """Send one text message."""
        self.write(text_frame(payload))

    def write(self, frames: bytes) -> None:
        """Send finished frames. A client that does not read is cut off, as exchanges do."""
        if self.transport.is_closing() or self.muted:
            return
        if self.transport.get_write_buffer_size() > _MAX_UNSENT:
            self.transport.abort()
            return
        self.transport.write(frames)
        self.last_sent = time.monotonic()

    def cut(self, *, abort: bool = False) -> None:
        """End the connection without a close frame, after what was written (`abort`: at once)."""
        if abort:
            self.transport.abort()
        else:
            self.transport.close()
