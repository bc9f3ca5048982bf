"""The columns that suites judge: the fields of each row as plain values, and columns derived from them.

    rows, stored context -> a column for each field, and the derived columns of the subject -> engine

great_expectations/README.md lists the derived columns. A field that no row has is no column, so that the suite fails;
a value that cannot be read is None, and each suite says which columns must not be None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from cryptoviz.gate.market_columns import (
    alert_columns,
    candle_columns,
    fetched_candle_columns,
    imported_trade_columns,
    ticker_columns,
    trade_columns,
)
from cryptoviz.gate.polled_columns import article_columns, instrument_columns, mood_columns, overview_columns
from cryptoviz.gate.rows import CandidateRow, Columns, StoredContext
from cryptoviz.gate.values import number
from cryptoviz.records import record_types


def columns_of(subject: str, rows: Sequence[CandidateRow], known: StoredContext) -> list[Columns]:
    """The columns of each row, in the order of the rows."""
    derive = _DERIVED.get(subject)
    fields = [{name: _plain(name, value) for name, value in row.payload.items()} for row in rows]
    if derive is None:
        return fields
    return [{**plain, **derived} for plain, derived in zip(fields, derive(rows, known), strict=True)]


_DERIVED: Final[Mapping[str, Callable[[Sequence[CandidateRow], StoredContext], list[Columns]]]] = {
    "alerts": alert_columns,
    "articles": article_columns,
    "candles": candle_columns,
    "candles_rest": fetched_candle_columns,
    "instruments": instrument_columns,
    "market": overview_columns,
    "mood": mood_columns,
    "tickers": ticker_columns,
    "trades": trade_columns,
    "trades_import": imported_trade_columns,
}


def _numeric() -> frozenset[str]:
    """The fields that are numbers in every record that has them."""
    kinds = (msgspec.inspect.IntType, msgspec.inspect.FloatType, msgspec.inspect.DecimalType)
    found: dict[str, bool] = {}
    for record in record_types():
        for field in msgspec.inspect.type_info(record).fields:  # type: ignore[attr-defined]
            types = getattr(field.type, "types", (field.type,))
            found[field.name] = found.get(field.name, True) and any(isinstance(kind, kinds) for kind in types)
    return frozenset(name for name, numeric in found.items() if numeric)


_NUMERIC: Final = _numeric()


def _plain(name: str, value: Any) -> str | float | None:
    """A field as suites see it: a number where records have a number, else text; None where it is missing."""
    if name in _NUMERIC:
        return number(value)
    return value if isinstance(value, str) or value is None else str(value)
