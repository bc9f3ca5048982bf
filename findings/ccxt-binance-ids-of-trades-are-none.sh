#!/usr/bin/env bash
# ccxt 4.5.90, binance: the ids of fetch_trades are no trade ids, and watch_trades gives others.
#
# Expected: a trade's id is the exchange's trade id, the same whether the trade was fetched or watched.
# Seen: fetch_trades asks for aggTrades, unless told otherwise: one row sums up the trades f to l, and its id is the
# aggregate's, a number series of its own. watch_trades, and fetch_trades with fetchTradesMethod publicGetTrades, give
# the trades' ids.
# Why it matters: who fills a gap of the stream with fetch_trades gets other ids for the same trades. Deduplication by
# id counts their volume twice, or drops a trade whose number equals an old aggregate's. The number of trades is too
# low.
# What to do: ask for publicGetTrades or publicGetHistoricalTrades, or keep the two kinds of id apart.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ccxt==4.5.90

"$folder/venv/bin/python" - <<'PY'
import sys
import ccxt
import ccxt.pro


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


asked: list[str] = []
symbol = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": []}
aggregate = {"a": 26129, "p": "67000.5", "q": "4.7", "f": 27781, "l": 27783, "T": 1764489600000, "m": True, "M": True}
trade = {"id": 27783, "price": "67000.5", "qty": "1.2", "time": 1764489600000, "isBuyerMaker": True}
event = {"e": "trade", "s": "BTCUSDT", "t": 27783, "p": "67000.5", "q": "1.2", "T": 1764489600000, "m": True}


def answer(url: str, *_request: object) -> object:
    """What Binance answers, without a network: three trades as one aggregate, and the last of them."""
    asked.append(url.split("?")[0].rsplit("/", 1)[1])
    return {"exchangeInfo": {"symbols": [symbol]}, "aggTrades": [aggregate], "trades": [trade]}[asked[-1]]


exchange = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}}})
exchange.fetch = answer
exchange.load_markets()
print("ccxt", ccxt.__version__)
(row,) = exchange.fetch_trades("BTC/USDT")
expect("asked for by default", asked[-1], "aggTrades")
expect("id, first and last trade", (row["id"], row["info"]["f"], row["info"]["l"]), ("26129", 27781, 27783))
(row,) = exchange.fetch_trades("BTC/USDT", params={"fetchTradesMethod": "publicGetTrades"})
expect("asked for with publicGetTrades", asked[-1], "trades")
expect("its id", row["id"], "27783")
watched = ccxt.pro.binance()
expect("watched by default", watched.options["watchTrades"]["name"], "trade")
expect("id of a watched trade", watched.parse_ws_trade(event)["id"], "27783")
PY
