"""Records to bytes and back.

    record -> encode -> key, JSON bytes, headers -> Kafka -> decode -> record

Prices and volumes travel as JSON strings, so that no reader turns them into floats by accident.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from cryptoviz.records import Record
from cryptoviz.topics import TOPICS, Topic

SCHEMA_VERSION: Final = 1
"""Sent in the header ``schema``; raised when a field changes its meaning or disappears."""

MAX_MESSAGE_BYTES: Final = 4_000_000
"""The longest message that is published: what producer and broker allow, less what key and headers may take."""

_encoder = msgspec.json.Encoder(decimal_format="string")
_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    topic.name: msgspec.json.Decoder(topic.record) for topic in TOPICS.values() if topic.record is not None
}


class RefusedError(ValueError):
    """A message that is no valid record. `kind` is one word for counters: undecodable, invalid or unknown_topic."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def encode(record: Record) -> bytes:
    """The record as one JSON object in UTF-8."""
    return _encoder.encode(record)


def decode(topic: str, message: bytes) -> Any:
    """The record in a message of `topic`.

    Raises:
        RefusedError: the message is not JSON, or not a valid record; it says which field and why.
    """
    decoder = _decoders.get(topic)
    if decoder is None:
        raise RefusedError("unknown_topic", f"no record is defined for topic {topic}")
    try:
        return decoder.decode(message)
    except msgspec.ValidationError as error:
        raise RefusedError("invalid", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError("undecodable", str(error)) from None


def headers(topic: Topic, record: Any) -> list[tuple[str, bytes]]:
    """The message headers ``source, type, exchange, symbol, schema``; empty where a record has no such thing."""
    exchange = getattr(record, "exchange", "")
    source = exchange or getattr(record, "source", "")
    symbol = getattr(record, "pair", "") or getattr(record, "symbol", "")
    values = {
        "source": source,
        "type": topic.name,
        "exchange": exchange,
        "symbol": symbol,
        "schema": f"{type(record).__name__}/{SCHEMA_VERSION}",
    }
    return [(name, str(value).encode()) for name, value in values.items()]
