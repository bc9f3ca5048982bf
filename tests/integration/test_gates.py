"""Every check of the tables passes on sound rows and fails on rows planted to violate it, in a real database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from assets.candles import KEY, candles_daily_rebuild
from assets.gates import evaluate, gates, table_checks
from assets.keys import CHECKED
from assets.resources import Database, Sources
from assets.windows import MOST, WINDOWS, look
from cryptoviz.gate.report import GateReport, Severity
from cryptoviz.gate.table_rules import CheckVerdict
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from tests.conftest import UseSettings

pytestmark = pytest.mark.services

PAIRS = {"kraken": ["BTC/USD"], "binance": ["BTC/USDT"]}
TRADES = """insert into trade_data (timestamp, exchange, pair, trade_id, price, volume, side, received_at)
select at, exchange, pair, 100000 - id, 100 + id %% 5, 1, 'buy', at
from generate_series(0, %(count)s - 1) id,
     lateral (select %(until)s::timestamptz - id * interval '15 seconds') times (at),
     (values ('kraken', 'BTC/USD'), ('binance', 'BTC/USDT')) given (exchange, pair)"""
TICKERS = """
insert into ticker_data (timestamp, exchange, pair, last, bid, ask, volume_24h, pct_change, received_at)
select distinct on (exchange, pair) timestamp, exchange, pair, price, price, price, 1, 0, timestamp
from trade_data order by 2, 3, 1 desc
"""
CANDLES = """select refresh_candles(array_agg(exchange), array_agg(pair), array_agg(minute))
from (
    select distinct exchange, pair, date_trunc('minute', timestamp) from trade_data
) touched (exchange, pair, minute)"""
COPY = "insert into {0} select * from candles where timeframe = '1m'"
NEWEST_HOUR = "window_start > now() - interval '40 minutes' and window_end < now() - interval '10 minutes'"
GAP = "insert into candle_gaps (exchange, symbol, timeframe, gap_start, gap_end, missing,"
MISSING = "('kraken', 'BTC/USD', '1m', now() - interval '1 day', now() - interval '23 hours', 60"
CLOSED = (
    "timeframe = '1m' and window_end < now() - interval '3 minutes' and window_start > now() - interval '8 minutes'"
)


class SilentSources(Sources):
    """Sources that do not count."""

    def sent(self) -> dict[tuple[str, str], int]:
        return {}


def configured(database: Settings) -> Settings:
    return database.model_copy(update={f"{name}_pairs": pairs for name, pairs in PAIRS.items()})


@pytest.fixture
def sound(database: Settings, use_settings: UseSettings) -> Settings:
    """Three hours of trades every 15 seconds up to now, with their candles."""
    settings = configured(database)
    with connect(Role.OWNER, settings, autocommit=True) as owner:
        owner.execute(TRADES, {"until": datetime.now(UTC), "count": 3 * 240})
        owner.execute(TICKERS)
        owner.execute(CANDLES)
        owner.execute("select close_candles()")
        owner.execute(COPY.format("exchange_candles"))  # type: ignore[arg-type]
    return use_settings(settings)


def verdicts(settings: Settings, sent: Mapping[tuple[str, str], int] | None = None) -> dict[str, CheckVerdict]:
    with connect(Role.READER, settings, autocommit=True) as reader:
        return {
            f"{gate.table}.{gate.name}": evaluate(gate, reader, datetime.now(UTC))
            for gate in gates(settings, lambda: sent or {})
        }


def failed(found: Mapping[str, CheckVerdict]) -> dict[str, bool]:
    """The checks that failed -> whether as an error."""
    return {name: verdict.severe for name, verdict in found.items() if not verdict.passed}


def plant(settings: Settings, *statements: str) -> None:
    with connect(Role.OWNER, settings, autocommit=True) as owner:
        for statement in statements:
            assert owner.execute(statement).rowcount, f"nothing planted by {statement}"  # type: ignore[arg-type]


def test_sound_rows_pass_every_check_and_were_looked_at(sound: Settings) -> None:
    found = verdicts(sound, {("kraken", "BTC/USD"): 100_000})
    assert failed(found) == {}
    assert found["trade_data.unique"].numbers["trades"] == pytest.approx(480, abs=4)
    assert found["trade_data.sent_equals_stored"].numbers["stored"] == pytest.approx(476, abs=6)
    assert found["candles.possible"].numbers["candles"] > 360
    assert found["exchange_candles.possible"].numbers["candles"] >= 360
    assert found["candles.closed"].numbers["minutes"] >= 116
    assert found["candles.wholes_equal_parts"].numbers["candles"] >= 60
    assert found["candles.equal_trades"].numbers["candles"] == 20
    assert found["candles.no_jumps"].numbers["candles"] >= 118
    assert len(found["trade_data.fresh"].rows) == 2


ERROR, WARNING = True, False


@pytest.mark.parametrize(
    ("check", "severe", "statements"),
    [
        (
            "trade_data.fresh",
            ERROR,
            ["delete from trade_data where exchange = 'kraken' and timestamp > now() - interval '11 minutes'"],
        ),
        (
            "trade_data.fresh",
            WARNING,
            ["delete from trade_data where exchange = 'kraken' and timestamp > now() - interval '3 minutes'"],
        ),
        ("ticker_data.fresh", ERROR, ["delete from ticker_data where exchange = 'binance'"]),
        (
            "trade_data.unique",
            ERROR,
            [
                "insert into trade_data select timestamp + interval '1 microsecond', exchange, pair, trade_id, price, "
                "volume, side from trade_data where trade_id = 99990"
            ],
        ),
        (
            "trade_data.sent_equals_stored",
            ERROR,
            ["delete from trade_data where trade_id between 99900 and 99904 and exchange = 'kraken'"],
        ),
        (
            "trade_data.sent_equals_stored",
            WARNING,
            [
                "delete from trade_data where trade_id between 99900 and 99904 and exchange = 'kraken'",
                "insert into trade_gaps (exchange, pair, first_missing_id, last_missing_id, status) "
                "values ('kraken', 'BTC/USD', 99900, 99904, 'healing')",
            ],
        ),
        (
            "trade_gaps.healed",
            ERROR,
            [
                "insert into trade_gaps (exchange, pair, first_missing_id, last_missing_id, status, detected_at) "
                "values ('kraken', 'BTC/USD', 1, 5, 'failed', now() - interval '2 hours')"
            ],
        ),
        (
            "trade_gaps.healed",
            WARNING,
            [
                "insert into trade_gaps (exchange, pair, first_missing_id, last_missing_id, detected_at) "
                "values ('kraken', 'BTC/USD', 1, 5, now() - interval '20 minutes')"
            ],
        ),
        (
            "exchange_candles.possible",
            ERROR,
            [f"update exchange_candles set high = low, close = low * 2 where {NEWEST_HOUR}"],
        ),
        (
            "candles.possible",
            ERROR,
            [
                "update candles set window_end = window_end + interval '1 minute' where timeframe = '1m' "
                f"and {NEWEST_HOUR}"
            ],
        ),
        (
            "candles.no_jumps",
            WARNING,
            [f"update candles set close = close * 1.2, high = high * 2 where {CLOSED} and exchange = 'kraken'"],
        ),
        ("candles.closed", ERROR, [f"update candles set closed = false where timeframe = '1m' and {NEWEST_HOUR}"]),
        ("candles.closed", ERROR, [f"delete from candles where timeframe = '1m' and {NEWEST_HOUR}"]),
        (
            "candles.wholes_equal_parts",
            ERROR,
            [f"update candles set volume = volume + 1 where timeframe = '15m' and {NEWEST_HOUR}"],
        ),
        (
            "candles.fetched_equals_streamed",
            WARNING,
            [
                "insert into candle_differences select window_start, exchange, symbol, timeframe, open, high, low, "
                "close, volume, trade_count, open, high, low, close, volume + 1, trade_count, 'unexplained', '{}', "
                "now(), now() from candles where timeframe = '1h' limit 1"
            ],
        ),
        (
            "completeness.explained",
            ERROR,
            [f"{GAP} detected_at) values {MISSING}, now() - interval '2 hours')"],
        ),
        (
            "completeness.explained",
            WARNING,
            [f"{GAP} detected_at) values {MISSING}, now() - interval '20 minutes')"],
        ),
        (
            "completeness.nothing_lost",
            WARNING,
            [
                f"{GAP} label) values {MISSING}, 'lost_by_us')",
            ],
        ),
        ("candles.equal_trades", ERROR, [f"update candles set volume = volume + 1 where {CLOSED}"]),
        ("candles.equal_trades", ERROR, [f"delete from candles where {CLOSED}"]),
    ],
)
def test_planted_rows_are_found(sound: Settings, check: str, severe: bool, statements: list[str]) -> None:
    with connect(Role.OWNER, sound, autocommit=True) as owner:
        for table in ("candles", "exchange_candles"):
            owner.execute(f"alter table {table} drop constraint {table}_check1")  # type: ignore[arg-type]
    plant(sound, *statements)
    found = verdicts(sound)
    assert failed(found).get(check) == severe
    assert found[check].words


def test_what_the_source_sent_last_must_be_stored(sound: Settings) -> None:
    sent = {("kraken", "BTC/USD"): 100_007}
    assert failed(verdicts(sound, sent)) == {}, "what was sent just now may be under way"
    plant(sound, "delete from trade_data where timestamp > now() - interval '90 seconds'")
    found = verdicts(sound, sent)["trade_data.sent_equals_stored"]
    assert not found.passed
    assert found.severe
    assert found.numbers["outstanding"] >= 7


def test_an_explained_gap_is_no_fault(sound: Settings) -> None:
    plant(
        sound,
        "delete from trade_data where trade_id between 99900 and 99904 and exchange = 'kraken'",
        "insert into trade_gaps (exchange, pair, first_missing_id, last_missing_id, label, status, healed_at) "
        "values ('kraken', 'BTC/USD', 99900, 99904, 'source_missing', 'explained', now())",
    )
    assert verdicts(sound)["trade_data.sent_equals_stored"].passed


def test_candles_from_rest_are_not_held_against_the_trades(sound: Settings) -> None:
    plant(sound, f"update candles set volume = volume + 1, source = 'rest' where {CLOSED}")
    assert verdicts(sound)["candles.equal_trades"].passed


def looked(settings: Settings) -> dict[str, GateReport]:
    with connect(Role.WRITER, settings, autocommit=True) as writer:
        return {window.table: look(window, writer, settings, "run") for window in WINDOWS}


def test_the_recent_rows_of_every_table_meet_their_suite_and_few_enough_are_read(sound: Settings) -> None:
    found = looked(sound)
    assert {table: [one.name for one in report.failed] for table, report in found.items()} == {
        "ticker_data": [], "trade_data": [], "candles": [], "alert_data": ["has_rows"],
    }  # fmt: skip
    assert found["trade_data"].counts.staged == pytest.approx(80, abs=2)
    assert 2 * 25 <= found["candles"].counts.staged <= 2 * MOST
    assert not found["alert_data"].blocked, "a quiet day is worth a look, no more"
    with connect(Role.READER, sound) as reader:
        written = reader.execute("select asset, count(*) from quality_results where run = 'run' group by 1").fetchall()
        assert dict(written).keys() == found.keys()
        assert reader.execute("select count(*) from quality_documents").fetchone() == (4,)


def test_recent_rows_that_violate_their_suite_fail_the_check(sound: Settings) -> None:
    plant(
        sound,
        "update trade_data set price = 1000 where trade_id = 99995",
        "insert into alert_data (timestamp, exchange, pair, alert_type, last_price, change_percent, threshold)"
        " values (now(), 'kraken', 'BTC/USD', 'price_up', 100, -0.7, 0.5)",
        "update ticker_data set pct_change = -200",
    )
    found = looked(sound)
    assert [(one.name, one.unexpected_count) for one in found["trade_data"].failed] == [("price_near_market", 2)]
    assert found["trade_data"].failed[0].severity is Severity.WARNING, "two of eighty say nothing of the others"
    assert not found["trade_data"].blocked
    assert found["ticker_data"].blocked
    assert found["trade_data"].results[-2].examples[0]["price_to_median"] == pytest.approx(9.8, abs=0.3)
    assert [one.name for one in found["alert_data"].failed] == ["type_fits_move"]


def test_empty_tables_never_pass(database: Settings) -> None:
    found = looked(configured(database))
    assert all([one.name for one in report.failed] == ["has_rows"] for report in found.values())


def test_one_run_judges_all_tables_and_a_selection_only_what_was_asked(sound: Settings) -> None:
    plant(sound, f"update candles set volume = volume + 1 where {CLOSED}")
    checks = table_checks(sound)
    nodes = [dg.AssetSpec(name) for name in CHECKED]
    resources = {"database": Database(), "sources": SilentSources()}
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize(
            [*nodes, checks],
            instance=instance,
            resources=resources,
            selection=dg.AssetSelection.all_asset_checks(),
            raise_on_error=False,
        )
        assert not run.success, "a blocking check that fails must not go unnoticed"
        results = {(one.asset_key.to_user_string(), one.check_name): one for one in run.get_asset_check_evaluations()}
        windows = {(window.table, "expectations") for window in WINDOWS}
        assert results.keys() == {(gate.table, gate.name) for gate in gates(sound, dict)} | windows
        bad = results["candles", "equal_trades"]
        assert (bad.passed, bad.severity, bad.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
        assert bad.metadata["differing"].value > 0
        assert isinstance(bad.metadata["rows"], dg.TableMetadataValue)
        one = dg.materialize(
            [*nodes, checks],
            instance=instance,
            resources=resources,
            selection=dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("candles"), "closed")),
        )
        assert [found.check_name for found in one.get_asset_check_evaluations()] == ["closed"]


def test_verdicts_stand_while_the_tables_are_reported_and_let_dependents_react(sound: Settings) -> None:
    checks, rebuilt = table_checks(sound), candles_daily_rebuild(sound, date(2026, 11, 21))
    definitions = dg.Definitions(
        assets=[*(dg.AssetSpec(name) for name in CHECKED), rebuilt],
        asset_checks=[checks],
        resources={"database": Database(), "sources": SilentSources()},
    )
    trades = dg.AssetKey("trade_data")
    blocking = [gate.key for gate in gates(sound, dict) if gate.table == "trade_data" and gate.blocking]
    with dg.DagsterInstance.ephemeral() as instance:

        def judge() -> None:
            job = definitions.resolve_implicit_global_asset_job_def()
            selected = [gate.key for gate in gates(sound, dict)] + [window.key for window in WINDOWS]
            job.get_subset(asset_selection=set(), asset_check_selection=set(selected)).execute_in_process(
                instance=instance, raise_on_error=False
            )
            instance.report_runless_asset_event(dg.AssetMaterialization(trades))

        def requested(cursor: Any, at: datetime) -> Any:
            return dg.evaluate_automation_conditions(
                definitions, instance, asset_selection=dg.AssetSelection.assets(KEY), cursor=cursor, evaluation_time=at
            )

        instance.report_runless_asset_event(dg.AssetMaterialization(trades))
        judge()
        records = [instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key] for key in blocking]
        latest = instance.get_latest_materialization_event(trades)
        assert latest is not None
        assert {record.run_id for record in records} == {latest.run_id}

        before = requested(None, datetime(2026, 11, 21, 23, 59, tzinfo=UTC))
        assert before.total_requested == 0, "only days that end from now on are rebuilt by themselves"
        after = requested(before.cursor, datetime(2026, 11, 22, 0, 1, tzinfo=UTC))
        assert after.total_requested == 1, "yesterday"

        plant(sound, "delete from trade_data where trade_id between 99900 and 99904 and exchange = 'kraken'")
        judge()
        held = requested(before.cursor, datetime(2026, 11, 22, 0, 1, tzinfo=UTC))
        assert held.total_requested == 0, "a failing blocking check of the trades holds the rebuild back"


DAY = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def yesterday(database: Settings, use_settings: UseSettings) -> Settings:
    """One whole day of trades, and a minute of the days beside it, with their candles."""
    settings = configured(database)
    with connect(Role.OWNER, settings, autocommit=True) as owner:
        owner.execute(TRADES, {"until": DAY + timedelta(days=1, seconds=15), "count": 24 * 240 + 3})
        owner.execute(CANDLES)
    return use_settings(settings)


def rerun(settings: Settings, partition: str) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [dg.AssetSpec("trade_data"), candles_daily_rebuild(settings, date(2026, 11, 21))],
            selection=dg.AssetSelection.assets(KEY),
            instance=instance,
            partition_key=partition,
            resources={"database": Database()},
            raise_on_error=False,
        )


def candles(settings: Settings) -> list[tuple[Any, ...]]:
    with connect(Role.READER, settings) as reader:
        return reader.execute(
            "select window_start, exchange, timeframe, open, high, low, close, volume, trade_count, closed, source "
            "from candles order by 1, 2, 3"
        ).fetchall()


def numbers(run: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = run.asset_materializations_for_node("candles_daily_rebuild")
    return {name: value.value for name, value in event.metadata.items()}


def test_a_day_is_rebuilt_and_tells_what_it_found(yesterday: Settings) -> None:
    sound = candles(yesterday)
    plant(
        yesterday,
        "update candles set volume = 99 where exchange = 'kraken' and timeframe = '1m' "
        "and window_start between '2026-11-20 05:00Z' and '2026-11-20 05:02Z'",
        "delete from candles where exchange = 'kraken' and timeframe in ('1m', '5m') "
        "and window_start between '2026-11-20 06:00Z' and '2026-11-20 06:01Z'",
    )
    run = rerun(yesterday, "2026-11-20")
    assert run.success
    assert candles(yesterday) == sound
    told = numbers(run)
    assert (told["differences found"], told["differences left"]) == (5, 0)
    assert (told["rows written 1m"], told["rows written 5m"]) == (5, 1)
    assert told["trades"] == 2 * 24 * 240
    assert told["dagster/row_count"] == 2 * (1440 + 288 + 96 + 24 + 1)
    assert told["exchanges left as they are"] == 0
    assert numbers(rerun(yesterday, "2026-11-20"))["rows written"] == 0


def test_candles_over_rest_are_left_alone(yesterday: Settings) -> None:
    plant(
        yesterday,
        "update candles set volume = 7, source = 'rest' where exchange = 'kraken' and timeframe = '1m' "
        "and window_start = '2026-11-20 05:00Z'",
    )
    told = numbers(rerun(yesterday, "2026-11-20"))
    assert told["candles over REST, left alone"] == 1
    assert told["differences found"] == 0
    assert (datetime(2026, 11, 20, 5, tzinfo=UTC), 7, "rest") in [
        (row[0], row[7], row[10]) for row in candles(yesterday)
    ]


def warned(run: dg.ExecuteInProcessResult) -> str:
    """Why a run that succeeded changed nothing: its check warns of it, its metadata say the same."""
    assert run.success
    (check,) = run.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    told = numbers(run)
    assert (told["rows written"], told["exchanges left as they are"]) == (0, 2)
    assert "dagster/row_count" not in told, "the candles that stay were not counted"
    assert check.description == f"kraken: {told['why not kraken']}; binance: {told['why not binance']}"
    return str(check.description)


def test_a_day_whose_trades_are_gone_keeps_its_candles_and_succeeds_with_a_warning(yesterday: Settings) -> None:
    before = candles(yesterday)
    assert "its trades are not stored (the oldest is of 2026-11-19 23:59 UTC)" in warned(rerun(yesterday, "2026-11-18"))
    plant(yesterday, "delete from trade_data where timestamp between '2026-11-20 03:00Z' and '2026-11-20 04:00Z'")
    assert "no longer stored: BTC/USD: 60 minutes, the first 2026-11-20 03:0" in warned(rerun(yesterday, "2026-11-20"))
    plant(yesterday, "truncate trade_data")
    assert "no trade is stored at all" in warned(rerun(yesterday, "2026-11-20"))
    assert candles(yesterday) == before


def test_an_exchange_without_trades_does_not_hold_up_the_other(yesterday: Settings) -> None:
    plant(
        yesterday,
        "delete from trade_data where exchange = 'binance'",
        "update candles set volume = 99 where exchange = 'kraken' and timeframe = '1m' "
        "and window_start = '2026-11-20 05:00Z'",
    )
    told = numbers(rerun(yesterday, "2026-11-20"))
    assert (told["differences found"], told["rows written 1m"], told["exchanges left as they are"]) == (1, 1, 1)
    assert told["why not binance"] == "no trade is stored at all. Start the collector first."
