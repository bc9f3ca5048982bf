"""CryptoViz: a self-hosted crypto market-data platform.

This package is the library: records, codec, settings, collectors, storage, simulators and the local stack.
It knows neither Dagster nor Spark.
"""
