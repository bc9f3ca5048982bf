"""Heals gaps in the trades: fetches missing ids slice by slice, and stores trades together with the candles they make.

    due gaps --claim--> slice of ids: ask -> store, in pieces -> record what still lacks -> rule on it

What a slice brought stays; what was not reached is left for later with the reason.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.candles.settle import settle
from cryptoviz.exchanges.history import TradeHistory, TradesAnswer
from cryptoviz.gaps.healing_run import HealingResult, HealingRun
from cryptoviz.gaps.labels import GapStatus
from cryptoviz.gaps.rulings import TradeGap, lacking_trades, refused_trades, unanswered_trades
from cryptoviz.gaps.tables import (
    GapOutcome,
    claim_trade_gaps,
    record_trade_gaps,
    renew_trade_claims,
    rule_trade_gaps,
)
from cryptoviz.pairs import Timeframe, floor
from cryptoviz.records import Trade
from cryptoviz.remote.errors import PermanentError, TransientError
from cryptoviz.storage.pieces import LEAST, Pace, piece
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

SLICE: Final = 20_000
"""So many trade ids are asked for at once: some megabytes, and a minute at the pace that exchanges allow."""

_SMALLEST: Final = timedelta(microseconds=1)


def heal_trades(healing: HealingRun[TradeHistory], exchanges: Sequence[str]) -> Iterator[HealingResult]:
    """Heal the gaps in the trades that are due and that no collector is at work on; the candles follow."""
    while not healing.out_of_time:
        gaps = claim_trade_gaps(healing.connection, exchanges, healing.clock())
        if not gaps:
            return
        yield _heal(healing, gaps)


def _heal(healing: HealingRun[TradeHistory], gaps: Sequence[TradeGap]) -> HealingResult:
    connection, exchange, pair = healing.connection, gaps[0].exchange, gaps[0].pair
    first, last, since = gaps[0].first, gaps[-1].last, gaps[0].made_after
    counts: Counter[GapOutcome] = Counter()
    complete, reason, verdict = True, "", unanswered_trades
    for start in range(first, last + 1, SLICE):
        try:
            if healing.out_of_time:
                raise TransientError("out of time")
            answer, healed = _heal_slice(healing, gaps, (start, min(start + SLICE - 1, last)), since)
        except TransientError as error:
            reason = str(error)
            break
        except PermanentError as error:
            reason, verdict = str(error), refused_trades
            break
        since = max((since, *(trade.timestamp for trade in answer.rows)))
        counts += healed
        complete = answer.complete
        if not complete:
            break
        renew_trade_claims(connection, exchange, pair, healing.clock())
    if reason:
        rulings = [verdict(gap, healing.clock(), reason) for gap in gaps]
    else:
        rulings = [lacking_trades(gap, healing.clock(), complete=complete) for gap in gaps]
    counts += rule_trade_gaps(connection, gaps, rulings)
    settle(connection, exchange, pair, gaps[0].made_after, gaps[-1].made_before + _SMALLEST)
    return HealingResult(f"{exchange} {pair} trades {first} to {last}", counts, reason)


def _heal_slice(
    healing: HealingRun[TradeHistory], gaps: Sequence[TradeGap], ids: tuple[int, int], since: datetime
) -> tuple[TradesAnswer, Counter[GapOutcome]]:
    exchange, pair, before = gaps[0].exchange, gaps[0].pair, max(gap.made_before for gap in gaps)
    answer = healing.history.trades(exchange, pair, *ids, since=since, until=before)
    newest = max((since, *(trade.timestamp for trade in answer.rows)))
    until = max(newest, before) if ids[1] == gaps[-1].last else newest
    _store_in_pieces(healing.connection, gaps, answer.rows)
    with healing.connection.transaction():
        recorded = record_trade_gaps(healing.connection, exchange, pair, since, until + _SMALLEST)
    healed = {outcome: count for outcome, count in recorded.items() if outcome[0] == GapStatus.HEALED}
    return answer, Counter(healed)


def _store_in_pieces(connection: Connection[Any], gaps: Sequence[TradeGap], trades: Iterable[Trade]) -> None:
    """Store the trades that lie in the gaps, with the candles they make, piece by piece."""
    lasts = [gap.last for gap in gaps]
    missing = [
        trade
        for trade in trades
        for place in [bisect_left(lasts, trade.trade_id)]
        if place < len(gaps) and gaps[place].first <= trade.trade_id
    ]
    pair = {"exchange": gaps[0].exchange, "pair": gaps[0].pair}
    missing.sort(key=lambda trade: (trade.timestamp, trade.trade_id))
    pace, done = Pace(), 0
    while done < len(missing):
        part = _of_few_minutes(missing[done : done + pace.rows])
        day = {"symbol": pair["pair"], "timeframe": Timeframe.M1.value, "starts": [part[0].timestamp]}
        connection.execute(query("candles_recall"), {"exchange": pair["exchange"], **day})
        with piece(connection, pace, "lock_batch"):
            _store(connection, pair, part)
        done += len(part)


def _of_few_minutes(trades: Sequence[Trade]) -> Sequence[Trade]:
    """The first of some trades in their order, all of one day: each minute is a candle to be made."""
    minutes: set[datetime] = set()
    day = floor(trades[0].timestamp, Timeframe.D1)
    for count, trade in enumerate(trades):
        minutes.add(floor(trade.timestamp, Timeframe.M1))
        if len(minutes) > LEAST or floor(trade.timestamp, Timeframe.D1) > day:
            return trades[:count]
    return trades


def _store(connection: Connection[Any], pair: Mapping[str, str], trades: Sequence[Trade]) -> None:
    new_minutes = connection.execute(
        query("trades_store_fetched"),
        {
            **pair,
            "timestamps": [trade.timestamp for trade in trades],
            "trade_ids": [trade.trade_id for trade in trades],
            "prices": [trade.price for trade in trades],
            "volumes": [trade.volume for trade in trades],
            "sides": [trade.side for trade in trades],
        },
    ).fetchall()
    if new_minutes:
        connection.execute(query("lock_candles"))
        instants = [instant for (instant,) in new_minutes]
        connection.execute(query("candles_refresh"), {**pair, "instants": instants})
