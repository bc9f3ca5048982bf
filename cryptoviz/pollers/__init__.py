"""Pollers of market overviews and of the fear and greed index: each asks one source for its rows.

    poll(connection, settings) -> Poll(rows, outcome)
    with connection.transaction(): stage(connection, subject, poll.rows, run); poll.remember(connection)

A poller drops no row that the source sent, however odd: the gate decides. What went wrong is in the outcome, in a word
and a sentence; only errors of our own database are raised.
"""

from __future__ import annotations

from cryptoviz.pollers.outcome import Poll, PollOutcome, PollStatus

__all__ = ["Poll", "PollOutcome", "PollStatus"]
