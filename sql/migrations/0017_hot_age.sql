-- What is written live is always in the hot table: the candles of a day are made without a look at cold_storage.

alter table tiering_policy add constraint tiering_policy_hot_age check (hot_age >= interval '1 day');
