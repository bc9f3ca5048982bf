"""Pollers against recorded and hostile answers, with their state in the real tables."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cryptoviz import codec
from cryptoviz.gate.outbox import judge_staged
from cryptoviz.gate.report import GateReport
from cryptoviz.gate.staging import stage
from cryptoviz.pollers import Poll, PollStatus, coingecko, coinmarketcap, fear_greed, state
from cryptoviz.pollers.client import ATTEMPTS, Environment
from cryptoviz.pollers.state import ExhaustedError
from cryptoviz.remote.errors import FetchError, Reason
from cryptoviz.remote.web import Page
from cryptoviz.settings import Mode, Role, Settings
from cryptoviz.settings.quotas import Period
from cryptoviz.storage.database import connect
from simulators.web import Kind, WebSimulator, running

pytestmark = pytest.mark.services

Connection = psycopg.Connection[Any]
Ask = Callable[..., Poll]
JSON = {"content-type": "application/json; charset=utf-8"}
KEYS = {"coingecko_key": "secret-one", "coinmarketcap_key": "secret-two"}


@dataclass
class Web:
    """Answers what the test says, and remembers what it was asked."""

    answers: list[Page | Exception] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str], str | None]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def fetch(self, url: str, _policy: Any, *, headers: Mapping[str, str], etag: str | None) -> Page:
        self.asked.append((url, dict(headers), etag))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def says(self, body: Any, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append(Page(status, JSON | named, content, "http://source.example/", 0.01))

    @property
    def environment(self) -> Environment:
        return Environment(self.fetch, lambda: self.now, self.waits.append)


@pytest.fixture
def settings(database: Settings) -> Settings:
    return Settings(**{**database.model_dump(), "mode": Mode.LIVE, **KEYS})


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    with connect(Role.WRITER, settings) as connection:
        yield connection


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def bitcoin(shared_data: Path) -> Any:
    return json.loads((shared_data / "rest/coingecko_coins_markets_2022-02-23_page2_bitcoin.json").read_text())


def keep(connection: Connection, subject: str, poll: Poll) -> int:
    """What a caller does with a poll."""
    with connection.transaction():
        new = stage(connection, subject, poll.rows, "run")
        poll.remember(connection)
    return new


def count(connection: Connection, table: str) -> int:
    with connection.transaction():
        (found,) = connection.execute(f"select count(*) from {table}").fetchone() or (0,)
    return int(found)


# What was recorded


def test_coingeckos_recorded_row_is_on_the_wire_what_it_was(
    connection: Connection, settings: Settings, web: Web, shared_data: Path
) -> None:
    web.says((shared_data / "rest/coingecko_coins_markets_2022-02-23_page2_bitcoin.json").read_bytes(), total="1")
    poll = coingecko.poll(connection, settings, web.environment)
    [row] = poll.rows
    assert row.key == "2022-02-23T11:30:23.307Z|coingecko|BTC"
    record = codec.decode("rawmarket", json.dumps(row.payload).encode())
    assert (record.symbol, record.name, record.rank) == ("BTC", "Bitcoin", 2)
    assert (record.price_usd, record.market_cap) == (Decimal(38938), Decimal(738310755630))
    assert record.circulating_supply == Decimal("18966243.0")
    assert (record.ath, record.atl) == (Decimal(69045), Decimal("67.81"))
    assert (record.change_1h, record.change_24h) == (-0.0756813804723409, 3.4795813285105957)
    assert poll.outcome.newest == datetime(2022, 2, 23, 11, 30, 23, 307000, UTC)
    assert (row.origin["source"], row.origin["answered"], row.origin["asked"]) == ("coingecko", 1, 1)
    assert poll.outcome.trouble is None
    assert keep(connection, "market", poll) == 1


def test_the_recorded_index_comes_as_numbers(
    connection: Connection, settings: Settings, web: Web, shared_data: Path
) -> None:
    web.says((shared_data / "rest/alternative_me_fng_limit2_2026-09.json").read_bytes())
    poll = fear_greed.poll(connection, settings, web.environment)
    found = [codec.decode("rawmood", json.dumps(row.payload).encode()) for row in poll.rows]
    assert [(record.value, record.classification) for record in found] == [(69, "Greed"), (71, "Greed")]
    assert found[0].timestamp == datetime(2026, 9, 8, tzinfo=UTC)


def test_keys_travel_in_headers_and_nowhere_else(
    connection: Connection, settings: Settings, web: Web, bitcoin: Any
) -> None:
    web.says(bitcoin)
    coingecko.poll(connection, settings, web.environment)
    web.says(bitcoin)
    coingecko.poll(connection, Settings(**{**settings.model_dump(), "coingecko_pro": True}), web.environment)
    web.says({"status": {"error_code": 0}, "data": []})
    poll = coinmarketcap.poll(connection, settings, web.environment)
    sent = [headers for _, headers, _ in web.asked]
    assert sent[0]["x-cg-demo-api-key"] == sent[1]["x-cg-pro-api-key"] == "secret-one"
    assert sent[2]["X-CMC_PRO_API_KEY"] == "secret-two"
    assert "secret" not in "".join(url for url, _, _ in web.asked) + repr(poll.outcome)


def test_without_a_key_coinmarketcap_is_not_asked(connection: Connection, settings: Settings, web: Web) -> None:
    keyless = Settings(**{**settings.model_dump(), "coinmarketcap_key": ""})
    poll = coinmarketcap.poll(connection, keyless, web.environment)
    assert (poll.outcome.status, poll.outcome.reason, web.asked) == (PollStatus.SKIPPED, "no_key", [])
    assert poll.outcome.trouble is None


# Pages and validators


def test_what_is_remembered_is_asked_for_only_if_it_changed(
    connection: Connection, settings: Settings, web: Web, bitcoin: Any
) -> None:
    web.says(bitcoin, etag='W/"one"')
    coingecko.poll(connection, settings, web.environment)  # killed before it was staged
    web.says(bitcoin, etag='W/"one"')
    again = coingecko.poll(connection, settings, web.environment)
    assert web.asked[1][2] is None
    assert keep(connection, "market", again) == 1
    web.says(b"", status=304)
    unmodified = coingecko.poll(connection, settings, web.environment)
    assert web.asked[2][2] == 'W/"one"'
    assert (unmodified.outcome.status, list(unmodified.rows)) == (PollStatus.UNMODIFIED, [])
    assert unmodified.outcome.trouble is None


def test_more_coins_take_more_pages_and_a_failing_one_leaves_the_others(
    connection: Connection, settings: Settings, web: Web, bitcoin: Any
) -> None:
    many = Settings(**{**settings.model_dump(), "market_coins": 600})
    web.says(bitcoin * 250, etag='"1"', total="620")
    web.says(bitcoin * 250, etag='"2"', total="620")
    web.says({"error": "no such page"}, status=404)
    poll = coingecko.poll(connection, many, web.environment)
    assert [url.partition("&page=")[2][0] for url, _, _ in web.asked] == ["1", "2", "3"]
    assert (poll.outcome.status, poll.outcome.reason, len(poll.rows)) == (PollStatus.PARTIAL, "refused", 500)
    assert {row.origin["asked"] for row in poll.rows} == {250}
    assert poll.memory is not None
    assert sorted(poll.memory["etags"].values()) == ['"1"', '"2"']


def test_a_last_page_is_as_long_as_there_are_coins(
    connection: Connection, settings: Settings, web: Web, bitcoin: Any
) -> None:
    many = Settings(**{**settings.model_dump(), "market_coins": 500})
    web.says(bitcoin * 250, total="251")
    web.says(bitcoin, total="251")
    assert coingecko.poll(connection, many, web.environment).rows[-1].origin["asked"] == 1


# Hostile answers

HTML = b"<!DOCTYPE html><title>Just a moment...</title>"
HOSTILE = {
    "timeout": ([FetchError(Reason.TIMEOUT, "not done within 10 s")] * 3, "timeout", ATTEMPTS),
    "cut": ([FetchError(Reason.PROTOCOL, "peer closed connection")] * 3, "protocol", ATTEMPTS),
    "down": ([FetchError(Reason.UNREACHABLE, "refused")] * 3, "unreachable", ATTEMPTS),
    "private": ([FetchError(Reason.PRIVATE_ADDRESS, "192.0.2.1")], "private_address", 1),
    "huge": ([FetchError(Reason.TOO_LARGE, "more than 1000 bytes")], "too_large", 1),
    "503": ([(503, b"upstream", {})] * 3, "server_error", ATTEMPTS),
    "503 for an hour": ([(503, b"upstream", {"retry-after": "3600"})], "server_error", 1),
    "404": ([(404, b"{}", {})], "refused", 1),
    "429": ([(429, b"Throttled", {})], "rate_limited", 1),
    "429 for a minute": ([(429, b"Throttled", {"retry-after": "60"})], "rate_limited", 1),
    "429 for a moment": ([(429, b"Throttled", {"retry-after": "2"})] * 3, "rate_limited", ATTEMPTS),
    "html": ([(200, HTML, {"content-type": "text/html"})], "html", 1),
    "html as json": ([(200, HTML, {})], "html", 1),
    "not a number": ([(200, b'[{"current_price": NaN}]', {})], "not_json", 1),
    "cut json": ([(200, b'[{"current_price": 1', {})], "not_json", 1),
    "empty": ([(200, b"", {})], "not_json", 1),
    "error in 200": ([(200, b'{"status": {"error_code": 10002, "error_message": "key"}}', {})], "refused", 1),
    "another shape": ([(200, b'{"coins": []}', {})], "unexpected_shape", 1),
    "nothing": ([(200, b"null", {})], "unexpected_shape", 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_hostile_answer_has_its_reason(name: str, connection: Connection, settings: Settings, web: Web) -> None:
    answers, reason, requests = HOSTILE[name]
    for answer in answers:
        if isinstance(answer, tuple):
            status, body, headers = answer
            web.answers.append(Page(status, JSON | headers, body, "http://source.example/", 0.01))
        else:
            web.answers.append(answer)
    outcome = coingecko.poll(connection, settings, web.environment).outcome
    assert (outcome.status, outcome.reason, outcome.requests) == (PollStatus.FAILED, reason, requests)
    assert outcome.detail
    assert outcome.trouble == f"{outcome.reason}: {outcome.detail}"
    assert len(web.waits) == requests - 1
    with connection.transaction():
        (failure,) = connection.execute("select failure from source_states where source = 'coingecko'").fetchone() or ()
    assert failure == outcome.trouble


def test_waits_grow_have_an_end_and_are_never_the_same(connection: Connection, settings: Settings, web: Web) -> None:
    for _ in range(2):
        for _ in range(ATTEMPTS):
            web.says(b"", status=503)
        coingecko.poll(connection, settings, web.environment)
    first, second, third, fourth = web.waits
    assert 0.5 <= first < second <= 2
    assert 0.5 <= third < fourth <= 2
    assert (first, second) != (third, fourth)


def test_a_short_retry_after_is_waited_for(connection: Connection, settings: Settings, web: Web, bitcoin: Any) -> None:
    web.says(b"Throttled", status=429, retry_after="3")
    web.says(bitcoin)
    poll = coingecko.poll(connection, settings, web.environment)
    assert (poll.outcome.status, poll.outcome.requests) == (PollStatus.POLLED, 2)
    assert web.waits[0] >= 3


@pytest.mark.parametrize(("header", "seconds"), [("90", 90), (None, 60)])
def test_a_long_retry_after_is_kept_for_the_next_runs(
    connection: Connection, settings: Settings, web: Web, bitcoin: Any, header: str | None, seconds: int
) -> None:
    web.says(b"Throttled", status=429, **({"retry_after": header} if header else {}))
    coingecko.poll(connection, settings, web.environment)
    web.now += timedelta(seconds=seconds - 1)
    with connect(Role.WRITER, settings) as other:
        left_alone = coingecko.poll(other, settings, web.environment).outcome
    assert (left_alone.status, left_alone.reason, len(web.asked)) == (PollStatus.SKIPPED, "paused", 1)
    assert left_alone.trouble is not None
    assert "HTTP 429" in left_alone.trouble
    web.now += timedelta(seconds=2)
    web.says(bitcoin)
    assert coingecko.poll(connection, settings, web.environment).outcome.status is PollStatus.POLLED


def test_coinmarketcaps_daily_limit_lasts_until_midnight(connection: Connection, settings: Settings, web: Web) -> None:
    web.says({"status": {"error_code": 1009, "error_message": "daily"}}, status=429)
    outcome = coinmarketcap.poll(connection, settings, web.environment).outcome
    assert (outcome.reason, outcome.requests) == ("rate_limited", 1)
    web.now = Period.DAY.end(web.now) - timedelta(seconds=1)
    assert coinmarketcap.poll(connection, settings, web.environment).outcome.reason == "paused"
    web.now += timedelta(seconds=2)
    web.says({"status": {"error_code": 0}, "data": [{"symbol": "BTC"}]})
    assert coinmarketcap.poll(connection, settings, web.environment).outcome.status is PollStatus.POLLED


def test_an_error_in_the_index_metadata_is_one(connection: Connection, settings: Settings, web: Web) -> None:
    web.says({"data": [], "metadata": {"error": "Invalid limit"}})
    outcome = fear_greed.poll(connection, settings, web.environment).outcome
    assert (outcome.status, outcome.reason, outcome.detail) == (PollStatus.FAILED, "api_error", "Invalid limit")


# The circuit breaker


def fail(connection: Connection, settings: Settings, web: Web) -> Poll:
    web.says({"error": "gone"}, status=404)
    return coingecko.poll(connection, settings, web.environment)


def rested(connection: Connection, settings: Settings) -> None:
    with connection.transaction():
        connection.execute(
            "update source_states set opened_at = opened_at - make_interval(secs => %s)", (settings.poller_rest_s + 5,)
        )


def test_a_breaker_opens_rests_tries_once_and_closes(
    connection: Connection, settings: Settings, web: Web, bitcoin: Any
) -> None:
    states = [fail(connection, settings, web).outcome.breaker for _ in range(settings.poller_failures)]
    assert states == ["closed"] * (settings.poller_failures - 1) + ["open"]
    asked = len(web.asked)
    skipped = coingecko.poll(connection, settings, web.environment).outcome
    assert (skipped.status, skipped.reason, len(web.asked)) == (PollStatus.SKIPPED, "circuit_open", asked)
    assert skipped.trouble is not None
    rested(connection, settings)
    assert fail(connection, settings, web).outcome.breaker == "open", "one failure is enough while it is half open"
    assert coingecko.poll(connection, settings, web.environment).outcome.reason == "circuit_open"
    rested(connection, settings)
    web.says(bitcoin)
    assert coingecko.poll(connection, settings, web.environment).outcome.breaker == "closed"
    assert fail(connection, settings, web).outcome.breaker == "closed", "it counts from zero again"


def test_an_open_breaker_uses_up_no_quota(connection: Connection, settings: Settings, web: Web) -> None:
    for _ in range(settings.poller_failures):
        fail(connection, settings, web)
    before = used(connection)
    coingecko.poll(connection, settings, web.environment)
    assert used(connection) == before


def test_the_state_of_a_breaker_survives_its_process(connection: Connection, settings: Settings, web: Web) -> None:
    script = (
        "import sys; from cryptoviz.settings import Settings; from cryptoviz.storage.database import connect;"
        "from cryptoviz.pollers import coingecko; from cryptoviz.settings import Role;"
        "settings = Settings(database_url=sys.argv[1], coingecko_url='http://127.0.0.1:9', poller_failures=1);"
        "print(coingecko.poll(connect(Role.WRITER, settings), settings).outcome.reason)"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", script, settings.database(Role.WRITER)], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        for _ in range(2)
    ]
    assert said == ["private_address", "circuit_open"]
    assert fear_greed_untouched(connection)


def fear_greed_untouched(connection: Connection) -> bool:
    return state.load(connection, "fear_greed").breaker == "closed"


def test_being_asked_too_often_is_no_failure_of_the_source(
    connection: Connection, settings: Settings, web: Web
) -> None:
    for _ in range(2 * settings.poller_failures):
        web.says(b"Throttled", status=429)
        outcome = coingecko.poll(connection, settings, web.environment).outcome
        web.now += timedelta(minutes=2)
    assert (outcome.reason, outcome.breaker) == ("rate_limited", "closed")


# Quotas and time


def used(connection: Connection) -> dict[tuple[str, str], int]:
    with connection.transaction():
        rows = connection.execute("select source, period, used from source_quotas").fetchall()
    return {(source, period): number for source, period, number in rows}


def test_a_quota_is_shared_by_everybody_who_asks(settings: Settings) -> None:
    quotas = {Period.MINUTE: 17, Period.MONTH: 1_000_000}
    now = datetime.now(UTC)

    def granted(connection: Connection) -> bool:
        try:
            state.take_request(connection, "coingecko", quotas, now)
        except ExhaustedError:
            return False
        return True

    def hurry(_number: int) -> int:
        with connect(Role.WRITER, settings) as connection:
            return sum(granted(connection) for _ in range(20))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(hurry, range(4))) == 17
    with connect(Role.WRITER, settings) as connection:
        assert used(connection) == {("coingecko", "minute"): 17, ("coingecko", "month"): 17}, "all of them or none"
        state.take_request(connection, "coingecko", quotas, now + timedelta(minutes=1))
        assert used(connection)["coingecko", "minute"] == 1


def test_a_spent_quota_is_said_and_costs_no_request(
    connection: Connection, settings: Settings, web: Web, bitcoin: Any
) -> None:
    tight = Settings(**{**settings.model_dump(), "coingecko_quota": "2/minute"})
    for _ in range(2):
        web.says(bitcoin)
        assert coingecko.poll(connection, tight, web.environment).outcome.status is PollStatus.POLLED
    outcome = coingecko.poll(connection, tight, web.environment).outcome
    assert (outcome.status, outcome.reason, len(web.asked)) == (PollStatus.SKIPPED, "quota", 2)
    assert "2 requests a minute" in outcome.detail
    web.now += timedelta(minutes=1)
    web.says(bitcoin)
    assert coingecko.poll(connection, tight, web.environment).outcome.status is PollStatus.POLLED


def test_every_attempt_counts(connection: Connection, settings: Settings, web: Web) -> None:
    tight = Settings(**{**settings.model_dump(), "coingecko_quota": "2/minute"})
    for _ in range(2):
        web.says(b"", status=503)
    outcome = coingecko.poll(connection, tight, web.environment).outcome
    assert (outcome.status, outcome.requests, used(connection)) == (PollStatus.FAILED, 2, {("coingecko", "minute"): 2})


def test_a_clock_that_ticks_too_early_is_told_so(
    connection: Connection, settings: Settings, web: Web, bitcoin: Any
) -> None:
    def tick(seconds: int) -> PollStatus:
        web.now += timedelta(seconds=seconds)
        web.answers.clear()
        web.says(bitcoin)
        return coingecko.poll(connection, settings, web.environment, due_only=True).outcome.status

    every = int(settings.coingecko_every_s)
    assert [tick(0), tick(every // 2), tick(every // 2), tick(every - 5)] == [
        PollStatus.POLLED,
        PollStatus.SKIPPED,
        PollStatus.POLLED,
        PollStatus.POLLED,
    ]
    assert coingecko.poll(connection, settings, web.environment, due_only=True).outcome.reason == "not_due"


def test_a_poll_within_a_transaction_is_refused(connection: Connection, settings: Settings, web: Web) -> None:
    with connection.transaction(), pytest.raises(ValueError, match="outside of any transaction"):
        coingecko.poll(connection, settings, web.environment)


# The history of the index


def history(shared_data: Path, web: Web) -> Any:
    """The recorded years as one answer, newest first."""
    with (shared_data / "rest" / "fear_greed_2018_2022.csv").open() as file:
        rows = [
            {
                "value": row["fear_greed_index"],
                "value_classification": row["value_classification"],
                "timestamp": row["timestamp"],
            }
            for row in csv.DictReader(file)
        ]
    web.now = datetime.fromtimestamp(int(rows[-1]["timestamp"]), UTC) + timedelta(hours=5)
    return {"data": rows[::-1], "metadata": {"error": None}}


def store(connection: Connection) -> None:
    """What stands behind the topic: staged rows become rows of the table."""
    with connection.transaction():
        connection.execute(
            """insert into fear_greed_data (timestamp, value, classification)
               select (payload ->> 'timestamp')::timestamptz, (payload ->> 'value')::integer,
                   payload ->> 'classification'
               from staging where subject = 'mood' on conflict do nothing"""
        )


def limits(web: Web) -> list[int]:
    return [int(url.partition("limit=")[2].partition("&")[0]) for url, _, _ in web.asked]


def test_the_table_is_made_complete_and_three_days_are_said_to_be_missing(
    connection: Connection, settings: Settings, web: Web, shared_data: Path
) -> None:
    body = history(shared_data, web)
    web.says(body)
    first = fear_greed.poll(connection, settings, web.environment)
    assert keep(connection, "mood", first) == len(body["data"]) == len({row.key for row in first.rows})
    assert [str(day) for day in first.outcome.missing] == ["2018-04-14", "2018-04-15", "2018-04-16"]
    assert first.outcome.facts()["missing_days"] == "2018-04-14, 2018-04-15, 2018-04-16"
    store(connection)
    web.says({"data": body["data"][:2], "metadata": {"error": None}})
    second = fear_greed.poll(connection, settings, web.environment)
    assert limits(web) == [0, 2]
    assert second.outcome.missing == first.outcome.missing
    assert keep(connection, "mood", second) == 0
    with connection.transaction():
        connection.execute("delete from fear_greed_data where timestamp = %s", (web.now - timedelta(days=9, hours=5),))
    web.now += timedelta(hours=2)
    web.says({"data": body["data"][:10], "metadata": {"error": None}})
    third = fear_greed.poll(connection, settings, web.environment)
    assert limits(web)[-1] == 10
    assert {row.payload["timestamp"][:10] for row in third.rows} == {
        str(web.now.date() - timedelta(days=back)) for back in (0, 1, 9)
    }
    assert third.outcome.missing == first.outcome.missing


def test_a_poll_that_was_killed_asks_for_the_history_again(
    connection: Connection, settings: Settings, web: Web, shared_data: Path
) -> None:
    body = history(shared_data, web)
    for _ in range(2):
        web.says(body)
        poll = fear_greed.poll(connection, settings, web.environment)
    assert limits(web) == [0, 0]
    assert keep(connection, "mood", poll) == len(body["data"])
    assert keep(connection, "mood", poll) == 0, "the same rows are staged once"
    assert count(connection, "staging") == len(body["data"])


# Against the simulated web, through the real fetcher


@pytest.fixture
def simulated() -> Iterator[WebSimulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def demo(database: Settings, simulated: WebSimulator) -> Settings:
    return Settings(
        **{
            **database.model_dump(),
            "mode": Mode.DEMO,
            "web_simulator_port": simulated.port,
            "poller_failures": 50,
        }
    )


POLLS: dict[str, Ask] = {
    "coingecko": coingecko.poll,
    "coinmarketcap": coinmarketcap.poll,
    "fear_greed": fear_greed.poll,
}


@pytest.mark.parametrize("source", POLLS)
def test_the_simulated_source_is_understood(
    source: str, connection: Connection, demo: Settings, simulated: WebSimulator
) -> None:
    poll = POLLS[source](connection, demo)
    assert poll.outcome.status is PollStatus.POLLED, poll.outcome.trouble
    topic = {"fear_greed": "rawmood"}.get(source, "rawmarket")
    records = [codec.decode(topic, json.dumps(row.payload).encode()) for row in poll.rows]
    assert len(records) == len(poll.rows) >= 100
    assert sum(simulated.sources[source].counters.requests.values()) == poll.outcome.requests == 1


@pytest.mark.parametrize("source", POLLS)
def test_no_odd_row_is_dropped(source: str, connection: Connection, demo: Settings, simulated: WebSimulator) -> None:
    simulated.order(source, Kind.ODD_VALUES, count=1)
    poll = POLLS[source](connection, demo)
    assert poll.outcome.status is PollStatus.POLLED
    assert {row.origin["position"] for row in poll.rows} == set(range(poll.rows[0].origin["answered"]))
    assert len({row.key for row in poll.rows}) >= len(poll.rows) - 3
    topic = {"fear_greed": "rawmood"}.get(source, "rawmarket")

    def fits(payload: Mapping[str, Any]) -> bool:
        try:
            codec.decode(topic, json.dumps(payload).encode())
        except codec.RefusedError:
            return False
        return True

    refused = [row for row in poll.rows if not fits(row.payload)]
    assert 3 <= len(refused) < 10
    assert any("entry" in row.payload for row in refused)
    keep(connection, "mood" if source == "fear_greed" else "market", poll)


FAULTS = [
    ("coingecko", Kind.BREAK, "not_json"),
    ("fear_greed", Kind.NOT_A_NUMBER, "not_json"),
    ("coingecko", Kind.HANG, "timeout"),
    ("coinmarketcap", Kind.DRIP, "timeout"),
    ("fear_greed", Kind.CUT, "protocol"),
    ("coinmarketcap", Kind.REDIRECT, "private_address"),
    ("coingecko", Kind.REDIRECT_LOOP, "redirect_loop"),
    ("fear_greed", Kind.HUGE, "too_large"),
    ("coinmarketcap", Kind.HUGE_GZIP, "too_large"),
    ("coinmarketcap", Kind.RATE_LIMIT, "rate_limited"),
    ("fear_greed", Kind.SERVER_ERROR, "server_error"),
    ("coingecko", Kind.HTML, "html"),
    ("coingecko", Kind.ERROR_BODY, "refused"),
    ("coinmarketcap", Kind.ERROR_BODY, "refused"),
    ("fear_greed", Kind.ERROR_BODY, "api_error"),
]


@pytest.mark.parametrize(("source", "kind", "reason"), FAULTS)
def test_each_fault_of_a_source_is_its_own(
    source: str, kind: Kind, reason: str, connection: Connection, demo: Settings, simulated: WebSimulator
) -> None:
    simulated.order(source, kind)
    environment = Environment(sleep=lambda _seconds: None)
    hasty = Settings(**{**demo.model_dump(), "poller_timeout_s": 0.4}) if reason == "timeout" else demo
    outcome = POLLS[source](connection, hasty, environment).outcome
    assert outcome.reason == reason, outcome.detail
    others = [name for name in POLLS if name != source]
    assert [POLLS[name](connection, demo).outcome.status for name in others] == [PollStatus.POLLED] * 2


# Before the gate


def judged(connection: Connection, subject: str, *polls: Poll) -> GateReport:
    for poll in polls:
        keep(connection, subject, poll)
    return judge_staged(connection, subject, "run", f"poll/{subject}")


def failed(report: GateReport) -> set[str]:
    return {result.name for result in report.results if not result.success}


def test_the_gate_passes_what_the_simulated_sources_say_and_holds_back_the_incident(
    connection: Connection, demo: Settings, simulated: WebSimulator
) -> None:
    simulated.clock = lambda: datetime.now(UTC) - timedelta(minutes=5)
    well = judged(connection, "market", coingecko.poll(connection, demo), coinmarketcap.poll(connection, demo))
    assert failed(well) == set()
    assert (well.passed, well.counts.passed, well.counts.quarantined) == (True, 200, 0)
    mood = judged(connection, "mood", fear_greed.poll(connection, demo))
    assert failed(mood) == {"no_missing_days"}
    assert (mood.blocked, mood.counts.quarantined) == (False, 0)
    assert mood.counts.passed > 3000
    simulated.clock = lambda: datetime.now(UTC)
    simulated.order("coingecko", Kind.INCIDENT)
    wrong = judged(connection, "market", coingecko.poll(connection, demo))
    assert {"rank_one_is_bitcoin", "bitcoin_is_rank_one", "cap_has_volume"} <= failed(wrong)
    assert (wrong.blocked, wrong.counts.quarantined) == (False, 2)
    with connection.transaction():
        held = connection.execute("select payload ->> 'symbol', reason from quarantine order by 1").fetchall()
    assert [symbol for symbol, _ in held] == ["BTC", "MDV2"]
    assert all("Bitcoin" in reason for _, reason in held)
