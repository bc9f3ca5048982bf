"""history: how far the configured history of each series has been fetched."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from cryptoviz.commands.output import Json, as_json, explained, table
from cryptoviz.pairs import Timeframe, parse_pair
from cryptoviz.settings import Role, load

_START: Final = "is the database up? `make status` says; `make demo` or `make up` starts it"
_COLUMNS: Final = {
    "exchange": "exchange",
    "symbol": "pair",
    "timeframe": "timeframe",
    "status": "status",
    "done": "done, %",
    "processed_candles": "candles",
    "total_candles": "of",
    "start_ts": "from",
    "current_position_ts": "position",
    "end_ts": "to",
    "error_message": "error",
}


def history(
    pair: Annotated[str, typer.Argument(help="Only this pair, such as BTC/USDT.")] = "",
    exchange: Annotated[str | None, typer.Option(help="Only this exchange.")] = None,
    timeframe: Annotated[Timeframe | None, typer.Option(help="Only this timeframe.")] = None,
    json: Json = False,
) -> None:
    """Say of every series how far its configured history has been fetched, and what keeps it from going on."""
    with explained("that is no pair", "write BASE/QUOTE, such as BTC/USD", ValueError):
        symbol = parse_pair(pair) if pair else None
    rows = _rows({"exchange": exchange, "symbol": symbol, "timeframe": timeframe.value if timeframe else None})
    if json:
        as_json(rows)
        return
    shown = [{name: _short(value) for name, value in row.items()} for row in rows]
    table("", shown, _COLUMNS, empty="no history has been fetched yet")


def _rows(parameters: Mapping[str, str | None]) -> list[dict[str, Any]]:
    import psycopg
    from psycopg.rows import dict_row

    from cryptoviz.storage.database import connect
    from cryptoviz.storage.queries import query

    with (
        explained("the progress cannot be read", _START, psycopg.Error),
        connect(Role.READER, load(), application_name="cryptoviz history") as connection,
    ):
        rows = connection.cursor(row_factory=dict_row).execute(query("backfill_progress_list"), parameters).fetchall()
    return [row | {"done": _percent(row)} for row in rows]


def _percent(row: Mapping[str, Any]) -> float:
    """Of the way from the beginning to the end; never 100 before all of it is published."""
    if row["status"] == "completed":
        return 100.0
    whole = (row["end_ts"] - row["start_ts"]).total_seconds()
    gone = ((row["current_position_ts"] or row["start_ts"]) - row["start_ts"]).total_seconds()
    return min(99.9, round(100 * gone / whole, 1)) if whole else 0.0


def _short(value: Any) -> Any:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}" if isinstance(value, datetime) else value
