"""Every process killed and stopped, every dependency taken away, under load: nothing lost or doubled, back in time.

The local supervisor itself is left alone: nothing looks after it. `make demo` brings everything back after its death.
"""

from __future__ import annotations

import bisect
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import pytest

from cryptoviz.commands.output import say, table
from tests.chaos.actions import COLLECTING, FULL, SHORT, Action
from tests.chaos.conftest import MakeStack
from tests.chaos.recovery import Recovery, lag_zero, perform
from tests.chaos.stack import LocalStack
from tests.chaos.watch import Watch
from tests.e2e.truth import (
    EXCHANGES,
    MESSAGES_PER_TRADE,
    Difference,
    Wrong,
    assert_candles_equal_trades,
    calm,
    disturb,
    rows,
    tickers_sent,
    tickers_stored,
    trade_differences,
    wait_until_settled,
)

_CUT_EVERY_S = 40
_TICK = """
query { sensorOrError(sensorSelector: {
    repositoryName: "__repository__", repositoryLocationName: "cryptoviz", sensorName: "stream_supervisor"
}) { ... on Sensor { sensorState { ticks(limit: 1) { timestamp status } } } } }
"""
_COLUMNS = {
    "action": "action",
    "lost": "lost",
    "doubled": "doubled",
    "back": "back s",
    "rows": "rows s",
    "lag_zero": "lag zero s",
    "limit": "limit",
    "ok": "ok",
}


@dataclass(frozen=True)
class Form:
    """How hard: messages a second, what is done, and the shortest time that the load lasts."""

    rate: float
    actions: Sequence[Action]
    seconds: float


FORMS = {"short": Form(300, SHORT, 0), "full": Form(2000, FULL, 600)}


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_doubled_and_all_is_back_in_time(
    make_stack: MakeStack, request: pytest.FixtureRequest
) -> None:
    form = FORMS[request.config.getoption("--chaos")]
    wanted = request.config.getoption("--chaos-only")
    actions = [action for action in form.actions if wanted in action.name]
    assert actions, f"there is only: {', '.join(action.name for action in form.actions)}"
    stack = make_stack((request.config.getoption("--chaos-rate") or form.rate) / MESSAGES_PER_TRADE)
    stack.up()
    platform = stack.platform
    watch = Watch(stack.settings)
    watch.start()
    platform.wait("the first start's work is done", lambda: _at_rest(stack, watch), 120)

    disturb(platform)
    begun = time.monotonic()
    unread: Counter[str] = Counter()
    recoveries = [_perform(action, stack, watch, unread) for action in _with_cuts(actions, stack)]
    while not wanted and time.monotonic() - begun < form.seconds:
        time.sleep(1)
    platform.wait("the platform is healthy", lambda: stack.status().returncode == 0, 60)
    platform.wait("Dagster watches the streams", lambda: _watched_since(stack, recoveries[-1].ended), 90)
    watch.close()

    calm(platform)
    last_ids = platform.control("pause", {})
    wait_until_settled(platform, last_ids, within=120)
    differences = list(trade_differences(platform, last_ids))
    outside = _attribute(differences, recoveries)
    alerts = _alerts(stack)
    sent = tickers_sent(platform)

    def tickers_lacking() -> dict[str, int]:
        stored = tickers_stored(platform)
        return {exchange: sent[exchange] - stored[exchange] for exchange in EXCHANGES}

    # What was in the socket of a collector that is killed is gone: an exchange has no history of tickers.
    platform.wait(
        "every ticker is stored",
        lambda: all(0 <= lacking <= unread[exchange] for exchange, lacking in tickers_lacking().items()),
        30,
    )
    stored = tickers_stored(platform)
    _show(recoveries, outside, alerts)
    say(f"tickers sent {sent}, stored {stored}, in the sockets of collectors that were killed {dict(unread)} at most")

    assert differences == []
    assert_candles_equal_trades(platform)
    assert [recovery.action.name for recovery in recoveries if not recovery.ok] == []
    assert all(0 <= sent[exchange] - stored[exchange] <= unread[exchange] for exchange in EXCHANGES)
    assert _repeated(alerts, recoveries) == []


def _with_cuts(actions: Sequence[Action], stack: LocalStack) -> Iterator[Action]:
    """The actions, and between them cuts of the exchanges' sockets in turn."""
    exchanges, last = cycle(EXCHANGES), time.monotonic()
    for action in actions:
        if time.monotonic() - last > _CUT_EVERY_S:
            stack.platform.control("fault", {"exchange": next(exchanges), "kind": "cut"})
            last = time.monotonic()
        yield action


def _perform(action: Action, stack: LocalStack, watch: Watch, unread: Counter[str]) -> Recovery:
    """Do it and tell what it cost. `unread` grows by the tickers that may have been in a killed collector's socket."""
    before = tickers_sent(stack.platform)
    if action.target in COLLECTING:
        # Events happen at their own pace here: what was sent in this half second may be unread still.
        time.sleep(0.5)
    recovery = perform(action, stack, watch)
    if action.target in COLLECTING:
        sent = tickers_sent(stack.platform)
        unread.update({exchange: sent[exchange] - before[exchange] for exchange in action.target.exchanges})
    say("  ".join(str(value) for value in _row(recovery).values()))
    if not recovery.in_time:
        for part in dict.fromkeys([action.target.part, "ingestion"]):
            say(f"--- {part}\n{stack.log(part)}")
    return recovery


def _at_rest(stack: LocalStack, watch: Watch) -> bool:
    """Whether every pair is stored, nothing lags, and Dagster has fetched the instruments as it does at first."""
    fetched = rows(stack.platform, "SELECT count(DISTINCT exchange) FROM instruments")[0][0]
    seen = watch.seen
    return seen is not None and len(seen.newest) == 16 and lag_zero(EXCHANGES, seen, watch) and fetched == 2


def _watched_since(stack: LocalStack, instant: float) -> bool:
    """Whether the sensor has come round since: webserver, code server and daemon all had to do their part."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.settings.dagster_port}/graphql",
        json.dumps({"query": _TICK}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found = json.load(answer)["data"]["sensorOrError"]
    ticks = found.get("sensorState", {}).get("ticks", [])
    return any(tick["timestamp"] > instant and tick["status"] in {"SUCCESS", "SKIPPED"} for tick in ticks)


def _attribute(differences: Sequence[Difference], recoveries: Sequence[Recovery]) -> Counter[Wrong]:
    """Charge each difference to the action in whose time the trade happened; returns those before the first one."""
    starts = [recovery.started for recovery in recoveries]
    outside: Counter[Wrong] = Counter()
    for difference in differences:
        place = bisect.bisect_right(starts, difference.at) - 1
        if place < 0:
            outside[difference.wrong] += 1
        elif difference.wrong is Wrong.LOST:
            recoveries[place].lost += 1
        elif difference.wrong is Wrong.DOUBLED:
            recoveries[place].doubled += 1
    return outside


def _row(recovery: Recovery) -> dict[str, Any]:
    ended = recovery.ended
    return {
        "action": recovery.action.name,
        "lost": recovery.lost,
        "doubled": recovery.doubled,
        "back": recovery.back.seconds(ended),
        "rows": recovery.rows.seconds(ended),
        "lag_zero": recovery.lag_zero.seconds(ended),
        "limit": recovery.action.limit,
        "ok": recovery.ok,
    }


def _show(recoveries: Sequence[Recovery], outside: Counter[Wrong], alerts: Sequence[Mapping[str, Any]]) -> None:
    total = {
        "action": "total",
        "lost": sum(recovery.lost for recovery in recoveries) + outside[Wrong.LOST],
        "doubled": sum(recovery.doubled for recovery in recoveries) + outside[Wrong.DOUBLED],
        "limit": "back / lag zero",
        "ok": all(recovery.ok for recovery in recoveries) and not outside,
    }
    say()
    table("", [*map(_row, recoveries), total], _COLUMNS)
    say()
    table("", alerts, {name: name for name in ("kind", "subject", "opened", "message")}, empty="no alerts")


def _alerts(stack: LocalStack) -> list[dict[str, Any]]:
    found = rows(
        stack.platform,
        "SELECT kind, subject, extract(epoch FROM opened_at)::float8, message FROM platform_alerts ORDER BY opened_at",
    )
    return [
        {"kind": kind, "subject": subject, "at": at, "opened": _clock(at), "message": message[:100]}
        for kind, subject, at, message in found
    ]


def _repeated(alerts: Sequence[Mapping[str, Any]], recoveries: Sequence[Recovery]) -> list[Any]:
    """Alerts that were opened more than once in the time of one action."""
    starts = [recovery.started for recovery in recoveries]
    seen = Counter((bisect.bisect_right(starts, alert["at"]), alert["kind"], alert["subject"]) for alert in alerts)
    return [key for key, count in seen.items() if count > 1]


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
