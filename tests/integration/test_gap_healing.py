"""The sensor `gaps_due` and the job it starts: a hole made by hand is found, labelled, healed and told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import msgspec
import psycopg
import pytest
from typer.testing import CliRunner

import sensors.gaps
from assets.audits import GATE
from assets.gaps import HEAL_HISTORY, gap_assets
from assets.keys import COMPLETENESS
from assets.resources import Database
from cryptoviz.cli import app
from cryptoviz.exchanges.candles import candle, page_of
from cryptoviz.exchanges.history import Answer, Row
from cryptoviz.gaps.rulings import CONFIRMED
from cryptoviz.gaps.scan import GRACE, collected_series, configured_series, scan_everything
from cryptoviz.gate import engine
from cryptoviz.gate.report import GateError
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.quarantine import discard, release
from cryptoviz.remote.errors import TransientError
from cryptoviz.settings import PREFIX, Role, Settings, settings
from cryptoviz.storage.database import connect
from sensors.gaps import MANY, gaps_due
from tests.conftest import UseSettings
from tests.doubles.resources import HISTORY, SimulatedRest
from tests.integration.simulated_history import SimulatedHistory, copy, stored, values

pytestmark = pytest.mark.services

KRAKEN, PAIRS = "kraken", ("BTC/USD", "ETH/USD")
BTC, ETH = (Series(KRAKEN, pair, Timeframe.M1) for pair in PAIRS)
MINUTE = timedelta(minutes=1)


class Platform:
    """A database, the simulated exchange, and what Dagster remembers from tick to tick."""

    def __init__(self, connection: psycopg.Connection[Any], instance: dg.DagsterInstance) -> None:
        self.connection = connection
        self.instance = instance
        self.history = HISTORY[-1]
        self.cursor: str | None = None
        self.gate: dg.AssetCheckEvaluation | None = None
        self.resources = {"database": Database(), "exchange_rest": SimulatedRest()}
        self.job = dg.Definitions(
            assets=gap_assets([KRAKEN]), jobs=[HEAL_HISTORY], sensors=[gaps_due], resources=self.resources
        ).resolve_job_def(HEAL_HISTORY.name)

    def tick(self) -> Any:
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources={"database": self.resources["database"]}
        ) as context:
            result = gaps_due.evaluate_tick(context)
        self.cursor = result.cursor or self.cursor
        return result

    def rest(self) -> None:
        """Long ago: whatever the sensor does now and then it does at its next look, but not the whole history."""
        remembered = json.loads(self.cursor or "{}") | {"requested_at": 0, "trades": 0, "reported_at": 0}
        self.cursor = json.dumps(remembered)

    def heal(self, request: dg.RunRequest) -> dict[str, dict[str, Any]]:
        """Do what the sensor asked for; asset -> its numbers."""
        done = self.job.execute_in_process(instance=self.instance, run_config=request.run_config)
        assert done.success
        (self.gate,) = (one for one in done.get_asset_check_evaluations() if one.check_name == GATE)
        return {
            event.asset_key.to_user_string(): {
                name: value.value for name, value in event.materialization.metadata.items()
            }
            for event in done.get_asset_materialization_events()
            if event.asset_key
        }

    def gaps(self, series: Series) -> list[tuple[Any, ...]]:
        return self.connection.execute(
            "select missing, label, status from candle_gaps where exchange = %s and symbol = %s and timeframe = %s"
            " order by gap_start",
            [series.exchange, series.pair, series.timeframe.value],
        ).fetchall()


@pytest.fixture
def platform(database: Settings, use_settings: UseSettings) -> Iterator[Platform]:
    use_settings(database)
    HISTORY[:] = [SimulatedHistory(KRAKEN, PAIRS, rate=4)]
    with connect(Role.WRITER, database, autocommit=True) as connection, dg.DagsterInstance.ephemeral() as instance:
        yield Platform(connection, instance)


def minute_ago(number: int) -> datetime:
    """The start of the minute so many minutes ago; never of the one that has just begun."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - number * MINUTE


def remove(platform: Platform, series: Series, since: datetime, until: datetime) -> None:
    platform.connection.execute(
        "delete from candles where symbol = %s and timeframe = '1m' and window_start >= %s and window_start < %s",
        [series.pair, since, until],
    )


def complete(platform: Platform) -> dict[Series, list[Any]]:
    """Both pairs have every candle of the last hours, as the exchange has them; the minutes are returned."""
    until = minute_ago(0)
    since = (until - timedelta(hours=4)).replace(minute=0)
    for pair in PAIRS:
        for timeframe in (Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.H1):
            copy(platform.connection, platform.history.candles(Series(KRAKEN, pair, timeframe), since, until))
    return {one: platform.history.candles(one, since, until) for one in (BTC, ETH)}


def test_a_hole_made_by_hand_is_found_labelled_healed_and_told(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = complete(platform)
    first = platform.tick()
    assert first.run_requests == []
    (event,) = first.asset_events
    assert event.asset_key == COMPLETENESS
    assert event.metadata["complete %"].value == 100

    start = minute_ago(90)
    remove(platform, BTC, start, start + 12 * MINUTE)
    platform.history.lacks = {(BTC, start + number * MINUTE) for number in (3, 4)}
    (request,) = platform.tick().run_requests
    assert request.run_key == "heal:1"
    assert "12 candles in 1 gaps" in request.tags["reason"]
    numbers = platform.heal(request)
    assert (numbers["candle_gaps"]["gaps asked about"], numbers["candle_gaps"]["candles healed"]) == (1, 10)
    assert platform.gaps(BTC) == [
        (3, "lost_by_us", "healed"),
        (2, "source_missing", "open"),
        (7, "lost_by_us", "healed"),
    ]
    wanted = [row for row in source[BTC] if (BTC, row.window_start) not in platform.history.lacks]
    assert stored(platform.connection, BTC) == [values(row) for row in wanted]
    assert stored(platform.connection, ETH) == [values(row) for row in source[ETH]]
    told = numbers["completeness"]
    assert (told["candles source_missing"], told["candles healed"], told["candles unexplained"]) == (2, 10, 0)
    assert 99 < told["complete %"] < 100
    assert "| candles | kraken | source missing | open | 1 | 2 |" in told["state"]
    assert "data:image/svg+xml;base64," in told["state"]

    platform.rest()
    assert platform.tick().run_requests == []
    for attempt in range(2, CONFIRMED + 1):
        platform.connection.execute("update candle_gaps set due_at = now() - interval '1 hour' where status = 'open'")
        platform.rest()
        (request,) = platform.tick().run_requests
        assert request.run_key == f"heal:{attempt}"
        platform.heal(request)
    assert platform.gaps(BTC)[1] == (2, "source_missing", "explained")

    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", settings().database(Role.OWNER))
    said = CliRunner().invoke(app, ["gaps", "list", "--all", "--json"])
    listed = json.loads(said.stdout)["candle_gaps"]
    assert sorted((row["missing"], row["label"], row["status"]) for row in listed) == sorted(platform.gaps(BTC))
    said = CliRunner().invoke(app, ["completeness", "--json"])
    rows = {(row["symbol"], row["timeframe"]): row for row in json.loads(said.stdout)}
    assert rows["BTC/USD", "1m"]["source_missing"] == 2
    assert rows["ETH/USD", "1m"]["complete"] == 100


def test_trades_that_were_deleted_come_back_with_their_candles(platform: Platform) -> None:
    since, until = minute_ago(40), minute_ago(3)
    first, last = (int(instant.timestamp()) * 10**9 for instant in (since, until))
    made = platform.history.made("BTC/USD", platform.history.market("BTC/USD").between(first, last).rows())
    platform.connection.cursor().executemany(
        "insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        [(one.timestamp, KRAKEN, "BTC/USD", one.trade_id, one.price, one.volume, one.side) for one in made],
    )
    lost = [one.trade_id for one in made[20 : 20 + MANY]]
    platform.connection.execute("delete from trade_data where trade_id = any(%s)", [lost])
    (request,) = platform.tick().run_requests
    numbers = platform.heal(request)
    assert numbers["trade_gaps"]["trades healed"] == MANY
    stored_ids = platform.connection.execute("select trade_id from trade_data order by 1").fetchall()
    assert [number for (number,) in stored_ids] == [one.trade_id for one in made]
    assert platform.connection.execute("select distinct label, status from trade_gaps").fetchall() == [
        ("lost_by_us", "healed")
    ]


def test_what_is_young_gathers_and_what_others_are_at_work_on_is_left_to_them(platform: Platform) -> None:
    complete(platform)
    remove(platform, ETH, minute_ago(GRACE // MINUTE), minute_ago(0))
    assert platform.tick().run_requests == []
    assert platform.gaps(ETH) == []

    start = minute_ago(60)
    remove(platform, ETH, start, start + MINUTE)
    assert platform.tick().run_requests == []
    assert platform.gaps(ETH) == [(1, None, "open")]
    platform.connection.execute("update candle_gaps set due_at = now() - interval '4 minutes'")

    platform.connection.execute(
        "insert into backfill_progress (exchange, symbol, timeframe, status, start_ts, end_ts)"
        " values (%s, %s, '1m', 'in_progress', %s, %s)",
        [KRAKEN, ETH.pair, minute_ago(240), minute_ago(30)],
    )
    assert platform.tick().run_requests == []
    left = "select gap_is_left(candle_gaps) from candle_gaps"
    for timeframe in ("5m", "1h", "1m"):
        platform.connection.execute("update candle_gaps set timeframe = %s", [timeframe])
        assert platform.connection.execute(left).fetchall() == [(True,)]
    with platform.connection.transaction(force_rollback=True):
        platform.connection.execute("update candle_gaps set timeframe = '1h'")
        platform.connection.execute(
            "insert into backfill_progress (exchange, symbol, timeframe, status, start_ts, end_ts)"
            " values (%s, %s, '1h', 'completed', %s, %s)",
            [KRAKEN, ETH.pair, minute_ago(240), minute_ago(30)],
        )
        assert platform.connection.execute(left).fetchall() == [(False,)], "the hours have had their turn"
        platform.connection.execute("delete from backfill_progress where timeframe = '1h'")
        platform.connection.execute("update backfill_progress set status = 'failed'")
        assert platform.connection.execute(left).fetchall() == [(False,)], "the minutes may never come"
    platform.connection.execute("update backfill_progress set published_ts = %s", [minute_ago(40)])
    platform.connection.execute(
        "insert into trade_gaps (exchange, pair, first_missing_id, last_missing_id, status)"
        " values (%s, %s, 1, 9, 'open')",
        [KRAKEN, ETH.pair],
    )
    assert platform.tick().run_requests == []
    platform.connection.execute("update trade_gaps set received_at = now() - interval '20 minutes'")
    assert len(platform.tick().run_requests) == 1


def test_a_cursor_of_an_earlier_version_keeps_its_attempts(platform: Platform) -> None:
    complete(platform)
    start = minute_ago(60)
    remove(platform, BTC, start, start + MANY * MINUTE)
    platform.cursor = json.dumps(
        {"attempt": 41, "asked": 0, "whole": minute_ago(5).timestamp(), "trades": 0, "told": 0}
    )
    (request,) = platform.tick().run_requests
    assert request.run_key == "heal:42", "Dagster never starts a second run of one key"


def test_runs_are_never_stacked_and_a_failure_makes_a_pause(platform: Platform) -> None:
    complete(platform)
    start = minute_ago(60)
    remove(platform, BTC, start, start + MANY * MINUTE)
    under_way = platform.instance.create_run_for_job(platform.job)
    assert platform.tick().run_requests == []
    platform.instance.report_run_failed(under_way)
    platform.cursor = json.dumps(json.loads(platform.cursor or "{}") | {"requested_at": minute_ago(5).timestamp()})
    assert platform.tick().run_requests == []
    platform.rest()
    assert len(platform.tick().run_requests) == 1


def test_an_exchange_that_is_away_is_left_alone_after_a_few_gaps(platform: Platform) -> None:
    rows = complete(platform)
    lost = [rows[one][number].window_start for one in (BTC, ETH) for number in (20, 60, 100, 140)]
    platform.connection.execute("delete from candles where window_start = any(%s)", [lost])

    class Away(SimulatedHistory):
        def closed_candles(self, *_asked: object) -> Any:
            self.asked.append(("", datetime.now(UTC), datetime.now(UTC)))
            raise TransientError("status 503")

    HISTORY.append(Away(KRAKEN, PAIRS))
    (request,) = platform.tick().run_requests
    numbers = platform.heal(request)["candle_gaps"]
    assert numbers["without an answer"] == numbers["gaps asked about"] == len(HISTORY[-1].asked) <= 3
    assert "status 503" in numbers["gaps"]
    assert {status for _missing, _label, status in platform.gaps(BTC)} == {"open"}


def test_once_a_day_the_whole_history_is_looked_at(platform: Platform) -> None:
    until = minute_ago(0) - timedelta(days=3)
    other = Series("elsewhere", "BTC/USD", Timeframe.M1)
    rows = platform.history.candles(BTC, until - timedelta(hours=3), until)
    copy(platform.connection, [row for row in rows if row is not rows[7]])
    elsewhere = [type(row)(**{name: getattr(row, name) for name in row.__struct_fields__} | {"exchange": "elsewhere"})
                 for row in rows if row is not rows[9]]  # fmt: skip
    copy(platform.connection, elsewhere)
    platform.tick()
    assert platform.gaps(other) == []
    platform.cursor = json.dumps(json.loads(platform.cursor or "{}") | {"whole": 0, "requested_at": 0})
    (request,) = platform.tick().run_requests
    numbers = platform.heal(request)["candle_gaps"]
    # A series that nobody collects ends with its newest candle.
    assert platform.gaps(other) == [(1, None, "open")]
    assert platform.gaps(BTC)[0] == (1, "lost_by_us", "healed")
    assert numbers["series looked at"] > len(PAIRS)
    platform.rest()
    assert all(not json.dumps(request.run_config).count("true") for request in platform.tick().run_requests)


def test_what_no_collector_keeps_current_is_not_missed_each_minute(platform: Platform) -> None:
    platform.connection.execute(
        "insert into crypto_configuration (exchange, pair) values ('elsewhere', 'BTC/USD'), (%s, 'NEW/USD')", [KRAKEN]
    )
    chosen = Series(KRAKEN, "NEW/USD", Timeframe.M1)
    wanted = configured_series(platform.connection, settings())
    assert chosen in wanted
    assert {one.exchange for one in wanted} == set(settings().exchanges)

    start = minute_ago(60)
    rows = [
        row for row in platform.history.candles(BTC, start, start + 30 * MINUTE) if row.window_start != minute_ago(50)
    ]
    copy(
        platform.connection,
        [
            type(row)(**{name: getattr(row, name) for name in row.__struct_fields__} | {"symbol": chosen.pair})
            for row in rows
        ],
    )
    platform.tick()
    assert platform.gaps(chosen) == []
    scan_everything(platform.connection, collected_series(settings()), minute_ago(2))
    assert platform.gaps(chosen) == [(1, None, "open")]


def test_a_database_that_is_away_or_slow_is_no_failure(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_asked: object) -> None:
        raise psycopg.OperationalError("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(sensors.gaps, "collected_series", refuse)
        assert "connection refused" in platform.tick().skip_message

    def slow(*_asked: object) -> None:
        platform.connection.execute("set statement_timeout = '1ms'; select pg_sleep(1)")

    monkeypatch.setattr(sensors.gaps, "scan_trades", slow)
    given_up = platform.tick()
    assert "a look took too long and was given up" in given_up.skip_message
    assert "statement timeout" in given_up.skip_message
    assert "looked in" in platform.tick().skip_message


class Mistaken(SimulatedHistory):
    """An exchange that gives something else for some candles than it should."""

    def __init__(self, says: Mapping[tuple[str, datetime], Row]) -> None:
        super().__init__(KRAKEN, PAIRS, rate=4)
        self.says = says

    def closed_candles(
        self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime
    ) -> Answer:
        answer = super().closed_candles(exchange, pair, timeframe, since, until)
        page = page_of([self.says.get((pair, row.window_start), row) for row in answer.rows], until)
        return replace(answer, rows=page.rows, impossible=page.impossible)


def due(platform: Platform) -> dg.RunRequest:
    """What the sensor asks for when everything that is missing is due."""
    platform.connection.execute("update candle_gaps set due_at = now() - interval '1 hour' where status = 'open'")
    platform.rest()
    (request,) = platform.tick().run_requests
    return request


def test_what_fails_the_gate_is_held_back_the_rest_healed_and_a_release_or_a_later_answer_heals_its_gap(
    platform: Platform,
) -> None:
    source = complete(platform)
    start = minute_ago(90)
    remove(platform, BTC, start, start + 8 * MINUTE)
    remove(platform, ETH, start, start + 3 * MINUTE)
    odd, spoilt, *_ = (row for row in source[BTC] if row.window_start >= start + 2 * MINUTE)
    [wild] = (row for row in source[ETH] if row.window_start == start + MINUTE)
    HISTORY.append(
        Mistaken(
            {
                (BTC.pair, odd.window_start): msgspec.structs.replace(odd, volume=Decimal(0), trade_count=7),
                (BTC.pair, spoilt.window_start): candle(
                    BTC, spoilt.window_start, (spoilt.open, spoilt.high, spoilt.high + 1, spoilt.close, Decimal(1), 1),
                    spoilt.received_at,
                ),
                (ETH.pair, wild.window_start): msgspec.structs.replace(wild, high=20 * wild.low),
            }
        )
    )  # fmt: skip
    platform.tick()
    for _ in range(2):
        numbers = platform.heal(due(platform))["candle_gaps"]
        # Whatever is held back, what depends on the gaps is told.
        assert platform.gate is not None
        assert (platform.gate.passed, platform.gate.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "volume_where_trades" in (platform.gate.description or "")
        assert "2 in quarantine |" in numbers["gaps"]
        assert numbers["candles held back"] == platform.gate.metadata["quarantined"].value == 2
        # Asked again: the exchange is not believed to have nothing there.
        assert platform.gaps(BTC) == [
            (2, "lost_by_us", "healed"),
            (1, None, "open"),
            (1, None, "open"),
            (4, "lost_by_us", "healed"),
        ]
        # One of three says nothing of the market: it is extreme, and may be true.
        assert platform.gaps(ETH) == [(3, "lost_by_us", "healed")]
    said = dict(
        platform.connection.execute("select gap_start, detail ->> 'reason' from candle_gaps where status = 'open'")
    )
    assert said[odd.window_start].startswith("in quarantine, volume_where_trades: Where the exchange counts trades")
    assert said[spoilt.window_start] == "open and close do not lie between low and high"
    held = platform.connection.execute(
        "select key, expectation, occurrences, origin ->> 'origin', id from quarantine order by key"
    ).fetchall()
    at = {
        (f"kraken|{series.pair}|1m|{row.window_start.isoformat()}", expectation, 2, "heal")
        for series, row, expectation in [
            (BTC, odd, "volume_where_trades"),
            (BTC, spoilt, "low_is_lowest"),
        ]
    }
    assert {row[:-1] for row in held} == at
    assert platform.connection.execute(
        "select asset, expectation, severity, unexpected_count from quality_results where not success"
        " and expectation <> 'no_jump' group by 1, 2, 3, 4 order by 1, 2"
    ).fetchall() == [
        ("history/candles_1m/kraken/BTC-USD", "low_is_lowest", "critical", 1),
        ("history/candles_1m/kraken/BTC-USD", "volume_where_trades", "critical", 1),
        ("history/candles_1m/kraken/ETH-USD", "one_market", "warning", 1),
    ]

    (number,) = (row[-1] for row in held if row[1] == "volume_where_trades")
    [refused] = release(platform.connection, [number], "somebody")
    assert not refused.done
    right = json.dumps({"volume": str(odd.volume), "trade_count": odd.trade_count})
    platform.connection.execute("update quarantine set payload = payload || %s where id = %s", [right, number])
    [released] = release(platform.connection, [number], "somebody")
    assert released.done
    assert platform.gaps(BTC)[1] == (1, "lost_by_us", "healed")
    assert stored(platform.connection, BTC) == [values(row) for row in source[BTC] if row is not spoilt]

    (number,) = (row[-1] for row in held if row[1] == "low_is_lowest")
    [discarded] = discard(platform.connection, [number], "somebody")
    assert discarded.done
    platform.heal(due(platform))
    kept = "select count(*) from quarantine where key like '%BTC%'"
    assert platform.connection.execute(kept).fetchall() == [(2,)], "it does not come back"
    assert platform.gaps(BTC)[2] == (1, "source_missing", "open")

    HISTORY.append(platform.history)
    platform.heal(due(platform))
    assert platform.gate.passed
    assert stored(platform.connection, BTC) == [values(row) for row in source[BTC]]
    extreme = msgspec.structs.replace(wild, high=20 * wild.low)
    assert stored(platform.connection, ETH) == [values(extreme if row is wild else row) for row in source[ETH]]
    waiting = "select count(*) from quarantine where released_at is null and discarded_at is null"
    assert platform.connection.execute(waiting).fetchall() == [(0,)], "a later answer passed"


def test_without_rows_nothing_is_judged_and_a_broken_gate_lets_nothing_through(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(platform)
    start = minute_ago(90)
    remove(platform, BTC, start, start + 5 * MINUTE)
    platform.history.lacks = {(BTC, start + number * MINUTE) for number in range(5)}

    def broken(*_asked: object, **_how: object) -> None:
        raise GateError("out of order")

    monkeypatch.setattr(engine, "evaluate", broken)
    platform.heal(platform.tick().run_requests[0])
    assert platform.gaps(BTC) == [(5, "source_missing", "open")]
    assert platform.gate is not None
    assert (platform.gate.passed, platform.gate.description) == (True, "nothing new to judge")

    platform.history.lacks = set()
    failed = platform.job.execute_in_process(
        instance=platform.instance, run_config=due(platform).run_config, raise_on_error=False
    )
    assert not failed.success
    (failure,) = (one for one in failed.get_step_failure_events() if one.step_key == "candle_gaps")
    assert "The gate itself failed, not the data: out of order" in str(failure.step_failure_data.user_failure_data)
    assert platform.gaps(BTC) == [(5, "source_missing", "open")]
    assert platform.connection.execute("select detail ->> 'reason' from candle_gaps").fetchall() == [
        ("the gate itself failed: out of order",)
    ]
    assert platform.connection.execute("select count(*) from quarantine").fetchall() == [(0,)]
