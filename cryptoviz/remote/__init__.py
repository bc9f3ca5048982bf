"""What every request to somebody else's server has in common, whoever makes it."""
