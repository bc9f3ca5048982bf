"""Alerts, subscriptions, delays and the REST budget: the pure parts of the collectors."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from cryptoviz.collectors.alerts import PriceMonitor
from cryptoviz.collectors.session import Subscription, Subscriptions, next_attempt
from cryptoviz.exchanges.adapter import Refused, Request, Subscribed
from cryptoviz.records import Alert, AlertType, Side, Trade
from cryptoviz.remote.backoff import Backoff
from cryptoviz.remote.budget import LocalBudget
from cryptoviz.remote.errors import PermanentError, RemoteError, TransientError
from cryptoviz.remote.rest import RestClient

T = datetime(2026, 9, 1, tzinfo=UTC)


def trade(price: str, at: float, pair: str = "BTC/USD") -> Trade:
    moment = T + timedelta(seconds=at)
    return Trade(
        received_at=moment,
        timestamp=moment,
        exchange="kraken",
        pair=pair,
        price=Decimal(price),
        volume=Decimal(1),
        side=Side.BUY,
        trade_id=1,
    )


def alerts(monitor: PriceMonitor, *points: tuple[str, float]) -> list[Alert]:
    return [alert for price, at in points if (alert := monitor.observe(trade(price, at))) is not None]


def test_an_alert_when_the_price_moves_by_the_threshold_within_the_window() -> None:
    (alert,) = alerts(PriceMonitor(0.5, 60, 300), ("100", 0), ("100.4", 10), ("100.5", 20))
    assert alert.alert_type is AlertType.PRICE_UP
    assert alert.change_percent == pytest.approx(0.5)
    assert alert.last_price == Decimal("100.5")


def test_a_slow_move_is_no_alert() -> None:
    assert alerts(PriceMonitor(0.5, 60, 300), ("100", 0), ("100.4", 61), ("100.8", 122)) == []


def test_a_fall_is_measured_from_the_highest_price_in_the_window() -> None:
    (alert,) = alerts(PriceMonitor(0.5, 60, 300), ("100", 0), ("100.3", 5), ("99.7", 10))
    assert alert.alert_type is AlertType.PRICE_DOWN
    assert alert.change_percent < -0.5


def test_cooldown_is_per_pair_and_direction() -> None:
    monitor = PriceMonitor(0.5, 60, 300)
    assert len(alerts(monitor, ("100", 0), ("101", 1), ("102", 2), ("99", 3), ("98", 4))) == 2
    assert monitor.observe(trade("50", 0, "ETH/USD")) is None
    assert monitor.observe(trade("51", 5, "ETH/USD")) is not None
    assert len(alerts(monitor, ("100", 300), ("102", 302))) == 1


def test_a_refusal_concerns_its_symbol_only() -> None:
    book = Subscriptions()
    book.requested(Request("", (("trade", "BTC/USD"), ("trade", "XDG/USD")), 1), 0)
    book.accepted(Subscribed("trade", "BTC/USD", 1), 1)
    assert book.refused(Refused("not supported", "", "XDG/USD", 1), 1) == [("trade", "XDG/USD")]
    assert book.state == {
        ("trade", "BTC/USD"): Subscription.ACTIVE,
        ("trade", "XDG/USD"): Subscription.REFUSED,
    }
    assert book.reasons == {("trade", "XDG/USD"): "not supported"}
    assert book.overdue(10) == []
    assert book.overdue(400) == ["XDG/USD"]


def test_an_answer_by_request_number_concerns_the_whole_request() -> None:
    book = Subscriptions()
    book.requested(Request("", (("trade", "BTC/USDT"), ("ticker", "BTC/USDT")), 5), 0)
    assert book.waiting() == 2
    assert book.overdue(11) == ["BTC/USDT"]
    book.accepted(Subscribed(request=5), 12)
    assert book.waiting() == 0


def test_reconnect_delays_grow_to_their_bound_and_fall_back() -> None:
    backoff = Backoff(0.5, 30)
    attempts = [0]
    for _ in range(9):
        attempts.append(next_attempt(attempts[-1], 0.1, backoff))
    delays = [backoff.bound(attempt) for attempt in attempts[1:]]
    assert delays[:4] == [0.5, 1, 2, 4]
    assert delays[-1] == 30
    assert backoff.bound(next_attempt(9, 3600, backoff)) == 0.5
    assert all(0.5 <= backoff.seconds(2) <= 1.0 for _ in range(100))


def test_the_budget_spaces_requests_and_obeys_a_ban() -> None:
    now = 0.0
    budget = LocalBudget(per_s=2, burst=2, clock=lambda: now)
    waits = [budget.reserve(1) for _ in range(4)]
    assert waits == [0, 0, 0.5, 1]
    budget.close(60)
    assert budget.reserve(1) == 60


def answers(*responses: httpx.Response | Exception) -> tuple[RestClient, list[str]]:
    asked: list[str] = []
    waiting = list(responses)

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        response = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(response, Exception):
            raise response
        return response

    transport = httpx.MockTransport(handle)
    return RestClient("http://exchange", per_s=10_000, burst=10, timeout_s=1, attempts=3, transport=transport), asked


def accept(_status: int, body: bytes) -> bytes:
    if body == b"busy":
        raise TransientError("busy")
    if body == b"no":
        raise PermanentError("no")
    return body


@pytest.mark.parametrize(
    "first",
    [
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.Response(503),
        httpx.ReadTimeout("slow"),
        httpx.Response(200, content=b"busy"),
    ],
)
def test_what_may_be_better_later_is_asked_again(first: httpx.Response | Exception) -> None:
    client, asked = answers(first, httpx.Response(200, content=b"fine"))
    assert asyncio.run(client.get("/x", {}, accept)) == b"fine"
    assert len(asked) == 2


def test_what_will_not_be_better_is_not_asked_again() -> None:
    client, asked = answers(httpx.Response(200, content=b"no"))
    with pytest.raises(RemoteError):
        asyncio.run(client.get("/x", {}, accept))
    assert len(asked) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_what_a_refusal_says_is_for_the_exchanges_own_parser(status: int) -> None:
    client, asked = answers(httpx.Response(status, content=b"no"), httpx.Response(200, content=b"fine"))
    with pytest.raises(PermanentError, match="no"):
        asyncio.run(client.get("/x", {}, accept))
    assert len(asked) == 1


@pytest.mark.parametrize("status", [403, 418, 429, 503])
def test_an_exchange_is_left_alone_as_long_as_it_asks(status: int) -> None:
    client, asked = answers(httpx.Response(status, headers={"Retry-After": "120"}))

    async def ask() -> None:
        await asyncio.wait_for(client.get("/x", {}, accept), 0.3)

    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    assert len(asked) == 1
    assert 119 < client.budget.closed_for() <= 120


def test_an_exchange_that_keeps_failing_is_left_alone_for_a_while() -> None:
    client, _asked = answers(httpx.ConnectError("refused"))
    client.budget = LocalBudget(10_000, 10)
    for _ in range(7):
        client.budget.failed(TransientError("no answer"))
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(client.get("/x", {}, accept), 0.3))
    assert 14 < client.budget.closed_for() <= 15


def test_retries_end() -> None:
    client, asked = answers(httpx.Response(503))
    with pytest.raises(RemoteError, match="503"):
        asyncio.run(client.get("/x", {}, accept))
    assert len(asked) == 3
