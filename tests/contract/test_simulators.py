"""The simulated exchanges speak the real protocols, agree with themselves, break on command and count exactly."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import pytest

from cryptoviz.settings import PROJECT_ROOT
from simulators import Simulator, running

RECORDED = PROJECT_ROOT.parent / "shared" / "data"
PATIENCE_S = 20.0
RATE = 400.0

Message = dict[str, Any]


def recorded(path: str) -> Path:
    found = RECORDED / path
    if not found.exists():
        pytest.skip(f"recorded data is absent: {found}")
    return found


class Client:
    """A socket of a test: what it heard, and waiting for what must come."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[Message] = []
        self.raw: list[str] = []

    async def say(self, message: Message) -> None:
        await self.socket.send_str(json.dumps(message))

    async def next(self) -> Message | None:
        """The next message; None when the socket ended; an empty one for a frame that is no JSON."""
        frame = await self.socket.receive(PATIENCE_S)
        if frame.type is not aiohttp.WSMsgType.TEXT:
            return None
        self.raw.append(frame.data)
        try:
            message: Message = json.loads(frame.data, parse_float=Decimal)
        except json.JSONDecodeError:
            message = {}
        self.heard.append(message)
        return message

    async def until(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message that is wanted."""
        while (message := await self.next()) is not None:
            if wanted(message):
                return message
        raise AssertionError("the socket ended")

    async def drain(self, quiet_s: float = 0.3) -> None:
        """Read what is still under way after the market was halted."""
        try:
            while True:
                await asyncio.wait_for(self.next(), quiet_s)
        except TimeoutError:
            return


class World:
    """A simulator with a client session."""

    def __init__(self, simulator: Simulator, http: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.http = http

    async def get(self, path: str, **query: Any) -> Any:
        async with self.http.get(self.simulator.url + path, params=query) as response:
            return json.loads(await response.text(), parse_float=Decimal)

    async def post(self, path: str, body: Message | None = None) -> Any:
        async with self.http.post(self.simulator.url + path, json=body or {}) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return answer

    async def fault(self, exchange: str, kind: str, **order: Any) -> None:
        await self.post("/control/fault", {"exchange": exchange, "kind": kind, **order})

    async def counters(self, exchange: str, pair: str) -> Message:
        counters: Message = (await self.get("/control/counters", exchange=exchange))[exchange][pair]
        return counters

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[Client]:
        async with self.http.ws_connect(self.simulator.ws_url + path, compress=0) as socket:
            yield Client(socket)

    @asynccontextmanager
    async def kraken(self, channel: str, *pairs: str, **parameters: Any) -> AsyncIterator[Client]:
        async with self.socket("/kraken/v2") as client:
            params = {"channel": channel, "symbol": list(pairs), **parameters}
            await client.say({"method": "subscribe", "params": params, "req_id": 1})
            for _ in pairs:
                answer = await client.until(lambda message: message.get("method") == "subscribe")
                assert answer["success"], answer
            yield client


def play(scene: Callable[[World], Awaitable[None]], **parameters: Any) -> None:
    """Run a scene in a fresh simulated world."""

    async def run() -> None:
        async with Simulator(**{"rate": RATE, **parameters}) as simulator, aiohttp.ClientSession() as http:
            await asyncio.wait_for(scene(World(simulator, http)), 3 * PATIENCE_S)

    asyncio.run(run())


@pytest.fixture(scope="module")
def shared_world() -> Iterator[Simulator]:
    with running(rate=RATE) as simulator:
        yield simulator


def look(scene: Callable[[World], Awaitable[None]], simulator: Simulator) -> None:
    """Run a scene that changes nothing in the shared world: starting one costs a quarter of a second."""

    async def run() -> None:
        async with aiohttp.ClientSession() as http:
            await asyncio.wait_for(scene(World(simulator, http)), 3 * PATIENCE_S)

    asyncio.run(run())


def trades_of(messages: list[Message], pair: str = "BTC/USD") -> list[Message]:
    return [
        trade
        for message in messages
        if message.get("channel") == "trade"
        for trade in message["data"]
        if trade["symbol"] == pair
    ]


def events_of(messages: list[Message], stream: str) -> list[Message]:
    return [message["data"] for message in messages if message.get("stream") == stream]


def shape(value: Any) -> Any:
    """Names and JSON types; numbers are one type."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float | Decimal) else type(value).__name__


# Kraken, sockets


@pytest.mark.parametrize(
    ("channel", "sample", "parameters"),
    [
        ("ticker", "ws_ticker_snapshot.json", {}),
        ("trade", "ws_trade_update.json", {}),
        ("ohlc", "ws_ohlc_update.json", {"interval": 1}),
    ],
)
def test_kraken_messages_have_the_documented_shape(
    channel: str, sample: str, parameters: Message, shared_world: Simulator
) -> None:
    expected = json.loads(recorded(f"kraken/ws_v2_samples/{sample}").read_text())

    async def scene(world: World) -> None:
        async with world.kraken(channel, "BTC/USD", **parameters) as client:
            said = await client.until(
                lambda message: message.get("channel") == channel and message["type"] == expected["type"]
            )
            assert shape(said["data"]) == shape(expected["data"])

    look(scene, shared_world)


def test_kraken_greets_acknowledges_and_refuses_symbol_by_symbol(shared_world: Simulator) -> None:
    async def scene(world: World) -> None:
        async with world.socket("/kraken/v2") as client:
            status = await client.next()
            assert status is not None
            assert (status["channel"], status["data"][0]["system"]) == ("status", "online")
            symbols = ["BTC/USD", "XDG/USD", "ETH/USD"]
            await client.say(
                {
                    "method": "subscribe",
                    "params": {"channel": "ticker", "symbol": symbols, "snapshot": True},
                    "req_id": 7,
                }
            )
            answers = []
            while len(answers) < 3:
                answers.append(await client.until(lambda message: message.get("method") == "subscribe"))
            assert [answer["success"] for answer in answers] == [True, False, True]
            assert answers[1]["error"] == "Currency pair not supported XDG/USD"
            assert all(answer["req_id"] == 7 for answer in answers)
            await client.say({"method": "ping", "req_id": 8})
            pong = await client.until(lambda message: message.get("method") == "pong")
            assert pong["req_id"] == 8
            await client.say(
                {
                    "method": "unsubscribe",
                    "params": {"channel": "ticker", "symbol": ["BTC/USD", "DOT/USD"]},
                    "req_id": 9,
                }
            )
            gone = [await client.until(lambda message: message.get("method") == "unsubscribe") for _ in range(2)]
            assert [answer["success"] for answer in gone] == [True, False]
            await client.socket.send_str("{not json")
            assert (await client.until(lambda message: "error" in message))["success"] is False

    look(scene, shared_world)


def test_kraken_acknowledgement_and_pong_have_the_documented_shape(shared_world: Simulator) -> None:
    async def scene(world: World) -> None:
        async with world.socket("/kraken/v2") as client:
            await client.say(
                {"method": "subscribe", "params": {"channel": "ticker", "symbol": ["BTC/USD"]}, "req_id": 1}
            )
            answer = await client.until(lambda message: message.get("method") == "subscribe")
            sample = json.loads(recorded("kraken/ws_v2_samples/ws_subscribe_response.json").read_text())
            assert shape(sample["result"]).items() <= shape(answer["result"]).items()
            assert shape({**answer, "result": {}}) == shape({**sample, "result": {}})
            await client.say({"method": "ping", "req_id": 42})
            pong = await client.until(lambda message: message.get("method") == "pong")
            assert shape(pong) == shape(json.loads(recorded("kraken/ws_v2_samples/ws_pong.json").read_text()))

    look(scene, shared_world)


def test_kraken_instruments_have_the_recorded_shape(shared_world: Simulator) -> None:
    capture = json.loads(recorded("kraken/ws_v2_instrument_snapshot.json").read_text())
    real = next(pair for pair in capture["data"]["pairs"] if pair["symbol"] == "BTC/USD")
    asset = next(asset for asset in capture["data"]["assets"] if asset["id"] == "BTC")

    async def scene(world: World) -> None:
        async with world.socket("/kraken/v2") as client:
            await client.say({"method": "subscribe", "params": {"channel": "instrument"}, "req_id": 1})
            said = await client.until(lambda message: message.get("channel") == "instrument")
            assert said["type"] == "snapshot"
            pairs = {pair["symbol"]: pair for pair in said["data"]["pairs"]}
            assert set(pairs) == {"BTC/USD", "ETH/USD", "DOT/USD"}
            assert shape(pairs["BTC/USD"]) == shape(real)
            assert shape(said["data"]["assets"][0]) == shape(asset)

    look(scene, shared_world)


def test_kraken_sends_heartbeats_when_nothing_else_is_said() -> None:
    async def scene(world: World) -> None:
        async with world.kraken("trade", "BTC/USD") as client:
            await world.post("/control/pause")
            await client.until(lambda message: message == {"channel": "heartbeat"})

    play(scene)


def test_kraken_snapshot_joins_the_updates_without_a_seam(shared_world: Simulator) -> None:
    async def scene(world: World) -> None:
        async with world.kraken("trade", "BTC/USD", snapshot=True) as client:
            await client.until(lambda message: message.get("type") == "update" and len(trades_of(client.heard)) > 200)
            snapshot = [message for message in client.heard if message.get("type") == "snapshot"]
            assert [len(message["data"]) for message in snapshot] == [50]
            ids = [trade["trade_id"] for trade in trades_of(client.heard)]
            assert ids == list(range(ids[0], ids[0] + len(ids)))

    look(scene, shared_world)


# Truth: sockets, REST, candles and counters tell the same


def test_kraken_sockets_rest_candles_and_counters_agree() -> None:
    async def scene(world: World) -> None:
        async with world.kraken("trade", "BTC/USD") as client:
            await client.until(lambda _: len(trades_of(client.heard)) > 300)
            halted = (await world.post("/control/pause"))["kraken"]["BTC/USD"]
            await client.drain()
            live = trades_of(client.heard)
            assert live[-1]["trade_id"] == halted
            counters = await world.counters("kraken", "BTC/USD")
            assert counters["sent"] == len(live) == halted - counters["first_id"] + 1
            assert (counters["last_id"], counters["duplicates"], counters["skipped"]) == (halted, 0, 0)

            since = live[0]["timestamp"]
            rest: list[Any] = []
            cursor = str(_nanoseconds(since) - 1)
            while len(rest) < len(live):
                page = (await world.get("/kraken/0/public/Trades", pair="XBTUSD", since=cursor, count=100))["result"]
                assert page["XXBTZUSD"], "paging ended early"
                rest += page["XXBTZUSD"]
                cursor = page["last"]
            assert [_of_rest(row) for row in rest] == [_of_socket(trade) for trade in live]
            assert (await world.get("/kraken/0/public/Trades", pair="XBTUSD", since=cursor))["result"]["XXBTZUSD"] == []

            expected = await world.get(
                "/control/expected", exchange="kraken", pair="BTC/USD", from_id=live[0]["trade_id"], to_id=halted
            )
            assert [(row["trade_id"], Decimal(row["price"]), Decimal(row["volume"])) for row in expected] == [
                (trade["trade_id"], trade["price"], trade["qty"]) for trade in live
            ]

            bars = (await world.get("/kraken/0/public/OHLC", pair="BTC/USD", interval=1))["result"]
            assert len(bars["XXBTZUSD"]) == 721
            open_bar = bars["XXBTZUSD"][-1]
            assert bars["last"] == bars["XXBTZUSD"][-2][0]
            minute: list[Any] = []
            cursor = str(open_bar[0] * 10**9 - 1)
            while page := (await world.get("/kraken/0/public/Trades", pair="XBTUSD", since=cursor))["result"]:
                if not page["XXBTZUSD"]:
                    break
                minute += page["XXBTZUSD"]
                cursor = page["last"]
            assert open_bar[7] == len(minute)
            assert Decimal(open_bar[6]) == sum(Decimal(row[1]) for row in minute)
            if minute:
                prices = [Decimal(row[0]) for row in minute]
                assert [Decimal(text) for text in open_bar[1:5]] == [prices[0], max(prices), min(prices), prices[-1]]

    play(scene)


def _nanoseconds(timestamp: str) -> int:
    from datetime import datetime  # noqa: PLC0415 - only here

    moment = datetime.fromisoformat(timestamp)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def _of_rest(row: list[Any]) -> tuple[Any, ...]:
    return row[6], int(row[2] * 10**9), Decimal(row[0]), Decimal(row[1]), {"b": "buy", "s": "sell"}[row[3]]


def _of_socket(trade: Message) -> tuple[Any, ...]:
    return trade["trade_id"], _nanoseconds(trade["timestamp"]), trade["price"], trade["qty"], trade["side"]


def test_binance_sockets_rest_candles_and_counters_agree() -> None:
    async def scene(world: World) -> None:
        async with world.socket("/binance/stream?streams=btcusdt@trade/btcusdt@aggTrade") as client:
            await client.until(lambda _: len(events_of(client.heard, "btcusdt@trade")) > 300)
            halted = (await world.post("/control/pause"))["binance"]["BTC/USDT"]
            await client.drain()
            live = events_of(client.heard, "btcusdt@trade")
            ids = [trade["t"] for trade in live]
            assert ids == list(range(ids[0], halted + 1))
            assert [trade["a"] for trade in events_of(client.heard, "btcusdt@aggTrade")][-len(ids) // 2 :] == ids[
                -len(ids) // 2 :
            ]
            counters = await world.counters("binance", "BTC/USDT")
            assert (counters["sent"], counters["last_id"]) == (len(ids), halted)
            rest = []
            for first in range(ids[0], halted + 1, 1000):
                rest += await world.get("/binance/api/v3/historicalTrades", symbol="BTCUSDT", fromId=first, limit=1000)
            assert [(row["id"], row["price"], row["qty"], row["time"], row["isBuyerMaker"]) for row in rest] == [
                (trade["t"], trade["p"], trade["q"], trade["T"], trade["m"]) for trade in live
            ]
            (bar,) = await world.get("/binance/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=1)
            inside = await _aggregates(world, bar[0])
            assert bar[8] == len(inside)
            assert Decimal(bar[5]) == sum(Decimal(row["q"]) for row in inside)
            assert Decimal(bar[7]) == sum(Decimal(row["q"]) * Decimal(row["p"]) for row in inside)
            assert Decimal(bar[9]) == sum(Decimal(row["q"]) for row in inside if not row["m"])

    play(scene)


async def _aggregates(world: World, start: int) -> list[Message]:
    found: list[Message] = await world.get("/binance/api/v3/aggTrades", symbol="BTCUSDT", startTime=start, limit=1000)
    while found:
        more = await world.get("/binance/api/v3/aggTrades", symbol="BTCUSDT", fromId=found[-1]["a"] + 1, limit=1000)
        if not more:
            break
        found += more
    return found


def test_what_happens_while_nobody_listens_is_in_the_history() -> None:
    async def scene(world: World) -> None:
        async with world.kraken("trade", "BTC/USD") as client:
            before = (await client.until(lambda message: message.get("type") == "update"))["data"][0]["trade_id"]
        await asyncio.sleep(0.3)
        async with world.kraken("trade", "BTC/USD") as client:
            after = (await client.until(lambda message: message.get("type") == "update"))["data"][0]["trade_id"]
        counters = await world.counters("kraken", "BTC/USD")
        assert counters["never_sent"], "nobody listened for a while"
        assert counters["sent"] < after - before
        rows = await world.get("/control/expected", exchange="kraken", pair="BTC/USD", from_id=before, to_id=after)
        assert [row["trade_id"] for row in rows] == list(range(before, after + 1))

    play(scene)


def test_every_ticker_sent_has_its_own_timestamp_and_is_counted() -> None:
    async def scene(world: World) -> None:
        async with (
            world.kraken("ticker", "BTC/USD") as client,
            world.socket("/binance/stream?streams=btcusdt@ticker") as other,
        ):
            await other.until(lambda _: len(events_of(other.heard, "btcusdt@ticker")) >= 2)
            await world.post("/control/pause")
            await client.drain()
            await other.drain(1.5)
            stamps = [message["data"][0]["timestamp"] for message in client.heard if message.get("channel") == "ticker"]
            assert len(stamps) > 50
            assert len(set(stamps)) == len(stamps) == (await world.counters("kraken", "BTC/USD"))["tickers"]
            events = [event["E"] for event in events_of(other.heard, "btcusdt@ticker")]
            assert len(set(events)) == len(events) == (await world.counters("binance", "BTC/USDT"))["tickers"]

    play(scene)


def test_a_restarted_simulator_continues_the_same_series() -> None:
    found: list[list[Message]] = []

    async def scene(world: World) -> None:
        last = (await world.post("/control/pause"))["kraken"]["DOT/USD"]
        begin = int(found[0][0]["trade_id"]) if found else last - 20
        rows = await world.get("/control/expected", exchange="kraken", pair="DOT/USD", from_id=begin, to_id=begin + 20)
        found.append(rows[:20])

    play(scene)
    play(scene)
    assert len(found[0]) == 20
    assert found[0] == found[1]


# Binance, sockets


def test_binance_events_have_the_recorded_shape(shared_world: Simulator) -> None:
    capture: dict[str, Message] = {}
    for line in recorded("binance/ws_capture.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["kind"] == "recv":
            message = json.loads(event["data"])
            capture.setdefault(message["stream"].partition("@")[2], message)

    async def scene(world: World) -> None:
        channels = ("aggTrade", "bookTicker", "kline_1m")
        async with world.socket(
            "/binance/stream?streams=" + "/".join(f"btcusdt@{name}" for name in channels)
        ) as client:
            for channel in channels:
                wanted = f"btcusdt@{channel}"
                said = await client.until(lambda message, wanted=wanted: message.get("stream") == wanted)
                assert shape(said) == shape(capture[channel])

    look(scene, shared_world)


def test_binance_candles_close_and_equal_the_rest_candle() -> None:
    async def scene(world: World) -> None:
        binance = world.simulator.exchanges["binance"]
        async with world.socket("/binance/ws/btcusdt@kline_1m") as client:
            first = await client.until(lambda message: message.get("e") == "kline")
            assert first["k"]["x"] is False
            # A minute back, the candle that was being sent has closed meanwhile.
            start = first["k"]["t"] // 1000 - 60
            binance._sent_candles["kline_1m", "BTC/USDT"] = (start, 1)
            closed = await client.until(lambda message: message.get("e") == "kline" and message["k"]["x"])
            (bar,) = await world.get(
                "/binance/api/v3/klines", symbol="BTCUSDT", interval="1m", startTime=start * 1000, limit=1
            )
            k = closed["k"]
            assert [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"]] == bar[:11]

    play(scene)


def test_binance_subscriptions_can_be_changed_and_listed(shared_world: Simulator) -> None:
    async def scene(world: World) -> None:
        async with world.socket("/binance/ws") as client:
            await client.say({"method": "SUBSCRIBE", "params": ["btcusdt@trade", "typousdt@trade"], "id": 1})
            assert await client.until(lambda message: message.get("id") == 1) == {"result": None, "id": 1}
            raw = await client.until(lambda message: message.get("e") == "trade")
            assert raw["s"] == "BTCUSDT"
            await client.say({"method": "LIST_SUBSCRIPTIONS", "id": 2})
            listed = await client.until(lambda message: message.get("id") == 2)
            assert listed["result"] == ["btcusdt@trade", "typousdt@trade"]
            await client.say({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 3})
            await client.until(lambda message: message.get("id") == 3)
            await client.say({"method": "DANCE", "id": 4})
            refused = await client.until(lambda message: message.get("id") == 4)
            assert refused["error"]["code"] == 2

    look(scene, shared_world)


def test_binance_pings_and_ends_sockets_after_their_lifetime() -> None:
    async def scene(world: World) -> None:
        async with world.http.ws_connect(world.simulator.ws_url + "/binance/ws", autoping=False) as socket:
            kinds = []
            while True:
                frame = await socket.receive(PATIENCE_S)
                kinds.append(frame.type)
                if frame.type is not aiohttp.WSMsgType.PING:
                    break
                assert frame.data.isdigit()
                await socket.pong(frame.data)
            assert aiohttp.WSMsgType.PING in kinds
            assert kinds[-1] in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR}

    play(scene, options={"binance": {"ping_s": 0.2, "session_s": 2.5}})


# REST shapes


@pytest.mark.parametrize(
    ("path", "query", "sample"),
    [
        ("AssetPairs", {"pair": "XBTUSD"}, "http_asset_pairs.json"),
        ("SystemStatus", {}, "http_system_status.json"),
        ("Ticker", {"pair": "XBTUSD"}, "http_ticker.json"),
        ("OHLC", {"pair": "XBTUSD"}, "http_ohlc.json"),
        ("Trades", {"pair": "XBTUSD"}, "http_trades.json"),
    ],
)
def test_kraken_rest_has_the_recorded_shape(path: str, query: Message, sample: str, shared_world: Simulator) -> None:
    real = json.loads(recorded(f"kraken/{sample}").read_text().replace("XBTUSDT", "XXBTZUSD"))

    async def scene(world: World) -> None:
        said = await world.get(f"/kraken/0/public/{path}", **query)
        assert _rows(said) == _rows(real)

    look(scene, shared_world)


def _rows(body: Any) -> Any:
    """The shape with every element of the rows, whose elements differ in type."""
    if isinstance(body, dict):
        return {name: _rows(inner) for name, inner in body.items()}
    if isinstance(body, list) and body and isinstance(body[0], list):
        return [[shape(inner) for inner in body[0]]]
    return shape(body)


@pytest.mark.parametrize(
    ("path", "query", "sample"),
    [
        ("klines", {"symbol": "BTCUSDT", "interval": "1m"}, "klines_response.json"),
        ("trades", {"symbol": "BTCUSDT"}, "trades_response.json"),
        ("ticker/24hr", {"symbol": "BTCUSDT"}, "ticker_24hr_response.json"),
        ("ticker/price", {"symbol": "BTCUSDT"}, "ticker_price_response.json"),
        ("ticker/bookTicker", {"symbol": "BTCUSDT"}, "book_ticker_response.json"),
        ("time", {}, "server_time_response.json"),
        ("ping", {}, "ping_response.json"),
    ],
)
def test_binance_rest_has_the_documented_shape(path: str, query: Message, sample: str, shared_world: Simulator) -> None:
    real = json.loads(recorded(f"binance/samples/{sample}").read_text())

    async def scene(world: World) -> None:
        assert _rows(await world.get(f"/binance/api/v3/{path}", **query)) == _rows(real)

    look(scene, shared_world)


def test_binance_exchange_info_has_the_documented_fields(shared_world: Simulator) -> None:
    real = json.loads(recorded("binance/samples/exchange_info_response.json").read_text())["symbols"][0]

    async def scene(world: World) -> None:
        info = await world.get("/binance/api/v3/exchangeInfo")
        assert set(info["symbols"][0]) == set(real)

    look(scene, shared_world)


def test_rest_refuses_as_the_exchanges_do(shared_world: Simulator) -> None:
    async def scene(world: World) -> None:
        kraken = await world.get("/kraken/0/public/Trades", pair="NOPE")
        assert kraken == {"error": ["EQuery:Unknown asset pair"]}
        assert (await world.get("/kraken/0/public/Dance"))["error"] == ["EGeneral:Unknown method"]
        for query, code in (
            ({"symbol": "NOPE", "interval": "1m"}, -1121),
            ({"interval": "1m"}, -1102),
            ({"symbol": "BTCUSDT", "interval": "7m"}, -1120),
            ({"symbol": "BTCUSDT", "interval": "1m", "startTime": "soon"}, -1100),
        ):
            assert (await world.get("/binance/api/v3/klines", **query))["code"] == code

    look(scene, shared_world)


def test_ccxt_reads_the_simulated_kraken(shared_world: Simulator) -> None:
    kraken = ccxt.kraken({"enableRateLimit": False})
    kraken.urls["api"]["public"] = f"{shared_world.url}/kraken"
    assert set(kraken.load_markets()) == {"BTC/USD", "ETH/USD", "DOT/USD"}
    assert kraken.market("BTC/USD")["precision"]["price"] == pytest.approx(0.1)
    candles = kraken.fetch_ohlcv("BTC/USD", "1m")
    assert len(candles) == 721
    assert {later[0] - earlier[0] for earlier, later in itertools.pairwise(candles)} == {60_000}
    trades = kraken.fetch_trades("BTC/USD", since=candles[-5][0], limit=100)
    assert [int(trade["id"]) for trade in trades] == list(range(int(trades[0]["id"]), int(trades[0]["id"]) + 100))


def test_ccxt_reads_the_simulated_binance(shared_world: Simulator) -> None:
    binance = ccxt.binance({"enableRateLimit": False, "options": {"fetchMarkets": {"types": ["spot"]}}})
    binance.urls["api"]["public"] = f"{shared_world.url}/binance/api/v3"
    assert set(binance.load_markets()) == {"BTC/USDT", "ETH/USDT", "DOT/USDT"}
    newest = binance.fetch_ohlcv("ETH/USDT", "1m", limit=3)
    since = newest[0][0] - 80 * 86_400_000
    candles = binance.fetch_ohlcv("ETH/USDT", "1m", since=since, limit=1000)
    assert [candle[0] for candle in candles] == list(range(since, since + 60_000_000, 60_000))
    trades = binance.fetch_trades("ETH/USDT", since=since, limit=50)
    assert len(trades) == 50
    assert trades[0]["timestamp"] >= since


# Faults


@pytest.mark.parametrize("exchange", ["kraken", "binance"])
@pytest.mark.parametrize("abort", [False, True])
def test_a_cut_ends_sockets_without_a_close_frame(exchange: str, abort: bool) -> None:
    async def scene(world: World) -> None:
        path = {"kraken": "/kraken/v2", "binance": "/binance/stream?streams=btcusdt@trade"}[exchange]
        async with world.socket(path) as client:
            await client.next()
            await world.fault(exchange, "cut", abort=abort)
            while await client.next() is not None:
                pass
            assert client.socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        async with world.socket(path) as client:
            assert await client.next() is not None

    play(scene)


def test_a_silent_pair_says_nothing_while_others_go_on() -> None:
    async def scene(world: World) -> None:
        async with world.kraken("trade", "BTC/USD", "ETH/USD") as client:
            await client.until(lambda _: bool(trades_of(client.heard)))
            await world.fault("kraken", "silence", pair="BTC/USD")
            heard = len(trades_of(client.heard))
            await client.until(lambda _: len(trades_of(client.heard, "ETH/USD")) > 150)
            assert len(trades_of(client.heard)) <= heard + 40, "only what was under way"
            skipped = (await world.counters("kraken", "BTC/USD"))["skipped"]
            assert skipped > 10
            async with world.http.delete(f"{world.simulator.url}/control/fault") as response:
                assert response.status == 200
            missed = len(trades_of(client.heard))
            await client.until(lambda _: len(trades_of(client.heard)) > missed)

    play(scene)


@pytest.mark.parametrize("exchange", ["kraken", "binance"])
def test_skipped_duplicated_and_reordered_trades_are_counted(exchange: str) -> None:
    async def scene(world: World) -> None:
        pair = {"kraken": "BTC/USD", "binance": "BTC/USDT"}[exchange]
        for kind in ("skip", "duplicate", "reorder"):
            await world.fault(exchange, kind, pair=pair, probability=0.1)

        def ids(client: Client) -> list[int]:
            if exchange == "kraken":
                return [trade["trade_id"] for trade in trades_of(client.heard)]
            return [event["t"] for event in events_of(client.heard, "btcusdt@trade")]

        async with (
            world.kraken("trade", pair)
            if exchange == "kraken"
            else world.socket("/binance/stream?streams=btcusdt@trade")
        ) as client:
            await client.until(lambda _: len(ids(client)) > 400)
            await world.post("/control/pause")
            await client.drain()
            heard = ids(client)
            counters = await world.counters(exchange, pair)
            assert counters["sent"] == len(set(heard))
            assert counters["duplicates"] == len(heard) - len(set(heard)) > 0
            assert counters["reordered"] > 0
            assert heard != sorted(heard)
            missing = set(range(min(heard), max(heard) + 1)) - set(heard)
            assert 0 < len(missing) <= counters["skipped"]
            never = {number for first, last in counters["never_sent"] for number in range(first, last + 1)}
            assert never == missing
            rest = await world.get(
                "/control/expected", exchange=exchange, pair=pair, from_id=min(heard), to_id=max(heard)
            )
            assert missing < {row["trade_id"] for row in rest}

    play(scene)


@pytest.mark.parametrize("exchange", ["kraken", "binance"])
def test_malformed_frames_come_besides_the_right_ones(exchange: str) -> None:
    async def scene(world: World) -> None:
        pair = {"kraken": "BTC/USD", "binance": "BTC/USDT"}[exchange]
        async with (
            world.kraken("trade", pair)
            if exchange == "kraken"
            else world.socket("/binance/stream?streams=btcusdt@trade")
        ) as client:
            await world.fault(exchange, "malformed", count=12)
            await client.until(lambda _: {} in client.heard)
            await world.post("/control/pause")
            await client.drain()
            counters = await world.counters(exchange, pair)
            assert counters["malformed"] > 0
            assert counters["never_sent"] == []

    play(scene)


@pytest.mark.parametrize(
    ("exchange", "kind", "status", "header", "body"),
    [
        ("binance", "rate_limit", 429, "3", "-1003"),
        ("binance", "ban", 418, "3", "banned until"),
        ("binance", "server_error", 503, None, "-1000"),
        ("binance", "error_body", 400, None, "-1121"),
        ("binance", "html", 200, None, "<html>"),
        ("kraken", "rate_limit", 429, "3", "Too many requests"),
        ("kraken", "server_error", 520, None, "520"),
        ("kraken", "error_body", 200, None, "EService:Unavailable"),
        ("kraken", "html", 200, None, "<html>"),
        ("kraken", "maintenance", 200, None, "EService:Unavailable"),
    ],
)
def test_rest_faults(exchange: str, kind: str, status: int, header: str | None, body: str) -> None:
    async def scene(world: World) -> None:
        path = {"kraken": "/kraken/0/public/Time", "binance": "/binance/api/v3/time"}[exchange]
        await world.fault(exchange, kind, count=1, retry_after_s=3)
        async with world.http.get(world.simulator.url + path) as response:
            assert response.status == status
            assert response.headers.get("Retry-After") == header
            assert body in await response.text()
        async with world.http.get(world.simulator.url + path) as response:
            assert response.status == 200
            assert body not in await response.text()

    play(scene)


def test_kraken_announces_maintenance_and_its_end() -> None:
    async def scene(world: World) -> None:
        async with world.kraken("trade", "BTC/USD") as client:
            await world.fault("kraken", "maintenance", duration_s=0.5)
            begun = await client.until(lambda message: message.get("channel") == "status")
            if begun["data"][0]["system"] == "online":
                begun = await client.until(lambda message: message.get("channel") == "status")
            assert begun["data"][0]["system"] == "maintenance"
            ended = await client.until(lambda message: message.get("channel") == "status")
            assert ended["data"][0]["system"] == "online"
            await client.until(lambda message: message.get("channel") == "trade")

    play(scene)


def test_binance_announces_a_shutdown() -> None:
    async def scene(world: World) -> None:
        async with world.socket("/binance/stream?streams=btcusdt@trade") as client:
            await client.next()
            await world.fault("binance", "shutdown", grace_s=0.2)
            said = await client.until(lambda message: message.get("stream") == "!serverShutdown")
            assert said["data"]["e"] == "serverShutdown"
            while await client.next() is not None:
                pass

    play(scene)


def test_binance_limits_bite_when_switched_on() -> None:
    async def scene(world: World) -> None:
        await world.post("/control/limits", {"exchange": "binance", "limit": 10})
        statuses = []
        for _ in range(30):
            async with world.http.get(world.simulator.url + "/binance/api/v3/time") as response:
                statuses.append(response.status)
                assert int(response.headers["X-MBX-USED-WEIGHT-1M"]) > 0
                if response.status != 200:
                    assert int(response.headers["Retry-After"]) > 0
        assert [*dict.fromkeys(statuses)][-2:] == [429, 418]

    play(scene)


def test_unknown_orders_are_refused_with_a_reason(shared_world: Simulator) -> None:
    async def scene(world: World) -> None:
        for order in (
            {"exchange": "nowhere", "kind": "cut"},
            {"exchange": "kraken", "kind": "dance"},
            {"exchange": "kraken", "kind": "cut", "pair": "NO/PE"},
            {"exchange": "kraken", "kind": "cut", "speed": 3},
        ):
            async with world.http.post(f"{world.simulator.url}/control/fault", json=order) as response:
                assert response.status == 400
                assert (await response.json())["error"]

    look(scene, shared_world)


def test_a_halted_market_stands_still_everywhere_and_goes_on_without_a_hole() -> None:
    async def scene(world: World) -> None:
        async with world.kraken("trade", "BTC/USD") as client:
            await client.until(lambda _: len(trades_of(client.heard)) > 20)
            halted = (await world.post("/control/pause"))["kraken"]["BTC/USD"]
            await client.drain()
            assert trades_of(client.heard)[-1]["trade_id"] == halted
            newest = (await world.get("/kraken/0/public/Trades", pair="XBTUSD", count=1))["result"]["XXBTZUSD"]
            assert newest[0][6] == halted
            await world.post("/control/resume")
            await client.until(lambda _: trades_of(client.heard)[-1]["trade_id"] > halted + 100)
            ids = [trade["trade_id"] for trade in trades_of(client.heard)]
            assert ids == list(range(ids[0], ids[0] + len(ids)))

    play(scene)


# Recorded trades


def test_recorded_trades_are_served_with_their_ids_and_give_the_exchanges_own_candles() -> None:
    path = recorded("kraken/http_trades.json")
    original = json.loads(path.read_text(), parse_float=Decimal)["result"]["XBTUSDT"]
    candles = {
        row[0]: row for row in json.loads(recorded("kraken/http_ohlc.json").read_text())["result"]["XBTUSDT"][:-1]
    }

    async def scene(world: World) -> None:
        await world.post("/control/replay", {"exchange": "kraken", "pair": "BTC/USDT", "path": str(path)})
        async with world.kraken("trade", "BTC/USDT") as client:
            while len(trades_of(client.heard, "BTC/USDT")) < 1000:
                assert await client.next() is not None
            live = trades_of(client.heard, "BTC/USDT")
            assert [(t["trade_id"], t["price"], t["qty"], t["side"][0]) for t in live] == [
                (row[6], Decimal(row[0]), Decimal(row[1]), row[3]) for row in original
            ]
            rest = (await world.get("/kraken/0/public/Trades", pair="XBTUSDT", since=0))["result"]["XBTUSDT"]
            assert [[row[0], row[1], row[2], row[3], row[6]] for row in rest] == [
                [row[0], row[1], row[2], row[3], row[6]] for row in original
            ]
            bars = (await world.get("/kraken/0/public/OHLC", pair="XBTUSDT"))["result"]["XBTUSDT"]
            begin = int(original[0][2]) // 60 * 60 + 60
            end = int(original[-1][2]) // 60 * 60
            ours = {row[0]: row for row in bars if begin <= row[0] < end and row[7]}
            assert len(ours) == 272
            for start, row in ours.items():
                theirs = candles[start]
                assert [Decimal(text) for text in row[1:5]] == [Decimal(text) for text in theirs[1:5]]
                assert (Decimal(row[6]), row[7]) == (Decimal(theirs[6]), theirs[7])

    play(scene, pairs={"kraken": ["BTC/USDT", "ETH/USD"]})
