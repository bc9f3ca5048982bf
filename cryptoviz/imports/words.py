"""The words that names of archives are made of: kinds of market, exchanges, currencies, and what says nothing.

All in lower case except the currencies; names are compared whatever their case.
"""

from __future__ import annotations

from typing import Final

MARKETS: Final = {
    **dict.fromkeys(("futures", "future", "fut", "binanceusdm", "binancecoinm"), "futures"),
    **dict.fromkeys(("swap", "swaps", "perp", "perps", "perpetual", "perpetuals"), "perpetual swaps"),
    **dict.fromkeys(("um", "usdm", "usdsm", "cm", "coinm", "linear", "inverse", "delivery", "derivatives"), "futures"),
    **dict.fromkeys(("fapi", "dapi"), "futures"),
    **dict.fromkeys(("option", "options", "eapi", "eohsummary", "bvolindex"), "options"),
    **dict.fromkeys(("mark", "markprice", "markpriceklines"), "mark prices"),
    **dict.fromkeys(("index", "indexprice", "indexpriceklines"), "index prices"),
    **dict.fromkeys(("premium", "premiumindex", "premiumindexklines"), "the premium index of futures"),
    **dict.fromkeys(("funding", "fundingrate", "fundingrates"), "funding rates"),
    **dict.fromkeys(("bookdepth", "bookticker", "orderbook", "metrics", "liquidationsnapshot"), "no trades or candles"),
}
"""Words in names and folders of files that hold no spot trades or candles, and what those hold."""

ANYBODYS: Final = frozenset(("fut", "mark", "index", "premium", "funding", "metrics", "linear", "inverse"))
"""Those of them that a folder above what was asked for may be called for any other reason."""

NEUTRAL: Final = frozenset((
    "agg", "aggtrades", "all", "apr", "april", "archive", "archives", "aug", "august", "backup", "bar", "bars", "book",
    "candle", "candles", "checked", "clean", "cleaned", "com", "combined", "complete", "copy", "crypto", "csv", "d",
    "daily", "data", "dataset", "datasets", "day", "days", "dec", "december", "download", "downloads", "dump", "export",
    "exports", "feather", "feb", "february", "file", "files", "final", "fixed", "freqtrade", "from", "full", "gmt",
    "hist", "historic", "historical", "history", "hour", "hourly", "hours", "import", "in", "incremental", "io", "jan",
    "january", "json", "jul", "july", "jun", "june", "kline", "klines", "mar", "march", "market", "may", "merged",
    "min", "minute", "minutely", "minutes", "month", "monthly", "my", "new", "nov", "november", "oct", "october",
    "ohlc", "ohlcv", "ohlcvt", "old", "original", "our", "out", "output", "parquet", "part", "price", "prices", "raw",
    "sample", "sep", "september", "snappy", "sorted", "spot", "test", "tick", "ticks", "time", "tmp", "to", "trade",
    "trades", "trading", "until", "update", "updates", "utc", "verified", "week", "weekly", "year", "yearly",
))  # fmt: skip
"""Words that say nothing about the market."""

EXCHANGES: Final = frozenset((
    "alpaca", "apex", "aster", "backpack", "bequant", "bigone", "binance", "binancecoinm", "binanceus", "binanceusdm",
    "bingx", "bit2c", "bitbank", "bitbns", "bitfinex", "bitflyer", "bitget", "bithumb", "bitmex", "bitopro", "bitrue",
    "bitso", "bitstamp", "bitteam", "bittrade", "bittrex", "bitvavo", "blockchaincom", "blofin", "btcbox", "btcmarkets",
    "btcturk", "btse", "bullish", "bybit", "bybiteu", "bybitid", "bydfi", "cex", "coinbase", "coinbaseexchange",
    "coinbaseinternational", "coinbasepro", "coincheck", "coinmate", "coinone", "coinsph", "coinspot", "cryptocom",
    "cryptomus", "deepcoin", "delta", "deribit", "derive", "digifinex", "dydx", "extended", "fmfwio", "foxbit", "ftx",
    "ftxus", "gate", "gateeu", "gateio", "gdax", "gemini", "grvt", "hashkey", "hibachi", "hitbtc", "hollaex", "htx",
    "huobi", "hyperliquid", "independentreserve", "indodax", "kraken", "krakenfutures", "kucoin", "kucoinfutures",
    "latoken", "lbank", "lighter", "luno", "mercado", "mexc", "modetrade", "mtgox", "mudrex", "myokx", "nado", "ndax",
    "okcoin", "okex", "okx", "okxus", "onetrading", "p2b", "pacifica", "paradex", "paymium", "phemex", "poloniex",
    "polymarket", "revolutx", "tokocrypto", "toobit", "upbit", "weex", "whitebit", "woo", "woofipro", "xt", "zaif",
    "zebpay",
))  # fmt: skip
"""Exchanges by the names of ccxt, and those that are closed or renamed but whose archives are about."""

RENAMED: Final = {
    "coinbaseexchange": "coinbase",
    "coinbasepro": "coinbase",
    "gateio": "gate",
    "gdax": "coinbase",
    "huobi": "htx",
    "okex": "okx",
}
"""Names of the same exchange."""

QUOTES: Final = (
    "AUD", "BIDR", "BNB", "BRL", "BTC", "BUSD", "CHF", "DAI", "ETH", "EUR", "FDUSD", "GBP", "IDRT", "JPY",
    "KRW", "PLN", "PYUSD", "TUSD", "UAH", "USD", "USDC", "USDT", "XBT",
)  # fmt: skip
"""What pairs end in: a folder whose name does is one of a pair."""

CAPITAL_QUOTES: Final = (
    "AED", "ARS", "CAD", "CLP", "COP", "CZK", "DKK", "EURC", "EURI", "GEL", "HKD", "HUF", "IDR", "ILS", "INR", "KZT",
    "MXN", "MYR", "NGN", "NOK", "NZD", "PEN", "PHP", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD1",
    "USDE", "USDP", "USDS", "UST", "VAI", "VND", "ZAR",
)  # fmt: skip
"""Those that people's names and words end in, too (country, cameron): only in capitals or as a word of their own."""
