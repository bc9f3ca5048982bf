"""The fear and greed index of alternative.me: one value a UTC day since 2018-02-01; the table is made complete.

    days that the table lacks -> how many days to ask for -> rows; days that the answer lacks are missing at the source

Every poll asks for the newest days. Where the table has holes that the source was not asked about, the poll reaches
back to the oldest of them; what the source does not have is remembered and asked for again once a day.
https://alternative.me/crypto/fear-and-greed-index/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.gate.staging import StagedRow
from cryptoviz.pollers import base, wire
from cryptoviz.pollers.base import Harvest, Poller
from cryptoviz.pollers.client import Client, Environment, SourceError, SourceSpec, shape
from cryptoviz.pollers.outcome import Poll
from cryptoviz.settings import Settings
from cryptoviz.settings.quotas import Period, parse
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

NAME: Final = "fear_greed"
SUBJECT: Final = "mood"
PUBLISHER: Final = "alternative.me"
FIRST_DAY: Final = date(2018, 2, 1)

_DAY: Final = timedelta(days=1)
_NEWEST_DAYS: Final = 2
_WHOLE: Final = 0
_LONG_AGO: Final = 365
"""Days beyond which the whole history is asked for at once."""

_PATIENCE: Final = timedelta(hours=1)
"""What was asked for and has not reached the table yet is asked for again after this."""

_RECHECK: Final = timedelta(days=1)
_PUBLISHED: Final = {Period.MINUTE: 6, Period.DAY: 1000}


@dataclass(frozen=True)
class History:
    """What is known of the past. `absent` are days that the source did not have when it was asked at `asked_at`."""

    held: Mapping[date, int]
    absent: frozenset[date] = frozenset()
    asked_at: datetime | None = None


def days_to_ask(history: History, now: datetime) -> int:
    """How many of the newest days to ask for; 0 means all of them."""
    today = now.astimezone(UTC).date()
    lacking = [day for day in _days(FIRST_DAY, today - _DAY) if day not in history.held]
    since = now - history.asked_at if history.asked_at is not None else None
    if since is None or since >= _RECHECK:
        wanted = lacking
    elif since >= _PATIENCE:
        wanted = [day for day in lacking if day not in history.absent]
    else:
        wanted = []
    reach = (today - min(wanted)).days + 1 if wanted else _NEWEST_DAYS
    return _WHOLE if reach > _LONG_AGO else max(reach, _NEWEST_DAYS)


def still_absent(history: History, answered: Iterable[date], limit: int, now: datetime) -> frozenset[date]:
    """The days that the source lacks, after an answer to so many days."""
    found = set(answered)
    today = now.astimezone(UTC).date()
    first = FIRST_DAY if limit == _WHOLE else max(FIRST_DAY, today - (limit - 1) * _DAY)
    gone = {day for day in _days(first, max(found, default=first)) if day not in found}
    return frozenset(gone | {day for day in history.absent if day < first})


def _days(first: date, last: date) -> list[date]:
    return [first + number * _DAY for number in range((last - first).days + 1)]


def poll(
    connection: Connection[Any], settings: Settings, environment: Environment | None = None, *, due_only: bool = False
) -> Poll:
    """Ask for the newest days, and for those that the table lacks; rows for subject `mood`.

    `due_only`: not before the setting's time has passed. The connection is outside of any transaction. The outcome
    names the days that the source lacks.

    Raises:
        psycopg.Error: our own database fails; failures of the source are in the outcome.
    """
    source = SourceSpec(
        NAME,
        parse(settings.fear_greed_quota) or _PUBLISHED,
        timedelta(seconds=settings.fear_greed_every_s),
        refusal=_refusal,
    )
    environment = environment or Environment()

    def ask(client: Client, memory: Mapping[str, Any], harvest: Harvest) -> None:
        with connection.transaction():
            held = dict(connection.execute(query("fear_greed_held")).fetchall())
        _ask(client, _history(held, memory), harvest, settings, environment.now())

    return Poller(source, ask, connection, settings, environment).poll(due_only=due_only)


def _history(held: Mapping[date, int], memory: Mapping[str, Any]) -> History:
    asked_at = memory.get("asked_at")
    return History(
        held,
        frozenset(date.fromisoformat(day) for day in memory.get("absent", ())),
        datetime.fromisoformat(asked_at) if asked_at is not None else None,
    )


def _ask(client: Client, history: History, harvest: Harvest, settings: Settings, now: datetime) -> None:
    limit = days_to_ask(history, now)
    answer = client.get(f"{settings.fear_greed_address}/fng/?limit={limit}&format=json")
    data = answer.body.get("data") if answer is not None and isinstance(answer.body, dict) else None
    if answer is None or not isinstance(data, list):
        raise shape("no list `data`")
    if not data:
        raise shape("an empty list `data`")
    origin = {"source": NAME, "url": answer.url, "answered": len(data), "asked": limit or len(data)}
    rows = [_row(entry, {**origin, "position": position}, answer.received_at) for position, entry in enumerate(data)]
    days = {row.key: _day(row) for row in rows}
    newest_days = {day for day in days.values() if day is not None and day > now.date() - _NEWEST_DAYS * _DAY}
    harvest.rows += [
        row
        for row in rows
        if (day := days[row.key]) is None or day in newest_days or history.held.get(day) != row.payload["value"]
    ]
    harvest.newest = base.newest(row.payload.get("timestamp") for row in rows)
    absent = still_absent(history, (day for day in days.values() if day is not None), limit, now)
    harvest.missing = tuple(sorted(absent))
    asked_at = now if limit != _NEWEST_DAYS else history.asked_at
    harvest.memory = {
        "absent": [str(day) for day in harvest.missing],
        "asked_at": asked_at.isoformat() if asked_at is not None else None,
    }


def _row(entry: Any, origin: Mapping[str, Any], received_at: datetime) -> StagedRow:
    if not isinstance(entry, dict):
        return base.not_an_object(PUBLISHER, entry, origin, received_at)
    at = _instant(entry.get("timestamp"))
    payload = {
        "received_at": wire.instant(received_at),
        "timestamp": at,
        "source": PUBLISHER,
        "value": _whole(entry.get("value")),
        "classification": entry.get("value_classification"),
    }
    return StagedRow(str(at), payload, origin)


def _instant(value: Any) -> Any:
    """Seconds since 1970, which come as a text, as ISO 8601; anything else as it is."""
    seconds = _whole(value)
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        return value
    try:
        return wire.instant(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return value


def _whole(value: Any) -> Any:
    """The integer in a text; anything else as it is."""
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 20 else value


def _day(row: StagedRow) -> date | None:
    at = base.newest([row.payload.get("timestamp")])
    return at.date() if at is not None else None


def _refusal(body: Any, _after: float | None, _now: datetime) -> SourceError | None:
    """Its errors come with status 200, in the metadata."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    error = metadata.get("error") if isinstance(metadata, dict) else None
    return SourceError("api_error", str(error)[:200]) if error else None
