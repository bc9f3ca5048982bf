"""What all pollers share: when a source may be asked, and the outcome of a poll.

    paused? circuit open? due? quota? -> ask, with retries -> rows, as far as they came -> PollOutcome, state

A short Retry-After is waited for within the run, a long one is kept for the next runs. A source that failed several
polls in a row is left alone for a while by its circuit breaker, whose state every run and process shares.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pybreaker

from cryptoviz.gate.staging import StagedRow
from cryptoviz.logs import logger
from cryptoviz.pollers import state, wire
from cryptoviz.pollers.client import Client, Environment, SourceError, SourceSpec
from cryptoviz.pollers.outcome import Poll, PollOutcome, PollStatus
from cryptoviz.pollers.state import ExhaustedError, SourceState
from cryptoviz.remote.breaker import Breaker, open_until
from cryptoviz.remote.errors import Failure
from cryptoviz.settings import Settings
from cryptoviz.storage import driver

if TYPE_CHECKING:
    from psycopg import Connection

_log = logger(__name__)

_SLACK: Final = timedelta(seconds=30)
"""How early a scheduled run may come and still find its source due."""

_LONGEST_ENTRY: Final = 1000
_LEVELS: Final = {PollStatus.FAILED: logging.WARNING, PollStatus.PARTIAL: logging.WARNING}


@dataclass
class Harvest:
    """The rows of the pages that came, kept when a later page fails, and the memory that belongs to these rows."""

    rows: list[StagedRow] = field(default_factory=list)
    unmodified: bool = False
    newest: datetime | None = None
    missing: tuple[date, ...] = ()
    memory: Mapping[str, Any] | None = None


Ask = Callable[[Client, Mapping[str, Any], Harvest], None]
"""Asks the source by the client, given the memory of earlier polls, and adds the rows to the harvest."""


@dataclass(frozen=True)
class Poller:
    """One source and how it is asked. The connection is outside of any transaction."""

    source: SourceSpec
    ask: Ask
    connection: Connection[Any]
    settings: Settings
    environment: Environment

    def poll(self, *, due_only: bool) -> Poll:
        """Ask the source, if it may be asked now; with `due_only` not before its interval has passed.

        Raises:
            ValueError: a transaction is open; the use of quotas must be committed at once.
            psycopg.Error: our own database fails.
        """
        if self.connection.info.transaction_status is not driver.TransactionStatus.IDLE:
            raise ValueError("poll outside of any transaction: the use of quotas is committed at once")
        known = state.load(self.connection, self.source.name)
        client = Client(self.source, self.connection, self.settings, self.environment)
        reason = self._why_skipped(known, due_only=due_only)
        if reason is None:
            try:
                client.take_request()
            except ExhaustedError as error:
                reason = ("quota", str(error))
        if reason is None:
            return self._poll(client, known)
        outcome = PollOutcome(self.source.name, PollStatus.SKIPPED, *reason, breaker=known.breaker)
        _log.info("source_skipped", source=outcome.source, reason=outcome.reason, detail=outcome.detail)
        return Poll((), outcome)

    def _why_skipped(self, known: SourceState, *, due_only: bool) -> tuple[str, str] | None:
        """Why the source is not asked now, in a word and a sentence."""
        now, every = self.environment.now(), self.source.every
        if known.paused_until is not None and now < known.paused_until:
            return "paused", f"left alone until {known.paused_until:%Y-%m-%d %H:%M:%S} UTC: {known.paused_because}"
        until = open_until(known.breaker, known.opened_at, self.settings.poller_rest_s)
        if until is not None and now < until:
            return "circuit_open", f"failed {known.failures} times in a row; tried again at {until:%H:%M:%S} UTC"
        if due_only and known.asked_at is not None and now < known.asked_at + every - min(_SLACK, every / 4):
            return "not_due", f"asked every {every.total_seconds():.0f} s"
        return None

    def _poll(self, client: Client, known: SourceState) -> Poll:
        harvest = Harvest()
        breaker = self._breaker()
        begun = time.monotonic()
        error = self._error(breaker, client, known, harvest)
        now = self.environment.now()
        pause = None
        if error is not None and error.retry_after is not None:
            pause = now + timedelta(seconds=error.retry_after), str(error)
        failure = str(error) if error is not None else None
        state.record_poll(self.connection, self.source.name, now, failure, pause)
        outcome = PollOutcome(
            self.source.name,
            _status(harvest, error),
            error.reason if error is not None else "",
            error.detail if error is not None else "",
            rows=len(harvest.rows),
            requests=client.requests,
            http_status=client.http_status,
            bytes=client.bytes,
            seconds=time.monotonic() - begun,
            breaker=breaker.current_state,
            newest=harvest.newest,
            missing=harvest.missing,
        )
        facts = {name: value for name, value in outcome.facts().items() if value is not None}
        _log.log(_LEVELS.get(outcome.status, logging.INFO), "source_polled", source=outcome.source, **facts)
        return Poll(harvest.rows, outcome, harvest.memory)

    def _breaker(self) -> Breaker:
        return Breaker(
            self.settings.poller_failures,
            self.settings.poller_rest_s,
            counts=_failure_of_source,
            storage=state.BreakerStorage(self.connection, self.source.name),
        )

    def _error(self, breaker: Breaker, client: Client, known: SourceState, harvest: Harvest) -> SourceError | None:
        """Ask through the circuit breaker; returns the error that ended it, if any."""
        try:
            breaker.call(self.ask, client, known.memory, harvest)
        except SourceError as error:
            return error
        except ExhaustedError as error:
            return SourceError("quota", str(error))
        except pybreaker.CircuitBreakerError:
            return SourceError("circuit_open", "another run opened the circuit in this moment")
        return None


def _failure_of_source(error: BaseException) -> bool:
    """Whether an error counts in the circuit breaker: being asked too often is not the source's failure."""
    return isinstance(error, SourceError) and error.failure is not Failure.LIMITED


def _status(harvest: Harvest, error: SourceError | None) -> PollStatus:
    if error is not None:
        return PollStatus.PARTIAL if harvest.rows else PollStatus.FAILED
    return PollStatus.UNMODIFIED if harvest.unmodified and not harvest.rows else PollStatus.POLLED


def newest(instants: Iterable[Any]) -> datetime | None:
    """The latest of the values that are instants in ISO 8601 with a zone."""
    found: list[datetime] = []
    for value in instants:
        try:
            at = datetime.fromisoformat(value)
            if at.tzinfo is not None:
                found.append(at.astimezone(UTC))
        except (TypeError, ValueError, OverflowError):
            continue
    return max(found, default=None)


def not_an_object(source: str, entry: Any, origin: Mapping[str, Any], received_at: datetime) -> StagedRow:
    """The row for an entry that is no JSON object; the gate refuses it with a reason."""
    text = repr(entry)[:_LONGEST_ENTRY]
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
    payload = {"received_at": wire.instant(received_at), "source": source, "entry": text}
    return StagedRow(f"entry {digest}|{source}", payload, origin)
