"""Records are valid by construction and survive the wire exactly."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptoviz import codec
from cryptoviz.pairs import Timeframe
from cryptoviz.records import (
    Alert,
    AlertType,
    Article,
    Candle,
    CandleSource,
    FearGreed,
    MarketSnapshot,
    Record,
    Sentiment,
    SentimentLabel,
    Side,
    Ticker,
    Trade,
    record_types,
)
from cryptoviz.schemas import avro_row, avro_schema, json_schema
from cryptoviz.topics import INGESTED, TOPICS

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)

instants = st.datetimes(datetime(2009, 1, 4), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis wants naive bounds
amounts = st.decimals(min_value=Decimal("1e-18"), max_value=Decimal("99999999999999999999"), places=18)
amounts_or_zero = st.just(Decimal(0)) | amounts
pairs = st.sampled_from(["BTC/USD", "DOGE/USDT", "1INCH/EUR"])
percents = st.floats(-1e9, 1e9)


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    timeframe = draw(st.sampled_from(Timeframe))
    start = datetime.fromtimestamp(0, UTC) + draw(st.integers(16_000, 40_000)) * timedelta(days=1)
    start += draw(st.integers(0, timedelta(days=1) // timeframe.length - 1)) * timeframe.length
    low, first, last, high = sorted(draw(st.tuples(amounts, amounts, amounts, amounts)))
    return Candle(
        received_at=start + timeframe.length,
        window_start=start,
        window_end=start + timeframe.length,
        exchange="kraken",
        symbol=draw(pairs),
        timeframe=timeframe,
        open=first,
        high=high,
        low=low,
        close=last,
        volume=draw(amounts_or_zero),
        trade_count=draw(st.integers(0, 2**63 - 1)),
        closed=draw(st.booleans()),
        source=draw(st.sampled_from(CandleSource)),
    )


@st.composite
def sentiments(draw: st.DrawFn) -> Sentiment:
    score = draw(st.floats(0, 1))
    return Sentiment(score=score, label=SentimentLabel.of(score))


@st.composite
def any_record(draw: st.DrawFn) -> Record:
    at = draw(instants)
    common: dict[str, Any] = {
        "received_at": at,
        "timestamp": at - draw(st.timedeltas(timedelta(0), timedelta(seconds=5))),
    }
    market: dict[str, Any] = {**common, "exchange": "binance", "pair": draw(pairs)}
    words = st.text(min_size=1, max_size=20)
    builders = st.one_of(
        st.builds(
            Trade,
            **{k: st.just(v) for k, v in market.items()},
            price=amounts,
            volume=amounts,
            side=st.sampled_from(Side),
            trade_id=st.integers(0, 2**63 - 1),
        ),
        st.builds(
            Ticker,
            **{k: st.just(v) for k, v in market.items()},
            last=amounts,
            bid=amounts_or_zero,
            ask=amounts_or_zero,
            volume_24h=amounts_or_zero,
            pct_change=amounts.map(lambda d: -d),
        ),
        st.builds(
            Alert,
            **{k: st.just(v) for k, v in market.items()},
            last_price=amounts,
            change_percent=percents,
            threshold=percents,
            alert_type=st.sampled_from(AlertType),
        ),
        candles(),
        st.builds(
            Article,
            received_at=st.just(at),
            published_at=st.just(at),
            scraped_at=st.just(at),
            article_id=words,
            revision=st.integers(1, 100),
            title=words,
            url=words,
            website=words,
            source=words,
            summary=st.text(),
            content=st.text(),
            tags=st.lists(words).map(tuple),
            cryptocurrencies_mentioned=st.lists(words).map(tuple),
            sentiment=sentiments(),
        ),
        st.builds(
            MarketSnapshot,
            **{k: st.just(v) for k, v in common.items()},
            source=st.just("coingecko"),
            symbol=words,
            name=words,
            price_usd=amounts,
            rank=st.none() | st.integers(1, 10**6),
            change_1h=st.none() | percents,
        ),
        st.builds(
            FearGreed,
            **{k: st.just(v) for k, v in common.items()},
            source=st.just("alternative.me"),
            value=st.integers(0, 100),
            classification=words,
        ),
    )
    return draw(builders)


def topic_of(record: Record) -> str:
    return next(topic.name for topic in INGESTED if topic.record is type(record))


@given(any_record())
def test_every_record_survives_the_wire_exactly(record: Record) -> None:
    assert codec.decode(topic_of(record), codec.encode(record)) == record


@given(any_record())
def test_messages_fit_their_json_schema_and_their_avro_schema(record: Record) -> None:
    jsonschema.validate(msgspec.json.decode(codec.encode(record)), json_schema(TOPICS[topic_of(record)]))
    fastavro.validation.validate(avro_row(record), fastavro.parse_schema(avro_schema(type(record))), strict=True)


def trade(**changes: Any) -> bytes:
    message: dict[str, Any] = {
        "received_at": NOW,
        "timestamp": NOW,
        "exchange": "kraken",
        "pair": "BTC/USD",
        "price": "67000.10",
        "volume": "0.50000000",
        "side": "buy",
        "trade_id": 7,
    } | changes
    return msgspec.json.encode({name: value for name, value in message.items() if value is not None})


def test_the_message_of_this_module_is_valid() -> None:
    record = codec.decode("rawtrade", trade())
    assert str(record.price) == "67000.10"


@pytest.mark.parametrize(
    ("message", "kind", "reason"),
    [
        (b"", "undecodable", "truncated"),
        (b"not json", "undecodable", "malformed"),
        (b"\xff\xfe", "undecodable", "malformed"),
        (b"[]", "invalid", "Expected `object`"),
        (trade(price=None), "invalid", "missing required field `price`"),
        (trade(price="NaN"), "invalid", "price is not a finite number"),
        (trade(price="-Infinity"), "invalid", "price is not a finite number"),
        (trade(price="0"), "invalid", "price is zero"),
        (trade(price="-1"), "invalid", "price is negative"),
        (trade(price="1e21"), "invalid", "more than 20 integer digits"),
        (trade(price="0.1234567890123456789"), "invalid", "more than 18 fraction digits"),
        (trade(price=True), "invalid", r"\$.price"),
        (trade(price={}), "invalid", r"\$.price"),
        (trade(volume="0"), "invalid", "volume is zero"),
        (trade(side="hold"), "invalid", "side"),
        (trade(trade_id=-1), "invalid", "trade_id"),
        (trade(trade_id=2**63), "invalid", "trade_id"),
        (trade(trade_id="7"), "invalid", "trade_id"),
        (trade(pair="XBT/USD"), "invalid", "pair is not a pair"),
        (trade(exchange=""), "invalid", "exchange"),
        (trade(timestamp="2026-11-21T12:00:00"), "invalid", "timezone"),
        (trade(timestamp=NOW + timedelta(seconds=61)), "invalid", "60 s after received_at"),
        (trade(timestamp="2008-12-31T00:00:00Z"), "invalid", "before 2009-01-03"),
    ],
)
def test_what_is_impossible_is_refused_with_its_reason(message: bytes, kind: str, reason: str) -> None:
    with pytest.raises(codec.RefusedError, match=reason) as refused:
        codec.decode("rawtrade", message)
    assert refused.value.kind == kind


def test_the_ends_of_the_calendar_are_refused_or_judged_like_any_time() -> None:
    """What is compared is a difference: a sum would be no date any more."""
    last = {"received_at": "9999-12-31T23:59:59.500000Z", "timestamp": "9999-12-31T23:59:59.900000Z"}
    assert codec.decode("rawtrade", trade(**last)).received_at.year == 9999
    with pytest.raises(codec.RefusedError, match="timestamp is before 2009-01-03"):
        codec.decode("rawtrade", trade(timestamp="0001-01-01T00:00:00+14:00"))
    article = Article(
        received_at=NOW, published_at=NOW, scraped_at=NOW, article_id="1", revision=1, title="t", url="u", website="w",
        source="s", summary="", content="", tags=(), cryptocurrencies_mentioned=(),
        sentiment=Sentiment(score=0.5, label=SentimentLabel.NEUTRAL),
    )  # fmt: skip
    said = msgspec.json.decode(codec.encode(article))
    for when, reason in (("0001-01-01T00:00:00Z", "before 2009-01-03"), ("9999-12-31T23:59:59Z", "86460 s after")):
        with pytest.raises(codec.RefusedError, match=reason):
            codec.decode("rawarticle", msgspec.json.encode(said | {"published_at": when}))


@pytest.mark.parametrize("skew", [-5, 5])
def test_a_clock_five_seconds_off_is_accepted(skew: int) -> None:
    assert codec.decode("rawtrade", trade(timestamp=NOW + timedelta(seconds=skew))).trade_id == 7


def test_an_unknown_topic_is_refused() -> None:
    with pytest.raises(codec.RefusedError, match="no record is defined for topic nonsense"):
        codec.decode("nonsense", b"{}")


@pytest.mark.parametrize(
    ("score", "label"), [(0.0, "negative"), (0.39, "negative"), (0.4, "neutral"), (0.6, "neutral"), (0.61, "positive")]
)
def test_sentiment_labels_follow_the_score(score: float, label: str) -> None:
    assert SentimentLabel.of(score) == label


def test_a_candle_keeps_its_bounds_and_its_grid() -> None:
    candle = {
        "received_at": NOW,
        "window_start": "2026-11-21T11:59:00Z",
        "window_end": "2026-11-21T12:00:00Z",
        "exchange": "kraken",
        "symbol": "BTC/USD",
        "timeframe": "1m",
        "open": "2",
        "high": "3",
        "low": "1",
        "close": "2",
        "volume": "0",
        "trade_count": 0,
        "closed": True,
        "source": "stream",
    }
    assert codec.decode("rawcandle", msgspec.json.encode(candle)).high == 3
    for change, reason in [
        ({"high": "1.5"}, "between low and high"),
        ({"window_end": "2026-11-21T12:00:01Z"}, "not 1m long"),
        ({"window_start": "2026-11-21T11:59:01Z", "window_end": "2026-11-21T12:00:01Z"}, "multiple of 1m"),
        ({"timeframe": "2m"}, "timeframe"),
    ]:
        with pytest.raises(codec.RefusedError, match=reason):
            codec.decode("rawcandle", msgspec.json.encode(candle | change))


@pytest.mark.parametrize(("shorter", "longer"), list(itertools.pairwise(Timeframe)))
def test_a_window_starts_at_a_multiple_of_its_own_timeframe(shorter: Timeframe, longer: Timeframe) -> None:
    midnight = datetime(2026, 11, 20, tzinfo=UTC)

    def candle(start: datetime, kind: Timeframe) -> Candle:
        price = Decimal(1)
        return Candle(
            received_at=NOW,
            window_start=start,
            window_end=start + kind.length,
            exchange="kraken",
            symbol="BTC/USD",
            timeframe=kind,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=price,
            trade_count=1,
            closed=True,
            source=CandleSource.REST,
        )

    start = midnight + shorter.length
    assert candle(start, shorter).window_start == start
    for off in (start, midnight + timedelta(microseconds=1)):
        with pytest.raises(ValueError, match=f"multiple of {longer}"):
            candle(off, longer)


def test_headers_name_source_type_exchange_symbol_and_schema() -> None:
    record = codec.decode("rawtrade", trade())
    assert dict(codec.headers(TOPICS["rawtrade"], record)) == {
        "source": b"kraken",
        "type": b"rawtrade",
        "exchange": b"kraken",
        "symbol": b"BTC/USD",
        "schema": b"Trade/1",
    }


def test_every_record_has_a_topic_and_every_table_column_is_named_once() -> None:
    assert {topic.record for topic in INGESTED} == set(record_types())
    for topic in INGESTED:
        assert topic.record is not None
        plain = set(topic.record.__struct_fields__)
        sources = topic.columns().values()
        assert {source.partition(".")[0] for source in sources} | topic.omitted == plain
        assert len(set(sources)) == len(list(sources))
