"""What is polled, from the simulated web through staging and gate to the topics: real database, real broker."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from assets.audits import GATE
from assets.keys import ARTICLES, MARKET, MOOD
from assets.polls import ANSWERED, lasting, poll_assets
from assets.resources import Broker, Database
from cryptoviz.bus import Producer, create_topics, tail
from cryptoviz.codec import decode
from cryptoviz.gate.outbox import deliver, judge_staged
from cryptoviz.news.poll import poll as news_poll
from cryptoviz.records import Article, FearGreed, MarketSnapshot, SentimentLabel
from cryptoviz.settings import Mode, Role, Settings
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.storage.database import connect
from simulators.web import Kind, WebSimulator, running
from simulators.web.news import SITES
from tests.conftest import UseSettings

pytestmark = [pytest.mark.services, pytest.mark.slow]

KILLS = 20


@pytest.fixture
def web() -> Iterator[WebSimulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def settings(database: Settings, kafka_broker: LocalKafka, web: WebSimulator, use_settings: UseSettings) -> Settings:
    changed = {
        "mode": Mode.DEMO, "web_simulator_port": web.port, "kafka_bootstrap_servers": kafka_broker.bootstrap_servers,
    }  # fmt: skip
    chosen = use_settings(database.model_copy(update=changed))
    create_topics(chosen)
    return chosen


def poll(key: dg.AssetKey) -> dg.ExecuteInProcessResult:
    (asset,) = (one for one in poll_assets() if one.key == key)
    resources = {"database": Database(), "broker": Broker()}
    return dg.materialize([asset], resources=resources, raise_on_error=False)


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def check(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    (found,) = (one for one in result.get_asset_check_evaluations() if one.check_name == name)
    return found


def why(result: dg.ExecuteInProcessResult) -> str:
    (event,) = (event for event in result.all_events if event.event_type_value == "STEP_FAILURE")
    return event.step_failure_data.user_failure_data.description or ""


def fetch(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with connect(Role.READER, settings) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def sent(settings: Settings) -> Callable[[str], list[Any]]:
    """The records that a topic got since the test began: the broker is the whole session's."""
    before = {topic: len(list(tail(settings, topic, None))) for topic in ("rawarticle", "rawmarket", "rawmood")}

    def records(topic: str) -> list[Any]:
        return [decode(topic, message.value) for message in list(tail(settings, topic, None))[before[topic] :]]

    return records


def test_articles_arrive_with_score_label_and_coins_and_are_not_sent_again(
    settings: Settings, sent: Callable[[str], list[Any]]
) -> None:
    first = poll(ARTICLES)
    assert first.success
    assert check(first, GATE).passed
    assert check(first, ANSWERED).passed
    articles: list[Article] = sent("rawarticle")
    assert {article.source for article in articles} == set(SITES)
    assert len(articles) == metadata(first)["dagster/row_count"]
    assert all(article.sentiment.label is SentimentLabel.of(article.sentiment.score) for article in articles)
    assert len({article.sentiment.label for article in articles}) > 1
    assert sum(bool(article.cryptocurrencies_mentioned) for article in articles) > len(articles) / 2
    identities = [(article.website, article.article_id, article.revision) for article in articles]
    assert len(set(identities)) == len(identities)

    again = poll(ARTICLES)
    assert again.success
    assert metadata(again)["dagster/row_count"] == len(sent("rawarticle")) - len(articles) < len(articles)
    assert fetch(settings, "SELECT count(*) FROM staging") == [(0,)]


def test_market_and_mood_arrive(settings: Settings, sent: Callable[[str], list[Any]]) -> None:
    market, mood = poll(MARKET), poll(MOOD)
    assert market.success
    assert mood.success
    snapshots: list[MarketSnapshot] = sent("rawmarket")
    assert {snapshot.source for snapshot in snapshots} == {"coingecko", "coinmarketcap"}
    assert {snapshot.symbol for snapshot in snapshots} >= {"BTC", "ETH", "SOL"}
    days: list[FearGreed] = sent("rawmood")
    assert days
    assert all(0 <= day.value <= 100 for day in days)
    assert check(market, GATE).passed
    warned = check(mood, GATE)
    assert warned.severity is dg.AssetCheckSeverity.WARN
    assert "no_missing_days" in str(warned.description)
    assert "2018-04-14, 2018-04-15, 2018-04-16" in str(warned.metadata["examples"])


def test_the_unknown_coin_at_the_top_is_quarantined_and_the_rest_published(
    settings: Settings, web: WebSimulator, sent: Callable[[str], list[Any]]
) -> None:
    web.order("coingecko", Kind.INCIDENT)
    result = poll(MARKET)
    assert result.success, "one bad row does not hold the others back"
    verdict = check(result, GATE)
    assert not verdict.passed
    assert verdict.severity is dg.AssetCheckSeverity.WARN
    held = fetch(settings, "SELECT payload ->> 'symbol', payload ->> 'rank', reason FROM quarantine")
    (intruder,) = (row for row in held if row[1] == "1")
    assert intruder[0] != "BTC"
    snapshots: list[MarketSnapshot] = sent("rawmarket")
    assert intruder[0] not in {snapshot.symbol for snapshot in snapshots}
    assert "ETH" in {snapshot.symbol for snapshot in snapshots}
    seen = fetch(settings, "SELECT success FROM quality_results WHERE asset = 'poll/market' AND NOT success")
    assert seen


def test_a_source_in_trouble_is_named_with_its_reason_and_the_others_are_unaffected(
    settings: Settings, web: WebSimulator, sent: Callable[[str], list[Any]]
) -> None:
    hostile = {"coindesk": Kind.HUGE_GZIP, "decrypt": Kind.ENTITY, "cointelegraph": Kind.REDIRECT}
    for site, kind in hostile.items():
        web.order(site, kind)
    result = poll(ARTICLES)
    assert result.success
    verdict = check(result, ANSWERED)
    assert not verdict.passed
    answers = {record.data["source"]: record.data for record in check(result, ANSWERED).metadata["answers"].records}
    assert {answers[site]["reason"] for site in hostile} == {"too_large", "entity_declarations", "private_address"}
    assert {article.source for article in sent("rawarticle")} == set(SITES) - set(hostile)


def test_trouble_lasts_until_the_source_answers_again(settings: Settings, web: WebSimulator) -> None:
    web.order("coinmarketcap", Kind.HTML, count=3)
    assert "coinmarketcap" in str(check(poll(MARKET), ANSWERED).description)
    with connect(Role.WRITER, settings, autocommit=True) as connection:
        assert "the last time it failed" in str(lasting(connection, "coinmarketcap", "market"))
        assert lasting(connection, "coingecko", "market") is None
        connection.execute(
            "INSERT INTO market_data (timestamp, source, symbol, name, price_usd) "
            "VALUES (now() - interval '2 hours', 'coingecko', 'BTC', 'Bitcoin', 1)"
        )
        assert "stands still: the newest that is stored of it is 120 minutes old" in str(
            lasting(connection, "coingecko", "market")
        )


def test_a_source_that_breaks_our_code_costs_itself_only(
    settings: Settings, sent: Callable[[str], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_arguments: Any, **_options: Any) -> None:
        raise RecursionError("nested too deep")

    monkeypatch.setattr("cryptoviz.pollers.coingecko.poll", crash)
    result = poll(MARKET)
    assert result.success
    assert "coingecko: crashed: RecursionError('nested too deep')" in str(check(result, ANSWERED).description)
    assert {snapshot.source for snapshot in sent("rawmarket")} == {"coinmarketcap"}


def test_when_no_source_answers_the_run_fails_and_says_why_of_each(settings: Settings, web: WebSimulator) -> None:
    web.order("fear_greed", Kind.HTML)
    result = poll(MOOD)
    assert not result.success
    assert "fear_greed" in why(result)
    assert not result.get_asset_materialization_events()


def test_killed_at_twenty_random_moments_no_article_is_lost_and_none_sent_in_two_versions(
    settings: Settings, web: WebSimulator, sent: Callable[[str], list[Any]]
) -> None:
    began = time.monotonic()
    poll_once(settings)  # warm: what takes seconds to import is there, and children are copies of this process
    whole = time.monotonic() - began
    generator = random.Random(5)
    with connect(Role.WRITER, settings, autocommit=True) as connection:
        for table in ("article_revisions", "published_keys", "staging", "news_feed_states"):
            connection.execute(f"DELETE FROM {table}")  # as if nothing had ever been polled
    before = len(sent("rawarticle"))
    for _ in range(KILLS):
        child = os.fork()
        if child == 0:
            poll_once(settings)
            os._exit(0)
        time.sleep(generator.uniform(0, min(whole, 4)))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    poll_once(settings)
    articles: list[Article] = sent("rawarticle")[before:]
    known = fetch(settings, "SELECT website, article_id, revision FROM article_revisions")
    assert {(one.website, one.article_id, one.revision) for one in articles} == set(known)
    versions = Counter((one.website, one.article_id, one.revision) for one in set(articles))
    assert len(known) > 50
    assert set(versions.values()) == {1}, "a second copy is the same to the last byte, and harmless"
    assert fetch(settings, "SELECT count(*) FROM staging") == [(0,)]


def poll_once(settings: Settings) -> None:
    """What the asset does, without Dagster."""
    producer = Producer(settings)
    producer.start()
    with connect(Role.WRITER, settings, autocommit=True) as connection:
        news_poll(connection, settings, run=f"run-{os.getpid()}")
        judge_staged(connection, "articles", f"run-{os.getpid()}", "poll/articles")
        deliver(connection, producer, "articles")
    producer.close()
