"""The gate: decides which rows are published and keeps the others with their reasons.

fetched rows -> staging -> suite of expectations -> quarantine | passed -> Kafka -> (acknowledged) -> published_keys
"""
