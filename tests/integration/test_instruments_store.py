"""The table `instruments` follows what an exchange lists."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cryptoviz.instruments import DELISTED, Instrument, Listing, StatusChange, known_exchanges, store
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect

pytestmark = pytest.mark.services

MONDAY, TUESDAY, FRIDAY = (datetime(2026, 11, day, tzinfo=UTC) for day in (16, 17, 20))


def listing(*pairs: str, status: str = "online") -> Listing:
    step = Decimal("0.000000010")
    return Listing(tuple(Instrument("kraken", pair, status, step, None) for pair in pairs))


def rows(settings: Settings) -> dict[str, tuple[Any, ...]]:
    with connect(Role.READER, settings) as connection:
        found = connection.execute("select pair, status, seen_from, seen_to, price_increment from instruments")
        return {pair: rest for pair, *rest in found.fetchall()}  # type: ignore[misc]


def refresh(settings: Settings, seen: Listing, at: datetime) -> Any:
    with connect(Role.WRITER, settings, autocommit=True) as connection:
        return store(connection, "kraken", seen, at)


def test_a_pair_keeps_when_it_was_first_and_last_seen(database: Settings) -> None:
    assert refresh(database, listing("BTC/USD", "OLD/USD"), MONDAY).new == ("BTC/USD", "OLD/USD")
    gone = refresh(database, listing("BTC/USD"), TUESDAY)
    assert (gone.new, gone.changed, gone.delisted) == ((), (), ("OLD/USD",))
    table = rows(database)
    assert table["BTC/USD"][:3] == ["online", MONDAY, TUESDAY]
    assert table["OLD/USD"][:3] == [DELISTED, MONDAY, MONDAY]
    assert table["BTC/USD"][3] == Decimal("0.000000010")


def test_a_pair_that_comes_back_goes_on_with_its_row(database: Settings) -> None:
    refresh(database, listing("BTC/USD", "OLD/USD"), MONDAY)
    refresh(database, listing("BTC/USD"), TUESDAY)
    back = refresh(database, listing("BTC/USD", "OLD/USD"), FRIDAY)
    assert back.changed == (StatusChange("OLD/USD", DELISTED, "online"),)
    assert rows(database)["OLD/USD"][:3] == ["online", MONDAY, FRIDAY]


def test_the_same_listing_twice_changes_nothing_but_the_time(database: Settings) -> None:
    refresh(database, listing("BTC/USD"), MONDAY)
    again = refresh(database, listing("BTC/USD"), TUESDAY)
    assert (again.new, again.changed, again.delisted) == ((), (), ())
    late = refresh(database, listing("BTC/USD"), MONDAY)
    assert not late.changed
    assert rows(database)["BTC/USD"][2] == TUESDAY, "an older answer does not turn the clock back"


def test_one_exchange_leaves_the_others_alone(database: Settings) -> None:
    refresh(database, listing("BTC/USD"), MONDAY)
    with connect(Role.WRITER, database, autocommit=True) as connection:
        other = Listing((Instrument("coinbase", "ETH/USD", "online", None, None),))
        store(connection, "coinbase", other, TUESDAY)
        assert known_exchanges(connection) == {"kraken", "coinbase"}
    assert rows(database)["BTC/USD"][0] == "online"
