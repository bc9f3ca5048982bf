"""Imported trades of which some are in quarantine: what their minutes come to once somebody has decided.

    rows of a minute --some fail--> held_trades, quarantine --discard, release--> the candle that the rest comes to
    rows with ids    --some fail--> quarantine --discard--> there is no such trade; --release--> trade_data

Until then such a minute has no candle, or none that is closed. A candle that is fetched or imported meanwhile counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from cryptoviz.backfill.publish import refresh_gaps
from cryptoviz.candles import fetched
from cryptoviz.gate.audit import RowFault, row_faults
from cryptoviz.gate.rows import CandidateRow
from cryptoviz.imports import values
from cryptoviz.imports.chunks import Chunk, Position
from cryptoviz.imports.layouts import Format, Kind, Layout, Packing
from cryptoviz.imports.windows import windows
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.records import Candle, fetched_candle
from cryptoviz.storage.pieces import Pace, piece
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

SUBJECT: Final = "trades_import"
_MINUTE: Final = timedelta(minutes=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DISCARDED: Final = "what a file gives for it was discarded"

_PLACELESS: Final = RowFault("readable", "An older version held it back without its pair: import its file again.")


@dataclass(frozen=True)
class HeldTrade:
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


def read(rows: Sequence[CandidateRow]) -> list[HeldTrade]:
    """Read rows of quarantine as if they had just come from their file."""
    return [HeldTrade(row.key, row.origin, _values(row.payload)) for row in rows]


def refused(connection: Connection[Any], rows: Sequence[CandidateRow]) -> Mapping[int, RowFault]:
    """The rows that today's suite holds back, or that do not say what they are trades of, by their position.

    Raises:
        SuiteError: the suite cannot be read or makes no sense.
        GateError: the gate itself failed.
    """
    again = [replace(row, payload=held.values) for row, held in zip(rows, read(rows), strict=True)]
    placeless = {position: _PLACELESS for position, row in enumerate(rows) if "symbol" not in row.origin}
    return {**placeless, **row_faults(connection, SUBJECT, again)}


def _values(payload: Mapping[str, Any]) -> dict[str, Any]:
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


def discard(connection: Connection[Any], rows: Sequence[CandidateRow]) -> None:
    """Note that these rows are no trades, in the caller's transaction, to which `explain` belongs; `settle` follows."""
    connection.execute(query("held_trades_discard"), {"keys": [row.key for row in rows]})


def explain(connection: Connection[Any], rows: Sequence[CandidateRow]) -> list[HeldTrade]:
    """Note for discarded rows with an id that there is no such trade, in the caller's transaction.

    Returns the trades whose minutes `follow` makes anew. A caller that is killed before that leaves them to
    `settled.settle_open`.
    """
    trades = [held for held in read(rows) if held.single and held.made is not None and "symbol" in held.place]
    for held in sorted(trades, key=lambda held: (held.place["exchange"], held.place["symbol"])):
        found = {"trade_id": held.values["trade_id"], "made": held.made, "reason": _DISCARDED}
        connection.execute(query("trade_explain"), {**held.pair, **found})
    return trades


def follow(connection: Connection[Any], trades: Sequence[HeldTrade]) -> None:
    """Make the minutes of these trades anew, and close those that lacked nothing else. Needs autocommit mode."""
    pace = Pace()
    for held in trades:
        _recall(connection, Series(held.place["exchange"], held.place["symbol"], Timeframe.M1), [held.made])
        with piece(connection, pace):
            connection.execute(query("candles_refresh"), {**held.pair, "instants": [held.made]})


def release(connection: Connection[Any], row: CandidateRow) -> None:
    """Store a row that has passed as the trade that it is in its file, in the caller's transaction.

    The caller has the lock of the candles; `settle` follows.
    """
    [held] = read([row])
    if held.single:
        trade = {f"{name}s": [held.values[name]] for name in ("price", "volume", "side", "trade_id")}
        connection.execute(query("trades_store_fetched"), {**held.pair, **trade, "timestamps": [held.made]})
        connection.execute(query("candles_refresh"), {**held.pair, "instants": [held.made]})
        return
    minute = (held.made or _EPOCH).replace(second=0, microsecond=0)
    parameters = {
        "key": row.key,
        "minute": minute,
        "price": held.values["price"],
        "volume": held.values["volume"],
        "trade_count": _count(held),
    }
    connection.execute(query("held_trades_release"), parameters)


def _count(held: HeldTrade) -> int:
    if held.place.get("aggregated"):
        return 0
    return int(held.values.get("trade_count") or 1)


@dataclass(frozen=True)
class _Minute:
    """A minute of a file whose rows are all decided: a row of the statement `held_trades_decided`."""

    start: datetime
    quiet_until: datetime | None
    settled_until: datetime | None
    known_close: Decimal | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal | None
    trade_count: int | None

    @property
    def end(self) -> datetime:
        return self.quiet_until or self.start + _MINUTE


def settle(connection: Connection[Any]) -> None:
    """Store the candles of minutes whose rows are all decided, and of the minutes without trades after them.

    In pieces, each committed with how far it came: who is killed leaves the rest to the next. The connection must be in
    autocommit mode.
    """
    decided = connection.execute(query("held_trades_decided")).fetchall()
    for (exchange, symbol, fingerprint), group in groupby(decided, key=lambda row: row[:3]):
        minutes = [_Minute(*row[3:]) for row in group]
        _settle_file(connection, Series(exchange, symbol, Timeframe.M1), fingerprint, minutes)


def _settle_file(connection: Connection[Any], series: Series, fingerprint: str, minutes: Sequence[_Minute]) -> None:
    names = {"exchange": series.exchange, "symbol": series.pair, "fingerprint": fingerprint}
    waiting: set[datetime] = set()
    candles, pace = _candles(connection, series, names, minutes, waiting), Pace()
    for _day, of_day in groupby(candles, key=lambda found: found[1].window_start.date()):
        while some := [*islice(of_day, pace.rows)]:
            _recall(connection, series, [candle.window_start for _minute, candle in some])
            with piece(connection, pace):
                _store(connection, series, [candle for _minute, candle in some])
                reached = {minute: candle.window_end for minute, candle in some}
                settled = {"minutes": [*reached], "untils": [*reached.values()]}
                connection.execute(query("held_trades_settled"), {**names, **settled})
    if done := [minute for minute in minutes if minute.start not in waiting]:
        with connection.transaction():
            connection.execute(query("held_trades_done"), {**names, "minutes": [minute.start for minute in done]})
            refresh_gaps(connection, series, done[0].start, max(minute.end for minute in done))


def _recall(connection: Connection[Any], series: Series, starts: Sequence[datetime | None]) -> None:
    connection.execute(query("candles_recall"), {**series.columns, "starts": [*starts]})


def _store(connection: Connection[Any], series: Series, candles: Sequence[Candle]) -> None:
    """Store the candles of a piece, except those that another source has closed meanwhile."""
    names = {"exchange": series.exchange, "symbol": series.pair}
    bounds = {"since": candles[0].window_start, "until": candles[-1].window_start}
    known = {start for (start,) in connection.execute(query("held_trades_known"), {**names, **bounds})}
    if fresh := [candle for candle in candles if candle.window_start not in known]:
        fetched.store(connection, series, fresh)


def _candles(
    connection: Connection[Any],
    series: Series,
    names: Mapping[str, str],
    minutes: Sequence[_Minute],
    waiting: set[datetime],
) -> Iterator[tuple[datetime, Candle]]:
    """The candles of some minutes and of those after them in which nobody traded, each with the minute it follows from.

    A minute whose price before is undecided, too, is added to `waiting`.
    """
    last: tuple[datetime, Decimal | None] | None = None
    for minute in minutes:
        price = minute.close if minute.known_close is None else minute.known_close
        if price is None and minute.quiet_until is not None:
            price = last[1] if last and last[0] == minute.start else _close_before(connection, series, minute.start)
            if price is None and (last is None or last[0] != minute.start) and _waits(connection, names, minute):
                waiting.add(minute.start)
                continue
        last = (minute.end, price)
        if price is None:
            continue
        if minute.settled_until is None:
            yield minute.start, _of_trades(series, minute, price)
        since = max(minute.start + _MINUTE, minute.settled_until or minute.start)
        for start in windows(since, minute.end, _MINUTE):
            yield minute.start, _quiet(series, start, price)


def _of_trades(series: Series, minute: _Minute, price: Decimal) -> Candle:
    if minute.open is None or minute.high is None or minute.low is None or minute.close is None:
        return _quiet(series, minute.start, price)
    prices = (minute.open, minute.high, minute.low, minute.close)
    volume, trades = minute.volume or Decimal(0), minute.trade_count or 0
    return fetched_candle(series, minute.start, prices, volume, trades, received_at=datetime.now(UTC))


def _quiet(series: Series, start: datetime, price: Decimal) -> Candle:
    """The candle of a minute in which nobody traded: the price before it."""
    return fetched_candle(series, start, (price, price, price, price), Decimal(0), 0, received_at=datetime.now(UTC))


def _close_before(connection: Connection[Any], series: Series, start: datetime) -> Decimal | None:
    found = connection.execute(query("import_candle_close"), {**series.columns, "at": start - _MINUTE}).fetchone()
    return Decimal(found[0]) if found else None


def _waits(connection: Connection[Any], names: Mapping[str, str], minute: _Minute) -> bool:
    found = connection.execute(query("held_trades_before"), {**names, "minute": minute.start}).fetchone()
    return bool(found and found[0])
