-- Candles that passed their suite are published in small transactions: until then they wait, marked.

alter table staged_candles
    add column passed_at timestamptz;
comment on column staged_candles.passed_at is
    'When it passed its suite (UTC): it is being published, and whoever is killed meanwhile leaves it to the next. Null: not judged yet.';
create index staged_candles_passed on staged_candles (passed_at) where passed_at is not null;
