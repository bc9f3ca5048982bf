"""Repair: replay a topic into its table, rebuild candles from their trades, check those of an older version.

Each may be run twice.
"""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum, auto
from typing import Any, Final

import dagster as dg
from pydantic import Field

from assets.resources import Database
from assets.runs import HEAVY_SQL, actor, refused, window
from cryptoviz.candles.rebuild import TradesRemovedError, rebuild
from cryptoviz.candles.repair import REPAIRED, begin_again, repair, waiting
from cryptoviz.exchanges import ExchangeName
from cryptoviz.settings import PROJECT_ROOT, settings
from cryptoviz.storage.audit import recorded

_REPLAY_DEFAULT: Final = timedelta(minutes=15)
_REBUILD_DEFAULT: Final = timedelta(hours=1)
_STOP_S: Final = 30
_BUSY: Final = 75
_INSTANT: Final = "An instant with its time zone, such as 2026-11-21T10:00Z."


class ReplayTopic(StrEnum):
    """The topics that end in a table."""

    rawtrade = auto()
    rawticker = auto()
    rawcandle = auto()
    rawalert = auto()
    rawarticle = auto()
    rawmarket = auto()
    rawmood = auto()


class ReplayConfig(dg.Config):
    """What to replay."""

    topic: ReplayTopic = Field(default=ReplayTopic.rawtrade, description="The topic to read again.")
    since: str = Field(default="", description=f"{_INSTANT} Empty: 15 minutes before `until`.")
    until: str = Field(default="", description=f"{_INSTANT} Empty: now.")
    reason: str = Field(default="", max_length=500, description="Why, for those who read the audit log later.")


class RebuildConfig(dg.Config):
    """Which candles."""

    exchange: ExchangeName = Field(description="The exchange. There is no default.")
    pairs: list[str] = Field(default=[], description="Pairs as BASE/QUOTE; empty: all that are configured.")
    since: str = Field(default="", description=f"{_INSTANT} Empty: one hour before `until`.")
    until: str = Field(default="", description=f"{_INSTANT} Empty: now.")
    reason: str = Field(default="", max_length=500, description="Why, for those who read the audit log later.")


@dg.op(
    name="replay",
    pool=HEAVY_SQL,
    description=(
        "Reads the messages that a topic got within a range once more. Rows that are there stay as they are, those "
        "that are missing are added, the candles they touch are made anew. One replay at a time; cancelling it keeps "
        "what is done."
    ),
)
def _replay(context: dg.OpExecutionContext, config: ReplayConfig, database: Database) -> int:
    """Returns the number of messages that were read."""
    since, until = window(config.since, config.until, _REPLAY_DEFAULT, datetime.now(UTC))
    span = {"since": since.isoformat(), "until": until.isoformat()}
    seen = {"run": context.run_id, "reason": config.reason, **span}
    last: dict[str, Any] = {}
    with recorded(
        database.writer, actor=actor(context), action="replay_topic", subject=config.topic.value, detail=seen
    ) as found:
        command = [sys.executable, "-m", "streaming", "replay", config.topic.value]
        with _child([*command, "--since", span["since"], "--until", span["until"]]) as child:
            for line in child.stdout or ():
                last = _progress(context, line) or last
        found.update(last)
        if child.returncode == _BUSY:
            raise dg.Failure("Another replay is under way. Wait for its end, or cancel it.", allow_retries=False)
        if child.returncode != 0:
            raise dg.Failure(
                f"The replay failed: {last.get('error') or f'exit status {child.returncode}'}", metadata=last
            )
    context.add_output_metadata({**span, **last})
    return int(last.get("messages", 0))


def _progress(context: dg.OpExecutionContext, line: str) -> dict[str, Any]:
    """The figures in a line of progress; whatever else the child says goes to the log as it is."""
    try:
        figures = json.loads(line)
    except ValueError:
        figures = line.rstrip()
    if not isinstance(figures, dict) or not {"messages", "error"} & figures.keys():
        context.log.debug("%s", line.rstrip())
        return {}
    context.log.info("%s", ", ".join(f"{name} {value}" for name, value in figures.items()))
    return figures


@contextmanager
def _child(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A child that ends with the block: in good order when the run is cancelled, by force if it will not."""
    child = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield child
    except BaseException:
        child.send_signal(signal.SIGTERM)
        raise
    finally:
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@dg.op(
    name="rebuild",
    pool=HEAVY_SQL,
    description=(
        "Makes the candles of every timeframe anew from the stored trades, hour by hour. Candles that were fetched "
        "over REST stay; a range whose trades are no longer stored is refused."
    ),
)
def _rebuild(context: dg.OpExecutionContext, config: RebuildConfig, database: Database) -> int:
    """Returns the number of candles that were changed."""
    exchange = config.exchange.value
    known = settings().pairs(exchange) if exchange in settings().exchanges else []
    pairs = config.pairs or known
    if unknown := sorted(set(pairs) - set(known)):
        fix = f"Choose from {', '.join(known)}." if known else "Add the exchange to the setting CRYPTOVIZ_EXCHANGES."
        raise refused("pairs", f"{', '.join(unknown)} of {exchange} is not collected here", fix)
    since, until = window(config.since, config.until, _REBUILD_DEFAULT, datetime.now(UTC))
    since = since.replace(second=0, microsecond=0)
    seen = {
        "run": context.run_id, "reason": config.reason, "pairs": pairs,
        "since": since.isoformat(), "until": until.isoformat(),
    }  # fmt: skip
    changed: Counter[str] = Counter()
    with (
        recorded(
            database.writer, actor=actor(context), action="rebuild_candles", subject=exchange, detail=seen
        ) as found,
        database.writer() as connection,
    ):
        try:
            for step in rebuild(connection, exchange, pairs, since, until):
                changed.update(step.changed)
                found["changed"] = dict(changed)
                changes = ", ".join(f"{count} of {timeframe}" for timeframe, count in step.changed.items())
                context.log.info("%s %s to %s: %s", step.pair, step.since, step.until, changes or "nothing to change")
        except TradesRemovedError as error:
            raise refused("since", str(error), "Begin the range later, where trades are stored.") from error
    total = sum(changed.values())
    context.add_output_metadata({"changed": total, **{f"changed {name}": count for name, count in changed.items()}})
    return total


class RepairConfig(dg.Config):
    """Whether to look over more than what an upgrade left."""

    everything: bool = Field(default=False, description="Look over every stored candle once more, from the oldest on.")
    reason: str = Field(default="", max_length=500, description="Why, for those who read the audit log later.")


@dg.op(
    name="repair",
    pool=HEAVY_SQL,
    description=(
        "Looks over the stored candles that were made here, hot and cold, day by day: longer ones are made anew from "
        "the shorter, and what is closed but not known whole is opened again. Fetched candles stay."
    ),
)
def _repair(context: dg.OpExecutionContext, config: RepairConfig, database: Database) -> int:
    """Returns the number of candles that were changed."""
    found: Counter[str] = Counter()
    seen = {"run": context.run_id, "reason": config.reason, "everything": config.everything}
    with (
        recorded(
            database.writer, actor=actor(context), action="repair_candles", subject="candles", detail=seen
        ) as facts,
        database.writer() as connection,
    ):
        if config.everything:
            begin_again(connection)
        left = dict.fromkeys(waiting(connection))
        facts["pairs"] = len(left)
        for done in repair(connection):
            found += Counter({name: count for name, count in done.found.items() if name in REPAIRED})
            facts.update({name: found[name] for name in REPAIRED})
            if done.found:
                changes = ", ".join(f"{count} {name}" for name, count in done.found.items())
                context.log.info("%s %s up to %s: %s", done.exchange, done.pair, done.day, changes)
    context.add_output_metadata({"pairs": len(left), **{name: found[name] for name in REPAIRED}})
    return found.total()


@dg.job(
    name="repair_candles",
    description=(
        "Look over stored candles that an older version made wrong, and correct them. Starts by itself after an "
        "upgrade; safe to repeat, and goes on where it was stopped."
    ),
    tags={"dagster/max_runtime": "7200", "kind": "repair"},
)
def _repair_candles() -> None:
    _repair()


@dg.job(
    name="replay_topic",
    description="Read a topic's messages of a range into its table once more. Safe: what is there stays.",
    tags={"dagster/max_runtime": "7200", "kind": "repair"},
)
def _replay_topic() -> None:
    _replay()


@dg.job(
    name="rebuild_candles",
    description="Make candles anew from the stored trades. Safe: what was fetched over REST stays.",
    tags={"dagster/max_runtime": "7200", "kind": "repair"},
)
def _rebuild_candles() -> None:
    _rebuild()


REPLAY_TOPIC: Final = _replay_topic
REBUILD_CANDLES: Final = _rebuild_candles
REPAIR_CANDLES: Final = _repair_candles
