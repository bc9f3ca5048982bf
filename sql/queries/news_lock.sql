-- One poll at a time numbers revisions, until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtext('cryptoviz.news'), 0)
