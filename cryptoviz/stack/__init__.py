"""The local stack: PostgreSQL, Kafka and everything of ours under one process supervisor, on loopback."""
