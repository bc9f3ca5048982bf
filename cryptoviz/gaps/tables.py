"""The rows of `candle_gaps` and `trade_gaps`: claimed, brought in line with what is stored, ruled on.

Each function is one statement; what it changed is counted by what it is now, in windows or trades.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gaps.labels import GapLabel, GapStatus
from cryptoviz.gaps.rulings import PER_REQUEST, Gap, Ruling, TradeGap, TradeRuling
from cryptoviz.pairs import Series
from cryptoviz.storage import driver
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

CLAIM_TIMEOUT: Final = timedelta(minutes=15)
"""A claim whose holder has not renewed it for so long is taken over."""

GapOutcome = tuple[str, str | None]
"""Status and label."""

_RULED_COLUMNS: Final = ("label", "status", "confirmations", "due_at", "reason")


def claim_candle_gaps(connection: Connection[Any], exchanges: Sequence[str], now: datetime) -> list[Gap]:
    """Claim the next gaps that are due, in the order of time: those of one series that one request reaches."""
    gaps = [
        Gap(
            Series.of(exchange, pair, timeframe),
            start,
            end,
            GapLabel(label) if label else None,
            GapStatus.HEALING,
            attempts,
            confirmations,
        )
        for exchange, pair, timeframe, start, end, label, attempts, confirmations in _claim(
            connection, "candle_gaps_claim", exchanges, now
        )
    ]
    return sorted(gaps, key=lambda gap: gap.start)


def claim_trade_gaps(connection: Connection[Any], exchanges: Sequence[str], now: datetime) -> list[TradeGap]:
    """Claim the next gaps that are due, in the order of ids: those of one pair that one request reaches."""
    gaps = [TradeGap(*row) for row in _claim(connection, "trade_gaps_claim", exchanges, now)]
    return sorted(gaps, key=lambda gap: gap.first)


def renew_candle_claims(connection: Connection[Any], series: Series, now: datetime) -> None:
    """Keep the claims on the gaps of a series from being taken over."""
    connection.execute(query("candle_gaps_asking"), {**series.columns, "now": now})


def renew_trade_claims(connection: Connection[Any], exchange: str, pair: str, now: datetime) -> None:
    """Keep the claims on the trade gaps of a pair from being taken over."""
    connection.execute(query("trade_gaps_asking"), {"exchange": exchange, "pair": pair, "now": now})


def record_candle_gaps(
    connection: Connection[Any], series: Series, since: datetime, until: datetime
) -> Counter[GapOutcome]:
    """Bring `candle_gaps` and `completeness` in line with the stored candles of a range; the windows that changed."""
    parameters = {**series.columns, "since": since, "until": until}
    return _counted(connection.execute(query("candle_gaps_record"), parameters))


def record_trade_gaps(
    connection: Connection[Any], exchange: str, pair: str, since: datetime, until: datetime
) -> Counter[GapOutcome]:
    """Bring `trade_gaps` in line with the stored trades of a range; the trade ids that changed."""
    parameters = {"exchange": exchange, "pair": pair, "since": since, "until": until}
    return _counted(connection.execute(query("trade_gaps_record"), parameters))


def rule_candle_gaps(connection: Connection[Any], series: Series, rulings: Sequence[Ruling]) -> Counter[GapOutcome]:
    """Write down what became known of windows that stay missing; the windows that changed."""
    if not rulings:
        return Counter()
    parameters = {
        **series.columns,
        "starts": [ruling.start for ruling in rulings],
        "ends": [ruling.end for ruling in rulings],
        "labels": [ruling.label for ruling in rulings],
        "statuses": [ruling.status for ruling in rulings],
        "confirmations": [ruling.confirmations for ruling in rulings],
        "due_at": [ruling.due_at for ruling in rulings],
        "details": [driver.Jsonb(ruling.detail) for ruling in rulings],
    }
    return _counted(connection.execute(query("candle_gaps_rule"), parameters))


def rule_trade_gaps(
    connection: Connection[Any], gaps: Sequence[TradeGap], rulings: Sequence[TradeRuling]
) -> Counter[GapOutcome]:
    """Write down what became known of the missing trades of one pair, one ruling per gap; the trades that changed."""
    parameters = {
        "exchange": gaps[0].exchange,
        "pair": gaps[0].pair,
        "first_id": [gap.first for gap in gaps],
        "last_id": [gap.last for gap in gaps],
        **{name: [getattr(ruling, name) for ruling in rulings] for name in _RULED_COLUMNS},
    }
    return _counted(connection.execute(query("trade_gaps_rule"), parameters))


def _claim(
    connection: Connection[Any], statement: str, exchanges: Sequence[str], now: datetime
) -> list[tuple[Any, ...]]:
    parameters = {
        "exchanges": list(exchanges),
        "now": now,
        "silent_since": now - CLAIM_TIMEOUT,
        "per_request": PER_REQUEST,
    }
    return connection.execute(query(statement), parameters).fetchall()


def _counted(rows: Iterable[tuple[Any, ...]]) -> Counter[GapOutcome]:
    counts: Counter[GapOutcome] = Counter()
    for status, label, _gaps, missing in rows:
        counts[status, label] += missing
    return counts
