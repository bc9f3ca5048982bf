"""The wiring of Dagster: it computes nothing."""
