"""Start, stop and restart a stream: write the request, wait until its runner has fulfilled it, log the action."""

import time
from typing import Final

import dagster as dg
from pydantic import Field

from assets.resources import Database
from assets.runs import actor, refused
from cryptoviz.settings import settings
from cryptoviz.storage.audit import recorded
from cryptoviz.streams.control import StreamRequest, is_fulfilled, read_facts, request, why_unfulfilled
from cryptoviz.streams.facts import COLLECTOR, Stream

_LOOK_S: Final = 0.25


class StreamConfig(dg.Config):
    """Which stream."""

    stream: Stream = Field(description="The stream. There is no default: nothing happens unless you choose one.")
    wait_s: int = Field(
        default=120, ge=1, le=600, description="Longest wait for the stream's runner; what was asked stays asked."
    )
    reason: str = Field(default="", max_length=500, description="Why, for those who read the audit log later.")


def _job(what: StreamRequest, description: str) -> dg.JobDefinition:
    name = f"{what}_stream"

    @dg.op(name=what.value, description=description)
    def op(context: dg.OpExecutionContext, config: StreamConfig, database: Database) -> float:
        stream = config.stream.value
        _known(stream)
        seen = {"run": context.run_id, "reason": config.reason}
        with (
            recorded(database.writer, actor=actor(context), action=name, subject=stream, detail=seen) as found,
            database.writer() as connection,
        ):
            began = time.monotonic()
            generation = request(connection, stream, what)
            now = read_facts(connection, stream)
            while not is_fulfilled(what, now, generation):
                if time.monotonic() - began > config.wait_s:
                    raise dg.Failure(why_unfulfilled(what, now, config.wait_s), allow_retries=False)
                time.sleep(_LOOK_S)
                now = read_facts(connection, stream)
            seconds = round(time.monotonic() - began, 2)
            found.update(state=now.state, generation=now.generation)
        context.log.info("%s is %s after %.1f s", stream, now.state, seconds)
        context.add_output_metadata({"stream": stream, "state": str(now.state), "seconds": seconds})
        return seconds

    # A run whose process is lost is ended by Dagster; what it asked for stays asked.
    @dg.job(name=name, description=description, tags={"dagster/max_runtime": "900", "kind": "supervision"})
    def job() -> None:
        op()

    return job


def _known(stream: str) -> None:
    exchange = stream.removeprefix(COLLECTOR)
    if stream.startswith(COLLECTOR) and exchange not in settings().exchanges:
        raise refused("stream", f"{exchange} is not collected here", "Add it to the setting CRYPTOVIZ_EXCHANGES.")


STREAM_JOBS: Final = (
    _job(
        StreamRequest.start, "Let a stream run that was stopped, and wait until it does. One that runs is left alone."
    ),
    _job(
        StreamRequest.stop,
        "Stop a stream and keep it stopped until somebody starts it. Its position is kept: nothing is lost.",
    ),
    _job(
        StreamRequest.restart, "Let a stream's worker end in good order and begin anew, and wait until it works again."
    ),
)
