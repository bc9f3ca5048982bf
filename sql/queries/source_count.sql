-- One more failure or success of a source, whoever else counts. Parameters: source, failures, successes (0 or 1).
UPDATE source_states
SET failures = failures + %(failures)s, successes = successes + %(successes)s
WHERE source = %(source)s
