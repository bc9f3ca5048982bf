#!/usr/bin/env bash
# ccxt 4.5.90: candles it builds from trades begin a week on Thursday, and a late trade lands in the newest candle.
#
# Expected: build_ohlcvc("1w") begins on Monday, as exchanges' weekly candles and ccxt's own round_timeframe do; a trade that
# arrives late joins the candle of its own minute, or is refused.
# Seen: build_ohlcvc divides the epoch by the length of the timeframe, and 1 January 1970 was a Thursday. A trade older than
# the newest candle is added to that candle: it moves the newest candle's low and volume, and its close is the late price.
# Why it matters: streams resend trades after a reconnect. The documentation recommends this function for building candles
# from watched trades; they then agree neither with the exchange's nor with a second run.
# What to do: use it for timeframes up to a day only, and on trades sorted by time.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ccxt==4.5.90

"$folder/venv/bin/python" - <<'PY'
import sys
import ccxt


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


exchange = ccxt.Exchange()
print("ccxt", ccxt.__version__)


def trade(at: str, price: float) -> dict[str, object]:
    """A trade of one coin."""
    return {"timestamp": exchange.parse8601(at), "price": price, "amount": 1.0}


tuesday = "2026-12-01T12:00:00Z"
week = exchange.build_ohlcvc([trade(tuesday, 5.0)], "1w")[0][0]
expect("week of the candle", exchange.iso8601(week)[:10], "2026-11-26")
rounded = exchange.round_timeframe("1w", exchange.parse8601(tuesday), ccxt.ROUND_DOWN)
expect("week of round_timeframe", exchange.iso8601(rounded)[:10], "2026-11-30")

late = [trade("2026-12-01T12:01:00Z", 9.0), trade("2026-12-01T12:00:30Z", 5.0)]
candles = [[exchange.iso8601(candle[0])[11:16], *candle[1:6]] for candle in exchange.build_ohlcvc(late, "1m")]
expect("candles with a late trade", candles, [["12:01", 9.0, 9.0, 5.0, 5.0, 2.0]])
PY
