"""Gaps and positions in the real tables, as the writer role."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cryptoviz.collectors.ledger import DatabaseStore, GapRow, Ledger, Position, StoreAwayError
from cryptoviz.gaps.labels import GapLabel, GapStatus
from cryptoviz.instruments import Instrument, Listing, store
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect

pytestmark = pytest.mark.services

T = datetime(2026, 9, 1, tzinfo=UTC)


def row(first: int, last: int, status: GapStatus, label: GapLabel = GapLabel.LOST_BY_US) -> GapRow:
    healed = T + timedelta(minutes=1) if status is GapStatus.HEALED else None
    return GapRow("BTC/USD", first, last, label, status, 1, T, healed)


def test_what_is_written_is_found_after_a_restart(database: Settings) -> None:
    kept = DatabaseStore("kraken", database)
    kept.save(
        [
            row(1, 5, GapStatus.OPEN),
            row(10, 12, GapStatus.HEALING),
            row(20, 20, GapStatus.HEALED),
            row(30, 31, GapStatus.EXPLAINED, GapLabel.SOURCE_MISSING),
        ],
        [Position("BTC/USD", 40, T)],
    )
    kept.save([row(1, 7, GapStatus.OPEN)], [Position("BTC/USD", 50, T)])
    positions, gaps = DatabaseStore("kraken", database).load()
    assert positions == [Position("BTC/USD", 50, T)]
    assert sorted((gap.first, gap.last, gap.status) for gap in gaps) == [
        (1, 7, GapStatus.OPEN),
        (10, 12, GapStatus.HEALING),
    ]
    assert DatabaseStore("binance", database).load() == ([], [])
    with connect(Role.READER, database) as connection:
        (closed,) = connection.execute("select count(*) from trade_gaps where healed_at is not null").fetchone() or (0,)
    assert closed == 1


def test_a_ledger_keeps_what_it_could_not_write(database: Settings) -> None:
    async def scenario() -> None:
        ledger = Ledger(DatabaseStore("kraken", database))
        assert await ledger.load() == ([], [])
        ledger.gap(row(1, 5, GapStatus.OPEN))
        ledger.position(Position("BTC/USD", 9, T))
        assert await ledger.write()
        assert ledger.waiting == 0

    asyncio.run(scenario())


def test_a_database_that_is_away_is_named_so(database: Settings) -> None:
    nowhere = database.model_copy(update={"postgres_port": 1, "database_url": None, "database_writer_url": None})
    with pytest.raises(StoreAwayError):
        DatabaseStore("kraken", nowhere).load()


def test_what_an_exchange_lists_decides_which_pairs_are_collected(database: Settings) -> None:
    wanted = ["BTC/USD", "LUNA/USD", "LUNC/USD", "SOL/USD", "UST/USD"]
    listed = {"BTC/USD": "XBTUSD", "LUNA/USD": "LUNAUSD", "LUNC/USD": "LUNAUSD"}
    found = [Instrument("kraken", pair, "online", None, None, name) for pair, name in listed.items()]
    with connect(Role.WRITER, database, autocommit=True) as connection:
        store(connection, "kraken", Listing(tuple(found)), T)
    ledger = Ledger(DatabaseStore("kraken", database))
    assert asyncio.run(ledger.refused("kraken", wanted)) == {
        "LUNA/USD": "kraken lists LUNA/USD as LUNAUSD, not as LUNA2USD: it may be another coin",
        "SOL/USD": "kraken lists no SOL/USD",
        "UST/USD": "UST is kraken's name of USTC: ask for USTC",
    }
    nothing = Ledger(DatabaseStore("binance", database))
    assert asyncio.run(nothing.refused("binance", ["BTC/USDT"])) == {}, "not known yet"
    away = database.model_copy(update={"postgres_port": 1})
    assert asyncio.run(Ledger(DatabaseStore("kraken", away)).refused("kraken", wanted)) is None
