#!/usr/bin/env bash
# kafka-python 3.0.12: a client that reaches no broker leaves its thread and its sockets behind.
#
# Expected: a constructor that raises leaves nothing open: nobody holds an object that could be closed.
# Seen: KafkaAdminClient and KafkaConsumer start a thread of their own, then raise KafkaTimeoutError, and the thread
# goes on for as long as the process lives, its sockets with it.
# Why it matters: whoever asks a broker that is away once a minute has 1,440 threads more after a day.
# What to do: hand in `kafka_client`, a function that makes kafka.net.compat.KafkaNetClient and keeps it, and close that.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check kafka-python==3.0.12

"$folder/venv/bin/python" - <<'PY'
import os
import sys
import threading

import kafka
from kafka.errors import KafkaTimeoutError
from kafka.net.compat import KafkaNetClient


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


def left(client: type, **config: object) -> tuple[int, bool]:
    """Threads that are there after five failures and were not before, and whether there are open files for each."""
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        try:
            client(bootstrap_servers="127.0.0.1:1", bootstrap_timeout_ms=200, **config)
        except KafkaTimeoutError:
            continue
    return threading.active_count() - before[0], len(os.listdir("/proc/self/fd")) >= before[1] + 5


print("kafka-python", kafka.__version__)
expect("threads and files left by five KafkaAdminClients", left(kafka.KafkaAdminClient), (5, True))
expect("threads and files left by five KafkaConsumers", left(kafka.KafkaConsumer), (5, True))

made = []


def network(**config: object) -> KafkaNetClient:
    made.append(KafkaNetClient(**config))
    return made[-1]


threads = threading.active_count()
left(kafka.KafkaAdminClient, kafka_client=network)
for client in made:
    client.close()
expect("threads left when their networks are closed", threading.active_count() - threads, 0)
PY
