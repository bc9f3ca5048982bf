"""Judge every stream now: the same answer for the supervisor, `cryptoviz status` and the containers' health checks.

stream_status, lock, newest rows --+
stream_verdicts (memory) ----------+--> supervision.decide --> decision --(supervisor only)--> stream_verdicts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptoviz.settings import Settings
from cryptoviz.storage import driver
from cryptoviz.storage.queries import fetch_rows, query
from cryptoviz.streams.facts import COLLECTOR, INGESTION, HealthLimits, PairFacts, StreamFacts
from cryptoviz.streams.supervision import Decision, StreamMemory, decide, memory_from_json, memory_to_json, pairs_behind

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class JudgedStream:
    """A stream: its row of the query `stream_facts`, a collector's with its pairs as `stored`, and its decision."""

    row: Mapping[str, Any]
    decision: Decision


def judge_streams(connection: Connection[Any], settings: Settings, now: float) -> dict[str, JudgedStream]:
    """Each stream of these settings by name; `now` in Unix seconds. Writes nothing.

    Raises:
        psycopg.Error: the database does not answer.
    """
    limits, before = HealthLimits.of(settings), _remembered(connection)
    rows = _rows(connection, {name: settings.pairs(name) for name in settings.exchanges})
    collectors = {
        name: decide(_facts(row), before.get(name, StreamMemory()), limits, now)
        for name, row in rows.items()
        if name != INGESTION
    }
    late = pairs_behind({name.removeprefix(COLLECTOR): found.memory for name, found in collectors.items()})
    ingestion = decide(_facts(rows[INGESTION]), before.get(INGESTION, StreamMemory()), limits, now, behind=late)
    return {name: JudgedStream(rows[name], found) for name, found in (collectors | {INGESTION: ingestion}).items()}


def remember_verdict(connection: Connection[Any], name: str, decision: Decision) -> None:
    """Keep the memory for the next evaluation. Only the supervisor calls this: status and health checks write nothing.

    Raises:
        psycopg.Error: the database does not answer.
    """
    values = {"name": name, "verdict": decision.verdict, "reason": decision.reason}
    connection.execute(
        query("stream_verdict_upsert"), values | {"memory": driver.Jsonb(memory_to_json(decision.memory))}
    )


def _remembered(connection: Connection[Any]) -> dict[str, StreamMemory]:
    known = {name: memory_from_json(memory) for name, memory in connection.execute(query("stream_verdicts"))}
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
    reported = detail.get("pairs", {}).get(pair, {})
    refusals = detail.get("refused_subscriptions", {})
    return PairFacts(
        pair,
        trade_age=stored["trade_age"],
        ticker_age=stored["ticker_age"],
        heard_age=reported.get("age"),
        quote_age=reported.get("quote_age"),
        asked_age=reported.get("asked_age"),
        deaf_for=reported.get("deaf_for"),
        refused=next((reason for subscription, reason in refusals.items() if subscription.endswith(f" {pair}")), ""),
    )
