"""What starts runs by itself: each sensor reads the state and calls a pure decision."""

from __future__ import annotations

import dagster as dg

from cryptoviz.settings import Settings
from sensors.automation import AUTOMATION
from sensors.failures import run_failures
from sensors.gaps import gaps_due
from sensors.history import history_due
from sensors.indicators import indicators_due
from sensors.instruments import instruments_missing
from sensors.repairs import repairs_due
from sensors.reports import reports_outdated
from sensors.streams import stream_supervisor
from sensors.tables import observe_tables


def sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """Every sensor, for these settings."""
    return [
        instruments_missing({exchange: settings.pairs(exchange) for exchange in settings.exchanges}),
        history_due(settings),
        indicators_due,
        gaps_due,
        repairs_due,
        observe_tables,
        AUTOMATION,
        stream_supervisor(settings),
        run_failures(settings),
        reports_outdated,
    ]
