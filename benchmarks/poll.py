"""What a full gated poll of the six feeds costs in CPU time, beside bare fetching and parsing of the same feeds.

    bare  : httpx.get -> feedparser.parse, one feed after the other; nothing is kept
    poll  : robots.txt, fetch, parse, article pages, coins, sentiment, staging, gate, quarantine or Kafka

The simulated web, PostgreSQL and the broker are other processes and do not count; neither does importing. Each round
is a poll of a process of its own for which every article is new, the dearest case. The budget is 5 CPU-seconds.

`python -m benchmarks.poll`
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import feedparser
import httpx

from benchmarks.stage import Stage, free_ports, median, stage
from cryptoviz.bus import Producer
from cryptoviz.gate.outbox import deliver, judge_staged
from cryptoviz.news.feeds import load_feeds
from cryptoviz.news.poll import poll
from cryptoviz.settings import PREFIX, PROJECT_ROOT, Role, Settings, load
from cryptoviz.storage.database import connect

BUDGET_S = 5.0
ROUNDS = 3
_FORGET = "TRUNCATE staging, published_keys, article_revisions, shared_article_names, news_feed_states, robots_cache"
_READY_S = 30


def bare(settings: Settings) -> int:
    """Entries of all feeds, fetched and parsed and nothing else."""
    return sum(len(feedparser.parse(httpx.get(feed.url).content).entries) for feed in load_feeds(settings))


def gated(settings: Settings) -> int:
    """Articles that a poll sent."""
    producer = Producer(settings)
    producer.start()
    with connect(Role.WRITER, settings, autocommit=True) as connection:
        poll(connection, settings, run="benchmark")
        judge_staged(connection, "articles", "benchmark", "poll/articles")
        sent = deliver(connection, producer, "articles")
    producer.close()
    return sent


def cost(act: Callable[[Settings], int]) -> None:
    """Print the articles and the CPU-seconds of one call, imports done."""
    import great_expectations  # noqa: F401, PLC0415 - the seconds that importing takes are not what is measured
    import pandas  # noqa: F401, PLC0415
    import trafilatura  # noqa: F401, PLC0415
    from textblob import TextBlob  # noqa: F401, PLC0415

    settings, began = load(), time.process_time()
    found = act(settings)
    sys.stdout.write(json.dumps({"articles": found, "seconds": time.process_time() - began}))


def measured(one: Stage, environment: dict[str, str], name: str) -> tuple[int, float]:
    """Articles, and the CPU-seconds of a process that had to learn everything anew."""
    with one.connect() as connection:
        connection.execute(_FORGET)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.poll", name],
        cwd=PROJECT_ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return told["articles"], told["seconds"]


@contextmanager
def simulated_web(environment: dict[str, str], port: int) -> Iterator[None]:
    """The simulated web in a process of its own, once it answers."""
    child = subprocess.Popen(
        [sys.executable, "-m", "simulators.web"], cwd=PROJECT_ROOT, env=os.environ | environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/control/health").raise_for_status()
                break
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield
    finally:
        child.terminate()
        child.wait()


def main() -> int:
    """Measure both and print the ratio; 1 when the budget is missed."""
    (port,) = free_ports(1)
    with stage() as one:
        environment = one.environment | {f"{PREFIX}MODE": "demo", f"{PREFIX}WEB_SIMULATOR_PORT": str(port)}
        with simulated_web(environment, port):
            figures = {name: [measured(one, environment, name) for _ in range(ROUNDS)] for name in ("bare", "gated")}
    seconds = {name: median([cost for _, cost in rounds]) for name, rounds in figures.items()}
    print(f"poll: six feeds, CPU-seconds beyond imports, median of {ROUNDS}")
    for name, rounds in figures.items():
        print(
            f"  {name:6} {rounds[0][0]:>4} articles {seconds[name]:>7.2f} s  (x {seconds[name] / seconds['bare']:.1f})"
        )
    passed = seconds["gated"] <= BUDGET_S
    print(f"  budget: {BUDGET_S:.0f} CPU-seconds: {'met' if passed else 'MISSED'}")
    return int(not passed)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        cost({"bare": bare, "gated": gated}[sys.argv[1]])
    else:
        sys.exit(main())
