"""No table takes NaN or Infinity for a fact, whoever writes; an upgrade keeps back what is stored of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cryptoviz.settings import Role, Settings
from cryptoviz.stack.postgres.installation import Edition
from cryptoviz.storage.database import connect
from cryptoviz.storage.migrations import migrate, read
from tests.conftest import Cluster
from tests.integration.test_migrations import folder, upgrade_from

__all__ = ["folder"]
pytestmark = pytest.mark.services

NOON = "2026-11-20T12:00:00Z"
TRADE = {"timestamp": NOON, "exchange": "kraken", "pair": "BTC/USD", "price": 9, "volume": 2, "side": "buy"}
CANDLE = {
    "window_start": NOON,
    "window_end": "2026-11-20T12:01:00Z",
    "exchange": "kraken",
    "symbol": "BTC/USD",
    "timeframe": "1m",
    "open": 9,
    "high": 10,
    "low": 8,
    "close": 9,
    "volume": 2,
    "trade_count": 1,
    "closed": True,
    "source": "rest",
    "received_at": NOON,
}
ARTICLE = {
    "timestamp": NOON,
    "article_id": "1",
    "revision": 1,
    "title": "Bitcoin climbs",
    "url": "https://a.example/1",
    "website": "a.example",
    "received_at": NOON,
    "sentiment_score": 0.5,
    "sentiment_label": "neutral",
}
SOUND: Mapping[str, Mapping[str, Any]] = {
    "public.trade_data": {**TRADE, "trade_id": 1, "received_at": NOON},
    "public.ticker_data": {
        "timestamp": NOON,
        "exchange": "kraken",
        "pair": "BTC/USD",
        "received_at": NOON,
        "last": 9,
        "bid": 8,
        "ask": 10,
        "volume_24h": 5,
        "pct_change": -1,
    },
    "public.alert_data": {
        "timestamp": NOON,
        "exchange": "kraken",
        "pair": "BTC/USD",
        "alert_type": "price_up",
        "received_at": NOON,
        "last_price": 9,
        "change_percent": 1,
        "threshold": 0.5,
    },
    "public.candles": CANDLE,
    "cold_storage.candles": CANDLE,
    "public.exchange_candles": CANDLE,
    "public.candle_checkpoint": {
        "exchange": "kraken",
        "pair": "BTC/USD",
        "minute": NOON,
        "upto": NOON,
        "high": 10,
        "low": 8,
        "volume": 2,
        "trade_count": 1,
    },
    "public.candle_differences": {
        **{name: CANDLE[name] for name in ("window_start", "exchange", "symbol", "timeframe")},
        **{
            f"{origin}_{name}": CANDLE[name]
            for origin in ("stream", "rest")
            for name in ("open", "high", "low", "close", "volume", "trade_count")
        },
        "detail": {},
        "found_at": NOON,
    },
    "public.held_trades": {
        "minute": NOON,
        "exchange": "kraken",
        "symbol": "BTC/USD",
        "fingerprint": "f",
        "row_number": 1,
        "held": True,
        "price": 9,
        "volume": 2,
        "trade_count": 1,
        "received_at": NOON,
    },
    "public.instruments": {
        "exchange": "kraken",
        "pair": "BTC/USD",
        "status": "online",
        "price_increment": 1,
        "volume_increment": 1,
        "seen_from": NOON,
        "seen_to": NOON,
        "received_at": NOON,
    },
    "public.market_data": {
        "timestamp": NOON,
        "source": "coingecko",
        "symbol": "BTC",
        "name": "Bitcoin",
        "received_at": NOON,
        "price_usd": 9,
        "market_cap": 9,
        "volume_24h": 9,
        "change_1h": 1,
        "change_24h": 1,
        "change_7d": 1,
        "ath": 9,
        "atl": 1,
        "circulating_supply": 9,
        "rank": 1,
    },
    "public.article_data": ARTICLE,
    "cold_storage.article_data": ARTICLE,
    "public.sentiment_data": {
        "timestamp": NOON,
        "crypto_symbol": "BTC",
        "source": "news",
        "sentiment_score": 0.5,
        "confidence": 0.5,
        "sentiment_label": "neutral",
        "article_count": 1,
        "received_at": NOON,
    },
    "public.prediction_data": {
        "timestamp": NOON,
        "crypto_symbol": "BTC",
        "model_name": "m",
        "predicted_price": 9,
        "actual_price": 9,
        "confidence_interval_low": 8,
        "confidence_interval_high": 10,
        "received_at": NOON,
    },
    "public.analytics_data": {
        "timestamp": NOON,
        "exchange": "kraken",
        "pair": "BTC/USD",
        "observations": 1,
        "received_at": NOON,
        "mean": 9,
        "stddev": 1,
        "min": 8,
        "max": 10,
        "volatility_percent": 1,
    },
    "public.anomaly_data": {
        "timestamp": NOON,
        "exchange": "kraken",
        "pair": "BTC/USD",
        "kind": "zscore",
        "received_at": NOON,
        "value": 9,
        "expected": 9,
        "score": 1,
        "detail": {},
    },
}
LATER = {"public.held_trades"}
"""Came after the checks, with its own."""
COMPUTED = {"public.indicators", "cold_storage.indicators"}
"""Made by the database of finite numbers; its own arithmetic gives a finite number, or an error."""
RAW = {"public.staged_candles"}
"""Waits to be judged, whatever it is."""
FIGURES = {"public.stream_status"}
"""Says how long something took."""

_NUMBERS = """
select format('%s.%s', namespace.nspname, relation.relname), attname
from pg_attribute attribute
join pg_class relation on relation.oid = attrelid
join pg_namespace namespace on namespace.oid = relnamespace
where nspname in ('public', 'cold_storage') and relkind in ('r', 'p') and attnum > 0 and not attisdropped
  and atttypid in ('numeric'::regtype, 'float8'::regtype, 'float4'::regtype)
order by 1, 2
"""


def put(connection: psycopg.Connection[Any], table: str, row: Mapping[str, Any]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, row))
    statement = sql.SQL("insert into {table} ({names}) select {names} from jsonb_populate_record(null::{table}, %s)")
    connection.execute(statement.format(table=sql.Identifier(*table.split(".")), names=names), [json.dumps(row)])


def test_no_fact_is_nan_or_infinite_in_any_table(each_database: Settings) -> None:
    with connect(Role.OWNER, each_database, autocommit=True) as connection:
        numbers = connection.execute(_NUMBERS).fetchall()
        assert {table for table, _ in numbers} == SOUND.keys() | COMPUTED | RAW | FIGURES
        for table, row in SOUND.items():
            put(connection, table, row)
        for table, column in numbers:
            if table not in SOUND:
                continue
            change = sql.SQL("update {} set {} = %s").format(sql.Identifier(*table.split(".")), sql.Identifier(column))
            for value in ("NaN", "Infinity", "-Infinity"):
                with pytest.raises(psycopg.errors.CheckViolation):
                    connection.execute(change, [value])
            connection.execute(change, [SOUND[table][column]])


@pytest.fixture(params=[Edition.APACHE, Edition.PLAIN])
def before(request: pytest.FixtureRequest, postgres_cluster: Cluster) -> Iterator[Settings]:
    """A database without tables, for every edition that this machine has."""
    if request.param not in postgres_cluster.editions:
        pytest.skip(f"no database of edition {request.param}")
    settings = postgres_cluster.empty_database(request.param)
    yield settings
    postgres_cluster.drop(settings)


def test_an_upgrade_keeps_back_what_is_stored_and_is_no_number(before: Settings, folder: Path) -> None:
    upgrade_from("finite_numbers", before, folder)
    sound = {table: row for table, row in SOUND.items() if table not in LATER}
    trade, candle = SOUND["public.trade_data"], SOUND["public.candles"]
    later = {**candle, "window_start": "2026-11-20T12:05:00Z", "window_end": "2026-11-20T12:06:00Z"}
    wrong = [
        ("public.trade_data", {**trade, "trade_id": 2, "price": "NaN"}),
        ("public.trade_data", {**trade, "trade_id": 3, "volume": "Infinity"}),
        ("public.candles", {**later, "high": "NaN"}),
        ("cold_storage.candles", {**later, "volume": "NaN"}),
        ("public.market_data", {**SOUND["public.market_data"], "symbol": "ETH", "change_7d": "-Infinity"}),
    ]
    with connect(Role.OWNER, before, autocommit=True) as connection:
        for table, row in [*sound.items(), *wrong]:
            put(connection, table, row)
    migrate(before)
    with connect(Role.OWNER, before, autocommit=True) as connection:
        unchecked = "select from pg_constraint where conname = 'finite_numbers' and not convalidated"
        assert connection.execute(unchecked).fetchall() == []
        held = connection.execute("select subject, origin ->> 'table', payload from quarantine order by 2").fetchall()
        assert [(subject, table) for subject, table, _ in held] == [
            ("candles", "candles"),
            ("candles", "cold_storage.candles"),
            ("market", "market_data"),
            ("trades", "trade_data"),
            ("trades", "trade_data"),
        ]
        assert sorted((row["trade_id"], str(row["price"]), str(row["volume"])) for *_, row in held[3:]) == [
            (2, "NaN", "2"),
            (3, "9", "Infinity"),
        ]
        for table in sound:
            counted = sql.SQL("select count(*) from {}").format(sql.Identifier(*table.split(".")))
            assert connection.execute(counted).fetchall() == [(1,)], f"the sound row of {table} stays"
        said = "select subject, detail -> 'quarantined' from action_log where action = 'numbers_that_are_none_removed'"
        assert dict(connection.execute(said).fetchall()) == {
            "trade_data": 2,
            "candles": 1,
            "cold_storage.candles": 1,
            "market_data": 1,
        }
        with pytest.raises(psycopg.errors.CheckViolation):
            put(connection, *wrong[0])


def test_facts_are_read_and_written_while_what_is_stored_is_looked_at(before: Settings, folder: Path) -> None:
    upgrade_from("stored_finite_numbers", before, folder)
    facts = [name for name in SOUND if not name.startswith("cold_storage")]
    with connect(Role.OWNER, before, autocommit=True) as connection:
        for table in facts:
            put(connection, table, SOUND[table])
        [migration] = [file for file in read() if file.name.endswith("_stored_finite_numbers")]
        with connect(Role.OWNER, before) as upgrade:
            upgrade.execute(migration.text)
            connection.execute("set lock_timeout = '5s'")
            for table in facts:
                name = sql.Identifier(*table.split("."))
                column = sql.Identifier(list(SOUND[table])[-1])
                connection.execute(sql.SQL("update {} set {column} = {column}").format(name, column=column))
                assert connection.execute(sql.SQL("select count(*) from {}").format(name)).fetchall() == [(1,)]
