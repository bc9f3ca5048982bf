"""The message bus: the only package that speaks to Kafka.

    follower         what the ingestion reads ahead with (librdkafka)
    producer         what collectors and jobs send with, thousands of messages a second (librdkafka)
    administration   topics: create, list (kafka-python)
    reader           topics: offsets, lag, tail (kafka-python)

Import from here, never from the modules. A client library is loaded with the first name that needs it: a program that
only sends never loads kafka-python, one that only reads never loads librdkafka, and `BusError` alone loads neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.bus.interface import DEADLETTER, Bus, BusError, Ends, Header, Message, OnLost, dead_letter_headers

if TYPE_CHECKING:
    from cryptoviz.bus.administration import create_topics, list_topics
    from cryptoviz.bus.follower import Follower
    from cryptoviz.bus.producer import Producer
    from cryptoviz.bus.reader import lag, offsets, tail
else:
    _HOMES: Final = {
        "Follower": "follower",
        "Producer": "producer",
        "create_topics": "administration",
        "list_topics": "administration",
        "lag": "reader",
        "offsets": "reader",
        "tail": "reader",
    }

    def __getattr__(name: str) -> Any:
        """Load the module of a name that needs a Kafka client."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return found


__all__ = [
    "DEADLETTER",
    "Bus",
    "BusError",
    "Ends",
    "Follower",
    "Header",
    "Message",
    "OnLost",
    "Producer",
    "create_topics",
    "dead_letter_headers",
    "lag",
    "list_topics",
    "offsets",
    "tail",
]
