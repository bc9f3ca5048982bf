"""Answers of the simulated web, as a fault would have them."""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from simulators.web import hostile
from simulators.web.faults import Kind, Order

CHANGE: Final = web.RequestKey("change", Order)
"""The fault that only changes the ordinary answer to a request."""


CHANGES: Final = frozenset({Kind.BREAK, Kind.ILL_FORMED, Kind.ODD_VALUES, Kind.NOT_A_NUMBER, Kind.INCIDENT})


_SIZED: Final = {Kind.HUGE: hostile.huge, Kind.HUGE_GZIP: hostile.huge_gzip}


def plain(order: Order, request: web.Request) -> web.Response:
    """The faults that are one short answer."""
    if order.kind is Kind.RATE_LIMIT:
        headers = {"Retry-After": str(order.retry_after_s)} if order.retry_after_s else {}
        return web.Response(status=HTTPStatus.TOO_MANY_REQUESTS, headers=headers, text="Throttled")
    if order.kind is Kind.SERVER_ERROR:
        return web.Response(status=order.status, text="upstream connect error or disconnect/reset before headers")
    if order.kind is Kind.HTML:
        return web.Response(text=hostile.PAGE, content_type="text/html")
    if order.kind is Kind.ENTITY:
        return web.Response(text=hostile.ENTITY, content_type="application/rss+xml")
    if order.kind in _SIZED:
        return _SIZED[order.kind](order.size_bytes)
    location = order.location if order.kind is Kind.REDIRECT else str(request.rel_url)
    return web.Response(status=HTTPStatus.FOUND, headers={"Location": location})


def changed_text(
    request: web.Request, text: str, content_type: str, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """The ordinary answer, or what a fault makes of it; compressed where the reader takes that."""
    order: Order | None = request.get(CHANGE)
    if order is not None:
        text = _damaged(text, order.kind)
    response = web.Response(text=text, content_type=content_type, charset="utf-8", headers=headers)
    response.enable_compression()
    return response


def _damaged(text: str, kind: Kind) -> str:
    if kind is Kind.BREAK:
        return text[: len(text) * 2 // 3]
    if kind is Kind.ILL_FORMED:
        return text.replace("<item>", "<item><comments>http://localhost/?a=1&b=2</comments>")
    if kind is Kind.NOT_A_NUMBER:
        return re.sub(r'"((?:current_)?price|value)":', r'"\1":NaN,"was":', text, count=1)
    return text


def json_answer(body: Any, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def unmodified(request: web.Request, headers: dict[str, str]) -> bool:
    if "ETag" in headers and "If-None-Match" in request.headers:
        return request.headers["If-None-Match"] == headers["ETag"]
    return "Last-Modified" in headers and request.headers.get("If-Modified-Since") == headers["Last-Modified"]
