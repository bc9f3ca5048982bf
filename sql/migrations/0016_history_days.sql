-- A pair's own history is a hundred years at most: beyond, there is no date to count from.

update crypto_configuration set history_days = 36500 where history_days > 36500;
alter table crypto_configuration
    drop constraint crypto_configuration_history_days_check,
    add constraint crypto_configuration_history_days_check check (history_days between 1 and 36500);
