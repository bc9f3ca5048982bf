-- How long statements of this transaction wait for a lock. Parameter: timeout, such as 20s.
SELECT set_config('lock_timeout', %(timeout)s, true)
