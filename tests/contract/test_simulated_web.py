"""The simulated web speaks as the recorded sites and APIs did, evolves by its seed alone, and breaks on command."""

from __future__ import annotations

import itertools
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import feedparser
import httpx
import pytest

from cryptoviz.settings import PREFIX, PROJECT_ROOT, Mode, Settings
from cryptoviz.stack.health import probe
from cryptoviz.stack.services import services
from simulators.web import Kind, WebSimulator, running
from simulators.web.faults import DEMO, Faults
from simulators.web.news import SITES, WINDOW
from tests.conftest import free_ports

RECORDED = PROJECT_ROOT.parent / "shared" / "data"
NOON = datetime(2026, 11, 21, 12, 0, 7, tzinfo=UTC)


fetch = partial(httpx.get, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
"""GET without reading the machine's certificates first, for each request anew: nothing here speaks TLS."""


def recorded(path: str) -> Path:
    found = RECORDED / path
    if not found.exists():
        pytest.skip(f"recorded data is absent: {found}")
    return found


class Clock:
    """The time of a simulated web, moved by the test."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def web(clock: Clock) -> Iterator[WebSimulator]:
    with running(clock=clock) as simulator:
        yield simulator


def get(web: WebSimulator, path: str, **headers: str) -> httpx.Response:
    return fetch(f"{web.url}{path}", headers=headers, timeout=20)


def markets(web: WebSimulator, query: str = "", **headers: str) -> httpx.Response:
    return get(web, f"/coingecko/api/v3/coins/markets?vs_currency=usd&order=market_cap_desc{query}", **headers)


def entries(web: WebSimulator, site: str) -> list[Any]:
    parsed = feedparser.parse(fetch(web.feed_url(site)).content)
    assert not parsed.bozo
    return list(parsed.entries)


def counters(web: WebSimulator, source: str) -> dict[str, Any]:
    found: dict[str, Any] = get(web, f"/control/counters?source={source}").json()[source]
    return found


# News


@pytest.mark.parametrize("site", sorted(SITES))
def test_a_feed_has_what_the_recorded_one_has(web: WebSimulator, site: str) -> None:
    real = feedparser.parse(recorded(f"rss/{site}.xml").read_bytes())
    simulated = feedparser.parse(fetch(web.feed_url(site)).content)
    assert set(simulated.feed) == set(real.feed)
    anywhere = {name for entry in real.entries for name in entry}
    assert {name for entry in simulated.entries for name in entry} == anywhere
    kind = {"guidislink", "id"}
    assert {name: type(simulated.entries[0][name]) for name in kind} == {
        name: type(real.entries[0][name]) for name in kind
    }
    assert simulated.entries[-1].guidislink == real.entries[-1].guidislink


@pytest.mark.parametrize("site", sorted(SITES))
def test_every_story_has_a_page_with_its_text(web: WebSimulator, site: str) -> None:
    for entry in entries(web, site):
        page = fetch(entry.link.partition("?")[0])
        assert page.status_code == 200, entry.link
        assert "We use cookies" in page.text


def test_a_feed_is_a_function_of_seed_and_time(web: WebSimulator, clock: Clock) -> None:
    with running(clock=clock) as again, running(clock=clock, seed=2) as other:
        for site in SITES:
            titles = [entry.title for entry in entries(web, site)]
            assert len(titles) == WINDOW
            assert titles == [entry.title for entry in entries(again, site)]
            assert titles != [entry.title for entry in entries(other, site)]


def test_feeds_evolve_and_publish_again_under_one_guid(web: WebSimulator, clock: Clock) -> None:
    seen: dict[str, set[tuple[str, str]]] = {}
    for _ in range(24):
        for site in SITES:
            for entry in entries(web, site):
                seen.setdefault(entry.id, set()).add((entry.title, entry.published))
        clock.now += timedelta(minutes=5)
    assert len(seen) > 2 * WINDOW * len(SITES)
    revised = [versions for versions in seen.values() if len(versions) > 1]
    assert any(len({title for title, _ in versions}) > 1 for versions in revised)
    assert any(len({title for title, _ in versions}) == 1 for versions in revised), "a new date alone"
    served = {guid: len(kept) for site in SITES for guid, kept in counters(web, site)["items"].items()}
    assert {guid: len(versions) for guid, versions in seen.items()} == served


def test_what_did_not_change_is_not_sent_again(web: WebSimulator, clock: Clock) -> None:
    first = fetch(web.feed_url("cryptoslate"))
    conditions = {"If-None-Match": first.headers["etag"], "If-Modified-Since": first.headers["last-modified"]}
    again = fetch(web.feed_url("cryptoslate"), headers=conditions)
    assert (again.status_code, again.content) == (304, b"")
    clock.now += timedelta(minutes=30)
    assert fetch(web.feed_url("cryptoslate"), headers=conditions).status_code == 200


# APIs


def names(value: Any) -> Any:
    """The names of an object and whether each value is a number, a text, something nested, or may be null."""
    return {name: "number" if isinstance(inner, int | float) else type(inner).__name__ for name, inner in value.items()}


def test_coingecko_answers_as_recorded(web: WebSimulator) -> None:
    real = json.loads(recorded("rest/coingecko_coins_markets_2022-02-23_page2_bitcoin.json").read_text())[0]
    answer = markets(web)
    bitcoin = answer.json()[0]
    asked_for_less = {f"price_change_percentage_{span}_in_currency" for span in ("14d", "30d", "200d", "1y")}
    assert names(bitcoin) == {name: kind for name, kind in names(real).items() if name not in asked_for_less}
    headers = json.loads(recorded("rest/coingecko_coins_markets_2022-02-23_page2_headers.json").read_text())["headers"]
    for name in ("Cache-Control", "Content-Type", "Access-Control-Expose-Headers"):
        assert answer.headers[name] == headers[name]
    assert answer.headers["ETag"].startswith('W/"')


def test_coingecko_pages_and_knows_what_it_sent(web: WebSimulator, clock: Clock) -> None:
    first, second = markets(web, "&per_page=100&page=1"), markets(web, "&per_page=100&page=2")
    assert [row["market_cap_rank"] for row in first.json() + second.json()] == list(
        range(1, int(first.headers["total"]) + 1)
    )
    etag = {"If-None-Match": first.headers["etag"]}
    assert markets(web, "&per_page=100&page=1", **etag).status_code == 304
    clock.now += timedelta(seconds=30)
    assert markets(web, "&per_page=100&page=1", **etag).status_code == 200


def test_coinmarketcap_wants_a_key_and_says_so_in_its_body(web: WebSimulator) -> None:
    path = "/coinmarketcap/v1/cryptocurrency/listings/latest?start=1&limit=100&convert=USD"
    refused = get(web, path)
    assert (refused.status_code, refused.json()["status"]["error_code"]) == (401, 1002)
    body = get(web, path, **{"X-CMC_PRO_API_KEY": "key"}).json()
    assert body["status"]["error_code"] == 0
    assert [row["cmc_rank"] for row in body["data"]] == list(range(1, 101))
    gecko = {row["symbol"].upper(): row["current_price"] for row in markets(web).json()}
    bitcoin = body["data"][0]
    assert bitcoin["quote"]["USD"]["price"] == pytest.approx(gecko["BTC"], rel=0.001)


def test_fear_and_greed_answers_as_recorded(web: WebSimulator) -> None:
    real = json.loads(recorded("rest/alternative_me_fng_limit2_2026-09.json").read_text())
    body = get(web, "/fear_greed/fng/?limit=2").json()
    assert [names(row) for row in body["data"]] == [names(row) for row in real["data"]]
    assert (body["name"], body["metadata"]) == (real["name"], real["metadata"])
    assert body["data"][0]["timestamp"] == str(int(NOON.replace(hour=0, minute=0, second=0).timestamp()))
    assert len(get(web, "/fear_greed/fng/").json()["data"]) == 1
    assert get(web, "/fear_greed/fng/?date_format=world").json()["data"][0]["timestamp"] == "21-11-2026"


def test_the_whole_history_of_the_index_lacks_three_days(web: WebSimulator) -> None:
    days = {
        datetime.fromtimestamp(int(row["timestamp"]), UTC).date()
        for row in get(web, "/fear_greed/fng/?limit=0").json()["data"]
    }
    span = {min(days) + timedelta(days=number) for number in range((max(days) - min(days)).days + 1)}
    assert {str(day) for day in span - days} == {"2018-04-14", "2018-04-15", "2018-04-16"}
    assert str(min(days)) == "2018-02-01"


# Faults


def test_faults_are_ordered_and_cleared_over_http(web: WebSimulator) -> None:
    order = {"source": "decrypt", "kind": "server_error", "count": 2}
    assert httpx.post(f"{web.url}/control/fault", json=order).status_code == 200
    assert [fetch(web.feed_url("decrypt")).status_code for _ in range(3)] == [503, 503, 200]
    httpx.post(f"{web.url}/control/fault", json={"source": "decrypt", "kind": "html"})
    assert fetch(web.feed_url("decrypt")).headers["content-type"].startswith("text/html")
    httpx.delete(f"{web.url}/control/fault")
    assert fetch(web.feed_url("decrypt")).headers["content-type"].startswith("application/rss+xml")
    assert counters(web, "decrypt")["faults"] == {"server_error": 2, "html": 1}
    for wrong in ({"source": "nobody", "kind": "cut"}, {"source": "decrypt", "kind": "nonsense"}):
        assert httpx.post(f"{web.url}/control/fault", json=wrong).status_code == 400


def test_the_demo_shows_the_incident_within_four_minutes_and_again() -> None:
    faults = Faults("coingecko", 1, DEMO)
    seconds = [second for second in range(3600) if faults.strikes("/", second) is not None]
    assert seconds[0] >= 60
    assert sum(second < 240 for second in seconds) >= 60
    spells = 1 + sum(later - earlier > 1 for earlier, later in itertools.pairwise(seconds))
    assert spells >= 2
    assert len(seconds) <= spells * 120
    assert WebSimulator.of(Settings(mode=Mode.LIVE)).sources["coingecko"].faults.strikes("/", 150) is None


def test_the_incident_is_the_recorded_one(web: WebSimulator) -> None:
    real = json.loads(recorded("rest/coingecko_coins_markets_2022-02-23_page2_bitcoin.json").read_text())[0]
    before = markets(web).json()
    web.order("coingecko", Kind.INCIDENT, count=1)
    unknown, bitcoin, *_ = markets(web).json()
    assert (unknown["market_cap_rank"], unknown["market_cap"], unknown["total_volume"]) == (1, 3_300_000_000_000, 5)
    assert unknown["symbol"] not in {row["symbol"] for row in before}
    assert (bitcoin["id"], bitcoin["market_cap_rank"]) == (real["id"], real["market_cap_rank"]) == ("bitcoin", 2)


def test_a_feed_that_is_ill_formed_is_all_there_and_a_broken_one_is_not(web: WebSimulator) -> None:
    for kind, found in ((Kind.ILL_FORMED, {WINDOW}), (Kind.BREAK, set(range(1, WINDOW)))):
        web.order("coindesk", kind, count=1)
        parsed = feedparser.parse(fetch(web.feed_url("coindesk")).content)
        assert parsed.bozo
        assert len(parsed.entries) in found


def test_an_answer_that_was_damaged_counts_as_no_item_served(web: WebSimulator) -> None:
    web.order("coindesk", Kind.BREAK, count=1)
    fetch(web.feed_url("coindesk"))
    assert counters(web, "coindesk")["items"] == {}


@pytest.mark.parametrize(
    ("kind", "status", "header"),
    [
        (Kind.RATE_LIMIT, 429, ("Retry-After", "7")),
        (Kind.SERVER_ERROR, 503, None),
        (Kind.REDIRECT, 302, ("Location", "http://192.0.2.1/")),
        (Kind.REDIRECT_LOOP, 302, ("Location", "/theblock/rss.xml")),
        (Kind.HTML, 200, ("Content-Type", "text/html; charset=utf-8")),
    ],
)
def test_a_short_fault_is_an_answer_of_its_kind(
    web: WebSimulator, kind: Kind, status: int, header: tuple[str, str] | None
) -> None:
    web.order("theblock", kind, count=1, retry_after_s=7)
    answer = fetch(web.feed_url("theblock"))
    assert answer.status_code == status
    if header is not None:
        assert answer.headers[header[0]] == header[1]
    assert fetch(web.feed_url("theblock")).status_code == 200


def test_a_fault_may_be_for_a_path_alone(web: WebSimulator) -> None:
    web.order("coindesk", Kind.SERVER_ERROR, path="/markets/")
    page = next(entry.link for entry in entries(web, "coindesk"))
    assert fetch(page).status_code == 503
    web.order("robots", Kind.SERVER_ERROR)
    assert get(web, "/robots.txt").status_code == 503


def test_robots_may_not_read_members_pages_and_there_are_some(web: WebSimulator, clock: Clock) -> None:
    rules = get(web, "/robots.txt").text
    assert "Disallow: /theblock/pro/" in rules
    links = set()
    for _ in range(6):
        links |= {entry.link for entry in entries(web, "theblock")}
        clock.now += timedelta(hours=1)
    members = {link for link in links if link.startswith(f"{web.url}/theblock/pro/")}
    assert 0 < len(members) < len(links) / 2
    assert fetch(members.pop()).status_code == 200, "they exist for those who read them all the same"


def test_what_a_careful_reader_refuses_harms_nobody_else(web: WebSimulator) -> None:
    declared = feedparser.parse(fetch(f"{web.url}/hostile/entity").content)
    assert [entry.guid for entry in declared.entries] == ["declared-1"]
    for kind in (Kind.HUGE, Kind.HUGE_GZIP):
        web.order("theblock", kind, size_bytes=80_000)
        answer = fetch(web.feed_url("theblock"))
        assert 80_000 < len(answer.content) < 90_000
        assert answer.num_bytes_downloaded > len(answer.content) / 4
        assert len(feedparser.parse(answer.content).entries) > 500
        httpx.delete(f"{web.url}/control/fault")
    default = Settings.model_fields["web_max_bytes"].default
    assert default < len(fetch(f"{web.url}/hostile/huge").content) < 1.1 * default


def test_errors_of_the_apis_have_their_own_shapes(web: WebSimulator) -> None:
    for source in ("coingecko", "coinmarketcap", "fear_greed"):
        web.order(source, Kind.ERROR_BODY, error=1010)
    listing = get(web, "/coinmarketcap/v1/cryptocurrency/listings/latest", **{"X-CMC_PRO_API_KEY": "key"})
    assert (listing.status_code, listing.json()["status"]["error_code"]) == (200, 1010)
    assert markets(web).json()["status"]["error_code"] == 1010
    mood = get(web, "/fear_greed/fng/")
    assert (mood.status_code, mood.json()["data"]) == (200, [])
    assert mood.json()["metadata"]["error"]


# The process


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Settings]]:
    [port] = free_ports(1)
    variables = {f"{PREFIX}MODE": "demo", f"{PREFIX}WEB_SIMULATOR_PORT": str(port), f"{PREFIX}STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "simulators.web"]
    with subprocess.Popen(command, env=os.environ | variables, stderr=subprocess.DEVNULL) as child:
        yield child, Settings(mode=Mode.DEMO, web_simulator_port=port)
        child.kill()


def healthy(settings: Settings) -> bool:
    [service] = [one for one in services(settings) if one.name == "simulated-web"]
    return probe(service, settings).healthy


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_process_is_healthy_and_ends_when_asked(
    process: tuple[subprocess.Popen[bytes], Settings],
) -> None:
    child, settings = process
    wait_until(lambda: healthy(settings))
    second = subprocess.run(
        [sys.executable, "-m", "simulators.web"],
        env=os.environ | {f"{PREFIX}WEB_SIMULATOR_PORT": str(settings.web_simulator_port)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert f"{PREFIX}WEB_SIMULATOR_PORT" in second.stderr
    child.terminate()
    assert child.wait(20) == 0
    assert not healthy(settings)


def test_what_hangs_ends_with_the_simulator() -> None:
    with running() as web:
        with pytest.raises(httpx.ReadTimeout):
            fetch(f"{web.url}/hostile/hang", timeout=0.2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
