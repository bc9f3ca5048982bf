"""Dagster jobs that people start by hand or a schedule starts, and that materialize no asset."""
