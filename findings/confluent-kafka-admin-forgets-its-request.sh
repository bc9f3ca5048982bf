#!/usr/bin/env bash
# confluent-kafka 2.16.1 (librdkafka 2.16.0): a request of a client that no variable holds ends at once.
#
# Expected: the futures of AdminClient(...).create_topics(...) keep their client alive until they are done, as an
# executor's do.
# Seen: without a name for the client it is destroyed when the line ends, and the future fails within milliseconds with
# _DESTROY, "Handle is terminating". With a name the same call waits for the broker: here there is none, and it ends
# with _TIMED_OUT.
# Why it matters: a start script that makes topics in one line fails with an error that looks like a broker's. The
# topic may be there or not: the request may have left before.
# What to do: hold the client in a variable until the futures are done.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.16.1

"$folder/venv/bin/python" - <<'PY'
import sys

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


# Nobody answers there, and librdkafka need not say so.
CONFIG = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}


def outcome(futures: dict[str, object]) -> str:
    """The name of the error the request ended with."""
    try:
        return str(futures["trades"].result(timeout=60))
    except confluent_kafka.KafkaException as error:
        return error.args[0].name()


print("confluent-kafka", confluent_kafka.version(), "librdkafka", confluent_kafka.libversion()[0])
topics = [NewTopic("trades", num_partitions=1, replication_factor=1)]
expect("without a name", outcome(AdminClient(CONFIG).create_topics(topics, request_timeout=3)), "_DESTROY")
client = AdminClient(CONFIG)
expect("with a name", outcome(client.create_topics(topics, request_timeout=3)), "_TIMED_OUT")
PY
