"""The SQL that people type runs word for word on every edition."""

from __future__ import annotations

import pytest

from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect

pytestmark = pytest.mark.services

READ = [
    "SELECT COUNT(*) FROM ticker_data;",
    "SELECT COUNT(*) FROM trade_data;",
    "SELECT pair, last, timestamp FROM ticker_data ORDER BY timestamp DESC LIMIT 10;",
    "SELECT pair, COUNT(*) as total, MAX(timestamp) as last_update FROM ticker_data GROUP BY pair ORDER BY total DESC;",
    """SELECT time_bucket('1 hour', timestamp) as bucket, AVG(sentiment_score) as avg_score FROM sentiment_data
  WHERE crypto_symbol = 'BTC' AND timestamp > NOW() - INTERVAL '24 hours' GROUP BY bucket ORDER BY bucket DESC;""",
    "SELECT MAX(window_start) FROM candles WHERE symbol = 'BTC/USDT' AND timeframe = '1m';",
    "SELECT * FROM all_candles LIMIT 1;",
    "SELECT * FROM all_indicators LIMIT 1;",
    "SELECT * FROM all_news LIMIT 1;",
    "SELECT * FROM candles_hourly_summary LIMIT 1;",
    "SELECT * FROM sentiment_hourly LIMIT 1;",
    "SELECT * FROM ticker_ohlc_hourly LIMIT 1;",
    "SELECT symbol, timeframe, status, start_ts, end_ts, current_position_ts, total_candles, processed_candles, "
    "error_message, created_at, updated_at FROM backfill_progress;",
]
WRITTEN = [
    """insert into ticker_data (timestamp, exchange, pair, last) values
       (now() - interval '1 minute', 'kraken', 'BTC/USD', 100.10), (now(), 'kraken', 'BTC/USD', 101)""",
    """insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)
       values (now(), 'kraken', 'BTC/USD', 1, 100.10, 0.5, 'buy')""",
    """insert into sentiment_data (timestamp, crypto_symbol, source, sentiment_score, sentiment_label)
       values (now(), 'BTC', 'news', 0.7, 'positive')""",
    """insert into indicators (window_start, exchange, symbol, timeframe, rsi_14)
       values (now() - interval '40 days', 'kraken', 'BTC/USD', '1m', 50)""",
    """insert into article_data (timestamp, website, article_id, title, url)
       values (now() - interval '40 days', 'example.org', '1', 'title', 'https://example.org/1')""",
    """insert into backfill_progress (exchange, symbol, timeframe, start_ts, end_ts)
       values ('kraken', 'BTC/USD', '1m', now() - interval '1 day', now())""",
    """INSERT INTO candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close, volume)
       VALUES (date_trunc('minute', now()) - interval '40 days', date_trunc('minute', now()) - interval '57599 minutes',
        'kraken', 'BTC/USDT', '1m', 1, 2, 1, 2, 3)
  ON CONFLICT (window_start, exchange, symbol, timeframe) DO UPDATE SET close = EXCLUDED.close
  WHERE NOT candles.closed;""",
]


@pytest.fixture
def filled(each_database: Settings) -> Settings:
    with connect(Role.WRITER, each_database) as connection:
        for statement in WRITTEN:
            assert connection.execute(statement).rowcount > 0
    return each_database


def test_every_reading_line_runs_and_finds_rows(filled: Settings) -> None:
    with connect(Role.READER, filled) as connection:
        for line in READ:
            assert connection.execute(line).fetchall(), line


def test_the_hourly_summary_has_the_promised_columns_first(filled: Settings) -> None:
    with connect(Role.READER, filled) as connection:
        cursor = connection.execute("SELECT * FROM candles_hourly_summary LIMIT 1;")
        names = [column.name for column in cursor.description or ()]
    assert names[:7] == ["hour", "symbol", "open", "high", "low", "close", "volume"]


def test_tiering_by_hand_moves_old_rows_once_and_loses_none(filled: Settings) -> None:
    with connect(Role.WRITER, filled) as connection:
        for line, view in (
            ("SELECT tier_old_candles();", "all_candles"),
            ("SELECT tier_old_indicators();", "all_indicators"),
            ("SELECT tier_old_news();", "all_news"),
        ):
            assert [connection.execute(line).fetchone() for _ in range(2)] == [(1,), (0,)]
            assert connection.execute(f"select tier from {view}").fetchall() == [("cold",)]


def test_an_open_candle_is_updated_by_the_contract_s_insert_and_a_closed_one_is_not(filled: Settings) -> None:
    again = WRITTEN[-1].replace("1, 2, 1, 2, 3)", "1, 2, 1, 1.5, 3)")
    with connect(Role.WRITER, filled) as connection:
        connection.execute(again)
        assert connection.execute("select close from candles").fetchone() == (1.5,)
        connection.execute("update candles set closed = true")
        connection.execute(WRITTEN[-1])
        assert connection.execute("select close from candles").fetchone() == (1.5,)


def test_tiering_respects_each_timeframe_s_age_and_the_batch_size(each_database: Settings) -> None:
    with connect(Role.WRITER, each_database) as connection:
        connection.execute(
            "insert into candles (window_start, window_end, exchange, symbol, timeframe, open, high, low, close,"
            " volume) select start, start + timeframe_length(timeframe), 'kraken', 'BTC/USD', timeframe, 1, 1, 1, 1, 1"
            " from unnest(array['1m', '5m', '15m', '1h', '1d']) timeframe, generate_series(1, 400) days,"
            " lateral (select date_trunc('day', now()) - days * interval '1 day' as start) at"
        )
        moved = []
        while True:
            [(count,)] = connection.execute("select tier_old_candles(500)").fetchall()
            if not count:
                break
            moved.append(count)
        kept = dict(
            connection.execute("select timeframe, count(*) from all_candles where tier = 'hot' group by 1").fetchall()
        )
        total = connection.execute("select count(*) from all_candles").fetchone()
    assert max(moved) == 500
    assert {
        timeframe: kept[timeframe] in (days - 1, days, days + 1)
        for timeframe, days in {"1m": 7, "5m": 14, "15m": 30, "1h": 90, "1d": 400}.items()
    } == dict.fromkeys(kept, True)
    assert total == (2000,)


def test_no_function_waits_for_a_compiler(database: Settings) -> None:
    """`jit` is PostgreSQL's default, and whoever calls a function from a session of their own has it."""
    with connect(Role.OWNER, database) as connection:
        rows = connection.execute(
            "SELECT proname::text FROM pg_proc JOIN pg_language ON pg_language.oid = prolang"
            " WHERE pronamespace = 'public'::regnamespace AND lanname IN ('plpgsql', 'sql') AND provolatile <> 'i'"
            # A stable SQL function without settings becomes part of the statement that calls it.
            "   AND NOT (lanname = 'sql' AND provolatile = 's' AND proconfig IS NULL)"
            "   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
            "   AND 'jit=off' <> ALL (coalesce(proconfig, '{}'))"
        ).fetchall()
    of_migrations = {"make_hypertable", "make_columnar", "make_rollup"}
    assert {name for (name,) in rows} <= of_migrations
