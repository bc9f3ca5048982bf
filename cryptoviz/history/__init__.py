"""History that is provably complete: what is missing, why, and what is done about it."""
