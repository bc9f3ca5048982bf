select pair, trade_id, timestamp from collector_position where exchange = %(exchange)s;
