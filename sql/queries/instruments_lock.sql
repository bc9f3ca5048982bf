-- One refresh of an exchange's instruments at a time, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('instruments'), hashtext(%(exchange)s))
