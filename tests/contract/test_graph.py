"""The graph that people see in Dagster is the platform as it is: nothing missing, nothing invented."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value

from assets.audits import GATE
from assets.candles import UNCHANGED
from assets.gates import gates
from assets.instruments import KEY as INSTRUMENTS
from assets.keys import CANDLE_GAPS, CANDLES_OF, CHECKED
from assets.partitions import days_with_trades
from assets.polls import ANSWERED, SUBJECTS
from assets.streams import stream_assets
from assets.windows import WINDOWS
from cryptoviz.settings import PROJECT_ROOT, Mode, Settings
from cryptoviz.stack.dagster import commands, environment, prepare
from cryptoviz.storage.catalogue import tables
from cryptoviz.storage.queries import query
from cryptoviz.topics import INGESTED, TOPICS
from dagster_project.definitions import build

SETTINGS = Settings(mode=Mode.DEMO, dagster_database_url="postgresql://us%40er:pa%2Fss%20@db:5555/dag?sslmode=require")
GROUPS = {"sources", "streams", "topics", "tables", "history", "storage", "supervision", "quality"}
POLLS = {"poll/articles", "poll/market", "poll/mood"}
POLLED_SOURCES = {"news_feeds", "coingecko", "coinmarketcap", "fear_greed"}
NOBODY_WRITES = {
    "analytics_data",
    "anomaly_data",
    "crypto_configuration",
    "prediction_data",
    "retention_policy",
    "schema_migrations",
    "sentiment_data",
    "tiering_policy",
    "visualization_parameter",
}
"""Tables that hold settings, or that are there for parts of the platform that do not run in it yet."""

HEAVY = (
    *("pyspark", "great_expectations", "pandas", "numpy", "ccxt", "confluent_kafka", "kafka", "psycopg"),
    *("sqlalchemy", "jinja2", "pyarrow"),
)


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return build(SETTINGS).get_repository_def()


@pytest.fixture(scope="module")
def specs(repository: dg.RepositoryDefinition) -> dict[str, dg.AssetSpec]:
    nodes = (node for node in repository.assets_defs_by_key.values())
    return {spec.key.to_user_string(): spec for node in nodes for spec in node.specs}


def in_group(specs: dict[str, dg.AssetSpec], group: str) -> set[str]:
    return {name for name, spec in specs.items() if spec.group_name == group}


def parents(specs: dict[str, dg.AssetSpec], name: str) -> set[str]:
    return {dep.asset_key.to_user_string() for dep in specs[name].deps}


def columns(spec: dg.AssetSpec) -> dict[str, str]:
    return {column.name: column.type for column in spec.metadata["dagster/column_schema"].columns}


def test_the_graph_lists_exactly_the_topics(specs: dict[str, dg.AssetSpec]) -> None:
    assert in_group(specs, "topics") == {f"kafka/{name}" for name in TOPICS}


def test_the_graph_lists_exactly_the_tables_that_spark_writes(specs: dict[str, dg.AssetSpec]) -> None:
    assert in_group(specs, "tables") == {topic.table for topic in INGESTED} | {"candles", "candle_checkpoint"}


def test_every_table_that_something_writes_is_a_node(specs: dict[str, dg.AssetSpec]) -> None:
    named = {spec.metadata.get("dagster/table_name", "").removeprefix("cryptoviz.public.") for spec in specs.values()}
    assert tables().keys() - named == NOBODY_WRITES


def test_sources_and_streams_follow_the_settings(specs: dict[str, dg.AssetSpec]) -> None:
    assert in_group(specs, "sources") == {"kraken", "binance", *POLLED_SOURCES}
    assert in_group(specs, "streams") == {"collector_kraken", "collector_binance", "spark/ingestion", *POLLS}
    only_kraken = {spec.key.to_user_string() for spec in stream_assets(Settings(exchanges=["kraken"]))}
    assert "collector_kraken" in only_kraken
    assert not {"binance", "collector_binance"} & only_kraken


def test_lineage_runs_from_the_exchange_to_the_table(specs: dict[str, dg.AssetSpec]) -> None:
    assert parents(specs, "collector_kraken") == {"kraken"}
    assert parents(specs, "kafka/rawtrade") == {"collector_kraken", "collector_binance"}
    assert parents(specs, "spark/ingestion") == {f"kafka/{topic.name}" for topic in INGESTED}
    assert parents(specs, "trade_data") == {"spark/ingestion"}
    assert parents(specs, "kafka/candle") == parents(specs, "kafka/deadletter") == {"spark/ingestion"}
    assert parents(specs, "candles") == {"spark/ingestion", "trade_data"}
    assert parents(specs, "indicators") == {"candles", "indicator_changes"}
    assert parents(specs, "kafka/rawarticle") == {"poll/articles"}
    assert parents(specs, "kafka/rawmarket") == {"poll/market"}
    assert parents(specs, "kafka/rawmood") == {"poll/mood"}
    assert set().union(*(parents(specs, name) for name in POLLS)) == POLLED_SOURCES
    assert parents(specs, "trade_gaps") == {"trade_data", "collector_kraken", "collector_binance"}
    assert parents(specs, "candle_gaps") == {"candles", "trade_gaps", "instruments", "kraken", "binance"}
    assert parents(specs, "completeness") == {"candle_gaps", "trade_gaps", "candle_differences"}


def test_only_what_dagster_writes_can_be_materialized(repository: dg.RepositoryDefinition) -> None:
    written = {key.to_user_string() for key in repository.asset_graph.materializable_asset_keys}
    history = {"instruments", "indicators", "candles_daily_rebuild", "trade_gaps", "candle_gaps", "completeness"}
    fetched = {key.to_user_string() for key in CANDLES_OF.values()}
    assert written == {*history, *fetched, "tiering", "archive", "retention", "reports", *POLLS}


def test_every_check_names_a_table_of_the_graph_and_a_statement(repository: dg.RepositoryDefinition) -> None:
    declared = gates(SETTINGS, dict)
    assert {gate.table for gate in declared} | {window.table for window in WINDOWS} == set(CHECKED)
    assert all(query(window.statement).startswith("-- ") for window in WINDOWS)
    assert len({gate.key for gate in declared}) == len(declared)
    for gate in declared:
        assert repository.asset_graph.has(dg.AssetKey(gate.table))
        assert query(gate.statement).startswith("-- ")
    keys = {gate.key for gate in declared} | {dg.AssetCheckKey(dg.AssetKey("candles_daily_rebuild"), UNCHANGED)}
    keys |= {dg.AssetCheckKey(INSTRUMENTS, GATE)} | {window.key for window in WINDOWS}
    keys |= {dg.AssetCheckKey(subject.key, name) for subject in SUBJECTS for name in (GATE, ANSWERED)}
    keys |= {dg.AssetCheckKey(key, GATE) for key in (*CANDLES_OF.values(), CANDLE_GAPS)}
    assert repository.asset_graph.asset_check_keys == keys


def test_days_can_be_rerun_for_as_long_as_their_trades_are_stored() -> None:
    for today in (date(2026, 11, 21), date(2026, 12, 1), date(2027, 3, 1)):
        first = days_with_trades(today).start.date()
        assert timedelta(days=30) < today - first <= timedelta(days=62)
        assert first.day == 1


def test_every_node_says_what_it_is_and_whose(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        assert spec.description, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.tags, name
        assert spec.group_name in GROUPS, name


def test_topics_show_the_fields_of_their_record(specs: dict[str, dg.AssetSpec]) -> None:
    for topic in TOPICS.values():
        if topic.record is not None:
            assert list(columns(specs[f"kafka/{topic.name}"])) == list(topic.record.__struct_fields__)
    assert columns(specs["kafka/rawtrade"])["price"] == "string, exact decimal"
    assert {"value", "topic", "error"} <= columns(specs["kafka/deadletter"]).keys()


def created_tables() -> dict[str, dict[str, str]]:
    """Table -> column -> type, as the migrations create and change them."""
    text = "".join(path.read_text() for path in sorted((PROJECT_ROOT / "sql" / "migrations").glob("*.sql")))
    column = re.compile(
        r"(?:^    |\badd column )\"?(?!(?:primary|check|unique|add)\b)(\w+)\"? (double precision|[a-z]+)(\[\])?",
        re.MULTILINE | re.IGNORECASE,
    )
    found: dict[str, dict[str, str]] = {}
    statement = re.compile(r"^(?:create|alter) table (\w+)\s(.*?);", re.MULTILINE | re.DOTALL | re.IGNORECASE)
    for name, body in statement.findall(text):
        found.setdefault(name, {}).update({one: kind + array for one, kind, array in column.findall(body)})
    return found


def test_tables_show_the_columns_that_the_migrations_create(specs: dict[str, dg.AssetSpec]) -> None:
    created = created_tables()
    for name, spec in specs.items():
        if "dagster/table_name" in spec.metadata:
            assert columns(spec) == created[name], name


def test_every_column_of_a_table_says_what_it_means(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        if "dagster/table_name" in spec.metadata:
            for column in spec.metadata["dagster/column_schema"].columns:
                assert column.description, f"{name}.{column.name}"


def test_columns_lead_back_to_the_fields_they_come_from(specs: dict[str, dg.AssetSpec]) -> None:
    for topic in INGESTED:
        assert topic.table is not None
        lineage = specs[topic.table].metadata["dagster/column_lineage"].deps_by_column
        assert lineage.keys() == columns(specs[topic.table]).keys()
        for (origin,) in lineage.values():
            assert origin.asset_key == dg.AssetKey(["kafka", topic.name])
            assert origin.column_name in columns(specs[f"kafka/{topic.name}"])
    article = specs["article_data"].metadata["dagster/column_lineage"].deps_by_column
    assert [article[name][0].column_name for name in ("timestamp", "sentiment_score")] == ["published_at", "sentiment"]
    for column, (origin,) in specs["candles"].metadata["dagster/column_lineage"].deps_by_column.items():
        assert column in columns(specs["candles"])
        assert origin.column_name in columns(specs["trade_data"])


def test_every_table_shows_the_statement_to_look_at_it(specs: dict[str, dg.AssetSpec]) -> None:
    for name in (
        in_group(specs, "tables") | in_group(specs, "supervision") | {"candle_differences", "collector_position"}
    ):
        assert f"SELECT * FROM {name} ORDER BY" in specs[name].metadata["newest rows"].value
        assert f"SELECT * FROM {name} ORDER BY" in (specs[name].description or "")


def test_what_a_live_market_feeds_must_be_fresh(specs: dict[str, dg.AssetSpec]) -> None:
    windows = {
        name: (policy.warn_window.to_timedelta() if policy.warn_window else None, policy.fail_window.to_timedelta())
        for name, spec in specs.items()
        if isinstance(policy := spec.freshness_policy, TimeWindowFreshnessPolicy)
    }
    live = (timedelta(minutes=2), timedelta(minutes=10))
    market = {"ticker_data", "trade_data", "exchange_candles", "candles"}
    market |= {"collector_kraken", "collector_binance", "spark/ingestion"}
    topics = {f"kafka/{name}" for name in ("rawticker", "rawtrade", "rawcandle", "candle")}
    slower = {
        "instruments": (timedelta(hours=26), timedelta(days=2)),
        "poll/articles": (timedelta(minutes=12), timedelta(minutes=30)),
        "poll/market": (timedelta(minutes=5), timedelta(minutes=15)),
        "poll/mood": (timedelta(minutes=12), timedelta(minutes=30)),
        "completeness": (timedelta(minutes=15), timedelta(hours=1)),
    }
    assert windows == dict.fromkeys(market | topics, live) | slower


def test_links_to_code_lead_to_files(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        references = spec.metadata["dagster/code_references"].code_references
        assert references, name
        for reference in references:
            assert (PROJECT_ROOT / reference.label).samefile(reference.file_path)


def test_dagster_can_send_the_graph_to_its_web_server(repository: dg.RepositoryDefinition) -> None:
    assert "spark" in serialize_value(RepositorySnap.from_def(repository))


def test_loading_the_graph_imports_nothing_heavy_and_reads_no_setting() -> None:
    code = f"""
import json, sys, time
import dagster
began = time.process_time()
import dagster_project.definitions as project
from cryptoviz import settings
unread = settings.settings.cache_info().misses == 0
project.definitions().get_repository_def()
seconds = time.process_time() - began
print(json.dumps([unread, seconds, [name for name in {HEAVY!r} if name in sys.modules]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    unread, seconds, imported = json.loads(done.stdout)
    assert unread, "importing the definitions must not read the settings"
    assert imported == []
    assert seconds < 3


def test_instance_file_holds_no_secret_and_names_only_variables_that_the_stack_sets() -> None:
    text = (PROJECT_ROOT / "dagster.yaml").read_text()
    instance = yaml.safe_load(text)
    database = instance["storage"]["custom"]["config"]["postgres_db"]
    assert database.pop("scheme") == "postgresql+psycopg2"
    assert {tuple(value) for value in database.values()} == {("env",)}
    named = {value["env"] for value in (*database.values(), workspace_server()["host"], workspace_server()["port"])}
    assert named <= environment(SETTINGS).keys()
    assert instance["telemetry"] == {"enabled": False}


def workspace_server() -> dict[str, Any]:
    (entry,) = yaml.safe_load((PROJECT_ROOT / "workspace.yaml").read_text())["load_from"]
    server: dict[str, Any] = entry["grpc_server"]
    return server


def test_dagsters_database_comes_from_the_settings() -> None:
    variables = environment(SETTINGS)
    assert variables["DAGSTER_POSTGRES_USER"] == "us@er"
    assert variables["DAGSTER_POSTGRES_PASSWORD"] == "pa/ss "
    assert variables["DAGSTER_POSTGRES_HOST"] == "db"
    assert variables["DAGSTER_POSTGRES_PORT"] == "5555"
    assert variables["DAGSTER_POSTGRES_DB"] == "dag?sslmode=require"


@pytest.mark.parametrize("host", [None, "0.0.0.0"])
def test_every_process_listens_where_the_settings_say_and_runs_as_a_module(host: str | None) -> None:
    lines = commands(SETTINGS.model_copy(update={"listen_host": host}) if host else SETTINGS)
    assert list(lines) == ["dagster-code", "dagster-webserver", "dagster-daemon"]
    for line in lines.values():
        assert line[:2] == [sys.executable, "-m"]
    for name in ("dagster-code", "dagster-webserver"):
        assert lines[name][lines[name].index("--host") + 1] == (host or "127.0.0.1")
    for name in ("dagster-webserver", "dagster-daemon"):
        assert lines[name][lines[name].index("--workspace") + 1] == str(PROJECT_ROOT / "workspace.yaml")


def test_dagsters_home_links_the_instance_file(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    for _ in range(2):
        home = prepare(settings)
        assert (home / "dagster.yaml").samefile(PROJECT_ROOT / "dagster.yaml")
    assert str(home) == environment(settings)["DAGSTER_HOME"]


def test_nothing_makes_a_bare_dagster_ignore_the_workspace() -> None:
    assert "[tool.dagster]" not in (PROJECT_ROOT / "pyproject.toml").read_text()


def test_the_wiring_stays_small() -> None:
    text = (PROJECT_ROOT / "dagster_project" / "definitions.py").read_text()
    assert len(text.splitlines()) <= 60
