"""Rules for the stored tables: each function takes the rows of one checking statement and returns a verdict.

sql/queries/checks.sql -> rows -> verdict (passed, how bad, numbers, the rows at fault)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

FRESH_S: Final = (120.0, 600.0)
"""Seconds after which an exchange without anything new is a warning, and an error."""

PAIR_QUIET_S: Final = 900.0
"""Seconds after which one pair without anything new is worth a warning: a quiet market is no fault."""

JUMP_PERCENT: Final = 10.0
GAP_S: Final = (600.0, 3600.0)
"""Seconds that a hole may wait for its trades before it is a warning, and an error."""

UNEXPLAINED_S: Final = (900.0, 3600.0)
"""Seconds that nobody may know why candles are missing before it is a warning, and an error."""

IN_FLIGHT_S: Final = 60.0
_SHOWN: Final = 20

FigureRow = Mapping[str, Any]


@dataclass(frozen=True)
class CheckVerdict:
    """The verdict of a check: passed, an error (`severe`) or a warning; a sentence, figures to plot, rows at fault."""

    passed: bool
    words: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    rows: Sequence[FigureRow] = ()
    severe: bool = True


def fresh(rows: Iterable[FigureRow], age: str) -> CheckVerdict:
    """Whether every exchange has new rows. `age` names the field with the seconds since the newest row of a pair."""
    found = sorted(rows, key=lambda row: _age(row, age), reverse=True)
    by_exchange: dict[str, float] = {}
    for row in found:
        by_exchange[row["exchange"]] = min(_age(row, age), by_exchange.get(row["exchange"], float("inf")))
    late = [name for name, seconds in by_exchange.items() if seconds > FRESH_S[0]]
    quiet = [row for row in found if _age(row, age) > PAIR_QUIET_S]
    words = [f"nothing new of {', '.join(sorted(late))}"] if late else []
    words += [f"{len(quiet)} pairs quiet for more than {PAIR_QUIET_S / 60:.0f} minutes"] if quiet else []
    return CheckVerdict(
        not late and not quiet,
        "; ".join(words) or "every pair of every exchange has new rows",
        {
            **{f"{name} age s": round(seconds, 1) for name, seconds in by_exchange.items() if seconds < float("inf")},
            "late exchanges": len(late),
            "quiet pairs": len(quiet),
        },
        [{"exchange": row["exchange"], "pair": row["pair"], "age s": _rounded(row[age])} for row in found],
        severe=any(by_exchange[name] > FRESH_S[1] for name in late),
    )


def unique(rows: Iterable[FigureRow]) -> CheckVerdict:
    """Whether no trade is stored twice."""
    found = list(rows)
    doubled = [row for row in found if row["duplicates"]]
    duplicates = sum(row["duplicates"] for row in doubled)
    return CheckVerdict(
        not doubled,
        f"{duplicates} trades are stored twice" if doubled else "every trade is stored once",
        {"trades": sum(row["trades"] for row in found), "duplicates": duplicates},
        doubled[:_SHOWN],
    )


def complete(rows: Iterable[FigureRow], sent: Mapping[tuple[str, str], int]) -> CheckVerdict:
    """Whether every trade that was sent is stored: no hole in the ids, and nothing the source counted is outstanding.

    `sent`: the last id that each source says it sent, for sources that count (the simulators). A hole that has a row
    in `trade_gaps` is being healed (a warning) or explained (no fault); one that nobody knows of is an error.
    """
    faults, stored, unknown, healing, outstanding = [], 0, 0, 0, 0
    for row in rows:
        stored += row["stored"]
        healing += row["healing"]
        lost = max(0, row["missing"] - row["explained"] - row["healing"])
        last = sent.get((row["exchange"], row["pair"]), row["newest_id"])
        waiting = max(0, last - row["newest_id"]) if row["newest_age"] > IN_FLIGHT_S else 0
        unknown += lost
        outstanding += waiting
        if lost or waiting or row["healing"]:
            faults.append({"exchange": row["exchange"], "pair": row["pair"], "missing": row["missing"], "lost": lost,
                           "being healed": row["healing"], "outstanding": waiting})  # fmt: skip
    words = [f"{unknown} trades are missing and nobody knows why"] if unknown else []
    words += [f"{outstanding} trades were sent and are not stored"] if outstanding else []
    words += [f"{healing} trades are being fetched again"] if healing else []
    return CheckVerdict(
        not words,
        "; ".join(words) or "every trade that was sent is stored",
        {"stored": stored, "missing": unknown, "being healed": healing, "outstanding": outstanding},
        faults[:_SHOWN],
        severe=bool(unknown or outstanding),
    )


def healed(rows: Iterable[FigureRow]) -> CheckVerdict:
    """Whether no hole in the trade ids stays open for long."""
    found = list(rows)
    oldest = max((row["oldest"] for row in found), default=0.0)
    gaps = sum(row["open"] for row in found)
    return CheckVerdict(
        oldest <= GAP_S[0],
        f"{gaps} gaps are open, the oldest for {oldest / 60:.0f} minutes" if gaps else "no gap is open",
        {
            "open gaps": gaps,
            "failed gaps": sum(row["failed"] for row in found),
            "missing trades": sum(row["trades"] or 0 for row in found),
            "oldest s": round(oldest, 1),
        },
        found,
        severe=oldest > GAP_S[1],
    )


def explained(rows: Iterable[FigureRow]) -> CheckVerdict:
    """Whether it is known of every candle that is missing why."""
    found = list(rows)
    oldest = max((row["oldest"] for row in found), default=0.0)
    missing = sum(row["missing"] for row in found)
    return CheckVerdict(
        oldest <= UNEXPLAINED_S[0],
        f"{missing} candles are missing and nobody knows why, the first for {oldest / 60:.0f} minutes"
        if missing
        else "of every candle that is missing it is known why",
        {"gaps": sum(row["gaps"] for row in found), "missing candles": missing, "oldest s": round(oldest, 1)},
        found[:_SHOWN],
        severe=oldest > UNEXPLAINED_S[1],
    )


def lost(rows: Iterable[FigureRow]) -> CheckVerdict:
    """Whether nothing is missing that the exchange has."""
    found = list(rows)
    counts = {kind: sum(row["missing"] for row in found if row["kind"] == kind) for kind in ("candles", "trades")}
    return CheckVerdict(
        not found,
        f"{counts['candles']} candles and {counts['trades']} trades that the exchanges have are missing"
        if found
        else "nothing is missing that the exchanges have",
        {f"missing {kind}": count for kind, count in counts.items()},
        found[:_SHOWN],
        severe=False,
    )


def agreeing(rows: Iterable[FigureRow]) -> CheckVerdict:
    """Whether every difference between fetched and streamed candles has a cause that is no fault of ours."""
    found = list(rows)
    causes = Counter({row["cause"]: 0 for row in found})
    for row in found:
        causes[row["cause"]] += row["differences"]
    faults = [row for row in found if row["cause"] in _FAULTS]
    ours = sum(row["differences"] for row in faults)
    return CheckVerdict(
        not faults,
        f"of {causes.total()} fetched candles that differ from their trades {ours} have no good cause"
        if faults
        else f"{causes.total()} fetched candles differ from their trades, each with its cause",
        {"differences": causes.total(), **{cause.replace("_", " "): count for cause, count in causes.items()}},
        found[:_SHOWN],
        severe=False,
    )


_FAULTS: Final = frozenset({"missing_trades", "unexplained", "not yet looked into"})


def bounds(rows: Iterable[FigureRow]) -> CheckVerdict:
    """Whether every candle is possible."""
    return _counted(rows, "candles", "impossible", "are impossible", "every candle is possible")


def jumps(rows: Iterable[FigureRow]) -> CheckVerdict:
    """Whether no price jumped from one minute to the next: rarely true prices, mostly wrong ones."""
    found = list(rows)
    large = [row for row in found if (row["jump"] or 0) > JUMP_PERCENT]
    return CheckVerdict(
        not large,
        f"{len(large)} pairs jumped by more than {JUMP_PERCENT:.0f} %" if large else "no price jumped",
        {
            "largest jump %": round(max((row["jump"] or 0.0 for row in found), default=0.0), 3),
            "pairs that jumped": len(large),
            "candles": sum(row["candles"] for row in found),
        },
        large[:_SHOWN],
        severe=False,
    )


def closed(rows: Iterable[FigureRow]) -> CheckVerdict:
    """Whether every minute with trades has its candle, closed where all of them are stored."""
    found = list(rows)
    faults = [row for row in found if row["missing"] or row["unclosed"]]
    missing, unclosed = (sum(row[name] for row in found) for name in ("missing", "unclosed"))
    return CheckVerdict(
        not faults,
        f"of the minutes with trades {missing} have no candle and {unclosed} an open one"
        if faults
        else "every minute with trades has its candle",
        {"minutes": sum(row["minutes"] for row in found), "missing": missing, "unclosed": unclosed},
        faults[:_SHOWN],
    )


def parts(rows: Iterable[FigureRow]) -> CheckVerdict:
    """Whether the longer candles are what their minutes come to."""
    return _counted(
        rows, "candles", "differing", "differ from their minutes", "longer candles agree with their minutes"
    )


def equal(rows: Iterable[FigureRow]) -> CheckVerdict:
    """Whether the 1m candles are what their trades come to; rows of the statement `candles_differing`."""
    found = list(rows)
    differing = [row for row in found if row["minute"] is not None]
    return CheckVerdict(
        not differing,
        f"{len(differing)} candles differ from their trades" if differing else "every candle equals its trades",
        {
            "candles": found[0]["compared"] if found else 0,
            "trades": found[0]["all_trades"] if found else 0,
            "differing": len(differing),
        },
        [{name: row[name] for name in _COMPARED} for row in differing[:_SHOWN]],
    )


_COMPARED: Final = ("exchange", "pair", "minute", "stored_trades", "trades", "stored_close", "close")


def _counted(rows: Iterable[FigureRow], total: str, fault: str, wrong: str, right: str) -> CheckVerdict:
    found = list(rows)
    faults = [row for row in found if row[fault]]
    count = sum(row[fault] for row in faults)
    return CheckVerdict(
        not faults,
        f"{count} {total} {wrong}" if faults else right,
        {total: sum(row[total] for row in found), fault: count},
        faults[:_SHOWN],
    )


def _age(row: FigureRow, name: str) -> float:
    return float("inf") if row[name] is None else float(row[name])


def _rounded(age: float | None) -> float | None:
    return None if age is None else round(age, 1)
