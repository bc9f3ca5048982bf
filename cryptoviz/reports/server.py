"""A small server of the published site: files only, from one folder only.

GET /path -> <state>/reports/site/path        GET /health -> when the site was built
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from cryptoviz.reports.address import reports_folder
from cryptoviz.reports.store import SITE, built_at
from cryptoviz.settings import Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADERS: Final = {
    # No script, no frame, no form, nothing from anywhere else: what was quarantined is shown, and it is hostile.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Kept, but asked for again each time: an answer of 304 where nothing changed.
    "Cache-Control": "no-cache",
}
_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json"}
_NOTHING_YET: Final = (
    "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>No report yet</title><h1>No report yet</h1>"
    "<p>The reports are built every hour, and soon after something new fails. To build them now: "
    "<code>.venv/bin/cryptoviz reports build</code></p></html>"
)
_MISSING: Final = (
    "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>No such page</title><h1>No such page</h1>"
    "<p>A table has its page once it has been judged, and a document is kept for 30 days. "
    '<a href="/">All reports</a></p></html>'
)


def application(folder: Path) -> web.Application:
    """The server of the site in a folder of reports."""
    files = _Files(folder)
    made = web.Application(middlewares=[_guarded])
    made.add_routes([web.get("/health", files.health), web.get("/{path:.*}", files.file)])
    return made


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer to our own names only, so that no page elsewhere can read through a name of its own; then the headers."""
    try:
        if not _ours(request.host):
            raise web.HTTPMisdirectedRequest(text="the reports answer on loopback only\n")
        answer = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    answer.headers.update(_HEADERS)
    return answer


def _ours(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _NAMES
    except ValueError:
        return False


class _Files:
    """The files of the site that is published at the moment of a request."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def health(self, _request: web.Request) -> web.Response:
        """Whether there is a site, and when it was built."""
        built = built_at(self._folder)
        return web.json_response({"status": "ok", "built_at": None if built is None else built.isoformat()})

    async def file(self, request: web.Request) -> web.StreamResponse:
        """One file, or words about why there is none."""
        path = await asyncio.to_thread(self._found, request.match_info["path"])
        if path is None:
            nothing = not (self._folder / SITE).exists()
            return web.Response(
                text=_NOTHING_YET if nothing else _MISSING, status=HTTPStatus.NOT_FOUND, content_type="text/html"
            )
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return web.FileResponse(path, headers={"Content-Type": f"{kind}; charset=utf-8"})

    def _found(self, address: str) -> Path | None:
        """The file of an address, if it is one of the site's."""
        parts = address.split("/")
        if parts[-1] == "":
            parts[-1] = "index.html"
        if any(part in ("", ".", "..") or part.startswith(".") or "\\" in part or "\0" in part for part in parts):
            return None
        try:
            path = (self._folder / SITE).joinpath(*parts).resolve(strict=True)
        except (OSError, ValueError):
            return None
        return path if path.is_file() and path.is_relative_to(self._folder.resolve()) else None


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve the reports of these settings until `stop` is set.

    Raises:
        OSError: the port is in use.
    """
    runner = web.AppRunner(application(reports_folder(settings)), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.listen_host, settings.reports_port).start()
        await stop.wait()
    finally:
        await runner.cleanup()
