-- What every table and view means: a part of docs/data-dictionary.md.

do $$
declare
    entry record;
begin
    for entry in
        select * from (values
            ('ticker_data', 'State of one market at an exchange as it was sent. Kept 90 days.'),
            ('trade_data', 'Every trade, live, healed or imported. Kept 30 days.'),
            ('candles', 'The platform''s candles: built from the trades, or fetched closed over REST, which wins. Older ones: all_candles.'),
            ('exchange_candles', 'The exchanges'' own live candles: an independent witness to check candles against.'),
            ('indicators', 'Technical indicators of each candle. Older ones: all_indicators.'),
            ('indicator_changes', 'Closed candles that were written, until their indicators are computed.'),
            ('indicator_states', 'What the indicators of the next candle of each series need.'),
            ('alert_data', 'Prices that moved at least the threshold within the alert window. Kept 90 days.'),
            ('instruments', 'What each exchange lists. Kept for ever.'),
            ('article_data', 'News articles with their sentiment; the newest revision of each. Older ones: all_news.'),
            ('sentiment_data', 'Sentiment of a coin in windows of the news. Kept 365 days.'),
            ('market_data', 'Coins in the market overviews of CoinGecko and CoinMarketCap. Kept 365 days.'),
            ('fear_greed_data', 'The fear and greed index of each UTC day. Kept for ever.'),
            ('prediction_data', 'Predicted prices, with the actual price once it is known. Kept 365 days.'),
            ('analytics_data', 'Statistics of a market in sliding windows. Kept 90 days.'),
            ('anomaly_data', 'Values that stand out of their trailing window or contradict another source. Kept 365 days.'),
            ('candle_gaps', 'Holes in the candles: found, labelled and healed. Kept for ever.'),
            ('trade_gaps', 'Missing trade ids: found, labelled and healed. Kept for ever.'),
            ('candle_repairs', 'Pairs whose stored candles are looked over once, after an upgrade or when asked for.'),
            ('trade_coverage', 'The time of which all trades of a pair are stored, as their ids or the imported files say; both ends are left out. Kept for ever.'),
            ('completeness', 'What every UTC day of a series has and lacks. Kept for ever.'),
            ('held_trades', 'Imported trades of minutes of which some rows are in quarantine. Until these are decided.'),
            ('import_progress', 'How far each imported file has come; the position is committed with the rows. Kept for ever.'),
            ('candle_differences', 'Where a fetched candle is not what its trades had come to, and why. Kept for ever.'),
            ('backfill_progress', 'How far the history of each series has been fetched. Kept for ever.'),
            ('quarantine', 'What failed a gate, with the reason, until released or discarded. Kept 90 days; rows of imported trades until they are decided.'),
            ('quality_results', 'The result of every expectation of every run. Kept 365 days.'),
            ('quality_documents', 'Whole validations, for the reports: the newest of an hour, and each whose failures are new. Kept 30 days.'),
            ('staging', 'The outbox: what was fetched, until it is in quarantine or the broker has acknowledged it.'),
            ('published_keys', 'What was published lately: it is not staged again.'),
            ('stream_control', 'What each long-running stream should do.'),
            ('stream_status', 'What each long-running stream does, by its own word.'),
            ('sink_fence', 'The last micro-batch stored of each streaming query and part: a batch is stored once.'),
            ('stream_events', 'What became of each stream''s workers: starts, ends, and what each end cost. Kept 365 days.'),
            ('stream_verdicts', 'How the supervisor found each stream when it last looked.'),
            ('platform_alerts', 'What needs somebody''s attention: at most one open row of a kind and subject. Closed ones kept 365 days.'),
            ('article_revisions', 'Every revision of every article ever seen: what is in it is not new. Kept for ever.'),
            ('news_feed_states', 'How each news feed answered last, and what to ask it with next time.'),
            ('shared_article_names', 'Guids and links that stood for several articles in one document of a feed: no identity of others any more.'),
            ('robots_cache', 'The robots.txt of the sites that are read, until it expires.'),
            ('source_states', 'How each polled source is: its circuit breaker, how long it wants to be left alone, its last answer.'),
            ('source_quotas', 'How much of each quota of a polled source is used, in its current period.'),
            ('staged_candles', 'Candles that were fetched or imported, until they are judged and published, or in quarantine.'),
            ('rest_budgets', 'How fast the batch layer may ask each exchange, all its runs and processes together.'),
            ('action_log', 'Who did what by hand: starts, stops, releases, changes.'),
            ('crypto_configuration', 'What to collect, editable through the API.'),
            ('visualization_parameter', 'How to show it, editable through the API.'),
            ('tiering_policy', 'How long rows stay hot, and then cold, before they leave the database.'),
            ('retention_policy', 'How long each table that has no cold tier keeps its rows before they go to the archive.'),
            ('archive_files', 'The files of the archive: what has left the database, read back and compared before.'),
            ('collector_position', 'Where a collector goes on after a restart.'),
            ('candle_checkpoint', 'Sums of the newest busy minute of each pair; private to refresh_candles.'),
            ('schema_migrations', 'The files of sql/ that this database has seen.'),
            ('cold_storage.candles', 'Candles older than their hot age.'),
            ('cold_storage.indicators', 'Indicators older than their hot age.'),
            ('cold_storage.article_data', 'Articles older than their hot age.')
        ) texts (relation, comment)
    loop
        execute format('comment on table %s is %L', entry.relation, entry.comment);
    end loop;

    for entry in
        select * from (values
            ('all_candles', 'Candles, hot and cold.'),
            ('all_indicators', 'Indicators, hot and cold.'),
            ('all_news', 'Articles, hot and cold.'),
            ('sentiment_hourly', 'Mean sentiment of each coin and hour.'),
            ('ticker_ohlc_hourly', 'Open, high, low and close of the tickers of each hour.'),
            ('candles_hourly_summary', 'Hours from the 1m candles, hot and cold.'),
            ('partial_candles', 'Candles whose window has ended and is not known whole: how many of its minutes are.')
        ) texts (relation, comment)
    loop
        execute format('comment on view %s is %L', entry.relation, entry.comment);
    end loop;
end
$$;
