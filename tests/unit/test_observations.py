"""What the graph is told of topics and tables, from figures of our own and on an ephemeral instance."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

import sensors.tables
from assets.resources import Broker
from assets.streams import topic_key
from cryptoviz.bus import BusError
from sensors.tables import QUIET_S, AssetFigures, AssetReport, SeenMark, observe_tables, reports, topic_figures
from tests.doubles.resources import DatabaseAway, NoDatabase

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOW = NOON.timestamp()
TRADES = dg.AssetKey("trade_data")


def trades(at: datetime, **fields: Any) -> AssetFigures:
    return AssetFigures(TRADES, int(at.timestamp() * 1e6), {"dagster/row_count": 7}, at, **fields)


def offsets(end: int, topic: str = "rawtrade") -> list[AssetFigures]:
    return topic_figures({topic: {0: range(10, 10 + end), 1: range(end)}})


def look(
    figures: list[AssetFigures], previous: dict[str, SeenMark] | None = None, now: float = NOW
) -> tuple[AssetReport, dict[str, SeenMark]]:
    (report,), remembered = reports(previous or {}, figures, now)
    return report, remembered


def test_the_first_look_only_observes() -> None:
    report, remembered = look([trades(NOON)])
    assert not report.advanced
    assert remembered == {"trade_data": SeenMark(int(NOW * 1e6), NOW, NOW)}


def test_a_table_whose_newest_row_advances_is_materialized_with_its_age() -> None:
    _, remembered = look([trades(NOON)])
    report, _ = look([trades(NOON + timedelta(seconds=57))], remembered, NOW + 60)
    assert report.advanced
    assert report.numbers == {"age s": 3.0, "dagster/row_count": 7}
    assert report.newest == NOON + timedelta(seconds=57)


def test_a_row_from_the_future_has_no_negative_age() -> None:
    report, _ = look([trades(NOON + timedelta(seconds=5))])
    assert report.numbers["age s"] == 0


def test_what_stands_still_is_observed_seldom_and_ages() -> None:
    _, remembered = look([trades(NOON)])
    told = []
    for minute in range(1, 31):
        due, remembered = reports(remembered, [trades(NOON)], NOW + 60 * minute)
        told += [(minute, one.advanced, one.numbers["age s"]) for one in due]
    assert told == [(10, False, 600), (20, False, 1200), (30, False, 1800)]


def test_a_topic_tells_its_messages_and_their_rate() -> None:
    _, remembered = look(offsets(100))
    report, _ = look(offsets(250), remembered, NOW + 90)
    assert report.asset == topic_key("rawtrade")
    assert report.advanced
    assert report.numbers == {
        "messages since the last look": 300,
        "messages a minute": 200.0,
        "messages held": 500,
        "partitions": 2,
    }


def test_the_rate_after_a_silence_counts_from_the_last_look() -> None:
    _, remembered = look(offsets(100))
    for minute in range(1, 9):
        due, remembered = reports(remembered, offsets(100), NOW + 60 * minute)
        assert due == []
    report, _ = look(offsets(400), remembered, NOW + 9 * 60)
    assert report.numbers["messages a minute"] == 600


def test_dead_letters_are_told_as_rejected() -> None:
    _, remembered = look(offsets(1, "deadletter"))
    report, _ = look(offsets(2, "deadletter"), remembered, NOW + 60)
    assert report.numbers["rejected since the last look"] == 2
    assert report.numbers["rejected a minute"] == 2


def test_a_topic_made_anew_is_no_advance_and_counts_afresh() -> None:
    _, remembered = look(offsets(100))
    report, remembered = look(offsets(5), remembered, NOW + 60)
    assert not report.advanced
    assert "messages a minute" not in report.numbers
    report, _ = look(offsets(6), remembered, NOW + 120)
    assert report.advanced
    assert report.numbers["messages since the last look"] == 2


def test_a_state_table_is_reported_seldom_but_as_an_advance() -> None:
    _, remembered = look([trades(NOON, seldom=True)])
    told = []
    for minute in range(1, 21):
        due, remembered = reports(
            remembered, [trades(NOON + timedelta(minutes=minute), seldom=True)], NOW + 60 * minute
        )
        told += [(minute, one.advanced) for one in due]
    assert told == [(10, True), (20, True)]


def test_what_is_not_asked_about_stays_remembered() -> None:
    _, remembered = look([trades(NOON)])
    _, after = reports(remembered, offsets(1), NOW + QUIET_S)
    assert after.keys() == {"trade_data", "kafka/rawtrade"}


class OurBroker(Broker):
    """Holds two messages, or is away."""

    away: bool = False

    def offsets(self, topics: Iterable[str]) -> dict[str, dict[int, range]]:
        if self.away:
            raise BusError("no broker answered")
        return {"rawtrade": {0: range(2)}}


def tick(
    instance: dg.DagsterInstance, cursor: str | None = None, *, database: bool = True, broker: bool = True
) -> dg.SensorExecutionData:
    resources = {"database": NoDatabase() if database else DatabaseAway(), "broker": OurBroker(away=not broker)}
    definitions = dg.Definitions(sensors=[observe_tables], resources=resources)
    with dg.build_sensor_context(
        instance, cursor=cursor, repository_def=definitions.get_repository_def(), resources=resources
    ) as context:
        return observe_tables.evaluate_tick(context)


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The newest row of `trade_data`."""
    held = [NOON]
    monkeypatch.setattr(sensors.tables, "table_figures", lambda _connection: [trades(held[0])])
    monkeypatch.setattr(sensors.tables, "exchange_figures", lambda _connection: [])
    return held


def test_ticks_observe_and_then_materialize_without_a_run(newest: list[datetime]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(instance)
        newest[0] += timedelta(seconds=1)
        second = tick(instance, first.cursor)
        for event in (*first.asset_events, *second.asset_events):
            instance.report_runless_asset_event(event)
        assert not first.run_requests
        assert [type(event).__name__ for event in first.asset_events] == ["AssetObservation"] * 2
        assert [(type(event).__name__, event.asset_key) for event in second.asset_events] == [
            ("AssetMaterialization", TRADES)
        ]
        stored = instance.get_latest_materialization_event(TRADES)
        assert stored is not None
        assert stored.asset_materialization is not None
        metadata = stored.asset_materialization.metadata
        assert metadata["dagster/row_count"] == dg.IntMetadataValue(7)
        assert metadata["newest"] == dg.TimestampMetadataValue(newest[0].timestamp())


@pytest.mark.parametrize(
    ("database", "broker", "asset"), [(False, True, "kafka/rawtrade"), (True, False, "trade_data")]
)
def test_what_is_away_is_named_and_the_rest_is_reported(
    newest: list[datetime], database: bool, broker: bool, asset: str
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        done = tick(instance, database=database, broker=broker)
    assert [event.asset_key.to_user_string() for event in done.asset_events] == [asset]
    assert "is away: " in (done.skip_message or "")


def test_with_all_away_the_tick_says_so_and_forgets_nothing(newest: list[datetime]) -> None:
    cursor = json.dumps({"trade_data": {"mark": 1, "at": 2.0, "reported": 3.0}})
    with dg.DagsterInstance.ephemeral() as instance:
        done = tick(instance, cursor, database=False, broker=False)
    assert not done.asset_events
    assert done.cursor == cursor
    assert done.skip_message == (
        "nothing to report: the database is away: connection refused; the broker is away: no broker answered"
    )
