"""The table `instruments` follows what an exchange lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cryptoviz.exchanges import unconfirmed
from cryptoviz.gate import engine
from cryptoviz.gate.report import GateError, GateReport
from cryptoviz.instruments import (
    DELISTED,
    Changes,
    Instrument,
    Listing,
    StatusChange,
    known_exchanges,
    listed_as,
    publish,
    store,
)
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
    assert rows(database)["BTC/USD"][0] == "online"


def test_an_exchange_is_known_once_every_configured_pair_has_its_spelling(database: Settings) -> None:
    old = Instrument("kraken", "BTC/USD", "online", None, None)
    with connect(Role.WRITER, database, autocommit=True) as connection:

        def known(*pairs: str) -> bool:
            return bool(known_exchanges(connection, {"kraken": pairs}))

        assert not known("BTC/USD")
        store(connection, "kraken", Listing((old,)), MONDAY)
        assert not known("BTC/USD"), "its row is from before spellings were kept"
        store(connection, "kraken", Listing((replace(old, spelling="XBTUSD"),)), TUESDAY)
        assert known("BTC/USD")
        assert not known("BTC/USD", "SOL/USD"), "a pair was added"
        store(connection, "kraken", Listing((old,)), FRIDAY)
        assert listed_as(connection, "kraken") == {"BTC/USD": "XBTUSD"}


def gated(settings: Settings, seen: Listing, at: datetime) -> tuple[GateReport, Changes]:
    with connect(Role.WRITER, settings, autocommit=True) as connection:
        return publish(connection, "kraken", seen, at, run=f"run of {at:%A}", asset="instruments")


def quarantined(settings: Settings) -> list[tuple[Any, ...]]:
    with connect(Role.READER, settings) as connection:
        return connection.execute("select key, expectation, occurrences from quarantine order by key").fetchall()


def test_a_pair_that_fails_the_gate_keeps_its_row_and_is_not_delisted(database: Settings) -> None:
    report, _ = gated(database, listing("BTC/USD", "ETH/USD"), MONDAY)
    assert report.passed
    broken = Instrument("kraken", "ETH/USD", "online", Decimal(0), None)
    for day in (TUESDAY, FRIDAY):
        report, changes = gated(database, Listing((*listing("BTC/USD").instruments, broken)), day)
        assert (report.passed, report.blocked, report.counts.quarantined) == (False, False, 1)
        assert changes.delisted == ()
    table = rows(database)
    assert table["BTC/USD"][:3] == ["online", MONDAY, FRIDAY]
    assert table["ETH/USD"] == ["online", MONDAY, MONDAY, Decimal("0.000000010")]
    assert quarantined(database) == [("kraken|ETH/USD", "price_step_above_zero", 2)]


NEW_AND_UNREADABLE = {
    "a step of zero": (Instrument("kraken", "SOL/USD", "online", Decimal(0), None, "SOLUSD"), "price_step_above_zero"),
    "a step of nothing": (
        Instrument("kraken", "SOL/USD", "online", Decimal("NaN"), None, "SOLUSD"),
        "numbers_readable",
    ),
    "no status": (Instrument("kraken", "SOL/USD", "", None, None, "SOLUSD"), "status_known"),
}


@pytest.mark.parametrize(("new", "expectation"), NEW_AND_UNREADABLE.values(), ids=NEW_AND_UNREADABLE)
def test_a_new_pair_that_is_held_back_is_listed_all_the_same(
    database: Settings, new: Instrument, expectation: str
) -> None:
    bitcoin = Instrument("kraken", "BTC/USD", "online", None, None, "XBTUSD")
    wanted = ["BTC/USD", "SOL/USD", "XRP/USD"]
    absent = {"XRP/USD": "kraken lists no XRP/USD"}
    with connect(Role.WRITER, database, autocommit=True) as connection:
        gated(database, Listing((bitcoin,)), MONDAY)
        assert set(unconfirmed("kraken", wanted, listed_as(connection, "kraken"))) == {"SOL/USD", "XRP/USD"}
        gated(database, Listing((bitcoin, new)), TUESDAY)
        assert quarantined(database) == [("kraken|SOL/USD", expectation, 1)]
        assert unconfirmed("kraken", wanted, listed_as(connection, "kraken")) == absent
        assert known_exchanges(connection, {"kraken": wanted[:2]}) == {"kraken"}
        assert listed_as(connection, "binance") == {}
        number = connection.execute("update quarantine set discarded_at = now() returning id").fetchone()
        assert number is not None
        assert unconfirmed("kraken", wanted, listed_as(connection, "kraken")) == absent, "it was listed"
    assert "SOL/USD" not in rows(database)


def test_a_pair_that_comes_twice_is_listed_and_still_must_be_the_coin_that_we_mean(database: Settings) -> None:
    bitcoin = Instrument("kraken", "BTC/USD", "online", None, None, "XBTUSD")
    augur = [Instrument("kraken", "REP/USD", "online", None, None, name) for name in ("REPUSD", "REPUSD")]
    gated(database, Listing((bitcoin, *augur)), MONDAY)
    assert quarantined(database) == [("kraken|REP/USD", "pair_once", 2)]
    with connect(Role.WRITER, database, autocommit=True) as connection:
        assert unconfirmed("kraken", ["REP/USD"], listed_as(connection, "kraken")) == {
            "REP/USD": "kraken lists REP/USD as REPUSD, not as REPV2USD: it may be another coin"
        }


def test_of_an_exchange_whose_first_listing_is_held_back_nothing_is_known(database: Settings) -> None:
    gated(database, Listing((Instrument("kraken", "BTC/USD", "online", Decimal(0), None, "XBTUSD"),)), MONDAY)
    with connect(Role.WRITER, database, autocommit=True) as connection:
        assert listed_as(connection, "kraken") == {}
        assert unconfirmed("kraken", ["BTC/USD", "ETH/USD"], listed_as(connection, "kraken")) == {}


def test_a_listing_of_which_half_is_gone_changes_nothing(database: Settings) -> None:
    gated(database, listing("BTC/USD", *(f"C{number}/USD" for number in range(19))), MONDAY)
    before = rows(database)
    report, changes = gated(database, listing("BTC/USD"), TUESDAY)
    assert report.blocked
    assert changes == Changes((), (), ())
    assert rows(database) == before
    assert quarantined(database) == [("kraken|BTC/USD", "listing_whole", 1)]


def test_an_exchange_of_few_pairs_may_delist_most_of_them(database: Settings) -> None:
    gated(database, listing("BTC/USD", "ETH/USD", "ADA/USD"), MONDAY)
    report, changes = gated(database, listing("BTC/USD"), TUESDAY)
    assert report.passed
    assert changes.delisted == ("ADA/USD", "ETH/USD")


def test_when_the_gate_itself_fails_nothing_changes(database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> Any:
        raise GateError("no room for a metric")

    monkeypatch.setattr(engine, "evaluate", broken)
    with pytest.raises(GateError):
        gated(database, listing("BTC/USD"), MONDAY)
    assert rows(database) == {}
    assert quarantined(database) == []
