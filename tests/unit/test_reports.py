"""The reports as files and over HTTP: hostile rows stay text, every link leads somewhere and none elsewhere."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from aiohttp import web
from lxml import html as parser

from cryptoviz.gate import docs
from cryptoviz.reports import documents, store, view
from cryptoviz.reports.address import quarantine_page, report_page, report_url, slug
from cryptoviz.reports.facts import Document, Facts, Failure, Finding, Held, Judgement, QuarantinedRow, TableState
from cryptoviz.reports.server import application
from cryptoviz.reports.site import Built, publish
from cryptoviz.reports.store import BusyError, building, built_at
from cryptoviz.reports.trend import DAY, HOUR, Tally, trend
from cryptoviz.settings import PROJECT_ROOT, Settings
from cryptoviz.stack.health import ServiceHealth, probe
from cryptoviz.stack.services import services
from tests.conftest import free_ports

NOW = datetime(2026, 11, 21, 15, 40, 3, tzinfo=UTC)
HOSTILE = (
    "<script>shown</script>",
    "<img src=x alt=shown>",
    "\"><a href='shown'>x</a>",
    "</pre></td></table><iframe title=shown>",
    "{{ shown }} {% raw %} ${PARAMETER} $PARAMETER",
    "&lt;b&gt; &amp; <!-- <style>shown</style>",
    "\ue000script\ue001 \u202ewohs \x00 🙂",
)

FORBIDDEN = ("script", "iframe", "img", "object", "form", "style", "base")


class Canned:
    """Facts that were not asked of a database."""

    def __init__(self, facts: Facts, texts: Mapping[Document, Mapping[str, Any]] | None = None) -> None:
        self._facts = facts
        self._texts = texts or {}

    def facts(self, now: datetime) -> Facts:
        return self._facts

    def document(self, one: Document) -> Mapping[str, Any] | None:
        return self._texts.get(one)


def row(number: int, value: str, **changes: Any) -> QuarantinedRow:
    fields: dict[str, Any] = {
        "id": number,
        "key": value,
        "reason": value,
        "expectation": value,
        "payload": {value: [value, {"nested": value}]},
        "origin": {value: value, "source": "coingecko"},
        "run": value,
        "created_at": NOW - timedelta(hours=2),
        "last_seen_at": NOW,
        "occurrences": 3,
        "released_at": None,
        "discarded_at": None,
        "resolved_by": None,
    }
    return QuarantinedRow(**fields | changes)


def gx_document(value: str) -> dict[str, Any]:
    """A validation as Great Expectations writes it, with a hostile value wherever data or a suite may put one."""
    return {
        "success": False,
        "suite_name": "market",
        "results": [
            {
                "success": False,
                "expectation_config": {
                    "type": "expect_column_values_to_be_in_set",
                    "kwargs": {"column": value, "value_set": [value]},
                    "meta": {"name": "rank_one", "why": f"A sentence with {value}", "notes": value},
                    "severity": "critical",
                },
                "result": {
                    "element_count": 250,
                    "unexpected_count": 1,
                    "unexpected_percent": 0.4,
                    "partial_unexpected_list": [value],
                    "partial_unexpected_counts": [{"value": value, "count": 1}],
                },
                "meta": {},
                "exception_info": {
                    "raised_exception": False, "exception_traceback": None, "exception_message": None
                },
            },
            {
                "success": True,
                "expectation_config": {
                    "type": "expect_column_distinct_values_to_equal_set",
                    "kwargs": {"column": "symbol", "value_set": [value]},
                    "meta": {"name": "symbols", "why": "why"},
                },
                "result": {"observed_value": [value], "details": {"value_counts": [{"value": value, "count": 1}]}},
                "meta": {},
                "exception_info": {
                    "raised_exception": False, "exception_traceback": None, "exception_message": None
                },
            },
        ],
        "statistics": {
            "evaluated_expectations": 2,
            "successful_expectations": 1,
            "unsuccessful_expectations": 1,
            "success_percent": 50.0,
        },
        "meta": {},
    }  # fmt: skip


def facts(value: str = "plain", count: int = 3) -> Facts:
    """Some of everything, with a value that may be hostile in each field that comes from outside."""
    judgements = [
        Judgement(
            name,
            suite,
            "run",
            NOW - timedelta(minutes=place),
            [
                Finding("rank_one", "critical", success=False, observed=[value], rows=1),
                Finding(value, "warning", success=False, observed=value),
                Finding("noted", "info", success=False),
                Finding("fine", "critical", success=True, observed={"a": value}),
            ],
        )
        for place, (name, suite) in enumerate([("poll/market", "market"), (value, value)])
    ]
    return Facts(
        at=NOW,
        judgements=judgements,
        failures=[Failure("poll/market", "market", value, "critical", NOW.date(), 7, NOW - HOUR, NOW, 1)],
        tallies={"poll/market": {NOW.replace(minute=0, second=0): Tally(58, 2, 1)}},
        held=[Held("market", 2, 1, 1, 6, NOW), Held(value, 0, 1, 0, 0, NOW)],
        open_rows={"market": [row(2, value), row(3, value)], value: []},
        resolved_rows={
            "market": [row(1, value, released_at=NOW, resolved_by=value), row(4, value, discarded_at=NOW)],
            value: [row(5, value, released_at=NOW)],
        },
        documents=[
            Document("poll/market", NOW - HOUR * place, value, "market", success=False, failed=(value,))
            for place in range(count)
        ],
    )


def built(folder: Path, found: Facts, monkeypatch: pytest.MonkeyPatch) -> Built:
    """A site whose documents come from a renderer as careless as GX's, without its import."""
    monkeypatch.setattr(docs, "renderer", lambda: careless)
    monkeypatch.setattr(view, "SUITES", folder / "none")
    texts = {one: gx_document(one.run) for one in found.documents}
    return publish(folder, Canned(found, texts), NOW)


def careless(document: Mapping[str, Any]) -> str:
    values = document["results"][0]["expectation_config"]["kwargs"]["value_set"]
    return f"<html><script src=//cdn.example/x.js></script><div class=ge-section>{values[0]}</div></html>"


def pages(folder: Path) -> Iterator[tuple[str, str]]:
    """Path within the site and text of every page, as a reader finds it."""
    site = folder / store.SITE
    for root, _, names in os.walk(site, followlinks=True):
        for name in names:
            if name.endswith(".html"):
                path = Path(root, name)
                yield str(path.relative_to(site)), path.read_text(encoding="utf-8")


def problems(folder: Path) -> list[str]:
    """What a page must not have: scripts, handlers, addresses elsewhere, links that lead nowhere."""
    found = []
    anchors = {path: set(parser.document_fromstring(text).xpath("//@id")) for path, text in pages(folder)}
    for path, text in pages(folder):
        tree = parser.document_fromstring(text)
        found += [
            f"{path}: {tag.tag}" for tag in tree.iter("script", "iframe", "img", "object", "form", "style", "base")
        ]
        found += [f"{path}: {name}" for name in tree.xpath("//@*[starts-with(name(), 'on')]")]
        for target in tree.xpath("//@href | //@src"):
            parts = urlsplit(urljoin(path, target))
            if parts.scheme or parts.netloc:
                found.append(f"{path}: goes to {target}")
            elif not (folder / store.SITE / parts.path).is_file():
                found.append(f"{path}: nothing at {target}")
            elif parts.fragment and parts.fragment not in anchors[parts.path]:
                found.append(f"{path}: no {parts.fragment} in {parts.path}")
    return found


def shown(folder: Path, path: str) -> str:
    return " ".join(parser.document_fromstring((folder / store.SITE / path).read_text()).text_content().split())


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_rows_are_shown_and_do_nothing(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = value.replace("\x00", "\ufffd")  # as the database keeps it
    built(tmp_path, facts(value), monkeypatch)
    assert problems(tmp_path) == []
    read = " ".join(re.sub("[\ue000-\ue004]", "\ufffd", value).split())
    assert " ".join(value.split()) in shown(tmp_path, "index.html")
    assert " ".join(value.split()) in shown(tmp_path, quarantine_page("market"))
    [*_, document] = sorted(path for path, _ in pages(tmp_path) if path.startswith("documents/"))
    assert read in shown(tmp_path, document)


def test_every_link_of_a_full_site_leads_to_a_page_and_every_page_is_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tmp_path, facts(count=120), monkeypatch)
    assert problems(tmp_path) == []
    seen, waiting = set(), ["index.html"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        targets = parser.document_fromstring((tmp_path / store.SITE / path).read_text()).xpath("//a/@href")
        waiting += [urlsplit(urljoin(path, target)).path for target in targets]
    assert seen == {path for path, _ in pages(tmp_path)}


def test_a_failure_says_what_was_wrong_how_much_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = built(tmp_path, facts(), monkeypatch)
    index = shown(tmp_path, "index.html")
    assert "2 tables need a look of 2: poll/market, plain" in index
    assert "✗ fail 2026-11-21 15:40:03 250 A sentence with plain (1 of 250 rows)" in index
    assert re.search(r"Sat 21 Nov poll/market Plain\. ✗ fail 7 1 2026-11-21 14:40:03 ?2026-11-21 15:40:03", index)
    kept = shown(tmp_path, quarantine_page("market"))
    assert "cryptoviz quarantine release 2" in kept
    assert "cryptoviz quarantine discard 3" in kept
    assert "quarantine release 1" not in kept
    assert "released 2026-11-21 15:40:03 UTC by plain" in kept
    about = shown(tmp_path, report_page("poll/market"))
    assert "Last 48 hours: 58 passed, 2 failed, 1 row into quarantine" in about
    assert (result.failing, result.open_rows) == (("poll/market", "plain"), {"market": 2, "plain": 0})


def test_without_anything_judged_the_pages_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = built(tmp_path, Facts(at=NOW), monkeypatch)
    index = shown(tmp_path, "index.html")
    assert "Nothing has been judged yet." in index
    assert "Nothing failed." in index
    assert "Quarantine is empty" in index
    assert "Quarantine is empty" in shown(tmp_path, "quarantine.html")
    assert problems(tmp_path) == []
    assert (result.assets, result.failing) == (0, ())


def test_a_suite_that_cannot_be_read_is_said_and_breaks_no_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "suites"
    folder.mkdir()
    (folder / "market.json").write_text("{")
    monkeypatch.setattr(docs, "renderer", lambda: careless)
    monkeypatch.setattr(view, "SUITES", folder)
    publish(tmp_path, Canned(facts()), NOW)
    assert "The suite cannot be read" in shown(tmp_path, report_page("poll/market"))
    assert problems(tmp_path) == []


def test_states_are_as_bad_as_the_worst_that_matters() -> None:
    def state(*findings: tuple[str, bool]) -> TableState:
        told = [Finding(str(place), severity, success) for place, (severity, success) in enumerate(findings)]
        return Judgement("a", "s", "r", NOW, told).state

    assert state(("critical", True), ("info", False)) is TableState.PASS
    assert state(("warning", False), ("critical", True)) is TableState.WARNING
    assert state(("warning", False), ("critical", False)) is TableState.FAIL


def test_trends_cover_their_time_and_show_what_is_small() -> None:
    hour = NOW.replace(minute=0, second=0)
    tallies = {hour: Tally(100_000, 1, 1), hour - HOUR * 47: Tally(1), hour - HOUR * 48: Tally(9, 9, 9)}
    hours = trend(tallies, NOW, HOUR, 48)
    assert hours.total == Tally(100_001, 1, 1)
    assert len(hours.columns) == 48
    assert min(bar.height for column in hours.columns for bar in column.bars) >= 1
    for column in hours.columns:
        for bar in column.bars:
            assert 0 <= bar.y <= bar.y + bar.height <= hours.height
            assert 0 <= bar.x <= bar.x + bar.width <= hours.width
    days = trend(tallies, NOW, DAY, 30)
    assert days.total == Tally(100_010, 10, 10)
    assert trend({}, NOW, DAY, 30).total == Tally()


def test_names_of_pages_are_safe_and_never_the_same() -> None:
    names = [
        "poll/market",
        "poll-market",
        "poll/Market",
        "../x",
        "..",
        "",
        "a b",
        "a/b",
        "x" * 300,
        "x" * 301,
        *HOSTILE,
    ]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,91}", one) for one in slugs)
    assert report_url(Settings(reports_port=8300), "poll/market") == "http://127.0.0.1:8300/assets/poll-market.html"


# Documents


def test_documents_are_rendered_once_the_newest_first_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = facts(count=5).documents
    loaded: list[Document] = []

    def load(one: Document) -> Mapping[str, Any]:
        loaded.append(one)
        return gx_document("x")

    first = documents.sync(tmp_path, found, load, make=lambda: careless, most=3)
    assert (first.rendered, first.left, loaded) == (3, 2, list(found[:3]))
    second = documents.sync(tmp_path, found, load, make=lambda: careless, most=3)
    assert (second.rendered, second.left, loaded) == (2, 0, list(found))

    def never() -> documents.Render:
        raise AssertionError("nothing is new: Great Expectations is not needed")

    assert documents.sync(tmp_path, found, load, make=never).rendered == 0
    assert documents.tidy(tmp_path, {found[0]: second.pages[found[0]]}) == 4
    assert [path.name for path in (tmp_path / store.DOCUMENTS).rglob("*.html")] == [Path(second.pages[found[0]]).name]


def test_what_a_killed_build_left_among_the_documents_is_removed(tmp_path: Path) -> None:
    left = tmp_path / store.DOCUMENTS / "edition" / "poll-market" / ".20261121.html.77"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    assert documents.tidy(tmp_path, {}) == 1
    assert list((tmp_path / store.DOCUMENTS).iterdir()) == []


def test_without_great_expectations_the_rest_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> documents.Render:
        raise docs.DocumentError("it cannot be loaded")

    monkeypatch.setattr(docs, "renderer", broken)
    result = publish(tmp_path, Canned(facts()), NOW)
    assert (result.trouble, result.left, result.documents) == ("it cannot be loaded", 3, 0)
    assert problems(tmp_path) == []


def test_of_a_rendered_page_only_harmless_sections_are_kept() -> None:
    page = """<html><head><style>p {}</style></head><body><p>outside</p>
      <div class="ge-section mb-2" id="x" style="color: red" onclick="f()">
        <table class="table-responsive" width="9"><thead><tr><th> </th></tr></thead>
          <tbody><tr><td colspan="2" headers="h">a   <b>cell</b></td></tr></tbody></table>
        <pre>a   pre</pre><script>alert(1)</script><svg><script>alert(2)</script></svg><iframe src="//x"></iframe>
        <a href="https://x.example/">a link</a><img src="x" onerror="f()"><font>a font</font><!-- a comment -->
        <span class="badge other">a badge</span><form><input value="a form"></form>
      </div><div class="ge-section">two</div></body></html>"""
    assert documents.cleaned(page) == (
        '<div class="ge-section"> <table class="table-responsive"> <tbody><tr><td colspan="2">a <b>cell</b></td></tr>'
        '</tbody></table> <pre>a   pre</pre> a linka font <span class="badge">a badge</span> </div>\n'
        '<div class="ge-section">two</div>'
    )


@pytest.mark.slow
def test_great_expectations_renders_documents_without_anything_from_outside(tmp_path: Path) -> None:
    found = facts(count=len(HOSTILE) + 1).documents
    values = [value.replace("\x00", "\ufffd") for value in HOSTILE]
    texts = dict(zip(found, [*map(gx_document, values), {"no": "document"}], strict=True))
    publish(tmp_path, Canned(Facts(at=NOW, judgements=facts().judgements, documents=found), texts), NOW)
    assert problems(tmp_path) == []
    for document, value in zip(found, values, strict=False):
        page = shown(tmp_path, documents.location(document))
        assert f"A sentence with {value}" in page
        read = " ".join(re.sub("[\ue000-\ue004]", "\ufffd", value).split())
        assert page.count(read) >= 4, "column, set, unexpected value and observed value"
        assert "250 total rows" in page
    assert "cannot show this document" in shown(tmp_path, documents.location(found[-1]))


# Publishing


def test_a_build_that_fails_or_is_killed_leaves_the_site_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tmp_path, facts(), monkeypatch)
    before = (tmp_path / store.SITE).readlink()
    monkeypatch.setattr("cryptoviz.reports.site.page", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        publish(tmp_path, Canned(facts()), NOW)
    monkeypatch.undo()
    assert (tmp_path / store.SITE).readlink() == before
    assert [path.name for path in (tmp_path / "builds").iterdir()] == [before.name]
    script = (
        "import sys, time, pathlib; from cryptoviz.reports.store import building\n"
        "with building(pathlib.Path(sys.argv[1]), 1) as build:\n"
        "    (build.made / 'index.html').write_text('half'); print(flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=PROJECT_ROOT, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(BusyError), building(tmp_path, 0.05):
            pass
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / store.SITE).readlink() == before
    assert problems(tmp_path) == []
    built(tmp_path, facts(), monkeypatch)
    assert (tmp_path / store.SITE).readlink() != before
    assert len(list((tmp_path / "builds").iterdir())) == 2


def test_builds_at_once_wait_for_each_other_and_readers_always_find_a_whole_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tmp_path, facts(), monkeypatch)
    texts = {one: gx_document("x") for one in facts().documents}
    broken: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            site = (tmp_path / store.SITE).resolve()
            missing = [name for name in ("index.html", "style.css") if not (site / name).is_file()]
            broken.extend(missing if site == (tmp_path / store.SITE).resolve() else [])

    reader = threading.Thread(target=read)
    builders = [threading.Thread(target=publish, args=(tmp_path, Canned(facts(), texts), NOW)) for _ in range(4)]
    for thread in (reader, *builders):
        thread.start()
    for thread in builders:
        thread.join()
    done.set()
    reader.join()
    assert broken == []
    assert problems(tmp_path) == []
    assert built_at(tmp_path) == NOW


# Serving


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The server of the folder `tmp_path`, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    [port] = free_ports(1)
    runner = web.AppRunner(application(tmp_path / "reports"))

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    yield port
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def asked(port: int, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host="host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer, answer.read().decode()
    finally:
        connection.close()


def test_the_server_gives_the_site_with_types_and_without_scripts(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, text = asked(port, "/")
    assert answer.status == 404
    assert "cryptoviz reports build" in text
    assert asked(port, "/health")[1] == '{"status": "ok", "built_at": null}'
    built(tmp_path / "reports", facts(), monkeypatch)
    for path, kind in (
        ("/", "text/html; charset=utf-8"),
        (f"/{report_page('poll/market')}", "text/html; charset=utf-8"),
        (f"/{documents.location(facts().documents[0])}", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
    ):
        answer, text = asked(port, path)
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        assert text
        again, _ = asked(port, path, if_none_match=answer.headers["ETag"])
        assert again.status == 304
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert NOW.isoformat() in asked(port, "/health")[1]
    assert asked(port, "/nothing.html")[0].status == 404
    assert asked(port, "/", method="POST")[0].status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../build.lock",
        "/documents/../../build.lock",
        "/outside.html",
        "/%6futside.html",
        "/%2ehidden",
        "/.hidden",
        "/documents",
        "/documents/",
    ],
)
def test_the_server_gives_nothing_else(path: str, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path / "reports", facts(), monkeypatch)
    (tmp_path / "secret.html").write_text("secret")
    site = (tmp_path / "reports" / store.SITE).resolve()
    (site / "outside.html").symlink_to(tmp_path / "secret.html")
    (site / ".hidden").write_text("secret")
    answer, text = asked(port, path)
    assert answer.status == 404
    assert "secret" not in text


def test_the_server_answers_to_names_of_loopback_only(port: int) -> None:
    for host, status in (
        ("127.0.0.1:1", 200), ("localhost", 200), ("[::1]:8300", 200),
        ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("", 421), ("[", 421),
    ):  # fmt: skip
        assert asked(port, "/health", host=host)[0].status == status, host


def test_the_service_starts_serves_and_ends(tmp_path: Path) -> None:
    [number] = free_ports(1)
    environment = os.environ | {"CRYPTOVIZ_STATE_DIR": str(tmp_path), "CRYPTOVIZ_REPORTS_PORT": str(number)}
    command = [sys.executable, "-m", "cryptoviz.reports", "serve"]
    process = subprocess.Popen(
        command, cwd=PROJECT_ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        while process.poll() is None:
            try:
                assert asked(number, "/health")[0].status == 200
                break
            except ConnectionError:
                continue
        settings = Settings(state_dir=tmp_path, reports_port=number)
        [service] = [one for one in services(settings) if one.name == "reports"]
        assert probe(service, settings) == ServiceHealth(True, "nothing built yet")
        with building(tmp_path / "reports", 1) as build:
            store.mark_built(build.made, datetime.now(UTC))
            build.publish()
        assert probe(service, settings).detail == "built 0 min ago"
        second = subprocess.run(command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "CRYPTOVIZ_REPORTS_PORT" in second.stderr
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert not probe(service, settings).healthy
