"""How streams are judged: tables of cases."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from cryptoviz.settings import Settings
from cryptoviz.streams.facts import HealthLimits, PairFacts, Stream, StreamFacts
from cryptoviz.streams.supervision import (
    PairState,
    StreamMemory,
    Verdict,
    decide,
    may_restart,
    memory_from_json,
    memory_to_json,
    pairs_behind,
)

NOW = 1_000_000.0
LIMITS = HealthLimits()
RUNNING = StreamFacts(
    "ingestion", state="running", locked=True, runner_age=0.5, heartbeat_age=0.5, uptime=900, progress_age=0.2, lag=0
)
COLLECTING = replace(
    RUNNING,
    name="collector_kraken",
    detail={"connected": True, "broker": True, "frame_age": 0.4},
    pairs=(PairFacts("BTC/USD", 0.5, 0.3, 0.2, 0.2, 200), PairFacts("DOGE/USD", 9, 7, 8, 7, 200)),
)
FIVE_MINUTES_QUIET = PairFacts("DOGE/USD", 400, 400, 400, 400, 90)


def running(**changes: object) -> StreamFacts:
    return replace(RUNNING, **changes)  # type: ignore[arg-type]


def collecting(*pairs: PairFacts, **changes: object) -> StreamFacts:
    return replace(COLLECTING, **({"pairs": pairs} if pairs else {}), **changes)  # type: ignore[arg-type]


def said(**changes: object) -> dict[str, object]:
    return {**COLLECTING.detail, **changes}


CASES = {
    "at work": (running(), Verdict.HEALTHY, False),
    "collecting": (COLLECTING, Verdict.HEALTHY, False),
    "a market without trades, the exchange's heartbeats arrive": (
        collecting(replace(FIVE_MINUTES_QUIET, pair="BTC/USD"), FIVE_MINUTES_QUIET), Verdict.QUIET, False,
    ),
    "one pair quiet beside busy peers": (
        collecting(COLLECTING.pairs[0], FIVE_MINUTES_QUIET), Verdict.HEALTHY, False,
    ),
    "connected, not even heartbeats": (collecting(detail=said(frame_age=75)), Verdict.SILENT, True),
    "REST knows newer trades of one pair: the collector subscribes anew first": (
        collecting(COLLECTING.pairs[0], replace(FIVE_MINUTES_QUIET, deaf_for=30)), Verdict.SILENT, False,
    ),
    "REST knows newer trades of one pair, and the collector could not help": (
        collecting(COLLECTING.pairs[0], replace(FIVE_MINUTES_QUIET, deaf_for=700)), Verdict.SILENT, True,
    ),
    "one pair quiet and nobody asks REST any more": (
        collecting(COLLECTING.pairs[0], PairFacts("DOGE/USD", 900, 900, 900, 900, 900)), Verdict.SILENT, True,
    ),
    "no progress while there is work": (running(progress_age=200, lag=12), Verdict.STUCK, True),
    "one long batch, within the time that its runner gives it": (
        running(progress_age=120, rows_age=120, lag=90_000), Verdict.HEALTHY, False,
    ),
    "no progress because there is nothing to do": (running(progress_age=900, lag=0), Verdict.HEALTHY, False),
    "stuck, but the restart is on its way": (
        running(progress_age=200, lag=12, asked_generation=4, generation=3), Verdict.STARTING, False,
    ),
    "just started": (running(uptime=20, progress_age=200, lag=12), Verdict.STARTING, False),
    "the broker is away: a restart would lose the buffer": (
        collecting(detail=said(broker=False), lag=90_000, progress_age=200), Verdict.WAITING, False,
    ),
    "no runner": (running(runner_age=31, locked=False), Verdict.DEAD, False),
    "a runner that hangs with its lock": (running(runner_age=31), Verdict.DEAD, False),
    "a runner that connects again": (running(runner_age=15, locked=False), Verdict.HEALTHY, False),
    "a worker that has been silent for longer than its runner allows": (
        running(heartbeat_age=LIMITS.mute_s + 1), Verdict.STUCK, True,
    ),
    "never started": (StreamFacts("ingestion"), Verdict.DEAD, False),
    "asked to stand still": (running(desired="stopped", state="stopped", runner_age=5000), Verdict.STOPPED, False),
    "starting": (running(state="starting"), Verdict.STARTING, False),
    "a worker that dies at each start": (
        running(state="restarting", restarts=4, next_start_in=16.0, last_error="no jar"), Verdict.DOWN, False,
    ),
    "a worker that died at each start, in between": (running(restarts=4, uptime=3), Verdict.DOWN, False),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_verdicts(case: str) -> None:
    facts, verdict, restart = CASES[case]
    decision = decide(facts, StreamMemory(), LIMITS, NOW)
    assert (decision.verdict, decision.restart) == (verdict, restart), decision.message
    alerted = verdict not in {Verdict.HEALTHY, Verdict.QUIET, Verdict.STARTING, Verdict.STOPPED}
    assert (decision.severity is not None) == alerted


def test_a_start_that_never_ends_is_down() -> None:
    memory = decide(running(state="starting"), StreamMemory(), LIMITS, NOW).memory
    for seconds in range(30, int(LIMITS.start_s) + 30, 30):
        late = decide(running(state="starting"), memory, LIMITS, NOW + seconds + 1)
        memory = late.memory
    assert late.verdict is Verdict.DOWN
    assert late.severity == "critical"


def evaluate(lags: list[int], stored: int = 0, **changes: object) -> list[tuple[Verdict, bool]]:
    """Verdicts and restarts of looks half a minute apart; `stored` rows come in between."""
    memory, found = StreamMemory(), []
    for number, lag in enumerate(lags):
        decision = decide(running(lag=lag, rows_total=stored * number, **changes), memory, LIMITS, NOW + 30 * number)
        memory = decision.memory
        found.append((decision.verdict, decision.restart))
    return found


def test_lag_counts_once_it_stays_or_grows() -> None:
    assert [verdict for verdict, _ in evaluate([60_000] * 4)] == [Verdict.HEALTHY] * 2 + [Verdict.LAGGING] * 2
    assert [verdict for verdict, _ in evaluate([6_000, 9_000, 12_000])][-1] is Verdict.LAGGING
    assert {verdict for verdict, _ in evaluate([20_000, 15_000, 10_000, 2_000, 0])} == {Verdict.HEALTHY}
    assert {verdict for verdict, _ in evaluate([10, 20, 30, 40, 50, 60])} == {Verdict.HEALTHY}


@pytest.mark.parametrize("lags", [[60_000] * 200, [10_000 * number for number in range(200)]])
def test_a_stream_that_lags_ever_more_and_stores_rows_is_slow_and_left_alone(lags: list[int]) -> None:
    assert not any(restart for _, restart in evaluate(lags, stored=10))
    assert evaluate(lags, stored=10)[-1] == (Verdict.LAGGING, False)


def test_a_batch_that_takes_a_quarter_of_an_hour_is_waited_for_while_it_moves() -> None:
    late = ["kraken:DOGE/USD"]
    for progress_age, expected in ((5, (Verdict.LAGGING, False)), (LIMITS.stuck_s + 1, (Verdict.STUCK, True))):
        facts = running(lag=90_000, rows_age=900, progress_age=progress_age, detail={"batch_for_s": 900})
        decision = decide(facts, StreamMemory(), LIMITS, NOW, behind=late)
        assert (decision.verdict, decision.restart) == expected
    assert not any(restart for _, restart in evaluate([90_000] * 100, detail={"batch_for_s": 900}))


def test_a_stream_that_lags_and_stores_nothing_for_long_is_restarted_once_and_then_ever_later() -> None:
    restarts = [number for number, (_, restart) in enumerate(evaluate([60_000] * 200)) if restart]
    assert restarts[0] == LIMITS.lag_restart_evaluations - 1
    pauses = [later - earlier for earlier, later in itertools.pairwise(restarts)]
    assert pauses[:4] == [2, 4, 8, 16]
    assert max(sum(at <= other < at + 120 for other in restarts) for at in restarts) <= LIMITS.restarts_an_hour


def test_a_stream_that_catches_up_is_left_alone() -> None:
    found = evaluate([900_000 - 4_000 * number for number in range(100)])
    assert {verdict for verdict, _ in found[2:]} == {Verdict.LAGGING}
    assert not any(restart for _, restart in found)


def test_restarts_that_do_not_help_end_in_an_alert() -> None:
    memory, stuck = StreamMemory(), running(progress_age=200, lag=12)
    decisions = []
    for number in range(110):
        decision = decide(stuck, memory, LIMITS, NOW + 30 * number)
        memory = decision.memory
        decisions.append(decision)
    assert sum(decision.restart for decision in decisions) == LIMITS.restarts_an_hour
    assert decisions[-1].exhausted
    assert "not again for a while" in decisions[-1].message
    assert decide(stuck, memory, LIMITS, NOW + 30 * 110 + 3600).restart


def test_no_restart_at_all_where_none_is_wanted() -> None:
    assert not may_restart((), replace(LIMITS, restarts_an_hour=0), NOW)


def test_trades_that_were_heard_and_not_stored_are_noticed_at_the_second_look() -> None:
    late = collecting(COLLECTING.pairs[0], PairFacts("DOGE/USD", 300, 1, 1, 1, 10))
    first = decide(late, StreamMemory(), LIMITS, NOW)
    second = decide(late, first.memory, LIMITS, NOW + 30)
    third = decide(late, second.memory, LIMITS, NOW + 60)
    states = [decision.memory.pairs["DOGE/USD"] for decision in (first, second, third)]
    assert [state.state for state in states] == [PairState.LIVE, PairState.LAGGING, PairState.LAGGING]
    assert states[2].since == NOW + 30
    assert pairs_behind({"kraken": first.memory}) == []
    assert pairs_behind({"kraken": third.memory}) == ["kraken:DOGE/USD"]
    assert third.verdict is Verdict.HEALTHY, "the collector has done its part"
    ingestion = decide(
        running(rows_age=0.5), StreamMemory(), LIMITS, NOW, behind=pairs_behind({"kraken": third.memory})
    )
    assert (ingestion.verdict, ingestion.severity) == (Verdict.LAGGING, "warning")


def judged_behind(lags: list[int], rows_age: float) -> list[tuple[Verdict, bool]]:
    memory, found = StreamMemory(), []
    for number, lag in enumerate(lags):
        facts = running(lag=lag, rows_age=rows_age)
        decision = decide(facts, memory, LIMITS, NOW + 30 * number, behind=["kraken:DOGE/USD"])
        memory = decision.memory
        found.append((decision.verdict, decision.restart))
    return found


def test_an_ingestion_that_catches_up_is_left_alone_though_trades_are_late() -> None:
    assert set(judged_behind([900_000 - 4_000 * number for number in range(100)], 20)) == {(Verdict.LAGGING, False)}


def test_one_pair_whose_trades_are_refused_restarts_nothing() -> None:
    assert set(judged_behind([0, 30, 30, 30, 12, 12] * 20, 0.5)) == {(Verdict.LAGGING, False)}


def test_an_ingestion_behind_that_stores_nothing_more_is_restarted_in_the_end() -> None:
    restarts = [restart for _, restart in judged_behind([20_000] * LIMITS.lag_restart_evaluations, 0.5)]
    assert restarts == [False] * (LIMITS.lag_restart_evaluations - 1) + [True]


def test_an_ingestion_behind_without_any_row_is_restarted() -> None:
    assert judged_behind([0], LIMITS.stuck_s + 1) == [(Verdict.STUCK, True)]
    assert judged_behind([0], LIMITS.stuck_s - 1) == [(Verdict.LAGGING, False)]
    young = running(uptime=LIMITS.stuck_s - 1, ready_age=LIMITS.grace_s + 1, rows_age=4000)
    decision = decide(young, StreamMemory(), LIMITS, NOW, behind=["kraken:DOGE/USD"])
    assert (decision.verdict, decision.restart) == (Verdict.LAGGING, False), "those were its predecessor's rows"


@pytest.mark.parametrize("stall_s", [5, 120, 900])
def test_the_runner_replaces_a_worker_that_stands_still_before_the_supervisor_does(stall_s: float) -> None:
    assert HealthLimits.of(Settings(stream_stall_s=stall_s)).stuck_s >= stall_s + LIMITS.grace_s


def test_a_first_batch_that_takes_long_is_waited_for() -> None:
    def judged(ready_age: float | None, uptime: float) -> tuple[Verdict, bool]:
        facts = running(ready_age=ready_age, uptime=uptime)
        decision = decide(facts, StreamMemory(), LIMITS, NOW, behind=["kraken:DOGE/USD"])
        return decision.verdict, decision.restart

    assert judged(None, LIMITS.start_s - 1) == (Verdict.STARTING, False)
    assert judged(None, LIMITS.start_s + 1) == (Verdict.STUCK, True)
    assert judged(LIMITS.grace_s - 1, LIMITS.start_s + 1) == (Verdict.STARTING, False)
    assert judged(LIMITS.grace_s + 1, LIMITS.start_s + 1) == (Verdict.STUCK, True)


def test_the_first_trade_after_a_pause_is_no_lag() -> None:
    memory = decide(collecting(PairFacts("DOGE/USD", 300, 300, 0.1, 300, 10)), StreamMemory(), LIMITS, NOW).memory
    after = decide(collecting(PairFacts("DOGE/USD", 30, 300, 30, 300, 10)), memory, LIMITS, NOW + 30).memory
    assert after.pairs["DOGE/USD"].state is PairState.LIVE


def test_what_cannot_reach_the_broker_is_not_the_database_s_fault() -> None:
    late = collecting(PairFacts("DOGE/USD", 300, 1, 1, 1, 10), detail=said(broker=False))
    memory = decide(late, StreamMemory(), LIMITS, NOW).memory
    memory = decide(late, memory, LIMITS, NOW + 30).memory
    assert pairs_behind({"kraken": memory}) == []


def test_an_exchange_that_is_away_is_waited_for() -> None:
    away = collecting(detail={"connected": False, "broker": True, "last_disconnect": "refused"})
    first = decide(away, StreamMemory(), LIMITS, NOW)
    second = decide(away, first.memory, LIMITS, NOW + 30)
    assert [first.verdict, second.verdict] == [Verdict.HEALTHY, Verdict.WAITING]
    assert not second.restart
    assert "refused" in second.reason


def test_a_verdict_keeps_its_beginning() -> None:
    stuck = running(progress_age=200, lag=12)
    first = decide(stuck, StreamMemory(), LIMITS, NOW)
    second = decide(stuck, first.memory, LIMITS, NOW + 30)
    well = decide(RUNNING, second.memory, LIMITS, NOW + 60)
    assert [found.memory.since for found in (first, second, well)] == [NOW, NOW, NOW + 60]


def test_a_refused_subscription_is_shown_and_its_peers_go_on() -> None:
    refused = collecting(COLLECTING.pairs[0], PairFacts("DOGE/USD", None, None, 900, 900, 100, refused="not supported"))
    decision = decide(refused, StreamMemory(), LIMITS, NOW)
    assert decision.memory.pairs["DOGE/USD"].state is PairState.REFUSED
    assert decision.verdict is Verdict.HEALTHY


def test_what_is_remembered_can_be_kept_and_what_another_version_kept_is_forgotten() -> None:
    memory = decide(collecting(), StreamMemory(restarts=(NOW - 5,)), LIMITS, NOW).memory
    assert memory_from_json(json.loads(json.dumps(memory_to_json(memory)))) == memory
    for other in (
        {"something": "else"},
        {"pairs": {}, "verdict": "odd", "restarts": []},
        memory_to_json(memory) | {"odd": 1},
    ):
        assert memory_from_json(other) is None


def test_who_asks_often_hears_what_the_supervisor_finds() -> None:
    late = collecting(COLLECTING.pairs[0], PairFacts("DOGE/USD", 300, 1, 1, 1, 10), detail=said(connected=False))
    memory = decide(late, StreamMemory(), LIMITS, NOW).memory
    assert decide(late, memory, LIMITS, NOW + 1).verdict is Verdict.HEALTHY
    for _ in range(10):
        asked = decide(late, memory, LIMITS, NOW + 14)
        assert (asked.verdict, asked.memory.pairs["DOGE/USD"].state) == (Verdict.HEALTHY, PairState.LIVE)
    found = decide(late, memory, LIMITS, NOW + 30)
    assert (found.verdict, found.memory.pairs["DOGE/USD"].state) == (Verdict.WAITING, PairState.LAGGING)
    again = decide(late, found.memory, LIMITS, NOW + 31)
    assert again.verdict is Verdict.WAITING
    assert decide(COLLECTING, found.memory, LIMITS, NOW + 31).verdict is Verdict.HEALTHY


def test_what_was_remembered_before_a_long_pause_does_not_count() -> None:
    away = collecting(detail=said(connected=False))
    memory = decide(away, decide(away, StreamMemory(), LIMITS, NOW).memory, LIMITS, NOW + 30).memory
    later = NOW + 30 + LIMITS.forget_s + 1
    assert decide(away, memory, LIMITS, later).verdict is Verdict.HEALTHY
    begun = decide(running(state="starting"), StreamMemory(), LIMITS, NOW).memory
    assert decide(running(state="starting"), begun, LIMITS, NOW + 86_400).verdict is Verdict.STARTING


def test_every_exchange_s_collector_has_a_name() -> None:
    settings = Settings()
    assert {f"collector_{name}" for name in settings.exchanges} | {"ingestion"} == set(Stream)
