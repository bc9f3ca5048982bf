"""Whole collectors against the simulated exchanges: whatever goes wrong, every trade arrives once per id."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cryptoviz.bus import Producer, create_topics, offsets, tail
from cryptoviz.codec import decode
from cryptoviz.collectors import refused_pairs, rest_client
from cryptoviz.collectors.collector import Collector, PairsChangedError
from cryptoviz.collectors.ledger import Ledger
from cryptoviz.collectors.recorder import Replay
from cryptoviz.exchanges import EXCHANGES
from cryptoviz.gaps.labels import GapLabel, GapStatus
from cryptoviz.records import Trade
from cryptoviz.settings import Settings, load
from cryptoviz.stack.kafka import LocalKafka
from simulators import Kind, Order, Simulator
from tests.doubles.bus import MemoryProducer
from tests.doubles.ledger import MemoryStore

PAIRS = {"kraken": ["BTC/USD", "ETH/USD", "DOGE/USD"], "binance": ["BTC/USDT", "ETH/USDT", "DOGE/USDT"]}
BOTH = pytest.mark.parametrize("name", ["kraken", "binance"])


async def until(condition: Callable[[], bool], what: str, within_s: float = 30) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.02)


@dataclass
class Rig:
    """A simulated exchange, a collector on it, and what came out."""

    name: str
    simulator: Simulator
    settings: Settings
    bus: Any = field(default_factory=MemoryProducer)
    store: MemoryStore = field(default_factory=MemoryStore)
    state: dict[str, Any] = field(default_factory=dict)
    collector: Collector = field(init=False)

    @property
    def exchange(self) -> Any:
        return self.simulator.exchanges[self.name]

    def fault(self, kind: Kind, **details: Any) -> None:
        self.exchange.order(Order(self.name, kind, **details))

    def sent(self, pair: str) -> Any:
        return self.exchange.feeds[pair].counters

    def ids(self, pair: str) -> list[int]:
        return [trade.trade_id for trade in self.bus.of("rawtrade") if trade.pair == pair]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Collector]:
        """The collector runs within the block."""
        source = EXCHANGES[self.name].live_adapter()(self.settings.pairs(self.name))
        self.collector = Collector(
            source, self.settings, self.bus, Ledger(self.store), rest_client(source, self.settings), reorder_s=0.3
        )
        self.bus.on_lost = self.collector.on_lost
        stop = asyncio.Event()
        task = asyncio.create_task(self.collector.run(stop, self.state.update))
        try:
            yield self.collector
        finally:
            stop.set()
            await task

    async def flowing(self, count: int = 20) -> None:
        """Wait until trades of every pair arrived."""
        await until(lambda: len(self.bus.of("rawtrade")) >= count, "trades flow")
        await until(lambda: all(self.ids(pair) for pair in PAIRS[self.name]), "trades of each pair")

    async def complete(self) -> None:
        """Stop the market and wait until everything that it traded since the first trade seen has arrived, once."""
        self.exchange.faults.clear()
        before = len(self.bus.of("rawtrade"))
        await until(lambda: len(self.bus.of("rawtrade")) > before + 20, "trades flow again")
        self.exchange.halt()
        await until(self._arrived, "every trade sent has arrived")
        await until(lambda: not any(pair.continuity.gaps for pair in self.collector.pairs.values()), "all gaps closed")
        for pair in PAIRS[self.name]:
            ids = self.ids(pair)
            assert sorted(ids) == list(range(min(ids), max(ids) + 1)), "no hole, nothing twice"

    def _arrived(self) -> bool:
        return all(
            set(range(self.sent(pair).sent.first, self.sent(pair).sent.last + 1)) <= set(self.ids(pair))
            for pair in PAIRS[self.name]
        )


@asynccontextmanager
async def rig(name: str, rate: float = 200, **overrides: Any) -> AsyncIterator[Rig]:
    async with Simulator(port=0, rate=rate, pairs=PAIRS) as simulator:
        settings = load(
            mode="demo",
            simulator_port=simulator.port,
            **(
                {
                    "kraken_pairs": PAIRS["kraken"],
                    "binance_pairs": PAIRS["binance"],
                    "collector_silence_s": 1.5,
                    "collector_reconnect_min_s": 0.05,
                }
                | overrides
            ),
        )
        yield Rig(name, simulator, settings)


def recordings(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 90))


@BOTH
def test_every_trade_arrives_once_while_everything_goes_wrong(name: str) -> None:
    async def scenario() -> None:
        async with rig(name) as r, r.running():
            await r.flowing()
            r.fault(Kind.SKIP, probability=0.02)
            r.fault(Kind.DUPLICATE, probability=0.05)
            r.fault(Kind.REORDER, probability=0.05)
            r.fault(Kind.MALFORMED, probability=0.05)
            r.fault(Kind.RATE_LIMIT, count=1)
            r.fault(Kind.SERVER_ERROR, count=1)
            await until(lambda: r.state.get("refused", 0) >= 3, "malformed frames seen")
            await until(lambda: r.state.get("gaps_healed", 0) >= 1, "a gap healed")
            cuts = r.state["reconnects"]
            r.fault(Kind.CUT)
            await until(lambda: r.state["reconnects"] > cuts, "reconnected")
            await r.complete()
            assert r.bus.dead
            headers = r.bus.dead[0][2]
            assert headers["topic"] == f"ws:{name}".encode()
            assert headers["error_class"] in {b"undecodable", b"invalid"}
            assert headers["error"]
            assert r.bus.of("rawticker")
        closed = [row for row in r.store.gaps.values() if row.status is GapStatus.HEALED]
        assert closed
        assert {row.label for row in closed} == {GapLabel.LOST_BY_US}
        assert all(row.healed_at is not None for row in closed)
        assert len(r.store.gaps) == len(closed), "no gap is left open"

    run(scenario)


@BOTH
def test_a_collector_killed_and_started_again_misses_nothing(name: str) -> None:
    async def scenario() -> None:
        async with rig(name) as r:
            async with r.running():
                await r.flowing()
                await until(lambda: len(r.store.positions) == len(PAIRS[name]), "positions stored")
            # A killed process leaves the stored positions and what the broker had acknowledged, nothing else.
            stored = {pair: row.trade_id for pair, row in r.store.positions.items()}
            survivors = [
                (topic, key, record)
                for topic, key, record in r.bus.records
                if topic == "rawtrade" and record.trade_id <= stored[record.pair]
            ]
            r.bus = MemoryProducer(records=survivors)
            feed = r.exchange.feeds[PAIRS[name][0]]
            traded = feed.series.count_before(r.exchange.now(feed))
            await until(
                lambda: feed.series.count_before(r.exchange.now(feed)) > traded + 100, "the market trades on unheard"
            )
            async with r.running():
                await r.complete()
                assert r.collector.counters["gaps"] >= 1

    run(scenario)


def test_a_silent_socket_is_dead_for_kraken_and_reconnected() -> None:
    async def scenario() -> None:
        async with rig("kraken") as r, r.running():
            await r.flowing()
            r.fault(Kind.SILENCE, duration_s=2.5)
            await until(lambda: r.state["reconnects"] >= 1, "reconnected")
            assert "no frame" in r.state["last_disconnect"]
            await r.complete()

    run(scenario)


@BOTH
def test_one_pair_that_goes_deaf_is_found_out_and_healed(name: str) -> None:
    async def scenario() -> None:
        async with rig(name, collector_quiet_s=1) as r, r.running() as collector:
            await r.flowing()
            r.fault(Kind.SILENCE, pair=PAIRS[name][0], duration_s=6)
            await until(lambda: collector.counters["deaf"] >= 1, "the dead subscription is noticed")
            pairs = collector.state()["pairs"]
            assert [pair for pair, ages in pairs.items() if "deaf_for" in ages] == [PAIRS[name][0]]
            await until(
                lambda: not any("deaf_for" in ages for ages in collector.state()["pairs"].values()), "heard again"
            )
            await r.complete()

    run(scenario)


@BOTH
def test_a_quiet_market_is_left_alone(name: str) -> None:
    async def scenario() -> None:
        async with rig(name, collector_quiet_s=0.5) as r, r.running() as collector:
            await r.flowing()
            r.exchange.halt()
            await until(lambda: collector.counters["quiet"] >= 3, "REST was asked and confirmed the quiet")
            assert r.state["reconnects"] == 0
            assert collector.counters["deaf"] == 0

    run(scenario)


def test_an_announced_shutdown_moves_to_a_new_connection_without_a_gap() -> None:
    async def scenario() -> None:
        async with rig("binance") as r, r.running():
            await r.flowing()
            r.fault(Kind.SHUTDOWN, grace_s=3)
            await until(lambda: r.state["planned_reconnects"] == 1, "moved")
            await r.complete()
            assert r.state["reconnects"] == 0
            assert r.state["trades_healed"] == 0

    run(scenario)


def test_maintenance_is_noticed_and_what_was_traded_meanwhile_is_fetched() -> None:
    async def scenario() -> None:
        async with rig("kraken") as r, r.running():
            await r.flowing()
            r.fault(Kind.MAINTENANCE, duration_s=1.5)
            await until(lambda: r.state["system"] == "maintenance", "noticed")
            await until(lambda: r.state["system"] == "online", "over")
            await r.complete()

    run(scenario)


@BOTH
def test_what_the_buffer_cannot_hold_is_a_gap_and_is_healed(name: str) -> None:
    async def scenario() -> None:
        async with rig(name) as r:
            r.bus.limit = 400
            async with r.running():
                await r.flowing()
                r.bus.online = False
                await until(lambda: r.state["lost"] >= 20, "the buffer overflows")
                r.bus.online = True
                await r.complete()
        assert any(row.status is GapStatus.HEALED for row in r.store.gaps.values())

    run(scenario)


def test_collecting_goes_on_while_the_database_is_away() -> None:
    async def scenario() -> None:
        async with rig("binance") as r:
            r.store.online = False
            async with r.running():
                await r.flowing(50)
                r.fault(Kind.SKIP, count=1)
                await until(lambda: r.state["gaps_healed"] >= 1, "a gap healed without a database")
                assert r.store.gaps == {}
                r.store.online = True
                await until(lambda: bool(r.store.gaps) and bool(r.store.positions), "written afterwards")
                await r.complete()

    run(scenario)


def test_an_unknown_pair_does_not_disturb_the_others() -> None:
    async def scenario() -> None:
        async with rig("kraken", kraken_pairs=["BTC/USD", "ABC/USD", "ETH/USD", "DOGE/USD"]) as r, r.running():
            await r.flowing()
            await until(lambda: bool(r.state.get("refused_subscriptions")), "the refusal is reported")
            assert set(r.state["refused_subscriptions"]) == {"trade ABC/USD", "ticker ABC/USD"}
            await r.complete()

    run(scenario)


def test_a_pair_that_the_exchange_spells_otherwise_is_refused_and_the_others_go_on() -> None:
    async def scenario() -> None:
        async with rig("kraken") as r:
            ledger = Ledger(r.store)
            r.store.listed = {"BTC/USD": "XBTUSD", "ETH/USD": "ETH2USD", "DOGE/USD": "XDGUSD"}
            refused = await refused_pairs("kraken", [*PAIRS["kraken"], "UST/USD"], ledger)
            assert refused == {
                "ETH/USD": "kraken lists ETH/USD as ETH2USD, not as ETHUSD: it may be another coin",
                "UST/USD": "UST is kraken's name of USTC: ask for USTC",
            }
            r.store.online = False
            assert set(await refused_pairs("kraken", PAIRS["kraken"], ledger)) == set()
            r.store.online = True
            source = EXCHANGES["kraken"].live_adapter()(["BTC/USD", "DOGE/USD"])
            rest = rest_client(source, r.settings)
            collector = Collector(source, r.settings, r.bus, ledger, rest, refused=refused, listed_s=0.1)
            running = asyncio.create_task(collector.run(asyncio.Event(), r.state.update))
            await until(lambda: bool(r.ids("BTC/USD")) and bool(r.ids("DOGE/USD")), "the others are collected")
            await until(lambda: "every channel of UST/USD" in r.state["refused_subscriptions"], "the state says so")
            assert r.ids("ETH/USD") == []
            r.store.listed |= {"ETH/USD": "ETHUSD"}
            with pytest.raises(PairsChangedError, match="UST is kraken's name of USTC"):
                await running

    run(scenario)


def test_a_refused_pair_of_an_exchange_that_stays_as_it_is_does_not_end_the_collector() -> None:
    async def scenario() -> None:
        async with rig("kraken", kraken_pairs=["BTC/USD"]) as r:
            source = EXCHANGES["kraken"].live_adapter()(["BTC/USD"])
            ledger, rest = Ledger(r.store), rest_client(source, r.settings)
            refused = {"UST/USD": "another coin"}
            collector = Collector(source, r.settings, r.bus, ledger, rest, refused=refused, listed_s=0.01)
            stop = asyncio.Event()
            running = asyncio.create_task(collector.run(stop, r.state.update))
            await until(lambda: len(r.ids("BTC/USD")) > 20 or running.done(), "it is collected")
            stop.set()
            await running

    run(scenario)


def test_the_terra_coins_of_kraken_are_collected_under_their_names() -> None:
    async def scenario() -> None:
        pairs = ["LUNC/USD", "LUNA/USD"]
        async with Simulator(port=0, rate=200, pairs={"kraken": pairs, "binance": ["BTC/USDT"]}) as simulator:
            r = Rig("kraken", simulator, load(mode="demo", simulator_port=simulator.port, kraken_pairs=pairs))
            async with r.running():
                await until(lambda: all(len(r.ids(pair)) > 5 for pair in pairs), "both are collected")
            for pair in pairs:
                feed = r.exchange.feeds[pair]
                sent = feed.series.latest(time.time_ns(), 1000).rows()
                prices = {number: feed.spec.price(tick) for number, _, tick, _, _ in sent}
                mine = [trade for trade in r.bus.of("rawtrade") if trade.pair == pair]
                compared = [(str(trade.price), prices[trade.trade_id]) for trade in mine if trade.trade_id in prices]
                assert len(compared) > 5
                assert all(seen == said for seen, said in compared)

    run(scenario)


def test_recorded_frames_play_back_to_the_same_trades(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with rig("kraken", collector_record_dir=tmp_path) as r, r.running():
            await r.flowing(60)
        replay = Replay(EXCHANGES["kraken"].live_adapter()(PAIRS["kraken"]))
        for path in recordings(tmp_path):
            replay.play(path)
        played = {(trade.pair, trade.trade_id): trade.price for trade in replay.records if isinstance(trade, Trade)}
        sent = {(trade.pair, trade.trade_id): trade.price for trade in r.bus.of("rawtrade")}
        assert replay.refused == []
        assert sent
        assert sent.items() <= played.items()

    run(scenario)


@pytest.mark.services
def test_through_a_real_broker_with_an_overflow(kafka_broker: LocalKafka) -> None:
    async def scenario() -> None:
        async with rig("binance", rate=400, kafka_bootstrap_servers=kafka_broker.bootstrap_servers) as r:
            assert set(create_topics(r.settings)) | {"rawtrade"}
            assert create_topics(r.settings) == []
            start = {number: held.stop for number, held in offsets(r.settings, ["rawtrade"])["rawtrade"].items()}
            r.bus = Producer(r.settings)
            async with r.running():
                await until(lambda: r.bus.acked >= 500, "messages are acknowledged")
                r.fault(Kind.SKIP, count=5)
                await until(lambda: r.state["gaps_healed"] >= 1, "healed")
                r.exchange.halt()
                await until(lambda: not r.bus.pending, "all acknowledged")
            seen: dict[str, set[int]] = {}
            for message in tail(r.settings, "rawtrade", None):
                if message.offset >= start[message.partition]:
                    trade = decode("rawtrade", message.value)
                    assert message.key == f"binance:{trade.pair}".encode()
                    assert message.headers["schema"] == b"Trade/1"
                    seen.setdefault(trade.pair, set()).add(trade.trade_id)
            assert seen.keys() == set(PAIRS["binance"])
            for ids in seen.values():
                assert ids == set(range(min(ids), max(ids) + 1))

    run(scenario)
