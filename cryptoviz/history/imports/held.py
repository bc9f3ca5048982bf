"""Imported trades of which some are in quarantine: what their minutes come to once somebody has decided.

    rows of a minute --some fail--> held_trades, quarantine --discard, release--> the candle that the rest comes to
    rows with ids    --some fail--> quarantine --discard--> there is no such trade; --release--> trade_data

Until then such a minute has no candle, or none that is closed. A candle that is fetched or imported meanwhile counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gate import gate
from cryptoviz.gate.frames import Row
from cryptoviz.gate.gate import Fault
from cryptoviz.history import heal
from cryptoviz.history.gaps import Series
from cryptoviz.history.imports import values
from cryptoviz.history.imports.chunks import Chunk, Position
from cryptoviz.history.imports.layouts import Format, Kind, Layout, Packing
from cryptoviz.history.imports.windows import windows
from cryptoviz.history.publish import look
from cryptoviz.pairs import Timeframe
from cryptoviz.records import Candle, CandleSource
from cryptoviz.storage.pieces import Pace, piece
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

SUBJECT: Final = "trades_import"
_MINUTE: Final = timedelta(minutes=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DISCARDED: Final = "what a file gives for it was discarded"

_PLACELESS: Final = Fault("readable", "An older version held it back without its pair: import its file again.")


@dataclass(frozen=True)
class Held:
    """A row of quarantine, read once more. `values`: as they would be staged; `place`: exchange and pair."""

    key: str
    place: Mapping[str, str]
    values: Mapping[str, Any]

    @property
    def made(self) -> datetime | None:
        """When the trade was made."""
        microseconds = self.values.get("microseconds")
        return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)

    @property
    def pair(self) -> dict[str, str]:
        """As statements on trades name it."""
        return {"exchange": self.place["exchange"], "pair": self.place["symbol"]}

    @property
    def single(self) -> bool:
        """Whether it is a trade with its id and side."""
        return self.values.get("trade_id") is not None and "side" in self.values


def read(rows: Sequence[Row]) -> list[Held]:
    """Read rows of quarantine as if they had just come from their file."""
    return [Held(row.key, row.origin, _values(row.payload)) for row in rows]


def refused(connection: Connection[Any], rows: Sequence[Row]) -> Mapping[int, Fault]:
    """The rows that today's suite holds back, or that do not say what they are trades of, by their position.

    Raises:
        SuiteError: the suite cannot be read or makes no sense.
        GateError: the gate itself failed.
    """
    again = [replace(row, payload=held.values) for row, held in zip(rows, read(rows), strict=True)]
    placeless = {position: _PLACELESS for position, row in enumerate(rows) if "symbol" not in row.origin}
    return {**placeless, **gate.refused(connection, SUBJECT, again)}


def _values(payload: Mapping[str, Any]) -> dict[str, Any]:
    import pyarrow as pa  # noqa: PLC0415 - takes a moment

    fields = {name: name for name in payload if name != "text"}
    layout = Layout(Format.CSV, Kind.TRADES, Packing.LINES, tuple(fields), fields)
    if not {"time", "price", "volume"} <= fields.keys():
        return {"unreadable": "the row has not as many cells as the others"}
    table = pa.table({name: [None if payload[name] is None else str(payload[name])] for name in fields})
    chunk = Chunk(Position(), table, pa.array([1]), (), Position(), 1.0, last=True)
    found: dict[str, Any]
    [found] = values.columns(chunk, layout).to_pylist() or [{"unreadable": "the row is empty"}]
    if found.get("microseconds") is not None:
        now = int(datetime.now(UTC).timestamp() * 1_000_000)
        found["age_s"] = (now - found["microseconds"]) / 1e6
    return found


def discard(connection: Connection[Any], rows: Sequence[Row]) -> None:
    """These rows are no trades, within the caller's transaction; `explain` and `settle` follow."""
    connection.execute(query("held_trades_discard"), {"keys": [row.key for row in rows]})


def explain(connection: Connection[Any], rows: Sequence[Row]) -> None:
    """Of rows with an id that were discarded: there is no such trade, and what lacked it alone is known now."""
    for held in read(rows):
        if held.single and held.made is not None and "symbol" in held.place:
            told = {"trade_id": held.values["trade_id"], "made": held.made, "reason": _DISCARDED}
            with connection.transaction():
                connection.execute(query("trade_explain"), {**held.pair, **told})
            with connection.transaction():
                connection.execute(query("lock_candles"))
                connection.execute(query("candles_refresh"), {**held.pair, "instants": [held.made]})


def release(connection: Connection[Any], row: Row) -> None:
    """This row, which has passed, is a trade as it stands in its file; within the caller's transaction.

    The caller has the lock of the candles; `settle` follows.
    """
    [held] = read([row])
    if held.single:
        trade = {f"{name}s": [held.values[name]] for name in ("price", "volume", "side", "trade_id")}
        connection.execute(query("trades_store_fetched"), {**held.pair, **trade, "timestamps": [held.made]})
        connection.execute(query("candles_refresh"), {**held.pair, "instants": [held.made]})
        return
    told = {name: held.values[name] for name in ("price", "volume")}
    minute = (held.made or _EPOCH).replace(second=0, microsecond=0)
    asked = {"key": row.key, "minute": minute, "trade_count": _count(held)}
    connection.execute(query("held_trades_release"), {**asked, **told})


def _count(held: Held) -> int:
    if held.place.get("aggregated"):
        return 0
    return int(held.values.get("trade_count") or 1)


def settle(connection: Connection[Any]) -> None:
    """Store the candles of minutes of which nothing is undecided any more, and of the silence after them.

    The connection must be in autocommit mode: the stream waits for small pieces only. Whoever is killed leaves the rest
    to the next.
    """
    decided = connection.execute(query("held_trades_decided")).fetchall()
    for (exchange, symbol, fingerprint), group in groupby(decided, key=lambda row: row[:3]):
        series, rows, pace = Series(exchange, symbol, Timeframe.M1), list(group), Pace()
        candles = [
            candle
            for _exchange, _symbol, _file, minute, quiet_until, known, *figures in rows
            if not known
            for candle in _candles(connection, series, minute, figures, quiet_until)
        ]
        left = iter(candles)
        while some := [*islice(left, pace.rows)]:
            with piece(connection, pace):
                heal.store(connection, series, some)
        with connection.transaction():
            names = {"exchange": exchange, "symbol": symbol, "fingerprint": fingerprint}
            connection.execute(query("held_trades_done"), {**names, "minutes": [row[3] for row in rows]})
            if candles:
                look(connection, series, candles[0].window_start, candles[-1].window_end)


def _candles(
    connection: Connection[Any],
    series: Series,
    minute: datetime,
    figures: Sequence[Any],
    quiet_until: datetime | None,
) -> list[Candle]:
    """The candle of a minute and of those after it in which nobody traded."""
    opening, high, low, close, volume, count = figures
    if close is None:
        names = {"exchange": series.exchange, "symbol": series.pair, "timeframe": series.timeframe.value}
        before = connection.execute(query("import_candle_close"), {**names, "at": minute - _MINUTE}).fetchone()
        if before is None or quiet_until is None:
            return []
        opening = high = low = close = Decimal(before[0])
        volume, count = Decimal(0), 0
    found = [_candle(series, minute, (opening, high, low, close, volume), count)]
    quiet = (close, close, close, close, Decimal(0))
    following = minute + _MINUTE
    return found + [_candle(series, at, quiet, 0) for at in windows(following, quiet_until or following, _MINUTE)]


def _candle(series: Series, start: datetime, figures: tuple[Decimal, ...], count: int) -> Candle:
    opening, high, low, close, volume = figures
    return Candle(
        received_at=datetime.now(UTC),
        window_start=start,
        window_end=start + _MINUTE,
        exchange=series.exchange,
        symbol=series.pair,
        timeframe=series.timeframe,
        open=opening,
        high=high,
        low=low,
        close=close,
        volume=volume,
        trade_count=count,
        closed=True,
        source=CandleSource.REST,
    )
