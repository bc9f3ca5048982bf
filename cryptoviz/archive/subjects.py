"""What leaves the database for the archive: from which table, in what pieces, and where its files are.

Candles, indicators and news leave `cold_storage` by `tiering_policy`, rows of the other tables leave these by
`retention_policy`. What leaves at once is a piece: a UTC month or day, of one series where it comes from a cold table,
else of all. Each file has one series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

LAYOUT: Final = 1
"""Version of names, folders and kinds of columns of the files."""

_NAMED: Final = {"pair": "symbol"}
"""Column -> what the archive calls it."""


class Unit(StrEnum):
    """What leaves at once."""

    DAY = "day"
    MONTH = "month"

    def around(self, instant: datetime) -> tuple[datetime, datetime]:
        """The day or month that an instant lies in: its start, and the start of the next."""
        midnight = instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Unit.DAY:
            return midnight, midnight + timedelta(days=1)
        first = midnight.replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True)
class Subject:
    """One kind of rows. `series`: the columns of which each combination has files of its own."""

    name: str
    relation: str
    time: str
    key: tuple[str, ...]
    series: tuple[str, ...] = ()
    unit: Unit = Unit.MONTH
    hot: str | None = None
    """The table that its rows were in before they went to `relation`."""

    @property
    def table(self) -> tuple[str, ...]:
        """Schema and name of the table that its rows leave."""
        return tuple(self.relation.split("."))


@dataclass(frozen=True)
class Piece:
    """The rows of a subject in a range of time; `series` (column -> value): of that series only."""

    subject: Subject
    since: datetime
    until: datetime
    series: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> dict[str, str]:
        """The series in the words of the catalogue; empty: it has no such column."""
        words = {_NAMED.get(column, column): value for column, value in self.series.items()}
        return {name: words.get(name, "") for name in ("exchange", "symbol", "timeframe")}

    def path(self, revision: int, sha256: str) -> str:
        """Where its file is, below the root of the archive. Other contents never have the same name."""
        folders = [f"{name}={value.replace('/', '-')}" for name, value in self.named.items() if value]
        file = f"{self.since:%Y-%m-%d}-r{revision}-{sha256[:12]}.parquet"
        return "/".join([self.subject.name, *folders, f"month={self.since:%Y-%m}", file])

    def __str__(self) -> str:
        """For people: candles kraken BTC/USD 1m 2026-05."""
        when = f"{self.since:%Y-%m-%d}" if self.subject.unit is Unit.DAY else f"{self.since:%Y-%m}"
        return " ".join([self.subject.name, *self.series.values(), when])


_CANDLE: Final = ("window_start", "exchange", "symbol", "timeframe")
_SERIES: Final = ("exchange", "symbol", "timeframe")

TIERED: Final = ("candles", "indicators", "news")
"""What has a cold tier; the others have an entry in `retention_policy`."""

SUBJECTS: Final[Mapping[str, Subject]] = {
    subject.name: subject
    for subject in (
        Subject("candles", "cold_storage.candles", "window_start", _CANDLE, _SERIES, hot="candles"),
        Subject("indicators", "cold_storage.indicators", "window_start", _CANDLE, _SERIES, hot="indicators"),
        Subject(
            "news",
            "cold_storage.article_data",
            "timestamp",
            ("timestamp", "website", "article_id"),
            hot="article_data",
        ),
        Subject(
            "ticker_data",
            "public.ticker_data",
            "timestamp",
            ("timestamp", "exchange", "pair"),
            ("exchange", "pair"),
            Unit.DAY,
        ),
        Subject(
            "trade_data",
            "public.trade_data",
            "timestamp",
            ("timestamp", "exchange", "pair", "trade_id"),
            ("exchange", "pair"),
            Unit.DAY,
        ),
        Subject("exchange_candles", "public.exchange_candles", "window_start", _CANDLE, _SERIES),
        Subject("alert_data", "public.alert_data", "timestamp", ("timestamp", "exchange", "pair", "alert_type")),
        Subject("sentiment_data", "public.sentiment_data", "timestamp", ("timestamp", "crypto_symbol", "source")),
        Subject("prediction_data", "public.prediction_data", "timestamp", ("timestamp", "crypto_symbol", "model_name")),
        Subject(
            "analytics_data",
            "public.analytics_data",
            "timestamp",
            ("timestamp", "exchange", "pair"),
            ("exchange", "pair"),
        ),
        Subject("anomaly_data", "public.anomaly_data", "timestamp", ("timestamp", "exchange", "pair", "kind")),
        Subject("market_data", "public.market_data", "timestamp", ("timestamp", "source", "symbol"), unit=Unit.DAY),
        Subject("fear_greed_data", "public.fear_greed_data", "timestamp", ("timestamp",)),
    )
}
