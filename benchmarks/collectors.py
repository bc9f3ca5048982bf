"""Collector speed, frame to validated record, beside cryptofeed's and ccxt's own handlers on the same recorded frames.

    recorded Binance frames -> BinanceFeed.parse -> records             (ours: exact decimals, every value checked)
                            -> cryptofeed message_handler -> callback with its typed object
                            -> json.loads -> ccxt.pro handle_message -> its dictionaries, in its caches

What is compared: the recorded ``aggTrade``, ``kline`` and ``bookTicker`` frames, each handler called the way its own
connection calls it, with the raw text as it came off the wire. Both we and cryptofeed decode JSON, convert prices to
exact decimals and build one typed object a frame; cryptofeed's has no validation, ccxt's prices are floats. A
``bookTicker`` carries no time and no last price, so there is no record for it: we decode and check it and say so, and
its line is printed apart from the headline, which is trades and candles alone. Depth frames are left out: cryptofeed
keeps an order book there, which we do not. Nobody's network or queue is in the figure.

Run it with the locked bench requirements: ``python -m benchmarks.collectors``. They pin cryptofeed 3.0.1 on Python 3.13
and later, whose types are compiled, and 2.4.1 on 3.11: the figure that counts is the one on 3.13.
"""

from __future__ import annotations

import asyncio
import json
import logging
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptoviz.collectors.recorder import captured
from cryptoviz.exchanges.binance.feed import BinanceFeed
from cryptoviz.settings import PROJECT_ROOT

CAPTURE = PROJECT_ROOT.parent / "shared" / "data" / "binance" / "ws_capture.jsonl"
PAIRS = ["NKN/USDT", "BLZ/ETH", "LRC/BTC", "RUNE/EUR"]
KINDS = ("aggTrade", "kline", "bookTicker")
HEADLINE = ("aggTrade", "kline")
ROUNDS = 5
SLICE = 100
SLICES = 200

Handler = Callable[[list[str]], float]
"""Handles all frames and returns the CPU seconds that took."""


def load_frames(path: Path) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """The recorded frames by kind, and the recorded exchangeInfo that cryptofeed needs for its symbols."""
    frames: dict[str, list[str]] = {kind: [] for kind in KINDS}
    info: dict[str, Any] = {}
    for line in captured(path):
        if line.kind == "http" and line.url.endswith("/exchangeInfo"):
            info = json.loads(line.data)
        if line.kind == "recv":
            channel = json.loads(line.data)["stream"].partition("@")[2].partition("_")[0]
            if channel in frames:
                frames[channel].append(line.data)
    return frames, info


def ours() -> Handler:
    """The adapter as the collector calls it: bytes in, received_at taken for each frame."""
    exchange = BinanceFeed(PAIRS)

    def handle(frames: list[str]) -> float:
        raw = [frame.encode() for frame in frames]
        started = time.process_time()
        for frame in raw:
            exchange.parse(frame, datetime.now(UTC))
        return time.process_time() - started

    return handle


def cryptofeed(info: dict[str, Any], seen: list[Any]) -> Handler:
    """cryptofeed's own message handler with a callback that only takes the object."""
    # Both baselines are imported where they are used: the project itself does not need them.
    from cryptofeed.defines import CANDLES, TICKER, TRADES  # noqa: PLC0415
    from cryptofeed.exchanges import Binance as Feed  # noqa: PLC0415
    from cryptofeed.symbols import Symbols  # noqa: PLC0415

    logging.getLogger("feedhandler").setLevel(logging.ERROR)
    symbols, details = Feed._parse_symbol_data(info)
    Symbols.set(Feed.id, symbols, details)

    async def callback(item: Any, _received_at: float) -> None:
        seen[0] = item

    names = [pair.replace("/", "-") for pair in PAIRS]
    feed = Feed(
        subscription={TRADES: names, CANDLES: names, TICKER: names},
        callbacks={TRADES: callback, CANDLES: callback, TICKER: callback},
        candle_closed_only=False,
        config={"log": {"disabled": True, "filename": "", "level": "ERROR"}},
    )

    def handle(frames: list[str]) -> float:
        return asyncio.run(_timed(lambda frame: feed.message_handler(frame, None, time.time()), frames))

    return handle


async def _timed(handler: Callable[[str], Awaitable[Any]], frames: list[str]) -> float:
    started = time.process_time()
    for frame in frames:
        await handler(frame)
    return time.process_time() - started


def ccxt(info: dict[str, Any]) -> Handler:
    """ccxt.pro's message handler, after the JSON decoding that its client does."""
    import ccxt.pro as pro  # noqa: PLC0415

    exchange = pro.binance()
    exchange.options |= {"crossMarginPairsData": [], "isolatedMarginPairsData": []}  # fetched from private endpoints
    wanted = {pair.replace("/", "") for pair in PAIRS}
    exchange.set_markets([exchange.parse_market(entry) for entry in info["symbols"] if entry["symbol"] in wanted])

    class Client:
        """What the handlers use of a client."""

        url = "wss://stream.binance.com:9443/stream"

        def __init__(self) -> None:
            self.subscriptions: dict[str, Any] = {}

        def resolve(self, _result: Any, _name: str) -> None:
            return

    client = Client()

    def handle(frames: list[str]) -> float:
        started = time.process_time()
        for frame in frames:
            exchange.handle_message(client, json.loads(frame))
        return time.process_time() - started

    return handle


def measure(handlers: dict[str, Handler], frames: list[str]) -> dict[str, float]:
    """Median messages a second of each over the rounds.

    All handle the same short slices in turn, and a round counts each one's fastest: on a machine that does other
    things meanwhile, the slower ones measure those.
    """
    slice_ = (frames * (SLICE // len(frames) + 1))[:SLICE]
    names = tuple(handlers)
    rounds: dict[str, list[float]] = {name: [] for name in handlers}
    for _ in range(ROUNDS):
        best = dict.fromkeys(handlers, float("inf"))
        for number in range(SLICES):
            # Each goes first in turn: who comes after a heavy one finds the processor's caches full of its data.
            turn = number % len(names)
            for name in (*names[turn:], *names[:turn]):
                best[name] = min(best[name], handlers[name](slice_))
        for name, seconds in best.items():
            rounds[name].append(SLICE / seconds)
    return {name: statistics.median(rates) for name, rates in rounds.items()}


def main() -> int:
    """Print messages a second per core and the ratios; 0 when the budget is met."""
    if not CAPTURE.exists():
        print(f"collectors: skipped, {CAPTURE} is absent")
        return 0
    frames, info = load_frames(CAPTURE)
    seen: list[Any] = [None]
    handlers = {"cryptoviz": ours(), "cryptofeed": cryptofeed(info, seen), "ccxt": ccxt(info)}
    peers = ", ".join(f"{name} {version(name)}" for name in ("cryptofeed", "ccxt"))
    print(f"collectors: frame to record, messages a second per core, median of {ROUNDS} rounds")
    print(f"  Python {platform.python_version()}, beside {peers}")
    groups = {"trades and candles": [frame for kind in HEADLINE for frame in frames[kind]]}
    groups |= {kind: frames[kind] for kind in KINDS}
    passed = True
    for name, recorded in groups.items():
        rates = measure(handlers, recorded)
        against_feed, against_ccxt = rates["cryptoviz"] / rates["cryptofeed"], rates["cryptoviz"] / rates["ccxt"]
        print(
            f"  {name:20} cryptoviz {rates['cryptoviz']:>9,.0f}  cryptofeed {rates['cryptofeed']:>9,.0f} "
            f"(x {against_feed:.2f})  ccxt {rates['ccxt']:>9,.0f} (x {against_ccxt:.2f})"
        )
        if name == "trades and candles":
            passed = against_feed >= 1 and against_ccxt > 1
    assert seen[0] is not None, "cryptofeed called nobody back"
    print(f"  budget: cryptofeed's equal, more than ccxt, on trades and candles: {'met' if passed else 'MISSED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
