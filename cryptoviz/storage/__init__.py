"""PostgreSQL with TimescaleDB: connections, migrations and the named statements of ``sql/``."""
