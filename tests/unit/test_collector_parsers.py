"""Real and hostile frames through the real parsers."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoviz.collectors.recorder import Recorder, Replay, captured
from cryptoviz.exchanges import pair_of
from cryptoviz.exchanges.adapter import (
    ClosingSoon,
    FrameError,
    Heartbeat,
    Ignored,
    InstrumentStatus,
    Pong,
    Refused,
    Subscribed,
    SystemStatus,
    UnknownPair,
)
from cryptoviz.exchanges.binance import wire as binance_wire
from cryptoviz.exchanges.binance.feed import BinanceFeed, instant
from cryptoviz.exchanges.kraken.feed import KrakenFeed
from cryptoviz.records import Candle, Side, Ticker, Trade

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)


@pytest.fixture
def kraken() -> KrakenFeed:
    return KrakenFeed(["BTC/USD", "DOGE/USD"])


@pytest.fixture
def binance() -> BinanceFeed:
    return BinanceFeed(["BTC/USDT"])


def combined(stream: str, **data: object) -> bytes:
    return json.dumps({"stream": stream, "data": data}).encode()


def trade_frame(**changes: object) -> bytes:
    data = {"e": "trade", "E": MS, "s": "BTCUSDT", "t": 7, "p": "42000.10", "q": "0.50", "T": MS, "m": True, "M": True}
    return combined("btcusdt@trade", **(data | changes))


def kraken_trade(**changes: object) -> dict[str, object]:
    trade = {
        "symbol": "BTC/USD",
        "side": "buy",
        "price": 42000.1,
        "qty": 0.5,
        "ord_type": "limit",
        "trade_id": 7,
        "timestamp": "2026-09-01T11:59:59.123456Z",
    }
    return trade | changes


def kraken_frame(*trades: dict[str, object]) -> bytes:
    return json.dumps({"channel": "trade", "type": "update", "data": trades}).encode()


def test_every_frame_of_the_binance_capture_is_explained(shared_data: Path) -> None:
    replay = Replay(BinanceFeed(["NKN/USDT", "BLZ/ETH", "LRC/BTC", "RUNE/EUR"]))
    replay.play(shared_data / "binance" / "ws_capture.jsonl")
    assert replay.refused == []
    assert replay.frames == 265
    assert Counter(type(record) for record in replay.records) == {Trade: 2, Candle: 2}
    assert sum(replay.events.values()) == 177 + 84
    assert all(reason.startswith("ignored: ") for reason in replay.events)
    trade = next(record for record in replay.records if isinstance(record, Trade))
    assert (trade.pair, trade.trade_id, str(trade.price)) == ("NKN/USDT", 19862790, "0.35280000")


def test_kraken_samples_keep_every_digit(shared_data: Path, kraken: KrakenFeed) -> None:
    samples = shared_data / "kraken" / "ws_v2_samples"
    parsed = {path.stem: kraken.parse(path.read_bytes(), NOW) for path in samples.glob("*.json")}
    trades = parsed["ws_trade_update"]
    assert isinstance(trades, list)
    assert [str(trade.price) for trade in trades if isinstance(trade, Trade)] == ["105944.20", "105910.50"]
    assert isinstance(parsed["ws_ticker_snapshot"], list)
    assert parsed["ws_pong"] == Pong()
    assert parsed["ws_subscribe_response"] == Subscribed("ticker", "BTC/USD", 1)
    assert all(isinstance(parsed[name], Ignored) for name in ("ws_book_snapshot", "ws_book_update", "ws_ohlc_update"))


def test_kraken_instruments_of_the_recorded_snapshot(shared_data: Path) -> None:
    path = shared_data / "kraken" / "ws_v2_instrument_snapshot.json"
    names = [pair["symbol"] for pair in json.loads(path.read_bytes())["data"]["pairs"]]
    pairs = [pair_of("kraken", name) for name in names]
    event = KrakenFeed(pairs).parse(path.read_bytes(), NOW)
    assert isinstance(event, InstrumentStatus)
    assert set(event.statuses) == set(pairs)
    assert {"LUNC/USD", "LUNA/USD", "USTC/USD", "REPV1/USD", "REP/USD"} < set(pairs)
    assert Counter(event.statuses.values()) == {"online": 672, "reduce_only": 9, "cancel_only": 2}


def test_the_frozen_v1_capture_is_read_and_refused_frame_by_frame(shared_data: Path, kraken: KrakenFeed) -> None:
    replay = Replay(kraken).play(shared_data / "kraken" / "ws_v1_capture.jsonl")
    assert replay.frames == 4430
    assert replay.records == []
    assert len(replay.refused) == 4430
    assert {error.kind for _frame, error in replay.refused} == {"invalid", "unknown_frame"}


def test_binance_trade(binance: BinanceFeed) -> None:
    (trade,) = binance.parse(trade_frame(), NOW)
    assert trade == Trade(
        received_at=NOW,
        timestamp=NOW,
        exchange="binance",
        pair="BTC/USDT",
        price=Decimal("42000.10"),
        volume=Decimal("0.50"),
        side=Side.SELL,
        trade_id=7,
    )
    assert str(trade.price) == "42000.10"


def test_binance_ticker_and_aggregates(binance: BinanceFeed) -> None:
    ticker = {"e": "24hrTicker", "E": MS, "s": "BTCUSDT", "P": "-1.250", "c": "1.0", "b": "0.9", "a": "1.1", "v": "5"}
    (record,) = binance.parse(combined("btcusdt@ticker", **ticker), NOW)
    assert isinstance(record, Ticker)
    assert str(record.pct_change) == "-1.250"
    several = {"e": "aggTrade", "s": "BTCUSDT", "a": 1, "f": 5, "l": 6, "p": "1", "q": "1", "T": MS, "m": False}
    assert isinstance(binance.parse(combined("btcusdt@aggTrade", **several), NOW), Ignored)


def test_the_symbol_in_a_binance_event_decides_not_the_name_of_its_stream() -> None:
    (trade,) = BinanceFeed(["BTC/USDT", "ETH/USDT"]).parse(trade_frame(s="ETHUSDT"), NOW)
    assert trade.pair == "ETH/USDT"


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (b'{"result":null,"id":3}', Subscribed(request=3)),
        (b'{"code":2,"msg":"Invalid request: x"}', Refused("Invalid request: x")),
        (b'{"error":{"code":2,"msg":"no"},"id":4}', Refused("no", request=4)),
        (b'{"e":"serverShutdown","E":1}', ClosingSoon()),
        (b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}', ClosingSoon()),
        (trade_frame(s="XYZUSDT"), UnknownPair("XYZUSDT")),
    ],
)
def test_binance_events(binance: BinanceFeed, frame: bytes, event: object) -> None:
    assert binance.parse(frame, NOW) == event


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (b'{"channel":"heartbeat"}', Heartbeat()),
        (b'{"channel":"status","type":"update","data":[{"system":"maintenance"}]}', SystemStatus("maintenance")),
        (
            b'{"method":"subscribe","success":false,"error":"Currency pair not supported XDG/USD","req_id":1}',
            Refused("Currency pair not supported XDG/USD", "", "XDG/USD", 1),
        ),
        (b'{"error":"Exceeded msg rate","success":false}', Refused("Exceeded msg rate")),
        (
            b'{"method":"subscribe","success":true,"result":{"channel":"trade","symbol":"BTC/USD","warnings":["w"]}}',
            Subscribed("trade", "BTC/USD", None, ("w",)),
        ),
    ],
)
def test_kraken_events(kraken: KrakenFeed, frame: bytes, event: object) -> None:
    assert kraken.parse(frame, NOW) == event


@pytest.mark.parametrize("bad", [{"price": -1}, {"price": 0}, {"qty": 0}, {"timestamp": "2099-01-01T00:00:00Z"}])
def test_one_bad_trade_does_not_take_the_sound_ones_with_it(kraken: KrakenFeed, bad: dict[str, object]) -> None:
    frame = kraken_frame(kraken_trade(trade_id=1), kraken_trade(trade_id=2, **bad), kraken_trade(trade_id=3))
    with pytest.raises(FrameError) as refused:
        kraken.parse(frame, NOW)
    assert refused.value.kind == "invalid"
    assert [record.trade_id for record in refused.value.records if isinstance(record, Trade)] == [1, 3]


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (trade_frame()[:40], "undecodable"),
        (b"\xff\xfe", "undecodable"),
        (b"[[[[", "invalid"),
        (b'{"x":[[[[', "undecodable"),
        (b"", "undecodable"),
        (b"[]", "invalid"),
        (b"{}", "unknown_frame"),
        (trade_frame(p="-1"), "invalid"),
        (trade_frame(p="0"), "invalid"),
        (trade_frame(p="NaN"), "invalid"),
        (trade_frame(p=None), "invalid"),
        (trade_frame(t="7"), "invalid"),
        (trade_frame(T=10**30), "invalid"),
        (trade_frame(T=10**18), "invalid"),
        (trade_frame(t=-1), "invalid"),
        (trade_frame(e="martian"), "invalid"),
    ],
)
def test_hostile_binance_frames_are_refused_with_a_reason(binance: BinanceFeed, frame: bytes, kind: str) -> None:
    with pytest.raises(FrameError) as refused:
        binance.parse(frame, NOW)
    assert refused.value.kind == kind
    assert refused.value.reason


def test_a_frame_that_is_nested_beyond_what_its_decoder_follows_is_refused(
    binance: BinanceFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Decoder:
        def decode(self, _frame: bytes) -> None:
            raise RecursionError("too deep")

    monkeypatch.setattr(binance_wire, "others", Decoder())
    with pytest.raises(FrameError, match="too deep") as refused:
        binance.parse(b'{"x":[[[[]]]]}', NOW)
    assert refused.value.kind == "undecodable"


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_mutated_frame_never_breaks_a_parser(data: st.DataObject) -> None:
    frame = bytearray(data.draw(st.sampled_from([trade_frame(), kraken_frame(kraken_trade())])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(frame) - 1))
        frame[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not frame:
            break
    for exchange in (BinanceFeed(["BTC/USDT"]), KrakenFeed(["BTC/USD"])):
        replay = Replay(exchange)
        replay.feed(bytes(frame), NOW)
        assert replay.frames == 1
        assert all(error.reason for _frame, error in replay.refused)


@pytest.mark.parametrize(
    ("symbol", "pair"), [("LUNA/USD", "LUNC/USD"), ("LUNA2/USD", "LUNA/USD"), ("UST/USD", "USTC/USD")]
)
def test_what_kraken_calls_luna_is_luna_classic(symbol: str, pair: str) -> None:
    exchange = KrakenFeed(["LUNC/USD", "LUNA/USD", "USTC/USD"])
    (trade,) = exchange.parse(kraken_frame(kraken_trade(symbol=symbol)), NOW)  # type: ignore[misc]
    assert trade.pair == pair
    trades, tickers, _instruments = exchange.subscribe([pair])
    assert [json.loads(request.message)["params"]["symbol"] for request in (trades, tickers)] == [[symbol], [symbol]]
    assert trades.channels == (("trade", pair),)
    accepted = {"method": "subscribe", "success": True, "result": {"channel": "trade", "symbol": symbol}}
    assert exchange.parse(json.dumps(accepted).encode(), NOW) == Subscribed("trade", pair)
    refused = {"method": "subscribe", "success": False, "error": f"Currency pair not supported {symbol}"}
    assert exchange.parse(json.dumps(refused).encode(), NOW) == Refused(refused["error"], "", pair)  # type: ignore[arg-type]


def test_a_pair_that_kraken_did_not_ask_for_keeps_its_own_name() -> None:
    (trade,) = KrakenFeed(["LUNA/USD"]).parse(kraken_frame(kraken_trade(symbol="LUNA/USD")), NOW)  # type: ignore[misc]
    assert trade.pair == "LUNC/USD", "or another coin would be stored under the pair that is collected"


def test_binance_times_in_milliseconds_and_microseconds() -> None:
    assert instant(MS) == instant(MS * 1000) == NOW


def test_what_the_recorder_writes_the_replayer_plays(tmp_path: Path, binance: BinanceFeed) -> None:
    recorder = Recorder(tmp_path, "binance", rotate_bytes=500)
    recorder.write("binance.1", "connect", url="wss://example.org")
    for number in range(5):
        recorder.write("binance.1", "recv", trade_frame(t=number, T=int(datetime.now(UTC).timestamp() * 1000)))
    recorder.write("binance.1", "recv", b"\xff broken")
    recorder.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) > 1, "it rotates"
    assert next(captured(files[0])).url == "wss://example.org"
    replay = Replay(binance)
    for file in files:
        replay.play(file)
    assert [trade.trade_id for trade in replay.records if isinstance(trade, Trade)] == list(range(5))
    assert len(replay.refused) == 1


def test_a_capture_with_a_broken_line_names_it(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"ts": 1, "conn": "a", "kind": "recv", "data": "{}"}\nnonsense\n')
    with pytest.raises(ValueError, match="line 2"):
        list(captured(path))
