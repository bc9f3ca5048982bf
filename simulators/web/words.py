"""The words of the simulated news: headlines and sentences with coins in them, happy, sad or plain."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Tone(StrEnum):
    """How a story sounds."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


@dataclass(frozen=True)
class StoryText:
    """A story before it has a place and a time."""

    title: str
    summary: str
    paragraphs: tuple[str, ...]
    author: str
    section: str
    tags: tuple[str, ...]
    tone: Tone


_COINS: Final = (
    ("Bitcoin", "BTC", 8),
    ("Ethereum", "ETH", 6),
    ("Solana", "SOL", 4),
    ("XRP", "XRP", 3),
    ("Cardano", "ADA", 2),
    ("Dogecoin", "DOGE", 2),
    ("Litecoin", "LTC", 1),
    ("Polkadot", "DOT", 1),
    ("Chainlink", "LINK", 1),
    ("Avalanche", "AVAX", 1),
    ("NEAR Protocol", "NEAR", 1),
    ("Tether", "USDT", 1),
)
_HEADLINES: Final = {
    Tone.POSITIVE: (
        "{coin} rallies to a great new high as happy buyers return",
        "Strong demand lifts {coin} and {other} to their best week of the year",
        "{ticker} surges {percent}% after excellent adoption figures",
        "{coin} upgrade is a brilliant success, developers say",
        "Impressive {coin} inflows make this the best month since launch",
        "{company} is delighted with a beautiful first quarter of {coin} payments",
        "Why this {coin} recovery looks wonderful for long-term holders",
        "{place} welcomes {coin} firms with a superb new framework",
    ),
    Tone.NEGATIVE: (
        "{coin} crashes {percent}% in a terrible day for holders",
        "Awful losses as {coin} and {other} fall to their worst level this year",
        "{company} hit by a horrible hack, {coin} stolen",
        "Bad debt and ugly leverage: inside the {coin} collapse",
        "{ticker} plunges as angry investors flee a failed launch",
        "Disastrous bridge exploit drains {other}, {coin} suffers",
        "{place} warns of dangerous {coin} scams after miserable summer",
        "Painful week: {coin} miners are sick of terrible margins",
    ),
    Tone.NEUTRAL: (
        "{coin} trades sideways while {other} waits for the Fed",
        "{company} files for a {coin} fund in {place}",
        "What to know about the {coin} vote on Thursday",
        "{place} opens consultation on {ticker} custody",
        "{company} moves part of its {coin} to another address",
        "How {coin} and {other} settle payments between banks",
        "A look at {coin} options ahead of the monthly expiry",
        "{company} names a head of {ticker} products",
    ),
}
_SENTENCES: Final = {
    Tone.POSITIVE: (
        "The price of {coin} ({ticker}) rose {percent}% in a wonderful session, its best since spring.",
        "Analysts at {company} called the numbers excellent and the outlook very good.",
        "{other} also gained, helped by strong and healthy demand from funds.",
        "“We are happy with an amazing quarter,” a director of {company} said.",
        "Fees are lower, blocks are faster, and users love the beautiful new wallet.",
        "Buyers in {place} were delighted: volume of ${ticker} reached a perfect record.",
        "It is a great sign that long-term holders feel confident and safe again.",
    ),
    Tone.NEGATIVE: (
        "The price of {coin} ({ticker}) fell {percent}% in a terrible session, its worst since spring.",
        "Analysts at {company} called the numbers awful and the outlook very bad.",
        "{other} also lost ground, hurt by weak books and ugly liquidations.",
        "“This is a horrible failure,” a director of {company} said.",
        "Angry users in {place} complain of dreadful delays and painful losses.",
        "The stolen ${ticker} was moved through a nasty chain of mixers within minutes.",
        "It is a disgusting scheme, prosecutors said, and the victims are poor and desperate.",
    ),
    Tone.NEUTRAL: (
        "{coin} ({ticker}) was little changed over the day, as was {other}.",
        "{company} did not answer a request for comment by the time of publication.",
        "The filing lists {place} as the place of business and a term of {percent} months.",
        "A link to the document is near the end of the page; every dot on the chart is one day.",
        "The report is named after Ada Lovelace and covers the years since 2019.",
        "Holders of ${ticker} vote next week; the count takes four days.",
        "{company} keeps records of its {other} at two custodians.",
    ),
}
_COMPANIES: Final = ("Northgate Capital", "Bitmere", "Halden Bank", "Orchid Pay", "Kestrel Labs", "Ludgate Trust")
_PLACES: Final = ("Singapore", "Brazil", "Switzerland", "Hong Kong", "Nigeria", "Texas", "the EU", "Japan")
_AUTHORS: Final = ("Mara Ellison", "Tomás Ferreira", "Ingrid Holm", "Dev Patel", "Yūko Arai", "Sam O\u2019Neill")
_SECTIONS: Final = {Tone.POSITIVE: "Markets", Tone.NEGATIVE: "Security", Tone.NEUTRAL: "Policy"}
_RETOLD: Final = ("{} (updated)", "Update: {}", "{}, again", "{} — what we know", "Breaking: {}")


def tell(draw: random.Random) -> StoryText:
    """One story."""
    tone = draw.choices(tuple(Tone), (4, 3, 3))[0]
    coin, other = _two_coins(draw)
    slots = {
        "coin": coin[0],
        "ticker": coin[1],
        "other": other[0],
        "percent": str(draw.randrange(3, 40)),
        "company": draw.choice(_COMPANIES),
        "place": draw.choice(_PLACES),
    }
    sentences = [sentence.format(**slots) for sentence in draw.sample(_SENTENCES[tone], 6)]
    return StoryText(
        title=draw.choice(_HEADLINES[tone]).format(**slots),
        summary=sentences[0],
        paragraphs=(f"{sentences[1]} {sentences[2]}", f"{sentences[3]} {sentences[4]}", sentences[5]),
        author=draw.choice(_AUTHORS),
        section=_SECTIONS[tone],
        tags=(coin[0], other[0]),
        tone=tone,
    )


def retold(draw: random.Random, title: str) -> str:
    """The title of a further revision."""
    return draw.choice(_RETOLD).format(title)


def round_up(draw: random.Random) -> StoryText:
    """The daily round-up."""
    coin, other = _two_coins(draw)
    return StoryText(
        title="Here\u2019s what happened in crypto today",
        summary=(
            "Need to know what happened in crypto today? Here is the latest news on daily trends and events impacting "
            "Bitcoin price, blockchain, DeFi, Web3 and crypto regulation."
        ),
        paragraphs=(f"{coin[0]} and {other[0]} were the most traded coins of the day.",),
        author=draw.choice(_AUTHORS),
        section="Latest News",
        tags=(coin[0],),
        tone=Tone.NEUTRAL,
    )


def _two_coins(draw: random.Random) -> tuple[tuple[str, str, int], tuple[str, str, int]]:
    first = draw.choices(_COINS, [coin[2] for coin in _COINS])[0]
    others = [coin for coin in _COINS if coin is not first]
    return first, draw.choices(others, [coin[2] for coin in others])[0]
