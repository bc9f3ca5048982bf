"""The state of the history as Markdown with plots, for people who never look into the tables.

HistoryState -> sections -> Markdown; days -> bars -> SVG as a data URI
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from cryptoviz.charts import image_uri, stack
from cryptoviz.gaps.completeness import PLOTTED, BackfillProgress, HistoryState, TableRow, percent

_SHOWN: Final = 20
_COLOURS: Final = {
    "stored": "#3fa773",
    "no_trades": "#a8c6b8",
    "source_missing": "#d9a441",
    "lost_by_us": "#cc5a4f",
    "unexplained": "#7d2f8a",
}
_STEP: Final = 8
_HEIGHT: Final = 60
_DAYS: Final = PLOTTED // timedelta(days=1)


def report(state: HistoryState) -> str:
    """The whole state, the most important first."""
    sections = {
        "Completeness": _completeness(state),
        "Gaps": _gaps(state.gaps, state.at),
        "Backfills": _backfills(state.backfills, state.at),
        "Tiers": _tiers(state.tiers),
    }
    return "\n\n".join(f"### {title}\n\n{body}" for title, body in sections.items())


def _completeness(state: HistoryState) -> str:
    if not state.timeframes:
        return "No history has been looked at yet."
    rows = [
        [
            row["exchange"],
            row["timeframe"],
            row["series"],
            _share(row["stored"] + row["no_trades"], row["expected"]),
            row["complete_days"],
            row["lacking_days"],
            row["stored"],
            row["no_trades"],
            row["source_missing"],
            row["lost_by_us"],
            row["unexplained"],
            row["healed"],
            f"{row['since']:%Y-%m-%d}",
        ]
        for row in state.timeframes
    ]
    names = ("exchange", "timeframe", "pairs", "complete", "days complete", "days lacking", "stored", "no trades",
             "source missing", "lost by us", "unexplained", "healed", "since")  # fmt: skip
    plots = [
        f"{exchange}, minutes of the last {_DAYS} days: {_legend()}\n\n![{exchange}]({plot(days, state.at.date())})"
        for exchange, days in _by_exchange(state.minutes).items()
    ]
    return "\n\n".join([_table(names, rows), *plots])


def _legend() -> str:
    words = {
        "stored": "stored green",
        "no_trades": "no trades pale",
        "source_missing": "missing at the source amber",
        "lost_by_us": "lost by us red",
        "unexplained": "unexplained violet",
    }
    return ", ".join(words[name] for name in _COLOURS)


def plot(days: Mapping[date, TableRow], today: date) -> str:
    """The last days up to `today` as bars, each from what is stored up to what nobody can explain, as a data URI.

    A bar is as high as the most that any of the days can have; what is missing is seen, however little it is.
    """
    most = max((row["expected"] for row in days.values()), default=0) or 1
    bars = [
        bar
        for number in range(_DAYS)
        if (row := days.get(today - timedelta(days=_DAYS - 1 - number))) is not None
        for bar in stack(number * _STEP, _HEIGHT, _STEP - 1, _heights(row, most))
    ]
    return image_uri(bars, _COLOURS, _DAYS * _STEP, _HEIGHT)


def _heights(row: TableRow, most: int) -> dict[str, int]:
    """The height of each kind, from the ground up. Stored minutes give way to missing ones, which are always seen."""
    missing = {name: max(2, round(row[name] * _HEIGHT / most)) for name in _COLOURS if name != "stored" and row[name]}
    whole = round(row["expected"] * _HEIGHT / most)
    return {"stored": max(0, whole - sum(missing.values())) if row["stored"] else 0, **missing}


def _by_exchange(rows: Sequence[TableRow]) -> dict[str, dict[date, TableRow]]:
    found: dict[str, dict[date, TableRow]] = {}
    for row in rows:
        found.setdefault(row["exchange"], {})[row["day"]] = row
    return found


def _gaps(rows: Sequence[TableRow], now: datetime) -> str:
    if not rows:
        return "None."
    shown = [
        [
            row["kind"],
            row["exchange"],
            (row["label"] or "not yet asked about").replace("_", " "),
            row["status"],
            row["gaps"],
            row["missing"],
            f"{row['oldest']:%Y-%m-%d %H:%M}",
            _when(row["due_at"], now),
        ]
        for row in rows
    ]
    names = ("of", "exchange", "label", "status", "gaps", "missing", "oldest found", "asked again")
    return _table(names, shown)


def _backfills(backfills: Sequence[BackfillProgress], now: datetime) -> str:
    if not backfills:
        return "None is running, and none failed."
    shown = [
        [
            backfill.series,
            backfill.status.replace("_", " "),
            _bar(backfill.share),
            f"{backfill.processed:,} of {backfill.total:,}",
            f"{backfill.start:%Y-%m-%d} to {backfill.end:%Y-%m-%d}",
            f"{backfill.position:%Y-%m-%d %H:%M}" if backfill.position else "",
            _when(backfill.expected_end, now),
            backfill.error,
        ]
        for backfill in backfills[:_SHOWN]
    ]
    names = ("series", "status", "done", "candles", "range", "position", "expected end", "error")
    left = len(backfills) - _SHOWN
    return _table(names, shown) + (f"\n\nand {left} more." if left > 0 else "")


def _tiers(rows: Sequence[TableRow]) -> str:
    shown = [[row["subject"], row["tier"], row["rows"], f"{row['bytes'] / 1_000_000:,.1f}"] for row in rows]
    return _table(("what", "where", "rows, estimated", "MB"), shown)


def _when(at: datetime | None, now: datetime) -> str:
    if at is None:
        return ""
    shape = "%H:%M" if abs(at - now) < timedelta(hours=12) else "%Y-%m-%d %H:%M"
    return f"{at:{shape}}" if at > now else "now"


def _bar(share: float) -> str:
    full = int(share * 10)
    return f"{'█' * full}{'░' * (10 - full)} {share:.0%}"


def _share(known: int, expected: int) -> str:
    return f"{percent(known, expected)} %" if expected else ""


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    numeric = [all(isinstance(row[place], int) for row in rows) for place in range(len(names))]
    lines = [
        names,
        ["---:" if right else "---" for right in numeric],
        *([_cell(value) for value in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|").replace("\n", " ")
