"""Fill the table `instruments` where it lacks a configured pair: after an installation, or when a pair was added.

table, earlier attempts -> due -> run request per exchange
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import dagster as dg

from assets.instruments import REFRESH_INSTRUMENTS
from assets.resources import Database
from cryptoviz.instruments import known_exchanges
from cryptoviz.remote.backoff import Backoff

INTERVAL_S: Final = 60
_PAUSES: Final = Backoff(first_s=300, longest_s=6 * 3600)


@dataclass(frozen=True)
class Attempt:
    """How often an exchange was asked because its instruments were missing, and when last (Unix seconds)."""

    number: int
    at: float


def due(
    exchanges: Iterable[str], known: set[str], attempts: Mapping[str, Attempt], now: float
) -> tuple[list[str], dict[str, Attempt]]:
    """The exchanges to ask now, and the attempts to remember.

    The pause between attempts doubles, so that an exchange that never answers is not asked in a loop; an exchange
    that has rows keeps its number, because Dagster remembers a run key for ever.
    """
    missing = [name for name in exchanges if name not in known]
    wanted = [
        name
        for name in missing
        if name not in attempts or now >= attempts[name].at + _PAUSES.bound(attempts[name].number)
    ]
    numbers = {name: attempts[name].number + 1 if name in attempts else 1 for name in wanted}
    return wanted, dict(attempts) | {name: Attempt(number, now) for name, number in numbers.items()}


def instruments_missing(pairs: Mapping[str, Sequence[str]]) -> dg.SensorDefinition:
    """The sensor for the configured pairs of each exchange."""

    @dg.sensor(
        job=REFRESH_INSTRUMENTS,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks an exchange for its instruments when the table has none of it, or lacks a configured pair.",
    )
    def instruments_missing(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
        with database.reader() as connection:
            known = known_exchanges(connection, pairs)
        wanted, attempts = due(pairs, known, _remembered(context.cursor), time.time())
        if not wanted:
            return dg.SkipReason(
                "every configured pair has its instrument, or its exchange was asked a short while ago"
            )
        requests = [
            dg.RunRequest(run_key=f"missing:{name}:{attempts[name].number}", partition_key=name) for name in wanted
        ]
        cursor = json.dumps({name: asdict(attempt) for name, attempt in attempts.items()})
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return instruments_missing


def _remembered(cursor: str | None) -> dict[str, Attempt]:
    return {name: Attempt(**attempt) for name, attempt in json.loads(cursor or "{}").items()}
