"""Where the reports are: their folder, their address, and the page of an asset."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from cryptoviz.settings import Settings

HOST: Final = "127.0.0.1"
_PLAIN: Final = re.compile(r"[a-z0-9_]+(?:/[a-z0-9_]+)*")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_]+")
_LONGEST: Final = 80


def reports_folder(settings: Settings) -> Path:
    """The folder of the reports: `site` leads to what is published."""
    return settings.state / "reports"


def slug(name: str) -> str:
    """The name of a page about something: safe in a path and an address, and of two names never the same."""
    text = _UNSAFE.sub("-", name).strip("-")[:_LONGEST]
    if _PLAIN.fullmatch(name) and len(name) <= _LONGEST:
        return text
    return f"{text}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:10]}".lstrip("-")


def report_page(asset: str) -> str:
    """The page about an asset such as `poll/market`, as a path within the site."""
    return f"assets/{slug(asset)}.html"


def archive_page(asset: str) -> str:
    """The page that lists every document about an asset, as a path within the site."""
    return f"assets/{slug(asset)}.documents.html"


def suite_page(suite: str) -> str:
    """The page about a suite that has judged nothing yet, as a path within the site."""
    return f"suites/{slug(suite)}.html"


def quarantine_page(subject: str) -> str:
    """The page with the quarantined rows of a subject, as a path within the site."""
    return f"quarantine/{slug(subject)}.html"


def site_url(settings: Settings) -> str:
    """The address of the reports."""
    return f"http://{HOST}:{settings.reports_port}/"


def report_url(settings: Settings, asset: str) -> str:
    """The address of the report about an asset; it is there from the first build after the first judgement."""
    return site_url(settings) + report_page(asset)


def quarantine_url(settings: Settings, subject: str) -> str:
    """The address of the quarantined rows of a subject."""
    return site_url(settings) + quarantine_page(subject)
