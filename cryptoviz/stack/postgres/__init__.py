"""PostgreSQL with TimescaleDB on this machine: found or installed, then a private cluster with its roles."""
