"""What every request to a remote source shares: which failures are worth another attempt, waits, breaker, budget."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import ccxt
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import RetryCallState, Retrying

from cryptoviz.remote.backoff import Backoff
from cryptoviz.remote.breaker import Breaker
from cryptoviz.remote.budget import LocalBudget, retrying, take_turn, waits
from cryptoviz.remote.errors import (
    BudgetClosedError,
    Failure,
    FetchError,
    LimitedError,
    PermanentError,
    Reason,
    RemoteError,
    TransientError,
    failure_of,
    failure_of_status,
    remote_error,
    worth_retrying,
)
from cryptoviz.remote.exchange import asking
from cryptoviz.remote.retry_after import LONGEST_S, retry_after_of

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
IN_A_MINUTE = f"{NOW + timedelta(minutes=1):%a, %d %b %Y %H:%M:%S} GMT"
PERMANENT, TRANSIENT, LIMITED = Failure

# What an answer says

ANSWERS: list[tuple[int, dict[str, str], Failure | None, float | None]] = [
    (200, {}, None, None),
    (204, {"Retry-After": "5"}, None, 5),
    (304, {}, None, None),
    (400, {}, PERMANENT, None),
    (401, {}, PERMANENT, None),
    (403, {}, PERMANENT, None),
    (404, {"retry-after": "120"}, PERMANENT, 120),
    (408, {}, TRANSIENT, None),
    (410, {}, PERMANENT, None),
    (418, {"retry-after": "120"}, LIMITED, 120),
    (425, {}, TRANSIENT, None),
    (429, {"RETRY-AFTER": " 7 "}, LIMITED, 7),
    (429, {"retry-after": IN_A_MINUTE}, LIMITED, 60),
    (429, {"retry-after": "9" * 50}, LIMITED, LONGEST_S),
    (429, {"retry-after": "²"}, LIMITED, None),
    (429, {"retry-after": "-1"}, LIMITED, None),
    (429, {"retry-after": "1.5"}, LIMITED, None),
    (429, {"retry-after": "soon"}, LIMITED, None),
    (429, {"retry-after": ""}, LIMITED, None),
    (429, {"x-retry-after": "7"}, LIMITED, None),
    (451, {}, PERMANENT, None),
    (500, {}, TRANSIENT, None),
    (502, {"retry-after": "Mon, 99 Foo 2026 00:00:00 GMT"}, TRANSIENT, None),
    (503, {"retry-after": "0"}, TRANSIENT, 0),
    (504, {}, TRANSIENT, None),
    (520, {}, TRANSIENT, None),
    (599, {}, TRANSIENT, None),
]


@pytest.mark.parametrize(("status", "headers", "failure", "seconds"), ANSWERS)
def test_a_status_and_its_header(
    status: int, headers: dict[str, str], failure: Failure | None, seconds: float | None
) -> None:
    assert failure_of_status(status) is failure
    assert retry_after_of(headers, NOW) == seconds
    assert (
        retry_after_of(httpx.Headers([(name.encode(), value.encode()) for name, value in headers.items()]), NOW)
        == seconds
    )


def test_without_headers_nothing_is_asked_for() -> None:
    assert retry_after_of(None) is None
    assert retry_after_of({}) is None


def test_a_firewall_that_forbids_may_let_us_through_later() -> None:
    assert failure_of_status(403, firewall=True) is TRANSIENT
    assert failure_of_status(401, firewall=True) is PERMANENT


# What an error says


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ccxt.RateLimitExceeded("429"), LIMITED),
        (ccxt.DDoSProtection("418"), LIMITED),
        (ccxt.RequestTimeout("slow"), TRANSIENT),
        (ccxt.NetworkError("cut"), TRANSIENT),
        (ccxt.ExchangeNotAvailable("503"), TRANSIENT),
        (ccxt.OnMaintenance("soon back"), TRANSIENT),
        (ccxt.InvalidNonce("clock"), TRANSIENT),
        (ccxt.BadSymbol("no such pair"), PERMANENT),
        (ccxt.BadRequest("400"), PERMANENT),
        (ccxt.ExchangeError("?"), PERMANENT),
        (ccxt.AuthenticationError("key"), PERMANENT),
        (ccxt.PermissionDenied("403"), PERMANENT),
        (httpx.ReadTimeout("slow"), TRANSIENT),
        (httpx.ConnectTimeout("slow"), TRANSIENT),
        (httpx.ConnectError("refused"), TRANSIENT),
        (httpx.RemoteProtocolError("cut"), TRANSIENT),
        (httpx.UnsupportedProtocol("gopher"), PERMANENT),
        (FetchError(Reason.TIMEOUT, ""), TRANSIENT),
        (FetchError(Reason.UNREACHABLE, ""), TRANSIENT),
        (FetchError(Reason.UNRESOLVED, ""), TRANSIENT),
        (FetchError(Reason.PROTOCOL, ""), TRANSIENT),
        (FetchError(Reason.TLS, ""), TRANSIENT),
        (FetchError(Reason.BAD_ADDRESS, ""), PERMANENT),
        (FetchError(Reason.NOT_PERMITTED, ""), PERMANENT),
        (FetchError(Reason.PRIVATE_ADDRESS, ""), PERMANENT),
        (FetchError(Reason.TOO_LARGE, ""), PERMANENT),
        (FetchError(Reason.ENCODING, ""), PERMANENT),
        (FetchError(Reason.REDIRECT_LOOP, ""), PERMANENT),
        (PermanentError("no"), PERMANENT),
        (TransientError("later"), TRANSIENT),
        (LimitedError("slower"), LIMITED),
        (BudgetClosedError("closed"), TRANSIENT),
        (RemoteError("?"), PERMANENT),
        (ValueError("not of a source at all"), PERMANENT),
    ],
    ids=lambda value: (
        f"{type(value).__name__}-{getattr(value, 'reason', '')}" if isinstance(value, Exception) else None
    ),
)
def test_an_error(error: Exception, failure: Failure) -> None:
    assert failure_of(error) is failure


@pytest.mark.parametrize(
    ("raised", "headers", "becomes", "seconds"),
    [
        (ccxt.RateLimitExceeded("429"), {"Retry-After": "7"}, LimitedError, 7),
        (ccxt.DDoSProtection("418"), {"retry-after": "²"}, LimitedError, None),
        (ccxt.ExchangeNotAvailable("503"), {"Retry-After": "soon"}, TransientError, None),
        (ccxt.RequestTimeout("slow"), None, TransientError, None),
        (ccxt.BadSymbol("no such pair"), {}, PermanentError, None),
        (KeyError("result"), {}, PermanentError, None),
    ],
)
def test_an_error_of_ccxt_becomes_ours(
    raised: Exception, headers: dict[str, str] | None, becomes: type[RemoteError], seconds: float | None
) -> None:
    market = cast("Any", SimpleNamespace(last_response_headers={"retry-after": "99"}))

    def request() -> None:
        with asking("kraken", market):
            market.last_response_headers = headers
            raise raised

    with pytest.raises(RemoteError, match=r"^kraken") as caught:
        request()
    assert type(caught.value) is becomes
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("failure", Failure)
def test_what_is_worth_retrying(failure: Failure) -> None:
    assert worth_retrying(remote_error(failure, "")) is (failure is not PERMANENT)
    assert remote_error(failure, "", 9).failure is failure
    assert worth_retrying(remote_error(failure, "", 9), patience_s=9) is (failure is not PERMANENT)
    assert not worth_retrying(remote_error(failure, "", 9), patience_s=8)


def test_a_closed_budget_and_an_error_of_our_own_are_not_worth_retrying() -> None:
    assert not worth_retrying(BudgetClosedError("for an hour"))
    assert not worth_retrying(KeyError("ours"))


# Waits


@given(st.floats(0.01, 100), st.floats(0.01, 10_000), st.integers(-1, 10_000))
def test_waits_are_capped(first_s: float, longest_s: float, attempt: int) -> None:
    backoff = Backoff(first_s, longest_s)
    assert 0 < backoff.seconds(attempt) <= backoff.bound(attempt) <= longest_s


def test_waits_grow_and_are_never_the_same() -> None:
    backoff = Backoff(0.5, 30)
    assert [backoff.bound(attempt) for attempt in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    for _ in range(50):
        drawn = [backoff.seconds(attempt) for attempt in range(1, 7)]
        assert all(shorter < longer for shorter, longer in itertools.pairwise(drawn))
    assert len({backoff.seconds(3) for _ in range(20)}) > 1


@pytest.mark.parametrize(("retry_after", "least", "most"), [(None, 0.6, 1), (0, 0.6, 1), (45, 45, 45)])
def test_a_retry_waits_at_least_as_long_as_the_source_asks(
    retry_after: float | None, least: float, most: float
) -> None:
    state = RetryCallState(Retrying(), None, (), {})
    error = LimitedError("slower", retry_after)
    state.set_exception((type(error), error, None))
    assert least <= Backoff(1, 30)(state) <= most


# The circuit breaker


def test_a_breaker_opens_after_failures_in_a_row_and_closes_with_an_answer() -> None:
    breaker = Breaker(3, 60)
    for error in (TransientError("1"), TransientError("2"), None, TransientError("1"), TransientError("2")):
        breaker.record(error)
    assert breaker.open_for() == 0
    breaker.record(TransientError("3"))
    assert 59 < breaker.open_for() <= 60
    breaker.record(None)
    assert breaker.open_for() > 59, "what was asked before it opened does not close it"


def test_after_its_rest_one_attempt_decides() -> None:
    breaker = Breaker(2, 0)
    breaker.record(TransientError("1"))
    breaker.record(TransientError("2"))
    breaker.record(TransientError("3"))
    assert breaker.current_state == "open"
    breaker.record(None)
    assert breaker.current_state == "closed"
    breaker.record(TransientError("1"))
    assert breaker.current_state == "closed", "it counts from zero again"


def test_what_does_not_count_never_opens_it() -> None:
    breaker = Breaker(1, 60, counts=lambda error: not isinstance(error, LimitedError))
    breaker.record(LimitedError("slower"))
    assert breaker.current_state == "closed"


# The budget of one process


def test_failures_in_a_row_close_the_budget_to_all() -> None:
    budget = LocalBudget(per_s=1000, burst=100)
    assert [budget.failed(TransientError("no answer")) for _ in range(7)] == [0] * 7
    assert budget.reserve(1) == 0
    assert 14 < budget.failed(TransientError("no answer")) <= 15
    assert 14 < budget.reserve(1) <= 15


def test_an_answer_between_failures_keeps_the_budget_open() -> None:
    budget = LocalBudget(per_s=1000, burst=100)
    for _ in range(5):
        for _ in range(7):
            budget.failed(TransientError("no answer"))
        budget.answered()
    assert budget.closed_for() == 0


def test_what_the_source_asks_for_is_waited_for_by_all() -> None:
    now = 0.0
    budget = LocalBudget(per_s=1000, burst=100, clock=lambda: now)
    assert budget.failed(LimitedError("429", retry_after=40)) == 40
    assert budget.failed(LimitedError("429", retry_after=20)) == 40
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    take_turn(budget, 1, sleep)
    assert slept == [40]


def test_failures_that_say_when_to_come_back_close_it_for_that_long_only() -> None:
    budget = LocalBudget(per_s=1000, burst=100, clock=lambda: 0.0)
    assert [budget.failed(LimitedError("429", retry_after=1)) for _ in range(20)] == [1.0] * 20


def test_who_waits_when_the_budget_is_closed_waits_again() -> None:
    now = 0.0
    budget = LocalBudget(per_s=1, burst=1, clock=lambda: now)
    assert list(waits(budget, 1)) == []
    turns = waits(budget, 1)
    assert next(turns) == 1
    budget.close(30)
    now = 1.0
    assert next(turns) == 29
    now = 30.0
    assert next(turns, None) is None


def test_a_retry_within_a_closed_budget_waits_there_only() -> None:
    budget = LocalBudget(per_s=1000, burst=100)
    wait = retrying(budget)["wait"]
    state = RetryCallState(Retrying(), None, (), {})
    assert 0.3 <= wait(state) <= 0.5
    budget.failed(LimitedError("429", retry_after=40))
    assert wait(state) == 0
