"""Release or discard by hand what the gate holds back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from pydantic import Field

from assets.resources import Broker, Database
from assets.runs import actor, refused
from cryptoviz.gate.outbox import deliver
from cryptoviz.gate.report import GateError
from cryptoviz.gate.subjects import SUBJECTS
from cryptoviz.storage.audit import recorded

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.quarantine import Resolved


class QuarantineConfig(dg.Config):
    """Which rows."""

    ids: list[int] = Field(
        default=[], description="The ids of the rows, as `cryptoviz quarantine list` and the reports show them."
    )
    subject: str = Field(
        default="", description="All open rows of this subject, such as market. Nothing happens unless you name rows."
    )
    reason: str = Field(default="", max_length=500, description="Why, for those who read the audit log later.")


@dg.op(
    name="release",
    description=(
        "Judges rows once more by what today's suite says of single rows, and publishes those that meet it. The others "
        "stay in quarantine, and the run says why."
    ),
)
def _release(context: dg.OpExecutionContext, config: QuarantineConfig, database: Database, broker: Broker) -> int:
    """Returns the number of rows that were released."""
    from cryptoviz import quarantine  # noqa: PLC0415 - loading the code location needs no client

    found = _resolve(context, config, database, quarantine.RELEASE, quarantine.release)
    subjects = {row.subject for row in found if row.done} & SUBJECTS.keys()
    if subjects:
        with database.writer() as connection, broker.producer() as producer:
            for subject in sorted(subjects):
                context.log.info("%d sent to %s", deliver(connection, producer, subject), SUBJECTS[subject].topic)
    return sum(row.done for row in found)


@dg.op(
    name="discard",
    description="Resolves rows without publishing them: they stay to be looked at, and are not fetched again.",
)
def _discard(context: dg.OpExecutionContext, config: QuarantineConfig, database: Database) -> int:
    """Returns the number of rows that were discarded."""
    from cryptoviz import quarantine  # noqa: PLC0415 - loading the code location needs no client

    return sum(row.done for row in _resolve(context, config, database, quarantine.DISCARD, quarantine.discard))


def _resolve(
    context: dg.OpExecutionContext,
    config: QuarantineConfig,
    database: Database,
    action: str,
    resolve: Callable[["Connection[Any]", list[int], str], list["Resolved"]],
) -> "list[Resolved]":
    from cryptoviz.quarantine import audit_facts, open_ids  # noqa: PLC0415 - loading the code location needs no client

    if not config.ids and not config.subject:
        raise refused("ids", "no row is named", "Give ids, or a subject for all its open rows.")
    with database.writer() as connection:
        numbers = [*config.ids, *(open_ids(connection, config.subject) if config.subject else ())]
        seen = {"run": context.run_id, "ids": numbers, "reason": config.reason}
        with recorded(
            database.writer, actor=actor(context), action=action, subject=config.subject, detail=seen
        ) as facts:
            try:
                found = resolve(connection, numbers, actor(context))
            except GateError as error:
                raise dg.Failure(f"The gate itself failed, nothing was changed: {error}") from error
            facts.update(audit_facts(found))
    for row in found:
        if not row.done:
            context.log.warning("%d was left as it is: %s", row.id, row.why)
    done = sum(row.done for row in found)
    context.add_output_metadata({"done": done, "left as they are": len(found) - done})
    if found and not done:
        raise dg.Failure(
            "None of the rows was resolved: " + "; ".join(f"{row.id}: {row.why}" for row in found), allow_retries=False
        )
    return found


@dg.job(
    name="release_quarantined",
    description="Judge rows in quarantine once more and publish those that meet today's suite.",
    tags={"dagster/max_runtime": "900", "kind": "quarantine"},
)
def _release_quarantined() -> None:
    _release()


@dg.job(
    name="discard_quarantined",
    description="Resolve rows in quarantine without publishing them. They stay to be looked at.",
    tags={"dagster/max_runtime": "300", "kind": "quarantine"},
)
def _discard_quarantined() -> None:
    _discard()


RELEASE_QUARANTINED: Final = _release_quarantined
DISCARD_QUARANTINED: Final = _discard_quarantined
