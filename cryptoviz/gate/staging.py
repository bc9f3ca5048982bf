"""The outbox: what was fetched waits here until it is in quarantine, or the broker has acknowledged it.

poller -> stage (in the poller's own transaction) -> staging -> judge -> deliver -> published_keys
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cryptoviz.gate.subjects import SUBJECTS
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection

_LONGEST_KEY: Final = 600
"""Characters of a key: PostgreSQL's indexes take 2,704 bytes."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def _foreign(value: Any) -> Any:
    """numpy's numbers as Python's, anything else as text."""
    return value.item() if hasattr(value, "item") else str(value)


_encoder: Final = msgspec.json.Encoder(decimal_format="string", enc_hook=_foreign)


@dataclass(frozen=True)
class StagedRow:
    """A row as it was fetched, not yet judged.

    `key` is its natural key within the subject. `payload` has the record's fields as they will be on the wire:
    decimals as strings, instants ISO 8601 with `Z`. `origin` says where it came from: `source` and `url`, and for an
    overview of many rows `answered`, the number of rows in that answer.
    """

    key: str
    payload: Mapping[str, Any]
    origin: Mapping[str, Any] = field(default_factory=dict)


def stage(connection: Connection[Any], subject: str, rows: Iterable[StagedRow], run: str) -> int:
    """Put rows into the outbox, within the caller's transaction if there is one; returns how many were new.

    A key that waits already, was published within the subject's memory, or was discarded from quarantine is not
    staged again. Two different rows under one key of one call are both staged, the later with `#2` after its key:
    the suite says what is wrong with them.

    Raises:
        KeyError: there is no such subject.
    """
    definition = SUBJECTS[subject]
    found: dict[str, tuple[str, str, str]] = {}
    for row in rows:
        key, payload = _indexable(storable(row.key)), storable(row.payload)
        body = as_json(payload)
        unique, number = key, 2
        while unique in found and found[unique][0] != body:
            unique, number = f"{key}#{number}", number + 1
        found[unique] = (body, as_json(row.origin), _indexable(definition.series_of(unique, payload)))
    if not found:
        return 0
    parameters = {
        "subject": subject,
        "run": run,
        "key": list(found),
        "payload": [body for body, _, _ in found.values()],
        "origin": [origin for _, origin, _ in found.values()],
        "series": [series for _, _, series in found.values()],
    }
    return connection.execute(query("staging_insert"), parameters).rowcount


def _indexable(key: str) -> str:
    """The key, or where it is too long for an index, its beginning and its digest."""
    if len(key) <= _LONGEST_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{key[: _LONGEST_KEY // 2]}...sha256:{digest}"


def as_json(value: Any) -> str:
    """The value as JSON that PostgreSQL takes: decimals as strings, instants ISO 8601, no number that is none."""
    return _encoder.encode(storable(value)).decode()


def storable(value: Any) -> Any:
    """The value with U+FFFD for the characters that PostgreSQL refuses in text: NUL and halves of surrogate pairs."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {storable(str(name)): storable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner) for inner in value]
    return value
