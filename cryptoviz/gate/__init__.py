"""The gate: what is published, and what is kept back with its reason.

fetched rows -> staging -> suite of expectations -> quarantine | passed -> Kafka -> (acknowledged) -> published_keys
"""
