"""What is asked for by the clock: the news, the market overviews, the mood.

    source -> rows -> staging -> gate -> topic          what a killed run left is finished by the next

Nothing here writes a table of the platform: what passes the gate goes through Kafka, like everything live.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.audits import gate_check, gate_result, reviewed
from assets.keys import ARTICLES, MARKET, MOOD
from assets.metadata import table_value
from assets.resources import Broker, Database
from assets.streams import NEWS_OWNERS, code
from cryptoviz.gate.outbox import deliver, judge_staged
from cryptoviz.gate.staging import stage
from cryptoviz.settings import Settings, settings
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.gate.report import GateReport
    from cryptoviz.pollers import Poll

POLL_ARTICLES: Final = dg.define_asset_job(
    "poll_articles",
    selection=dg.AssetSelection.assets(ARTICLES),
    description="Ask every news feed for what is new; judge it and send what passes to `rawarticle`.",
    tags={"dagster/max_runtime": "600", "dagster/priority": "1", "kind": "poll"},
)
# One job for both: a run costs more than what either of them does in it.
POLL_MARKET: Final = dg.define_asset_job(
    "poll_market",
    selection=dg.AssetSelection.assets(MARKET, MOOD),
    description="Ask for the market overviews and the mood; judge them and send what passes to `rawmarket`, `rawmood`.",
    tags={"dagster/max_runtime": "300", "dagster/priority": "1", "kind": "poll"},
)

ANSWERED: Final = "sources_answer"
"""The check that every source of a poll answered."""

_STILL_S: Final = {"market": 1800.0, "mood": 2.5 * 86_400}
"""Seconds without anything newer after which a source that answers counts as standing still."""

SCHEDULE: Final = "dagster/schedule_name"
"""The tag of a run that a schedule started."""

_FEED_FACTS: Final = (
    "status", "reason", "detail", "http_status", "wire_bytes", "seconds", "entries", "entries_refused", "dates_unknown",
    "new", "revised", "salvaged", "pages", "pages_refused",
)  # fmt: skip


@dataclass(frozen=True)
class SourceAnswer:
    """How one source answered. `trouble`: why it brought less than it should, in words; None where all is well."""

    name: str
    trouble: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """What is polled. `fetch` asks every source, stages what they say, and tells how each answered.

    It is told the connection, the settings, the run, and whether a schedule started it: then each source is asked only
    when it is due.
    """

    key: dg.AssetKey
    sources: Sequence[str]
    fetch: Callable[["Connection[Any]", Settings, str, bool], Sequence[SourceAnswer]]
    description: str
    fresh: dg.FreshnessPolicy
    code: Sequence[str]

    @property
    def name(self) -> str:
        """What the gate calls it."""
        return self.key.path[-1]


def poll_assets() -> list[dg.AssetsDefinition]:
    """One asset for each subject."""
    return [_asset(subject) for subject in SUBJECTS]


def _asset(subject: Subject) -> dg.AssetsDefinition:
    @dg.asset(
        key=subject.key,
        deps=list(subject.sources),
        group_name="streams",
        description=subject.description,
        kinds={"python", "api"},
        owners=list(NEWS_OWNERS),
        tags={"layer": "batch"},
        # A run by hand waits for the scheduled one, and the other way round.
        pool=f"poll_{subject.name}",
        freshness_policy=subject.fresh,
        check_specs=[
            gate_check(subject.key),
            dg.AssetCheckSpec(ANSWERED, asset=subject.key, description="Every source answered the last time."),
        ],
        metadata=code("assets/polls.py", *subject.code),
    )
    def poll(context: dg.AssetExecutionContext, database: Database, broker: Broker) -> Iterator[Any]:
        began = time.monotonic()
        with database.writer() as connection:
            sources = subject.fetch(connection, settings(), context.run.run_id, SCHEDULE in context.run.tags)
            for source in sources:
                if source.trouble is not None:
                    context.log.warning("%s: %s", source.name, source.trouble)
            with reviewed(context), broker.producer() as producer:
                report = judge_staged(connection, subject.name, context.run.run_id, subject.key.to_user_string())
                delivered = deliver(connection, producer, subject.name)
        yield answered(sources, subject.key)
        yield from gate_result(report, subject.key)
        if sources and all(source.trouble is not None for source in sources):
            raise dg.Failure(
                f"No source answered. {'; '.join(f'{source.name}: {source.trouble}' for source in sources)}",
                metadata={"sources": _answers(sources)},
                allow_retries=False,
            )
        yield dg.MaterializeResult(
            asset_key=subject.key, metadata=_metadata(report, delivered, sources, time.monotonic() - began)
        )

    return poll


def answered(sources: Sequence[SourceAnswer], asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Whether every source answered, each with how it went."""
    silent = [source for source in sources if source.trouble is not None]
    return dg.AssetCheckResult(
        passed=not silent,
        check_name=ANSWERED,
        asset_key=asset,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{source.name}: {source.trouble}" for source in silent) or "every source answered",
        metadata={
            "sources": len(sources),
            "in trouble": len(silent),
            **({"answers": _answers(sources)} if sources else {}),
        },
    )


def _metadata(report: "GateReport", delivered: int, sources: Sequence[SourceAnswer], seconds: float) -> dict[str, Any]:
    return {
        "dagster/row_count": delivered,
        "staged": report.counts.staged,
        "quarantined": report.counts.quarantined,
        "sources in trouble": sum(source.trouble is not None for source in sources),
        "seconds": round(seconds, 2),
        **({"newest": dg.MetadataValue.timestamp(report.newest)} if report.newest else {}),
        **({"answers": _answers(sources)} if sources else {}),
    }


def _answers(sources: Sequence[SourceAnswer]) -> dg.TableMetadataValue:
    return table_value(
        [{"source": source.name, **{name: _plain(value) for name, value in source.facts.items()}} for source in sources]
    )


def _plain(value: object) -> str | int | float | None:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count}" for name, count in value.items()) or None
    return value if isinstance(value, int) or value is None else str(value) or None


def _articles(connection: "Connection[Any]", configured: Settings, run: str, _due_only: bool) -> Sequence[SourceAnswer]:
    from cryptoviz.news.poll import poll  # noqa: PLC0415 - parsers and extractors load when they are needed

    return [
        SourceAnswer(outcome.feed, outcome.trouble, {name: getattr(outcome, name) for name in _FEED_FACTS})
        for outcome in poll(connection, configured, run=run).outcomes
    ]


def _market(connection: "Connection[Any]", configured: Settings, run: str, due_only: bool) -> Sequence[SourceAnswer]:
    from cryptoviz.pollers import coingecko, coinmarketcap  # noqa: PLC0415 - as above

    polls = {
        name: partial(module.poll, connection, configured, due_only=due_only)
        for name, module in (("coingecko", coingecko), ("coinmarketcap", coinmarketcap))
    }
    return _polled(connection, run, "market", polls)


def _mood(connection: "Connection[Any]", configured: Settings, run: str, due_only: bool) -> Sequence[SourceAnswer]:
    from cryptoviz.pollers import fear_greed  # noqa: PLC0415 - as above

    polls = {"fear_greed": partial(fear_greed.poll, connection, configured, due_only=due_only)}
    return _polled(connection, run, "mood", polls)


def _polled(
    connection: "Connection[Any]", run: str, subject: str, polls: Mapping[str, Callable[[], "Poll"]]
) -> Sequence[SourceAnswer]:
    sources = []
    for name, ask in polls.items():
        try:
            poll = ask()
            with connection.transaction():
                new = stage(connection, subject, poll.rows, run)
                poll.remember(connection)
        except driver.Error:
            raise
        except Exception as error:  # noqa: BLE001 - the border between the sources: one that breaks us costs itself only
            sources.append(SourceAnswer(name, f"crashed: {error!r}"[:500], {"status": "crashed"}))
            continue
        trouble = poll.outcome.trouble or lasting(connection, name, subject)
        sources.append(SourceAnswer(name, trouble, {**poll.outcome.facts(), "new": new}))
    return sources


def lasting(connection: "Connection[Any]", source: str, subject: str) -> str | None:
    """What has been wrong since before this poll: a source failed and has not answered since, or it stands still."""
    found = connection.execute(query("source_trouble"), {"source": source, "subject": subject}).fetchone()
    failure, age = found if found is not None else (None, None)
    if failure is not None:
        return f"not asked now; the last time it failed: {failure}"
    if age is not None and age > _STILL_S[subject]:
        return f"stands still: the newest that is stored of it is {age / 60:.0f} minutes old"
    return None


SUBJECTS: Final = (
    Subject(
        ARTICLES,
        ("news_feeds",),
        _articles,
        "What is new in the news feeds, with the coins it mentions and how it sounds: judged, then sent to the topic "
        "`rawarticle`. Every five minutes. Materialize it to ask now; what is known already is not sent again.",
        dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=30), warn_window=timedelta(minutes=12)),
        ("cryptoviz/news/poll.py", "great_expectations/expectations/articles.json"),
    ),
    Subject(
        MARKET,
        ("coingecko", "coinmarketcap"),
        _market,
        "The market overviews of CoinGecko and, with a key, CoinMarketCap: judged, then sent to the topic `rawmarket`. "
        "Every minute, each source as often as its quota allows.",
        dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=15), warn_window=timedelta(minutes=5)),
        ("cryptoviz/pollers/coingecko.py", "cryptoviz/pollers/coinmarketcap.py",
         "great_expectations/expectations/market.json"),
    ),
    Subject(
        MOOD,
        ("fear_greed",),
        _mood,
        "The fear and greed index, with whatever days of its history are not stored yet: judged, then sent to the "
        "topic `rawmood`. Every five minutes.",
        dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=30), warn_window=timedelta(minutes=12)),
        ("cryptoviz/pollers/fear_greed.py", "great_expectations/expectations/mood.json"),
    ),
)  # fmt: skip
"""Everything that is polled."""
