"""quarantine: what the gate holds back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cryptoviz.commands.output import Json, as_json, explained, finish, say, table
from cryptoviz.settings import Role, Settings, load
from cryptoviz.stack.errors import StackError

if TYPE_CHECKING:
    from psycopg import Connection

    from cryptoviz.quarantine import Resolved

app = typer.Typer(help="What failed a gate: list, show, release, discard.", no_args_is_help=True)

_START: Final = "is the database up? `make status` says; `make demo` or `make up` starts it"
_WIDE: Final = 70
_COLUMNS: Final = {
    "id": "id",
    "subject": "subject",
    "series": "what",
    "expectation": "failed",
    "occurrences": "seen",
    "last_seen_at": "last seen",
    "state": "state",
    "short": "why",
}
_FIELDS: Final = {"name": "", "value": ""}
Ids = Annotated[list[int] | None, typer.Argument(help="The ids of the rows, as `list` shows them.")]
Subject = Annotated[str | None, typer.Option("--subject", help="Only rows of this subject, such as market.")]
AllOf = Annotated[str | None, typer.Option("--subject", help="All open rows of this subject, such as market.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for those who read the audit log later.")]


@app.command("list")
def list_(
    subject: Subject = None,
    every: Annotated[bool, typer.Option("--all", help="Released and discarded ones too.")] = False,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=10_000, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """List rows that failed a gate, with the reason; those seen last first."""
    import psycopg

    from cryptoviz.quarantine import list_rows

    with explained("quarantine cannot be read", _START, psycopg.Error), _connected(Role.READER, load()) as connection:
        rows = list_rows(connection, subject=subject, every=every, limit=limit)
    if json:
        as_json(rows)
        return
    short = [
        row | {"short": _short(row["reason"]), "last_seen_at": f"{row['last_seen_at']:%m-%d %H:%M}"} for row in rows
    ]
    table("", short, _COLUMNS, empty="nothing is in quarantine" if not every else "nothing ever was in quarantine")


@app.command()
def show(number: Annotated[int, typer.Argument(metavar="ID")], json: Json = False) -> None:
    """Show one row whole: its fields, every reason, where it came from and what became of it."""
    import psycopg

    from cryptoviz.quarantine import show_row

    with explained("quarantine cannot be read", _START, psycopg.Error), _connected(Role.READER, load()) as connection:
        row = show_row(connection, number)
    if row is None:
        raise StackError(f"there is no row {number} in quarantine", fix="`cryptoviz quarantine list --all` shows all")
    if json:
        as_json(row)
        return
    payload, origin = row.pop("payload"), row.pop("origin")
    for title, fields in (("", row), ("the row", payload), ("where it came from", origin)):
        say()
        table(title, [{"name": name, "value": _plain(value)} for name, value in fields.items()], _FIELDS)


@app.command()
def release(ids: Ids = None, subject: AllOf = None, reason: Reason = "", json: Json = False) -> None:
    """Judge rows once more by today's suite and publish those that pass; say why the others stay in quarantine."""
    from cryptoviz import quarantine

    settings = load()
    found = _resolve(settings, quarantine.RELEASE, quarantine.release, ids, subject=subject, reason=reason)
    _print_resolved(found, "released", json)
    _deliver(settings, {row.subject for row in found if row.done}, quiet=json)
    finish(all(row.done for row in found))


@app.command()
def discard(ids: Ids = None, subject: AllOf = None, reason: Reason = "", json: Json = False) -> None:
    """Resolve rows without publishing them; they stay to be looked at, and are not fetched again."""
    from cryptoviz import quarantine

    found = _resolve(load(), quarantine.DISCARD, quarantine.discard, ids, subject=subject, reason=reason)
    _print_resolved(found, "discarded", json)
    finish(all(row.done for row in found))


def _resolve(
    settings: Settings,
    action: str,
    resolve: Callable[[Connection[Any], list[int], str], list[Resolved]],
    ids: list[int] | None,
    *,
    subject: str | None,
    reason: str,
) -> list[Resolved]:
    """Resolve the rows and write the action to the audit log."""
    from getpass import getuser

    import psycopg

    from cryptoviz.gate.report import GateError
    from cryptoviz.quarantine import audit_facts, open_ids
    from cryptoviz.storage.audit import recorded

    if not ids and subject is None:
        raise StackError("no row is named", fix="give ids, or --subject for all open rows of one")
    writer = partial(_connected, Role.WRITER, settings)
    with (
        explained("quarantine cannot be written", _START, psycopg.Error),
        explained("the gate failed, nothing was changed", "repair what it names and try again", GateError),
        writer() as connection,
    ):
        numbers = [*(ids or ()), *(open_ids(connection, subject) if subject is not None else ())]
        detail = {"by": "command line", "ids": numbers, "reason": reason}
        with recorded(writer, actor=getuser(), action=action, subject=subject or "", detail=detail) as facts:
            found = resolve(connection, numbers, getuser())
            facts.update(audit_facts(found))
    return found


def _deliver(settings: Settings, subjects: set[str], *, quiet: bool) -> None:
    """Send at once what was released; what the broker does not take now goes with the next run."""
    from cryptoviz.bus import Producer
    from cryptoviz.gate.outbox import DeliveryError, deliver
    from cryptoviz.gate.subjects import SUBJECTS

    wanted = sorted(subjects & SUBJECTS.keys())
    if not wanted:
        return
    producer = Producer(settings)
    producer.start()
    later = "is the broker up? `make status` says; what was released is sent with the next poll"
    try:
        with explained("not sent yet", later, DeliveryError), _connected(Role.WRITER, settings) as connection:
            for subject in wanted:
                sent = deliver(connection, producer, subject)
                if not quiet:
                    say(f"{sent} sent to {SUBJECTS[subject].topic}")
    finally:
        producer.close(timeout=1)


def _print_resolved(found: Sequence[Resolved], word: str, json: bool) -> None:
    if json:
        as_json([{"id": row.id, "subject": row.subject, "done": row.done, "why": row.why} for row in found])
        return
    for row in found:
        say(f"{row.id} {word}" if row.done else f"{row.id} not {word}: {row.why}")
    if not found:
        say("nothing is in quarantine")


def _connected(role: Role, settings: Settings) -> Any:
    from cryptoviz.storage.database import connect

    return connect(role, settings, autocommit=True, application_name="cryptoviz quarantine")


def _short(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."


def _plain(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
