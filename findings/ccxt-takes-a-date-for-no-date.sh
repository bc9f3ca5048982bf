#!/usr/bin/env bash
# ccxt 4.5.90: a date without a time is no date, and no date means the newest.
#
# Expected: parse8601("2026-11-30") is midnight of that day, or an error: the date alone is valid ISO 8601.
# Seen: it is None without a word, also with hours and minutes only. fetch_ohlcv(since=None) is a valid call, and the filter
# behind it then keeps the last rows instead of the first. Two more: an offset's letters are ignored (10:00:00EST is taken
# for UTC), while +02:00 is honoured.
# Why it matters: a backfill from a day that a user typed fetches the newest candles, succeeds, and leaves the history empty.
# What to do: parse dates yourself and refuse None before the call.
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
expect("with a time", exchange.iso8601(exchange.parse8601("2026-11-30T00:00:00Z")), "2026-11-30T00:00:00.000Z")
expect("date only", exchange.parse8601("2026-11-30"), None)
expect("without seconds", exchange.parse8601("2026-11-30T00:00Z"), None)
candles = [{"timestamp": at} for at in (1, 2, 3)]


def kept(since: int | None) -> list[int]:
    """The candles that a request since this time for two keeps."""
    return [candle["timestamp"] for candle in exchange.filter_by_since_limit(candles, since, 2, "timestamp")]


expect("since the first", kept(1), [1, 2])
expect("since None", kept(None), [2, 3])
expect("EST", exchange.iso8601(exchange.parse8601("2026-11-30T10:00:00EST")), "2026-11-30T10:00:00.000Z")
PY
