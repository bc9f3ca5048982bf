"""Stores the closed candles that an exchange gave: they win over what was made of streamed trades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.storage.pieces import Pace, piece
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.pairs import Series
    from cryptoviz.records import Candle

_FIGURES: Final = ("open", "high", "low", "close", "volume", "trade_count")


def store(connection: Connection[Any], series: Series, candles: Sequence[Candle]) -> None:
    """Store candles of a series, within the caller's transaction if there is one."""
    figures = {f"{name}s": [getattr(candle, name) for candle in candles] for name in _FIGURES}
    starts = [candle.window_start for candle in candles]
    connection.execute(query("candles_store_fetched"), {**series.columns, "starts": starts, **figures})


def store_in_pieces(connection: Connection[Any], series: Series, candles: Sequence[Candle]) -> None:
    """Store candles of a series piece by piece, each committed. The connection must be in autocommit mode."""
    pace, done = Pace(), 0
    while done < len(candles):
        part = candles[done : done + pace.rows]
        starts = [candle.window_start for candle in part]
        connection.execute(query("candles_recall"), {**series.columns, "starts": starts})
        with piece(connection, pace):
            store(connection, series, part)
        done += len(part)
