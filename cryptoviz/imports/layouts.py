"""Which column of a file is what: recognised from its content, never only from its name.

    first bytes, first line -> Layout (format, kind, fields)

| format               | what it looks like                                                              |
|----------------------|---------------------------------------------------------------------------------|
| kraken               | trades: seconds, price, volume; candles: seconds, open ... volume, trades       |
| binance              | trades (7 columns), aggregated trades (8), klines (12), with or without header  |
| freqtrade            | json: rows in one array; feather: date, open ... or timestamp, id, type, side   |
| csv, parquet, feather| columns with names                                                              |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from cryptoviz.imports.files import File, ImportRefusedError, NotWantedError


class Kind(StrEnum):
    """What a file holds."""

    TRADES = "trades"
    CANDLES = "candles"


class Format(StrEnum):
    """Whose format it is."""

    KRAKEN = "kraken"
    BINANCE = "binance"
    FREQTRADE = "freqtrade"
    CSV = "csv"
    PARQUET = "parquet"
    FEATHER = "feather"


class Packing(StrEnum):
    """How rows are written."""

    LINES = "lines"
    ARRAYS = "arrays"
    PARQUET = "parquet"
    ARROW = "arrow"


@dataclass(frozen=True)
class Layout:
    """Where the fields are: the name of a field -> the column of the file that has it.

    `names` are all columns in order. Fields of trades: time, price, volume, trade_id, side or maker, and of what stands
    for several trades first_id and last_id. Fields of candles: time, open, high, low, close, volume, trade_count.
    """

    format: Format
    kind: Kind
    packing: Packing
    names: tuple[str, ...]
    fields: Mapping[str, str]
    header: bool = False
    aggregated: bool = False
    """Whether a row may stand for several trades, nobody knows how many."""

    @property
    def of_single_trades(self) -> bool:
        """Whether each row is a trade with its id and side, so that it can be a row of `trade_data`."""
        return "trade_id" in self.fields and ("side" in self.fields or "maker" in self.fields)


_KRAKEN_TRADES: Final = ("time", "price", "volume")
_KRAKEN_CANDLES: Final = ("time", "open", "high", "low", "close", "volume", "trade_count")
_BINANCE_TRADES: Final = ("trade_id", "price", "volume", "quote_volume", "time", "maker", "best_match")
_BINANCE_AGGREGATES: Final = ("aggregate_id", "price", "volume", "first_id", "last_id", "time", "maker", "best_match")
_KLINES: Final = (
    "time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trade_count", "taker_volume",
    "taker_quote_volume", "ignore",
)  # fmt: skip
_FREQTRADE_TRADES: Final = ("time", "trade_id", "type", "side", "price", "volume", "cost")
_FREQTRADE_CANDLES: Final = ("time", "open", "high", "low", "close", "volume")

_NEEDED: Final = {
    Kind.TRADES: ("time", "price", "volume"),
    Kind.CANDLES: ("time", "open", "high", "low", "close", "volume"),
}
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("time", "timestamp", "datetime", "date", "opentime", "transacttime", "windowstart", "unix", "ts"),
    "price": ("price",),
    "volume": ("volume", "amount", "quantity", "qty", "size", "volumefrom", "basevolume"),
    "trade_id": ("tradeid", "id", "tid"),
    "side": ("side", "takerside"),
    "maker": ("isbuyermaker", "buyermaker"),
    "aggregate_id": ("aggtradeid", "aggregateid"),
    "first_id": ("firsttradeid", "firstid"),
    "last_id": ("lasttradeid", "lastid"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "trade_count": ("tradecount", "trades", "count", "numberoftrades"),
}
_NUMBER: Final = re.compile(r"\s*-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?\s*")
_WHOLE: Final = re.compile(r"\s*-?[0-9]+\s*")
_TRUTH: Final = re.compile(r"\s*(true|false|[01])\s*", re.IGNORECASE)
_START: Final = 1 << 16
_FEATHER_V1: Final = b"FEA1"


def recognise(file: File, kind: Kind, forced: Format | None = None) -> Layout:
    """The layout of a file that should hold `kind`; `forced`: it must be of this format.

    Raises:
        ImportRefusedError: it is of no known format or of another one, holds the other kind, or lacks a column.
    """
    with file.open() as source:
        start = source.read(_START)
    if not start.strip():
        raise ImportRefusedError(f"{file.name} is empty")
    if start.startswith(b"PAR1"):
        layout = _columnar(file, kind, Packing.PARQUET, forced)
    elif start.startswith(b"ARROW1"):
        layout = _columnar(file, kind, Packing.ARROW, forced)
    elif start.startswith(_FEATHER_V1):
        raise ImportRefusedError(f"{file.name} is of the first version of feather; write it again with a newer program")
    elif start.startswith(b"PK\x03\x04"):
        raise ImportRefusedError(f"{file.name} is a zip that cannot be read")
    elif start.lstrip().startswith((b"[", b"{")):
        layout = _arrays(file, start)
    else:
        layout = _lines(file, kind, _text(file, start))
    if layout.kind is not kind:
        raise NotWantedError(
            f"{file.name} holds {layout.kind} ({layout.format}), not {kind}: use `cryptoviz import {layout.kind}`"
        )
    if forced is not None and layout.format is not forced:
        raise ImportRefusedError(f"{file.name} is not of format {forced}: it looks like {layout.format}")
    return layout


def _text(file: File, start: bytes) -> str:
    line = start.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    try:
        return line.decode().strip("\r")
    except UnicodeDecodeError:
        raise ImportRefusedError(f"{file.name} is of no known format: it is not text, Parquet or feather") from None


def _lines(file: File, kind: Kind, line: str) -> Layout:
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    _refuse_futures(file, cells)
    if not any(_NUMBER.fullmatch(cell) for cell in cells):
        return _with_header(file, kind, cells)
    for form, holds, names, fitting in _HEADERLESS:
        if fitting(cells):
            return Layout(form, holds, Packing.LINES, names[: len(cells)], _fields(names[: len(cells)]))
    raise ImportRefusedError(
        f"{file.name} is of no known format: its first line has {len(cells)} columns without names: {line[:100]}"
    )


def _numbers(cells: Sequence[str]) -> bool:
    return all(_NUMBER.fullmatch(cell) for cell in cells)


def _is_kraken_trade(cells: Sequence[str]) -> bool:
    return len(cells) == 3 and _numbers(cells)


def _is_binance_trade(cells: Sequence[str]) -> bool:
    return (
        len(cells) in (6, 7)  # 6: of futures
        and _numbers(cells[:5])
        and bool(_WHOLE.fullmatch(cells[0]) and _WHOLE.fullmatch(cells[4]) and len(cells[4]) > 9)
        and all(_TRUTH.fullmatch(cell) for cell in cells[5:])
        and not _is_kraken_candle(cells)
    )


def _is_aggregate(cells: Sequence[str]) -> bool:
    return (
        len(cells) in (7, 8)  # 7: of futures
        and _numbers(cells[:6])
        and all(_WHOLE.fullmatch(cell) for cell in (cells[0], *cells[3:6]))
        and all(_TRUTH.fullmatch(cell) and not _NUMBER.fullmatch(cell) for cell in cells[6:])
    )


def _is_kraken_candle(cells: Sequence[str]) -> bool:
    return (
        len(cells) == 7
        and _numbers(cells)
        and bool(_WHOLE.fullmatch(cells[0]) and _WHOLE.fullmatch(cells[6]))
        and len(cells[0]) in (9, 10)
        and int(cells[0]) % 60 == 0
    )


def _is_kline(cells: Sequence[str]) -> bool:
    return len(cells) == 12 and _numbers(cells[:11]) and bool(_WHOLE.fullmatch(cells[0]) and _WHOLE.fullmatch(cells[6]))


_FUTURES_HEADERS: Final = tuple(
    tuple(header.split(","))
    for header in (
        "id,price,qty,quote_qty,time,is_buyer_maker",
        "id,price,qty,base_qty,time,is_buyer_maker",
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore",
    )
)

_HEADERLESS: Final = (
    (Format.KRAKEN, Kind.TRADES, _KRAKEN_TRADES, _is_kraken_trade),
    (Format.BINANCE, Kind.TRADES, _BINANCE_TRADES, _is_binance_trade),
    (Format.BINANCE, Kind.TRADES, _BINANCE_AGGREGATES, _is_aggregate),
    (Format.KRAKEN, Kind.CANDLES, _KRAKEN_CANDLES, _is_kraken_candle),
    (Format.BINANCE, Kind.CANDLES, _KLINES, _is_kline),
)


def _refuse_futures(file: File, cells: Sequence[str]) -> None:
    """Raise NotWantedError for lines of Binance's archive of futures: the spot archive's have a column more, no header.

    The files of both have the same names.
    """
    if (len(cells) == 6 and _is_binance_trade(cells)) or (len(cells) == 7 and _is_aggregate(cells)):
        raise NotWantedError(
            f"{file.name} holds trades of Binance's futures ({len(cells)} columns; spot trades have {len(cells) + 1}):"
            " only spot trades and candles are kept"
        )
    if tuple(cells) in _FUTURES_HEADERS:
        raise NotWantedError(
            f"{file.name} has the header of Binance's archive of futures, and the spot archive has none: only spot"
            " trades and candles are kept. If they are spot all the same, take the header out"
        )


def _fields(names: Sequence[str]) -> dict[str, str]:
    return {name: name for name in names if name in _ALIASES}


def _with_header(file: File, kind: Kind, cells: Sequence[str]) -> Layout:
    fields = _named(file, kind, cells)
    plain = {_plain(cell) for cell in cells}
    of_binance = "aggregate_id" in fields or "maker" in fields or {"takerbuyvolume", "takerbuybasevolume"} & plain
    if len(set(cells)) != len(cells):
        raise ImportRefusedError(f"{file.name} names a column twice: {', '.join(cells)}")
    return Layout(
        Format.BINANCE if of_binance else Format.CSV, _kind_of(fields, kind), Packing.LINES, tuple(cells), fields, True
    )


def _named(file: File, kind: Kind, columns: Sequence[str]) -> dict[str, str]:
    """The fields among columns with names.

    Raises:
        ImportRefusedError: a field is not there.
    """
    plain = {_plain(column): column for column in reversed(columns)}
    fields = {
        field: next(plain[alias] for alias in aliases if alias in plain)
        for field, aliases in _ALIASES.items()
        if any(alias in plain for alias in aliases)
    }
    lacking = [field for field in _NEEDED[_kind_of(fields, kind)] if field not in fields]
    if lacking:
        raise ImportRefusedError(
            f"{file.name} has no column for {', '.join(lacking)}; its columns are {', '.join(columns)[:200]}"
        )
    return fields


def _kind_of(fields: Mapping[str, str], wanted: Kind) -> Kind:
    if {"open", "high", "low", "close"} <= fields.keys():
        return Kind.CANDLES
    return Kind.TRADES if "price" in fields else wanted


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _arrays(file: File, start: bytes) -> Layout:
    text = start.decode(errors="replace")
    first = re.match(r"\s*\[\s*\[([^\[\]]*)\]", text)
    if first is None:
        raise ImportRefusedError(f"{file.name} is JSON, but no list of rows as freqtrade writes it")
    cells = [cell.strip().strip('"') for cell in first.group(1).split(",")]
    for kind, names in ((Kind.TRADES, _FREQTRADE_TRADES), (Kind.CANDLES, _FREQTRADE_CANDLES)):
        if len(cells) == len(names) and _NUMBER.fullmatch(cells[0]):
            return Layout(Format.FREQTRADE, kind, Packing.ARRAYS, names, _fields(names))
    raise ImportRefusedError(f"{file.name} has rows of {len(cells)} values; freqtrade's have 6 (candles) or 7 (trades)")


def _columnar(file: File, kind: Kind, packing: Packing, forced: Format | None) -> Layout:
    with file.seekable() as source:
        try:
            if packing is Packing.PARQUET:
                schema = pq.ParquetFile(source).schema_arrow
            else:
                schema = pa.ipc.open_file(source).schema
        except (pa.ArrowException, OSError) as error:
            raise ImportRefusedError(f"{file.name} cannot be read: {str(error).splitlines()[0]}") from error
    names = schema.names
    fields = _named(file, kind, names)
    times = schema.field(fields["time"]).type
    if pa.types.is_float32(times) or pa.types.is_float16(times):
        raise ImportRefusedError(
            f"{file.name} has times that are {times.bit_width}-bit floating-point numbers, which are off by up to"
            " 64 seconds and more: write it again with whole numbers or instants"
        )
    if packing is Packing.PARQUET:
        form = Format.PARQUET
    else:
        theirs = set(names) in ({"date", "open", "high", "low", "close", "volume"}, set(_FREQTRADE_NAMES))
        form = Format.FREQTRADE if theirs and forced is not Format.FEATHER else Format.FEATHER
    return Layout(form, _kind_of(fields, kind), packing, tuple(names), fields)


_FREQTRADE_NAMES: Final = ("timestamp", "id", "type", "side", "price", "amount", "cost")


def timeframe_named(stem: str, form: Format) -> str | None:
    """The length of candles that a file's name gives, in our words (`1m`, also ones we do not keep, such as `30m`).

    A month is `1mo`, as Binance writes it, also where freqtrade writes `1Mo` and others `1M`.
    """
    if form is Format.KRAKEN:
        # Seen with the quarter behind it, too: XBTUSD_1_Q1_2026.
        found = re.search(r"_(\d+)(?:_Q[1-4]_\d{4})?$", stem)
        return _minutes(int(found.group(1))) if found else None
    found = re.search(r"(?:^|[-_])(\d+)(s|m|h|d|w|mo|Mo|M|H|D|W)(?:[-_]|$)", stem)
    if found is None:
        return None
    count, unit = found.groups()
    return f"{count}{'mo' if unit in ('M', 'Mo') else unit.lower()}"


def _minutes(count: int) -> str:
    if count % 1440 == 0:
        return f"{count // 1440}d"
    return f"{count // 60}h" if count % 60 == 0 else f"{count}m"
