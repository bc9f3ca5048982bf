-- One judgement of a subject at a time, until the end of the transaction.
-- Parameters: subject.
SELECT pg_advisory_xact_lock(hashtext('cryptoviz.gate'), hashtext(%(subject)s))
