-- Where the rows of one part of a file wait to be judged. Seen by this connection only, and gone with it.
CREATE TEMPORARY TABLE IF NOT EXISTS import_trades (
    row_number bigint NOT NULL,
    microseconds bigint,
    age_s double precision,
    trade_id bigint,
    price numeric,
    volume numeric,
    side text,
    trade_count bigint,
    unreadable text
)
