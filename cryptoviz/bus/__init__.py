"""The message bus: the only package that speaks to Kafka.

    producer         what collectors and jobs send with, thousands of messages a second (librdkafka)
    administration   topics: create, list (kafka-python)
    reader           topics: offsets, lag, tail (kafka-python)

Others import from here alone. Each client is loaded when the first of its names is asked for: who sends never loads the
one that administers, nor the other way round, and who catches `BusError` loads neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.bus.interface import Bus, BusError, Header, Message, OnLost, dead_letter_headers
from cryptoviz.bus.memory import MemoryProducer

if TYPE_CHECKING:
    from cryptoviz.bus.administration import create_topics, list_topics
    from cryptoviz.bus.producer import Producer
    from cryptoviz.bus.reader import lag, offsets, tail
else:
    _HOMES: Final = {
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
    "Bus",
    "BusError",
    "Header",
    "MemoryProducer",
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
