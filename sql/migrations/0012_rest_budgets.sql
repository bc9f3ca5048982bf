-- How fast the batch layer may ask an exchange: one row for all runs and processes, so that together they keep to the
-- limit and all stop when one of them is told to.

create table rest_budgets (
    exchange text primary key,
    free_at timestamptz not null,
    closed_until timestamptz,
    closed_because text,
    failures integer not null default 0 check (failures >= 0)
);
