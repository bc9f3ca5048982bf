"""Which trades of a file are aggregates: rows that stand for several trades each, under ids of their own numbering.

    columns, exchange   -> aggregates | single trades | nobody can tell
    ids, stored trades  -> one numbering | two

Binance's interface has two numberings. Programs that fetch "trades" of it get aggregates (ccxt's `fetch_trades`, and so
freqtrade; cryptofeed's `TRADES`) under plain names: `id`, `price`, `amount`. In `trade_data` they would be trades that
never were, and beside the exchange's own trades of the same time the volume would count twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.imports.chunks import Position, chunks
from cryptoviz.imports.files import File, ImportRefusedError
from cryptoviz.imports.layouts import Format, Kind, Layout
from cryptoviz.imports.progress import Target
from cryptoviz.imports.values import blank
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

AGGREGATING: Final = frozenset({"aster", "binance", "binancecoinm", "binanceus", "binanceusdm", "mexc", "tokocrypto"})
"""Exchanges whose trades other programs get as aggregates, unless somebody has set them up otherwise (ccxt 4.5)."""

_OURS: Final = frozenset({"timestamp", "exchange", "pair", "trade_id", "price", "volume", "side"})
"""The columns of `trade_data`, such as in a file of the archive."""

_KNOWN: Final = (
    "{name}: freqtrade's trades of {exchange} are aggregates of several trades each, under ids that are not those of"
    " trades; candles were made of them, no trades stored"
)
_UNSAID: Final = (
    "{name}: its columns do not say whether its rows are single trades of {exchange} or aggregates, which most programs"
    " get; candles were made of them, no trades stored. Import the exchange's own archive for trades, or say"
    " --single-trades if the ids are those of trades"
)


def without_ids(layout: Layout, exchange: str, *, single: bool) -> Layout:
    """The layout without trade ids where rows may be aggregates; `single`: somebody vouches that they are not."""
    if single or not _doubtful(layout, exchange):
        return layout
    fields = {field: name for field, name in layout.fields.items() if field not in ("trade_id", "side")}
    return replace(layout, fields=fields, aggregated=True)


def without_blanks(file: File, layout: Layout) -> Layout:
    """The layout without trade ids and sides where the file leaves either of them blank.

    freqtrade writes its columns of trades for Kraken's downloads, too, which have neither. What it fetched later has
    both: where any of its first rows has none, no row counts as a single trade, and candles are made of all of them.

    Raises:
        ImportRefusedError: the file cannot be read.
    """
    if not layout.of_single_trades:
        return layout
    first = next(iter(chunks(file, layout, Position())), None)
    if first is None:
        return layout
    optional = [field for field in ("trade_id", "side", "maker") if field in layout.fields]
    blanks = [blank(first.table[layout.fields[field]]) for field in optional]
    enough = 1 if layout.format is Format.FREQTRADE else max(1, first.table.num_rows)
    if max(blanks) < enough:
        return layout
    return replace(layout, fields={field: name for field, name in layout.fields.items() if field not in optional})


def explained(layout: Layout, name: str, exchange: str) -> str:
    """Why no trades are stored of a file whose rows are, or may be, aggregates, and what to do."""
    words = _KNOWN if layout.format is Format.FREQTRADE else _UNSAID
    return words.format(name=name, exchange=exchange)


def refuse_other_numbering(
    connection: Connection[Any], file: File, target: Target, since: datetime, until: datetime
) -> None:
    """Compare the ids of the staged trades with those of the trades that are stored around the same time.

    Raises:
        ImportRefusedError: they are numbered in another way: either of them are aggregates.
    """
    if target.exchange not in AGGREGATING:
        return
    parameters = {"exchange": target.exchange, "pair": target.pair, "since": since, "until": until}
    found = connection.execute(query("import_trades_numbering"), parameters).fetchone()
    if found is None:
        return
    at, number, first, last = found
    raise ImportRefusedError(
        f"{file.name} numbers its trades in another way than those that are stored: between {since:%Y-%m-%d %H:%M:%S}"
        f" and {until:%Y-%m-%d %H:%M:%S} it has the ids {first} to {last}, and trade {number} of"
        f" {at:%Y-%m-%d %H:%M:%S} is stored; the rows of one of them must be aggregates of several trades each."
        " If those of the file are, import it without --single-trades: it makes candles. If those that are stored are,"
        ' remove them as docs/history.md says under "Putting a wrong import right", and import this file again'
    )


def _doubtful(layout: Layout, exchange: str) -> bool:
    # Who was the maker is said by the exchange's own archive and interface, where single trades have the plain id.
    theirs = "maker" in layout.fields or layout.format in (Format.BINANCE, Format.KRAKEN)
    ours = set(layout.names) >= _OURS
    return (
        exchange in AGGREGATING
        and layout.kind is Kind.TRADES
        and "trade_id" in layout.fields
        and not theirs
        and not ours
    )
