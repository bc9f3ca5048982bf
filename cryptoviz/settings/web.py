"""How the web is asked: feeds, article pages, market overviews, mood."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from cryptoviz.sentiment import SentimentModel
from cryptoviz.settings.values import Names, Quota, ReadableFile, Seconds, SettingsGroup, hosts


class WebSettings(SettingsGroup):
    """How feeds, article pages and APIs are fetched."""

    web_user_agent: str = Field(
        "CryptoViz/0.1 (self-hosted market data platform)",
        pattern=r"^[A-Za-z][\w-]*/[!-~ ]+$",
        description="How we introduce ourselves: product/version, then anything; robots.txt is read for the product.",
    )
    web_timeout_s: Seconds = Field(20, description="Longest time for one page, from its name to its last byte.")
    web_max_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, le=1024**3, description="Largest page accepted, decompressed, in bytes."
    )
    web_private_hosts: Annotated[Names, AfterValidator(hosts)] = Field(
        [],
        description="host:port, separated by commas, that may be fetched though the address is private; "
        "all others must be public.",
    )


class PollerSettings(SettingsGroup):
    """Market overviews and mood. Empty addresses mean the simulated web in demo mode, the real services otherwise."""

    market_coins: int = Field(
        100, ge=1, le=5000, description="Coins to ask for in each market overview, the largest first."
    )
    coingecko_url: str = Field("", description="CoinGecko's address, without /coins/markets.")
    coingecko_key: SecretStr = Field(SecretStr(""), description="API key of CoinGecko; it may be asked without one.")
    coingecko_pro: bool = Field(False, description="The key of CoinGecko is one of a paid plan.")
    coingecko_quota: Quota = Field(
        "",
        description="Most requests to CoinGecko, as in 30/minute,10000/month (that is the default with a free key).",
    )
    coingecko_every_s: Seconds = Field(60, description="Seconds between two polls of CoinGecko.")
    coinmarketcap_url: str = Field("", description="CoinMarketCap's address, without /v1.")
    coinmarketcap_key: SecretStr = Field(
        SecretStr(""),
        description="API key of CoinMarketCap; without one only the simulated one is asked.",
    )
    coinmarketcap_quota: Quota = Field(
        "", description="Most requests to CoinMarketCap a minute, and credits a day or month; 30/minute,10000/month."
    )
    coinmarketcap_every_s: Seconds = Field(120, description="Seconds between two polls of CoinMarketCap.")
    fear_greed_url: str = Field("", description="Address of the fear and greed index, without /fng.")
    fear_greed_quota: Quota = Field(
        "", description="Most requests for the fear and greed index; default: 6/minute,1000/day."
    )
    fear_greed_every_s: Seconds = Field(300, description="Seconds between two polls of the fear and greed index.")
    poller_timeout_s: Seconds = Field(10, description="Longest wait for one answer of these three.")
    poller_failures: int = Field(
        3, ge=1, le=100, description="Failed polls in a row after which one of them is left alone for a while."
    )
    poller_rest_s: Seconds = Field(180, description="How long it is left alone.")


class NewsSettings(SettingsGroup):
    """News and how they are scored."""

    news_feeds_file: ReadableFile = Field(
        None,
        description="A JSON file with the feeds to read, instead of cryptoviz/news/feeds.json and written like it; "
        "`time_zone`, such as Asia/Kolkata, for a feed whose dates name no zone.",
    )
    news_poll_s: Seconds = Field(
        90, description="Longest time of one poll of all feeds; what is slower is left for the next."
    )
    news_pages_per_feed: int = Field(
        5,
        ge=0,
        le=100,
        description="Most article pages read in one poll of a feed whose entries have no text of their own; 0: none.",
    )
    news_host_delay_s: Annotated[float, Field(ge=0)] = Field(
        1, description="Shortest time between two requests to one host, in seconds."
    )
    news_crawl_delay_max_s: Annotated[float, Field(ge=0)] = Field(
        10, description="Longest Crawl-delay that is waited for; of sites that ask for more only the feed is read."
    )
    sentiment_model: SentimentModel = Field(
        SentimentModel.TEXTBLOB, description="What scores the news: textblob or vader."
    )
