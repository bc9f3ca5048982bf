"""Why a fetched candle is not what its trades came to: every difference ends with its cause written down.

    candle_differences, trade_data, trade_gaps, exchange_candles -> facts -> cause -> written down, and a quality result

Whatever trades turn out to be missing becomes a gap in the trades, and is healed like any compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.candles.settle import settle
from cryptoviz.clock import Clock, now
from cryptoviz.gaps.tables import record_trade_gaps
from cryptoviz.pairs import Series
from cryptoviz.storage import driver
from cryptoviz.storage.queries import fetch_rows, query

if TYPE_CHECKING:
    from psycopg import Connection

TRADES_ARRIVE_WITHIN: Final = timedelta(minutes=2)
"""Trades that are still on their way when a candle is fetched arrive within this time."""

SUITE: Final = "fetched_equals_streamed"
_AT_ONCE: Final = 500
_FIELDS: Final = ("open", "high", "low", "close", "volume", "trade_count")


class Cause(StrEnum):
    """Why two candles of one window differ."""

    MISSING_TRADES = "missing_trades"
    """We lack trades of the window."""
    LATE_TRADES = "late_trades"
    """The trades arrived after the candle had been fetched: by now they come to what was fetched."""
    ROUNDING = "rounding"
    """By no more than the smallest step of price or amount."""
    SOURCE_REVISED = "source_revised"
    """The exchange's own live candle agrees with the trades, what it says now does not."""
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class CandleFigures:
    """Open to close, volume and trade count of a candle."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trade_count: int

    def equals(
        self, compared: CandleFigures, price_step: Decimal = Decimal(0), volume_step: Decimal = Decimal(0)
    ) -> bool:
        """Whether the figures are equal, give or take these steps. A trade count of 0 beside a volume says nothing."""
        counted = all(numbers.trade_count or not numbers.volume for numbers in (self, compared))
        prices = zip(self.prices, compared.prices, strict=True)
        return (
            all(abs(mine - theirs) <= price_step for mine, theirs in prices)
            and abs(self.volume - compared.volume) <= volume_step
            and (self.trade_count == compared.trade_count or not counted)
        )

    @property
    def prices(self) -> tuple[Decimal, ...]:
        """Open, high, low and close."""
        return (self.open, self.high, self.low, self.close)


@dataclass(frozen=True)
class DifferenceFacts:
    """What is known of a difference.

    `trades`: what the stored trades of the window come to now. `missing`: ids between and beside them that are not
    stored and not known to be missing at the exchange, too. `begins`: no earlier trade of the pair is stored.
    `witness`: the exchange's own live candle. `minutes`: what the minutes of a longer candle come to now, where all of
    them are known, and `minutes_fetched` whether the exchange gave each of them.
    """

    streamed: CandleFigures
    fetched: CandleFigures
    trades: CandleFigures | None
    missing: int
    begins: bool
    witness: CandleFigures | None
    price_step: Decimal
    volume_step: Decimal
    minutes: CandleFigures | None = None
    minutes_fetched: bool = False


@dataclass(frozen=True)
class ExplainedDifference:
    """A difference with its cause, and why it is believed to be that."""

    series: Series
    window_start: datetime
    cause: Cause
    detail: Mapping[str, Any] = field(default_factory=dict)


def cause(facts: DifferenceFacts) -> tuple[Cause, str]:
    """Why the candles differ, and the evidence in words."""
    if facts.trades is not None and facts.trades.equals(facts.fetched):
        return Cause.LATE_TRADES, "the trades now come to what was fetched"
    if facts.minutes is not None and facts.minutes.equals(facts.fetched):
        return Cause.LATE_TRADES, "the minutes now come to what was fetched"
    if facts.missing:
        return Cause.MISSING_TRADES, f"{facts.missing} trade ids are missing in and beside the window"
    made = facts.minutes or facts.trades or facts.streamed
    if made.equals(facts.fetched, facts.price_step, facts.volume_step * max(made.trade_count, 1)):
        return Cause.ROUNDING, "they differ by no more than the smallest steps"
    if facts.minutes is not None and facts.minutes_fetched:
        return Cause.SOURCE_REVISED, "the exchange's own minutes come to something else"
    return _with_all_ids(facts)


def _with_all_ids(facts: DifferenceFacts) -> tuple[Cause, str]:
    if facts.trades is None:
        return Cause.UNEXPLAINED, "no trade of the window is stored any more"
    if facts.begins:
        return Cause.MISSING_TRADES, "collecting the pair began within the window"
    if facts.witness is not None and facts.witness.equals(facts.trades):
        return Cause.SOURCE_REVISED, "the exchange's live candle agrees with the trades, which have no gap"
    return Cause.UNEXPLAINED, "the trades have no gap"


def compare(connection: Connection[Any], exchange: str, pairs: Sequence[str], since: datetime, until: datetime) -> int:
    """Compare fetched minutes with their trades, and fetched longer candles with their parts; how many differ newly.

    Longer candles are those of the days that the range touches. The connection must be in autocommit mode.
    """
    parameters = {"exchange": exchange, "pairs": list(pairs), "since": since, "until": until}
    minutes = len(connection.execute(query("candle_differences_find"), parameters).fetchall())
    return minutes + sum(settle(connection, exchange, pair, since, until)["differing"] for pair in pairs)


def explain(connection: Connection[Any], run: str, *, clock: Clock = now) -> list[ExplainedDifference]:
    """Write down the cause of every difference that has none, each as a result of `run`; gaps in trades are recorded.

    A difference of the last moments waits for trades that are still under way. The connection must be in autocommit
    mode.
    """
    explained: list[ExplainedDifference] = []
    while rows := _unexplained(connection, clock()):
        with connection.transaction():
            explained += [_explain(connection, row) for row in rows]
            _write(connection, explained[-len(rows) :], run, clock())
    _conclude(connection, explained, run, clock())
    return explained


def _unexplained(connection: Connection[Any], at: datetime) -> list[dict[str, Any]]:
    return fetch_rows(
        connection, "candle_differences_facts", {"found_before": at - TRADES_ARRIVE_WITHIN, "limit": _AT_ONCE}
    )


def _explain(connection: Connection[Any], row: Mapping[str, Any]) -> ExplainedDifference:
    series = Series.of(row["exchange"], row["symbol"], row["timeframe"])
    facts = DifferenceFacts(
        _numbers(row, "stream"),
        _numbers(row, "rest"),
        _numbers(row, "trades") if row["trades_trade_count"] else None,
        row["missing"],
        row["begins"],
        _numbers(row, "live") if row["live_open"] is not None else None,
        row["price_increment"] or Decimal(0),
        row["volume_increment"] or Decimal(0),
        _numbers(row, "minutes") if row["minutes_open"] is not None else None,
        bool(row["minutes_fetched"]),
    )
    found, words = cause(facts)
    if facts.missing:
        record_trade_gaps(connection, series.exchange, series.pair, row["window_start"], row["window_end"])
    differing = {
        name: {"streamed": str(getattr(facts.streamed, name)), "fetched": str(getattr(facts.fetched, name))}
        for name in _FIELDS
        if getattr(facts.streamed, name) != getattr(facts.fetched, name)
    }
    return ExplainedDifference(series, row["window_start"], found, {"evidence": words, **differing})


def _numbers(row: Mapping[str, Any], prefix: str) -> CandleFigures:
    return CandleFigures(*(row[f"{prefix}_{name}"] for name in _FIELDS))


def _write(connection: Connection[Any], explained: Sequence[ExplainedDifference], run: str, at: datetime) -> None:
    details = [driver.Jsonb(dict(difference.detail)) for difference in explained]
    connection.execute(
        query("candle_differences_explain"),
        {
            "window_start": [difference.window_start for difference in explained],
            "exchange": [difference.series.exchange for difference in explained],
            "symbol": [difference.series.pair for difference in explained],
            "timeframe": [difference.series.timeframe.value for difference in explained],
            "cause": [difference.cause.value for difference in explained],
            "detail": details,
            "now": at,
        },
    )
    results = [
        _CheckResult(
            f"{difference.series} {difference.window_start:%Y-%m-%d %H:%M}",
            False,
            {"cause": difference.cause.value, **difference.detail},
            1,
        )
        for difference in explained
    ]
    _keep(connection, run, at, results)


def _conclude(connection: Connection[Any], explained: Sequence[ExplainedDifference], run: str, at: datetime) -> None:
    causes = Counter(difference.cause.value for difference in explained)
    observed = {"differences": len(explained), **causes}
    whole = _CheckResult("every fetched candle is what was streamed", not explained, observed, len(explained))
    _keep(connection, run, at, [whole])


@dataclass(frozen=True)
class _CheckResult:
    expectation: str
    success: bool
    observed: Mapping[str, Any]
    count: int


def _keep(connection: Connection[Any], run: str, at: datetime, results: Sequence[_CheckResult]) -> None:
    connection.execute(
        query("quality_results_insert"),
        {
            "run": run,
            "asset": "candles",
            "suite": SUITE,
            "evaluated_at": at,
            "expectation": [result.expectation for result in results],
            "severity": ["warning"] * len(results),
            "success": [result.success for result in results],
            "observed": [driver.Jsonb(dict(result.observed)) for result in results],
            "unexpected_count": [result.count for result in results],
        },
    )
