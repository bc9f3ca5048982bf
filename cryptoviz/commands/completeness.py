"""completeness: what the history has and lacks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from cryptoviz.commands.output import Json, as_json, explained, table
from cryptoviz.pairs import Timeframe, parse_pair
from cryptoviz.settings import Role, load

_START: Final = "is the database up? `make status` says; `make demo` or `make up` starts it"
_COUNTS: Final = {
    "expected": "expected",
    "stored": "stored",
    "no_trades": "no trades",
    "source_missing": "source missing",
    "lost_by_us": "lost by us",
    "unexplained": "unexplained",
    "healed": "healed",
}
_SERIES: Final = {
    "exchange": "exchange",
    "symbol": "pair",
    "timeframe": "timeframe",
    "since": "since",
    "complete": "complete, %",
    **_COUNTS,
    "incomplete_days": "days lacking",
}
_DAYS: Final = {
    "day": "day",
    "exchange": "exchange",
    "symbol": "pair",
    "timeframe": "timeframe",
    "complete": "complete, %",
    **_COUNTS,
}


def completeness(
    pair: Annotated[str, typer.Argument(help="Days of this pair, such as BTC/USD; without it: every series.")] = "",
    exchange: Annotated[str | None, typer.Option(help="Only this exchange.")] = None,
    timeframe: Annotated[Timeframe | None, typer.Option(help="Only this timeframe.")] = None,
    days: Annotated[int, typer.Option(min=1, max=36_500, help="So many days back.")] = 365,
    json: Json = False,
) -> None:
    """Say of every series, or of every day of a pair, what is stored, what is missing, and why."""
    today = datetime.now(UTC).date()
    with explained("that is no pair", "write BASE/QUOTE, such as BTC/USD", ValueError):
        symbol = parse_pair(pair) if pair else None
    parameters = {
        "exchange": exchange,
        "symbol": symbol,
        "timeframe": timeframe.value if timeframe else None,
        "since": today - timedelta(days=days),
        "until": today,
    }
    rows = _rows("completeness_days" if symbol else "completeness_series", parameters)
    if json:
        as_json(rows)
        return
    table("", rows, _DAYS if symbol else _SERIES, empty="no history has been looked at yet")


def _rows(statement: str, parameters: Mapping[str, str | date | None]) -> list[dict[str, Any]]:
    import psycopg
    from psycopg.rows import dict_row

    from cryptoviz.storage.database import connect
    from cryptoviz.storage.queries import query

    with (
        explained("the completeness cannot be read", _START, psycopg.Error),
        connect(Role.READER, load(), application_name="cryptoviz completeness") as connection,
    ):
        cursor = connection.cursor(row_factory=dict_row)
        rows = cursor.execute(query(statement), {**parameters, "incomplete": False, "limit": 10_000}).fetchall()
    return [row | {"complete": _percent(row)} for row in rows]


def _percent(row: Mapping[str, int]) -> float | None:
    """What is stored or known to be empty, of what there can be; never 100 while anything is missing."""
    known = row["stored"] + row["no_trades"]
    if not row["expected"]:
        return None
    return 100.0 if known == row["expected"] else min(99.9, round(100 * known / row["expected"], 1))
