"""Which coins a text is about: a table of cases, and what holds for every text."""

# ruff: noqa: RUF001 - headlines are typeset with such characters
from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptoviz.news.mentions import COINS_FILE, mentions

NAMES = [
    ("Bitcoin climbed back toward $87,000 on Friday", "BTC"),
    ("why bitcoin, BITCOIN and bitcoins are the same", "BTC"),
    ("Bitcoin-backed loans; Bitcoin's fees; “Bitcoin”", "BTC"),
    ("Bitcoin Cash forks again", "BCH"),
    ("Bitcoin, cash and gold", "BTC"),
    ("Bitcoin and Bitcoin Cash", "BTC BCH"),
    ("Ethereum Classic is not Ethereum", "ETC ETH"),
    ("Shiba Inu burns a billion", "SHIB"),
    ("the THORChain vote", "RUNE"),
    ("a near protocol developer", "NEAR"),
    ("基于 Solana 的 Cypher Protocol 已成功阻止", "SOL"),
    ("购买Solana币", "SOL"),
]
CAPITALS = [
    ("Ripple General Counsel: SEC Finally Admits", "XRP"),
    ("RIPPLE WINS IN COURT", "XRP"),
    ("a ripple in the market", ""),
    ("The Ripple Effect of FTX", ""),
    ("ripple effects across markets", ""),
    ("Tether freezes a wallet", "USDT"),
    ("do not tether your phone", ""),
    ("Polygon’s MATIC defends support", "POL"),
    ("a polygon of seven sides", ""),
    ("a decision sui generis, or Sui generis", ""),
    ("the Internet Computer, not the internet computer", "ICP"),
]
NO_COINS = [
    ("first appeared on Bitcoin Magazine", ""),
    ("ETH Zurich and ETH Zürich publish a paper", ""),
    ("his money vanished into the ether", ""),
    ("a market maker token", ""),
    ("BTC Inc. names a sponsor", ""),
    ("Solana Beach, California", ""),
]
EVERYDAY = [
    ("Avalanche network upgrade", "AVAX"),
    ("an avalanche of liquidations", ""),
    ("Avalanche of Liquidations Buries Traders", ""),
    ("Avalanche warning in the Alps", ""),
    ("Solana, Avalanche and Cosmos rally", "SOL AVAX ATOM"),
    ("Optimism (OP) unlocks tokens", "OP"),
    ("Optimism grows among traders", ""),
    ("bets that Optimism's token falls", "OP"),
    ("the graph shows that The Graph is a website", ""),
    ("The Graph protocol indexes it", "GRT"),
    ("the blockchain Stellar", "XLM"),
    ("Stellar earnings at Nvidia", ""),
    ("Stellar jumps 8% on payments deal", "XLM"),
    ("Helium’s 20% Surge Is Overturned by a Bearish Momentum", "HNT"),
    ("a shortage of helium", ""),
    ("Flow of funds into ETFs", ""),
    ("Stablecoin Flow Hits Record", ""),
    ("living in Harmony with regulators", ""),
    ("Harmony (ONE) bridge drained", "ONE"),
    ("Compound interest, Dash cams, Gala dinners and Quant funds", ""),
    ("The Sandbox lets banks try things", ""),
]
TICKERS = [
    ("Where Does BTC Go Next?", "BTC"),
    ("BTC、ETH、BNB、XRP、DOGE、ADA、SOL、MATIC、LTC、DOT", "BTC ETH BNB XRP DOGE ADA SOL POL LTC DOT"),
    ("Crypto Price Analysis Dec-23: ETH, XRP, ADA, BNB and DOT", "ETH XRP ADA BNB DOT"),
    ("HBAR, OP, INJ and RUNE flash bullish signs", "HBAR OP INJ RUNE"),
    ("the eth, sol and doge in lower case", ""),
    ("Etherscan and Solanart are other words", ""),
    ("LINKUSDT breaks out, so does XBT/EUR", "LINK BTC"),
    ("https://example.com/BTC/ETH says nothing", ""),
]
AMBIGUOUS = [
    ("follow the LINK in our bio", ""),
    ("a link between them; Link to the report; LINK BUILDING", ""),
    ("$LINK is up", "LINK"),
    ("LINK price reclaims $15", "LINK"),
    ("whales bought 5,000 LINK", "LINK"),
    ("Chainlink (LINK) oracles", "LINK"),
    ("bitcoin near its high; Bitcoin Nears $90K", "BTC"),
    ("BTC NEAR ALL-TIME HIGH", "BTC"),
    ("NEAR-TERM outlook; 10 NEAR MISSES", ""),
    ("NEAR token unlock", "NEAR"),
    ("SOL, NEAR and APT lead", "SOL NEAR APT"),
    ("US DOT fines an airline; the 2023 DOT report", ""),
    ("Department of Transportation (DOT)", ""),
    ("dot com", ""),
    ("DOT/USD trades flat", "DOT"),
    ("Ada Lovelace wrote the first program", ""),
    ("Ada Lovelace GPUs; ADA compliance lawsuit; the ADA", ""),
    ("331 million ADA change hands", "ADA"),
    ("ADA rallies as whales return", "ADA"),
    ("sand on the beach, SAND DUNES", ""),
    ("MANA price needs a miracle to recover: Here’s why", "MANA"),
    ("Uniswap allows cards, but how is UNI price behaving?", "UNI"),
    ("UNI students protest", ""),
    ("an OP-ED; an op-ed; the OP said", ""),
    ("OP holders vote", "OP"),
    ("The TRUMP meme coin project is inviting its holders", "TRUMP"),
    ("President Trump; TRUMP WINS", ""),
    ("North Korean APT group steals keys", ""),
    ("one, ONE, the ONE token, only ONE coin left", ""),
    ("$ONE and ONE/USDT", "ONE"),
    ("FLOW price, go with the FLOW", ""),
    ("up 5% TON of money", ""),
]
OTHERS = [
    ("Bitcoin SV is delisted; BSV falls", "BSV"),
    ("bitcoin sv and Bitcoin Cash SV", "BSV"),
    ("BITCOIN SV FALLS", "BSV"),
    ("Bitcoin Gold (BTG) is attacked", "BTG"),
    ("bitcoin gold price", "BTG"),
    ("Bitcoin Gold is attacked", ""),
    ("Bitcoin Diamond forks", "BCD"),
    ("Litecoin Cash (LCC) forks", "LCC"),
    ("Litecoin Cash forks", ""),
    ("Tether Gold token grows", "XAUT"),
    ("Tether Gold and XAUT", "XAUT"),
    ("TETHER GOLD", ""),
    ("Ripple USD, or RLUSD, launches", "RLUSD"),
    ("Maker's MKR rallies", "MKR"),
    ("MakerDAO mints DAI stablecoin", "MKR DAI"),
    ("Maker (MKR) and Dai (DAI)", "MKR DAI"),
    ("Ethereum Name Service and ethereum naming service", "ENS"),
    ("EthereumPoW splits", "ETHW"),
    ("Ethereum PoW miners", ""),
    ("Bitcoin Cash ABC renamed", "XEC"),
    ("Wrapped Bitcoin, wrapped BTC, WBTC", "WBTC"),
    ("Coinbase Wrapped BTC", "CBBTC"),
    ("Wrapped Ether and Lido Staked Ether", "WETH STETH"),
    ("Ether.fi pays", "ETHFI"),
    ("Terra Classic burns", "LUNC"),
    ("Pax Gold and Binance USD", "PAXG BUSD"),
    ("Polygon Ecosystem Token", "POL"),
    ("Wrapped Solana, Binance-Peg Dogecoin, Baby Dogecoin", ""),
    ("Monero Classic, XRP Classic, LINK Classic token, BTC SV", ""),
    ("Bitcoin Private, Bitcoin II and Super Bitcoin", ""),
    ("the yield of BTC.b and the pool BTC.com", ""),
    ("$Bitcoin Magazine", ""),
]
INNER = [
    ("Bitcoin, gold and diamonds; Bitcoin vs. Gold", "BTC"),
    ("Bitcoin-gold ratio, Bitcoin-Gold Ratio, Bitcoin Gold Correlation", "BTC"),
    ("Bitcoin cash-settled futures; Bitcoin Cash Flow", "BTC"),
    ("Tether gold reserves grow; Tether’s gold", "USDT"),
    ("Ripple, USD and XRP/USD", "XRP"),
    ("he wrapped up; Bitcoin is a classic", "BTC"),
    ("millions of staked ether; Ethereum 2.0", "ETH"),
]
TABLE = [*NAMES, *CAPITALS, *NO_COINS, *EVERYDAY, *TICKERS, *AMBIGUOUS, *OTHERS, *INNER]

REAL = [
    # ../shared/data/news and ../shared/data/rss
    ("Russia Close To Legalizing International Trade In Bitcoin, Crypto: Head Of Finance Committee", "BTC"),
    ("'Maybe I Was Wrong About Cardano' Cybercapital CIO Admits After Saying It Lagged Behind", "ADA"),
    ("FTX’s SBF Out of Jail and Off to Parents Mansion in California – His Chances Are Slim to None", ""),
    ("Crypto price prediction: Lisk (LSK), Metal Pay (MTL), Litentry (LIT)", ""),
    ("Cardano Whales Added 331 Million Additional ADA After Collapse of FTX", "ADA"),
    ("Ether could end the week above $1,300 as the bullish sentiment increases", "ETH"),
    ("Ethereum Classic Price Prediction: ETC seems stable whilst Metacade (MCADE) doesn’t stop rising", "ETC"),
    ("Shiba Inu Invites Community to Submit SHIB-Related Promotional Videos and Audios", "SHIB"),
    ("Axie Infinity breakout on a symmetrical triangle incoming after Google Play Store win?", "AXS"),
    ("Bitcoin Is Leading Indicator for S&P 500, Past Data Shows", "BTC"),
    ("Should you buy KAVA after its integration with Axelar?", "KAVA"),
    ("Uniswap versus GMX token? Two DEX contenders, but which one is better?", "UNI GMX"),
    ("The funds sit in USDT and USDC. Most of the stolen funds sit in ether, which can't be frozen.", "USDT USDC ETH"),
    ("Tether confirms minimal EQIBank exposure following $89M US asset seizure", "USDT"),
    ("Brazil’s Petrobras uses Cardano to track sustainable aviation fuel, renewable diesel", "ADA"),
    ("Could THORChain face prosecution over stolen Bitget funds?", "RUNE"),
    ("Trump Is Hosting Yet Another Meme Coin Dinner: Here Are the Details", ""),
    ("Paradigm-backed Layer 2 Blast to wind down network as costs exceed revenue", ""),
    ("Bitcoin nears highest level since January as $85,000 sell wall clears", "BTC"),
    ("Stop Trying to Impress Strangers... You Are Not Tricking ANYONE!", ""),
    ("由 Jump Crypto 和 Flow Traders 提供支持", ""),
    ("Exactly Protocol 是 Optimism (OP) 区块链上的去中心化信贷市场", "OP"),
    ("Coinbase将暂停加拿大用户的USDT、DAI和RAI交易", "USDT DAI"),
]


@pytest.mark.parametrize(("text", "coins"), [*TABLE, *REAL])
def test_the_coins_of_a_text(text: str, coins: str) -> None:
    assert mentions(text) == tuple(coins.split())


def test_the_table_has_sixty_cases_and_half_of_them_are_traps() -> None:
    assert len(TABLE) >= 60
    assert sum(not coins for _, coins in TABLE) >= 30


def test_every_real_title_of_the_collection_that_names_a_coin_is_found(shared_data) -> None:
    """The plain words for the big ones, found in another way, are never missed."""
    text = (shared_data / "news" / "newsapi_crypto_2022-12-23.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "bitcoin magazine" not in line.lower()]
    plain = {"BTC": r"\bbitcoin\b(?! cash)", "DOGE": r"\bdogecoin\b", "LTC": r"\blitecoin\b", "XRP": r"\bXRP\b"}
    seen = 0
    for line in lines:
        line = re.sub(r"https?://\S+", " ", line)  # noqa: PLW2901
        for symbol, pattern in plain.items():
            if re.search(pattern, line, re.IGNORECASE if symbol != "XRP" else 0):
                seen += 1
                assert symbol in mentions(line), line
    assert seen > 30


def test_each_coin_is_named_once_in_the_order_of_the_text() -> None:
    assert mentions("ETH and BTC and Ethereum and Bitcoin") == ("ETH", "BTC")


def test_the_list_of_coins_is_sound() -> None:
    read = json.loads(COINS_FILE.read_text(encoding="utf-8"))
    symbols = [coin["symbol"] for coin in read["coins"]]
    assert len(symbols) == len(set(symbols)) >= 60
    words = [
        (name.lower() if "name" in key else name)
        for coin in read["coins"]
        for key, names in coin.items()
        if key != "symbol"
        for name in {(name.lower() if "name" in key else name) for name in names}
    ]
    assert len(words) == len(set(words)), "two coins have the same word"
    assert {key for coin in read["coins"] for key in coin} <= {
        *("symbol", "names", "capital_names", "everyday_names", "tickers", "ambiguous_tickers", "marked_tickers")
    }


@pytest.mark.parametrize("coin", json.loads(COINS_FILE.read_text(encoding="utf-8"))["coins"], ids=lambda c: c["symbol"])
def test_every_word_of_the_list_can_be_found_and_no_ambiguous_one_counts_alone(coin: dict) -> None:
    symbol = coin["symbol"]
    for name in [*coin.get("names", []), *coin.get("capital_names", []), *coin.get("tickers", [])]:
        assert mentions(f"what about {name} now") == (symbol,)
    for name in coin.get("everyday_names", []):
        assert mentions(f"what about {name} now") == ()
        assert mentions(f"the {name} network") == (symbol,)
    for ticker in [*coin.get("ambiguous_tickers", []), *coin.get("marked_tickers", [])]:
        assert mentions(f"what about {ticker} now") == ()
        assert mentions(f"what about {ticker.lower()} price now") == ()
        assert mentions(f"what about ${ticker} now") == (symbol,)


WORDS = st.sampled_from(
    [
        *("BTC", "ETH", "LINK", "ONE", "ADA", "Avalanche", "The", "Graph", "Ripple", "effect", "ether", "5,000"),
        *("2023", "million", "price", "network", "USDT", "(", ")", "$", "/", ",", "and", "’s", "-"),
    ]
)


@given(
    st.one_of(
        st.text(max_size=300), st.lists(WORDS, max_size=30).map(" ".join), st.lists(WORDS, max_size=30).map("".join)
    )
)
def test_any_text_can_be_read(text: str) -> None:
    found = mentions(text)
    assert len(found) == len(set(found))
    assert set(found) <= {coin["symbol"] for coin in json.loads(COINS_FILE.read_text(encoding="utf-8"))["coins"]}
