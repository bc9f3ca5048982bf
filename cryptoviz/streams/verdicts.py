"""Every stream judged now: one answer for the supervisor, `cryptoviz status` and the health checks of containers.

stream_status, lock, newest rows --+
stream_verdicts (remembered) ------+--> cryptoviz.streams.supervision.decide --> verdict --supervisor only--> remembered
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptoviz.settings import Settings
from cryptoviz.storage import driver
from cryptoviz.storage.queries import fetch_rows, query
from cryptoviz.streams.supervision import (
    COLLECTOR,
    INGESTION,
    Bounds,
    Decision,
    Memory,
    PairFacts,
    StreamFacts,
    behind,
    decide,
    dumped,
    loaded,
)

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class Judged:
    """A stream: its row of the query `stream_facts` (a collector's with `stored`, its pairs), and how it is."""

    row: Mapping[str, Any]
    decision: Decision


def judge(connection: Connection[Any], settings: Settings, now: float) -> dict[str, Judged]:
    """Each stream of these settings by name; `now` in Unix seconds. Writes nothing.

    Raises:
        psycopg.Error: the database does not answer.
    """
    bounds, before = Bounds.of(settings), _remembered(connection)
    rows = _rows(connection, {name: settings.pairs(name) for name in settings.exchanges})
    collectors = {
        name: decide(_facts(row), before.get(name, Memory()), bounds, now)
        for name, row in rows.items()
        if name != INGESTION
    }
    late = behind({name.removeprefix(COLLECTOR): found.memory for name, found in collectors.items()})
    ingestion = decide(_facts(rows[INGESTION]), before.get(INGESTION, Memory()), bounds, now, behind=late)
    return {name: Judged(rows[name], found) for name, found in (collectors | {INGESTION: ingestion}).items()}


def remember(connection: Connection[Any], name: str, decision: Decision) -> None:
    """Keep what the next look has to know. The supervisor's alone: whoever only asks leaves no trace.

    Raises:
        psycopg.Error: the database does not answer.
    """
    values = {"name": name, "verdict": decision.verdict, "reason": decision.reason}
    connection.execute(query("stream_verdict_upsert"), values | {"memory": driver.Jsonb(dumped(decision.memory))})


def _remembered(connection: Connection[Any]) -> dict[str, Memory]:
    known = {name: loaded(memory) for name, memory in connection.execute(query("stream_verdicts"))}
    return {name: memory for name, memory in known.items() if memory is not None}


def _rows(connection: Connection[Any], pairs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    names = [*(f"{COLLECTOR}{exchange}" for exchange in pairs), INGESTION]
    rows = {row["name"]: row for row in fetch_rows(connection, "stream_facts", {"names": names})}
    series = [(exchange, pair) for exchange, names in pairs.items() for pair in names]
    wanted = {"exchanges": [exchange for exchange, _ in series], "pairs": [pair for _, pair in series]}
    for stored in fetch_rows(connection, "pair_freshness", wanted):
        rows[f"{COLLECTOR}{stored['exchange']}"].setdefault("stored", []).append(stored)
    return rows


def _facts(row: Mapping[str, Any]) -> StreamFacts:
    return StreamFacts.of(row, [_pair(stored, row["detail"]) for stored in row.get("stored", ())])


def _pair(stored: Mapping[str, Any], detail: Mapping[str, Any]) -> PairFacts:
    pair = stored["pair"]
    said = detail.get("pairs", {}).get(pair, {})
    refusals = detail.get("refused_subscriptions", {})
    return PairFacts(
        pair,
        trade_age=stored["trade_age"],
        ticker_age=stored["ticker_age"],
        heard_age=said.get("age"),
        quote_age=said.get("quote_age"),
        asked_age=said.get("asked_age"),
        deaf_for=said.get("deaf_for"),
        refused=next((why for what, why in refusals.items() if what.endswith(f" {pair}")), ""),
    )
