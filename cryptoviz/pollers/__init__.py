"""Pollers of market overviews and of the mood: each asks one source and says what it heard.

    poll(connection, settings) -> Poll(rows, outcome)
    with connection.transaction(): stage(connection, subject, poll.rows, run); poll.remember(connection)

A poller judges nothing: every row that the source sent is among the rows, however odd, and the gate decides. What
went wrong is in the outcome in a word and a sentence; only trouble with our own database is raised.
"""

from __future__ import annotations

from cryptoviz.pollers.outcome import Outcome, Poll, Status

__all__ = ["Outcome", "Poll", "Status"]
