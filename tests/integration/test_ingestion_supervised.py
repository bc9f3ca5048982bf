"""The real Spark job under its runner: a JVM that is stopped is noticed, and a stopped driver cannot do harm later."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime

import pytest

from cryptoviz.processes import family, read_process
from cryptoviz.settings import Role
from cryptoviz.stack.kafka import LocalKafka
from cryptoviz.storage.database import connect
from cryptoviz.streams.supervision import Verdict
from cryptoviz.streams.verdicts import JudgedStream, judge_streams, remember_verdict
from tests.conftest import Cluster
from tests.integration.test_ingestion import Job, check_candles, job, send, trade
from tests.throttle import throttled

__all__ = ["job"]
pytestmark = [pytest.mark.services, pytest.mark.slow]

_QUICK = {"CRYPTOVIZ_STREAM_HANG_S": "5", "CRYPTOVIZ_STREAM_STALL_S": "15"}


def worker(job: Job) -> int:
    return int(job.rows("SELECT pid FROM stream_status WHERE name = 'ingestion'")[0][0])


def jvm(pid: int) -> int:
    processes = [process for member in family(pid) if (process := read_process(member)) is not None]
    [java] = [process.pid for process in processes if "/java " in process.command]
    return java


def events(job: Job) -> list[str]:
    return [row[0] for row in job.rows("SELECT event FROM stream_events WHERE name = 'ingestion' ORDER BY at")]


def seen(job: Job, triggers: set[str]) -> set[str]:
    """Add when the last trigger was, by the job's own word."""
    triggers |= {row[0] for row in job.rows("SELECT detail->>'trigger' FROM stream_status WHERE name = 'ingestion'")}
    return triggers


def send_trades(job: Job, numbers: range, exchange: str = "supervised") -> None:
    now = datetime.now(UTC)
    send(job.settings, (trade(exchange, number, now) for number in numbers))


def stored(job: Job, numbers: range) -> None:
    send_trades(job, numbers)
    job.wait(lambda: job.count("supervised") == numbers.stop, f"{numbers.stop} trades")


def test_a_stopped_jvm_is_noticed_and_an_idle_one_is_left_alone(job: Job) -> None:
    job.environment |= _QUICK
    job.start()
    job.wait(job.idle, "the first batch")
    stored(job, range(100))
    first, java = worker(job), jvm(worker(job))
    # Triggers that find nothing are progress too, else an idle stream would count as standing still.
    triggers: set[str] = set()
    job.wait(lambda: len(seen(job, triggers)) >= 4, "triggers without messages")
    assert events(job) == ["started", "ready"]
    os.kill(java, signal.SIGSTOP)
    job.wait(lambda: "recovered" in events(job), "the next driver")
    assert events(job) == ["started", "ready", "hung", "killed", "started", "ready", "recovered"]
    assert read_process(java) is None
    assert read_process(first) is None
    stored(job, range(100, 200))
    assert job.end(signal.SIGTERM) == 0
    assert job.rows("SELECT state, epoch FROM stream_status WHERE name = 'ingestion'") == [("stopped", 2)]


def look(job: Job) -> JudgedStream:
    """What the supervisor finds of the ingestion, and remembers."""
    with connect(Role.WRITER, job.settings, autocommit=True) as connection:
        judged = judge_streams(connection, job.settings, time.time())["ingestion"]
        remember_verdict(connection, "ingestion", judged.decision)
    return judged


# The topics keep what other tests have sent: what is counted here has a name of its own.
def test_at_a_fifth_of_its_speed_it_is_neither_restarted_nor_called_dead(
    job: Job, postgres_cluster: Cluster, kafka_broker: LocalKafka
) -> None:
    job.environment |= {"CRYPTOVIZ_STREAM_STALL_S": "10"}
    job.start()
    job.wait(job.idle, "the first batch")
    assert job.process is not None
    postmaster = int((postgres_cluster.server.data_dir / "postmaster.pid").read_text().split()[0])
    roots = [pid for pid in (job.process.pid, postmaster, kafka_broker.pid) if pid is not None]
    assert len(roots) == 3
    looks: list[JudgedStream] = []

    def watched(total: int) -> bool:
        looks.append(look(job))
        return job.count("throttled") == total

    sent, longest = 0, 0.0
    with throttled(lambda: set().union(*map(family, roots))):
        # Whatever this machine's speed is: more and more until one batch has taken longer than a standstill may.
        while longest <= 11:
            more = max(5_000, sent)
            send_trades(job, range(sent, sent + more), "throttled")
            sent += more
            job.wait(lambda total=sent: watched(total), f"{sent} trades")  # type: ignore[misc]
            longest = max(float(judged.row["detail"].get("batch_for_s") or 0) for judged in looks)
    job.wait(lambda: watched(sent) and job.idle(), "no lag")
    assert not {judged.decision.verdict for judged in looks} & {Verdict.DEAD, Verdict.DOWN, Verdict.STUCK}
    assert not any(judged.decision.restart for judged in looks)
    assert events(job) == ["started", "ready"]
    assert "database_is_away" not in job.log.read_text()
    check_candles(job, "throttled")
