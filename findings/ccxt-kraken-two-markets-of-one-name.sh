#!/usr/bin/env bash
# ccxt 4.5.90, kraken: fetch_markets names two markets REP/USD, unless the currencies were loaded before.
#
# Expected: each market has a symbol of its own. Kraken lists the old coin as XREPZUSD (base XREP) and the new one as
# REPV2USD.
# Seen: fetch_markets on a new exchange gives both the symbol REP/USD. After load_markets, which asks for the
# currencies first, the old one is REPV1/USD. LUNAUSD is LUNC/USD and LUNA2USD is LUNA/USD in both cases: Kraken's LUNA
# is not ccxt's.
# Why it matters: prices of two coins land in one series, and a coin's name depends on what was called before.
# What to do: call load_markets before fetch_markets, keep Kraken's own id beside the symbol, and refuse a symbol that
# comes twice.
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


COINS = {"XREP": "REP", "REPV2": "REPV2", "LUNA": "LUNA", "LUNA2": "LUNA2", "ZUSD": "USD"}
PAIRS = {"XREPZUSD": "XREP", "REPV2USD": "REPV2", "LUNAUSD": "LUNA", "LUNA2USD": "LUNA2"}


def pair(base: str) -> dict[str, object]:
    """A pair as /0/public/AssetPairs lists it."""
    names = {"altname": f"{COINS[base]}USD", "wsname": f"{COINS[base]}/USD", "base": base, "quote": "ZUSD"}
    digits = {"pair_decimals": 4, "lot_decimals": 8, "cost_decimals": 5, "lot_multiplier": 1, "tick_size": "0.0001"}
    limits = {"ordermin": "1", "costmin": "0.5", "leverage_buy": [], "leverage_sell": []}
    fees = {"fees": [[0, 0.4]], "fees_maker": [[0, 0.25]], "fee_volume_currency": "ZUSD"}
    return {"aclass_base": "currency", "aclass_quote": "currency", **names, **digits, **limits, **fees}


def coin(name: str) -> dict[str, object]:
    """A currency as /0/public/Assets lists it."""
    return {"aclass": "currency", "altname": name, "decimals": 10, "display_decimals": 5, "status": "enabled"}


def answer(url: str, *_request: object) -> dict[str, object]:
    """What Kraken answers, without a network."""
    if url.endswith("/AssetPairs"):
        return {"error": [], "result": {name: pair(base) for name, base in PAIRS.items()}}
    return {"error": [], "result": {name: coin(short) for name, short in COINS.items()}}


def symbols(exchange: ccxt.Exchange) -> dict[str, str]:
    """The symbol of each market by Kraken's id."""
    return {market["id"]: market["symbol"] for market in exchange.fetch_markets()}


kraken = ccxt.kraken()
kraken.fetch = answer
print("ccxt", ccxt.__version__)
luna = {"LUNAUSD": "LUNC/USD", "LUNA2USD": "LUNA/USD"}
expect("a new exchange", symbols(kraken), {"XREPZUSD": "REP/USD", "REPV2USD": "REP/USD", **luna})
kraken.load_markets()
expect("after load_markets", symbols(kraken), {"XREPZUSD": "REPV1/USD", "REPV2USD": "REP/USD", **luna})
PY
