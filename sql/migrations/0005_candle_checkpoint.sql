-- What a busy minute came to so far, so that a batch need not read that whole minute again (see refresh_candles).
create table candle_checkpoint (
    exchange text not null,
    pair text not null,
    minute timestamptz not null,
    upto timestamptz not null,
    high numeric,
    low numeric,
    volume numeric not null,
    trade_count bigint not null,
    primary key (exchange, pair),
    check (upto >= minute and upto <= minute + interval '1 minute')
) with (fillfactor = 50);
