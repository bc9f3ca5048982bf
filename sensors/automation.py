"""Starts what is due by its automation condition, such as the rebuild of a day that has ended."""

from __future__ import annotations

from typing import Final

import dagster as dg

AUTOMATION: Final = dg.AutomationConditionSensorDefinition(
    "automation",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
    description="Starts what is due by its automation condition.",
)
