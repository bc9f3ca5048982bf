"""What was imported wrongly is put right by the statements of docs/history.md, to the digit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cryptoviz.candles.rebuild import rebuild
from cryptoviz.imports.layouts import Kind
from cryptoviz.imports.run import ImportOutcome, ImportRequest
from cryptoviz.pairs import Timeframe
from cryptoviz.settings import PROJECT_ROOT, Role, Settings
from cryptoviz.storage.database import connect
from cryptoviz.storage.queries import SQL_DIR
from tests.integration.test_imports import (
    CANDLES,
    CANDLES_OF,
    KRAKEN_TRADES,
    NOON,
    STORED,
    TRADES,
    aggregates,
    ask,
    kraken_trades,
    run,
    runs_of_three,
    written,
)

__all__ = ["ask"]
pytestmark = pytest.mark.services

ALL_CANDLES = CANDLES.replace("FROM candles", "FROM all_candles")
FORGET = """
TRUNCATE trade_data, trade_coverage, trade_gaps, candles, cold_storage.candles, candle_gaps, completeness,
         candle_differences, import_progress, quarantine
"""


def documented(**values: Any) -> list[sql.Composed]:
    """The SQL of the section, in its order, with psql's variables filled in."""
    text = (PROJECT_ROOT / "docs" / "history.md").read_text(encoding="utf-8")
    section = text.split("### Putting a wrong import right\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sql\n(.*?)```", section, flags=re.DOTALL)
    psql = {name: value if isinstance(value, int) else str(value) for name, value in values.items()}
    filled = re.compile(r"(?<!:):(?:'(\w+)'|(\w+))")
    return [
        sql.Composed(
            [
                sql.SQL(part) if place % 3 == 0 else sql.Literal(psql.get(part, 0))
                for place, part in enumerate(filled.split(block))
                if part is not None
            ]
        )
        for block in blocks
    ]


def volumes(candles: list[tuple[Any, ...]]) -> dict[tuple[str, datetime], tuple[Any, int]]:
    return {(row[0], row[1]): (row[6], row[7]) for row in candles}


def collected(connection: psycopg.Connection[Any], rows: list[str]) -> None:
    """Trades as a collector stores them, and the candles they make."""
    for row in rows:
        number, price, volume, _, at, *_ = row.split(",")
        connection.execute(
            'INSERT INTO trade_data ("timestamp", exchange, pair, trade_id, price, volume, side)'
            " SELECT to_timestamp(%s::numeric / 1000000), 'binance', 'BTC/USDT', %s, %s, %s, 'buy'",
            [at, number, price, volume],
        )
    connection.execute(
        "SELECT refresh_candles(array_agg(exchange), array_agg(pair), array_agg(minute)) FROM"
        " (SELECT DISTINCT exchange, pair, date_trunc('minute', \"timestamp\") AS minute FROM trade_data"
        " WHERE trade_id >= %s) AS touched",
        [rows[0].split(",")[0]],
    )


def test_aggregates_stored_as_trades_are_named_by_the_upgrade_and_leave_without_a_trace(
    database: Settings, ask: Callable[..., Any], tmp_path: Path
) -> None:
    rows = runs_of_three(900)
    real = written(tmp_path / "BTCUSDT-trades-2024-01-01.csv", rows)
    theirs = tmp_path / "BTC_USDT-trades.json"
    theirs.write_text(json.dumps(aggregates(rows)))
    run(database, real)
    right, right_candles = ask(STORED), ask(CANDLES)
    with connect(Role.OWNER, database, autocommit=True) as owner:
        owner.execute(FORGET)
        run(database, theirs, replace(TRADES, single_trades=True))
        collected(owner, rows[600:])
        doubled = {key for key, value in volumes(ask(CANDLES)).items() if value[0] > volumes(right_candles)[key][0]}
        assert ("1m", NOON + timedelta(minutes=6)) in doubled
        before = ask(STORED)
        owner.execute(next((SQL_DIR / "migrations").glob("*_aggregates.sql")).read_bytes())
        assert ask(STORED) == before, "the upgrade removes nothing by a guess"
        [(subject, detail)] = ask("SELECT subject, detail FROM action_log")
        assert (subject, detail["file"], detail["rows stored"]) == ("binance BTC/USDT", theirs.name, 300)

        [refused] = run(database, real)
        assert (refused.became, "Putting a wrong import right" in refused.reason) == (ImportOutcome.REFUSED, True)

        said = {"exchange": "binance", "pair": "BTC/USDT", "first": detail["first"], "last": detail["last"]}
        listed, numberings, *_ = documented(**said)
        assert [row[0] for row in owner.execute(listed)] == [theirs.name]
        numbered = owner.execute(numberings).fetchall()
        assert [row[:3] for row in numbered] == [(1, 300, 300), (1_000_600, 1_000_899, 300)]
        lowest, highest, *_ = numbered[0]
        owner.execute(documented(**said, lowest=lowest, highest=highest)[2])
        assert [row[0] for row in ask(STORED)] == list(range(1_000_600, 1_000_900)), "the exchange's own stay"
        [done] = run(database, real)
        assert (done.became, done.rows.stored) == (ImportOutcome.IMPORTED, 600)
        end = NOON + timedelta(minutes=8)
        list(rebuild(owner, "binance", ["BTC/USDT"], NOON, end))
        assert ask(STORED) == right
        assert ask(CANDLES) == right_candles


def klines(minutes: range, price: int, *, length: int = 1) -> list[str]:
    """Candles as Kraken writes them."""
    starts = [int((NOON + n * length * timedelta(minutes=1)).timestamp()) for n in minutes]
    return [f"{at},{price},{price + 2},{price - 1},{price + 1},1.5,3" for at in starts]


@pytest.mark.parametrize(("kind", "cold"), [(Kind.CANDLES, True), (Kind.TRADES, False)])
def test_candles_imported_under_the_wrong_pair_are_put_right(
    database: Settings, ask: Callable[..., Any], tmp_path: Path, kind: Kind, *, cold: bool
) -> None:
    def imported(name: str, rows: list[str], asked: ImportRequest, timeframe: Timeframe | None = None) -> ImportOutcome:
        return run(database, written(tmp_path / name, rows), replace(asked, timeframe=timeframe, pair_anyway=True))[
            0
        ].became

    def others() -> None:
        assert (
            imported("XBTUSD_1_before.csv", klines(range(-30, -10), 500), CANDLES_OF, Timeframe.M1)
            is ImportOutcome.IMPORTED
        )
        assert imported("XBTUSD_60.csv", klines(range(2), 600, length=60), CANDLES_OF) is ImportOutcome.IMPORTED

    def right() -> None:
        assert imported("XBTUSD_1.csv", klines(range(20), 700), CANDLES_OF) is ImportOutcome.IMPORTED

    with connect(Role.OWNER, database, autocommit=True) as owner:
        others()
        right()
        expected = ask(ALL_CANDLES)
        owner.execute(FORGET)
        others()
        if kind is Kind.CANDLES:
            assert imported("LUNAUSD_1.csv", klines(range(20), 3), CANDLES_OF) is ImportOutcome.IMPORTED
        else:
            assert imported("LUNAUSD.csv", kraken_trades(150), KRAKEN_TRADES) is ImportOutcome.IMPORTED
        assert ask(ALL_CANDLES) != expected
        if cold:
            assert ask("SELECT tier_old_candles(1000000)") != [(0,)]
            assert ask("SELECT count(*) FROM candles WHERE timeframe = '1m'") == [(0,)]
        [(first, last)] = ask("SELECT first_ts, last_ts FROM import_progress WHERE file LIKE 'LUNA%%'")
        said = {"exchange": "kraken", "pair": "BTC/USD", "first": first, "last": last, "timeframe": "1m"}
        _, numberings, _, candles = documented(**said)
        assert owner.execute(numberings).fetchall() == [], "no trades were stored"
        owner.execute(candles)
        kept = [row for row in ask(ALL_CANDLES) if row[-1] == "rest"]
        assert kept == [row for row in expected if row[-1] == "rest" and not (row[0] == "1m" and row[1] >= NOON)]
        right()
        others()
        assert ask(ALL_CANDLES) == expected
