"""Builds the site: looks at the database once, renders what changed, publishes all of it at once.

facts + suites -> views -> pages in a new folder -> the site, in one rename
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptoviz.reports import documents, store
from cryptoviz.reports.address import reports_folder
from cryptoviz.reports.facts import FactsReader, Stored, TableState
from cryptoviz.reports.pages import STYLE, TEMPLATES, page
from cryptoviz.reports.view import View
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect

WAIT_S: Final = 300.0
"""How long a build waits for another one."""


@dataclass(frozen=True)
class Built:
    """What a build came to.

    `left`: documents that wait for the next build. `size` is of all that is kept, in bytes. `trouble`: why there are no
    new documents, although there should be.
    """

    at: datetime
    assets: int
    failing: tuple[str, ...]
    open_rows: Mapping[str, int]
    documents: int
    rendered: int
    removed: int
    left: int
    pages: int
    size: int
    seconds: float
    cpu_seconds: float
    trouble: str


def build(settings: Settings, *, now: datetime | None = None, wait_s: float = WAIT_S) -> Built:
    """Build and publish the site of these settings.

    Raises:
        BusyError: another build was still under way after `wait_s`.
        psycopg.Error: the database cannot be read; the published site stays as it was.
    """
    with connect(Role.READER, settings, autocommit=True, application_name="reports") as connection:
        return publish(reports_folder(settings), Stored(connection), now or datetime.now(UTC), wait_s=wait_s)


def publish(folder: Path, source: FactsReader, now: datetime, *, wait_s: float = WAIT_S) -> Built:
    """Build and publish the site in a folder.

    Raises:
        BusyError: another build was still under way after `wait_s`.
    """
    began, cpu = time.monotonic(), time.process_time()
    with store.building(folder, wait_s) as build:
        found = source.facts(now)
        synced = documents.sync(folder, found.documents, source.document)
        pages = dict(_pages(View.of(found, synced.pages, source.document)))
        for path, text in pages.items():
            store.write(build.made / path, text)
        shutil.copyfile(TEMPLATES / STYLE, build.made / STYLE)
        store.mark_built(build.made, now)
        build.publish()
        removed = documents.tidy(folder, synced.pages)
    return Built(
        at=now,
        assets=len(found.judgements),
        failing=tuple(judgement.asset for judgement in found.judgements if judgement.state is not TableState.PASS),
        open_rows={held.subject: held.open for held in found.held},
        documents=len(synced.pages),
        rendered=synced.rendered,
        removed=removed,
        left=synced.left,
        pages=len(pages),
        size=_size(folder),
        seconds=round(time.monotonic() - began, 2),
        cpu_seconds=round(time.process_time() - cpu, 2),
        trouble=synced.trouble,
    )


def _pages(view: View) -> Iterator[tuple[str, str]]:
    """Every page of the site: its path and its text."""

    def made(template: str, path: str, **values: Any) -> tuple[str, str]:
        return path, page(template, path, built=view.at, **values)

    yield made("index.html", "index.html", view=view)
    yield made("quarantine.html", "quarantine.html", held=view.held)
    for subject in view.held:
        yield made("subject.html", subject.page, one=subject)
    for asset in view.assets:
        yield made("asset.html", asset.page, one=asset)
        if asset.archive:
            yield made("archive.html", asset.archive, one=asset)
    for asset in view.waiting:
        yield made("asset.html", asset.page, one=asset)


def _size(folder: Path) -> int:
    """Bytes on disk, whole blocks."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
