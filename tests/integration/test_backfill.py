"""The configured history is fetched, whatever happens meanwhile: the six cases, and whoever is killed."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from cryptoviz.backfill import fetch_run
from cryptoviz.backfill.due import due
from cryptoviz.backfill.fetch import fetch
from cryptoviz.backfill.fetch_run import Fetched, FetchRun, SeriesBusyError, claimed
from cryptoviz.backfill.run import backfill
from cryptoviz.backfill.states import keep_history, state, states
from cryptoviz.exchanges.candles import candle, page_of
from cryptoviz.exchanges.history import Answer, Page, Row
from cryptoviz.gaps.healing import heal_candles
from cryptoviz.gaps.healing_run import HealingRun
from cryptoviz.gaps.rulings import CONFIRMED
from cryptoviz.gaps.tables import record_candle_gaps
from cryptoviz.pairs import Series, Timeframe, floor
from cryptoviz.quarantine import release
from cryptoviz.records import Candle
from cryptoviz.remote.errors import PermanentError, TransientError
from cryptoviz.settings import PROJECT_ROOT, Mode, Role, Settings
from cryptoviz.storage.database import connect
from tests.conftest import Cluster
from tests.integration import backfill_worker
from tests.integration.simulated_history import SimulatedHistory, stored, values

pytestmark = [pytest.mark.services, pytest.mark.slow]

NOW = datetime.now(UTC)
MINUTE = Timeframe.M1.length


@pytest.fixture
def database(module_database: Settings) -> Settings:
    """One database for all tests of this file: each has a series of its own."""
    return module_database


class Source(SimulatedHistory):
    """A simulated exchange that breaks off after some pages, or says something else than it should."""

    def __init__(self, pair: str) -> None:
        super().__init__("binance", [pair], rate=0.05)
        self.page = 500
        self.breaks_after: tuple[int, Exception] | None = None
        self.says: Callable[[Candle], Candle] = lambda row: row
        self.spoils: set[datetime] = set()

    def closed_candles(
        self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime
    ) -> Answer:
        answer, series = (
            super().closed_candles(exchange, pair, timeframe, since, until),
            Series(exchange, pair, timeframe),
        )
        given = [self._spoilt(series, row) for row in answer.rows]
        page = page_of(given, until)
        return replace(answer, rows=page.rows, impossible=page.impossible)

    def _spoilt(self, series: Series, row: Candle) -> Row:
        if row.window_start not in self.spoils:
            return row
        figures = (row.open, row.high, row.open + 1, row.close, row.volume, row.trade_count)
        return candle(series, row.window_start, figures, row.received_at)

    def pages(self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime) -> Iterator[Page]:
        for number, page in enumerate(super().pages(exchange, pair, timeframe, since, until)):
            if self.breaks_after is not None and number == self.breaks_after[0]:
                raise self.breaks_after[1]
            yield replace(page, rows=[self.says(row) for row in page.rows])


def wanted(settings: Settings, history: str) -> Settings:
    return settings.model_copy(update={"mode": Mode.LIVE, "history": history, "binance_history": ""})


def minutes(pair: str) -> tuple[Series, Source]:
    return Series("binance", pair, Timeframe.M1), Source(pair)


def bring(
    connection: psycopg.Connection[Any], settings: Settings, source: Source, series: Series, **more: Any
) -> Fetched:
    done = backfill(FetchRun(connection, settings, source, "run", **more), series)
    assert done is not None
    return done


def progress(connection: psycopg.Connection[Any], series: Series) -> dict[str, Any]:
    from psycopg.rows import dict_row  # noqa: PLC0415 - only here

    found = connection.cursor(row_factory=dict_row).execute(
        "select * from backfill_progress where exchange = %s and symbol = %s and timeframe = %s",
        [series.exchange, series.pair, series.timeframe.value],
    )
    return dict(found.fetchone() or {})


def complete(connection: psycopg.Connection[Any], source: Source, series: Series) -> list[tuple[Any, ...]]:
    """What is stored of a series, after a look that it is what the source has, with nothing missing in between."""
    have = stored(connection, series)
    assert have == [values(row) for row in source.candles(series, have[0][0], have[-1][1])]
    return have


def its_time(connection: psycopg.Connection[Any], series: Series) -> datetime:
    """Now, when what failed may be tried again."""
    connection.execute("update backfill_progress set due_at = now() where symbol = %s", [series.pair])
    return datetime.now(UTC)


def staged(connection: psycopg.Connection[Any], series: Series) -> int:
    [count] = connection.execute("select count(*) from staged_candles where symbol = %s", [series.pair]).fetchone() or [
        0
    ]
    return int(count)


def missing(connection: psycopg.Connection[Any], series: Series) -> Sequence[tuple[Any, ...]]:
    return connection.execute(
        "select timeframe, gap_start, gap_end, label, status from candle_gaps where exchange = %s and symbol = %s",
        [series.exchange, series.pair],
    ).fetchall()


def test_a_fresh_installation_gets_all_of_it(database: Settings, writer: psycopg.Connection[Any]) -> None:
    series, source = minutes("BTC/USDT")
    settings = wanted(database, "1m:2d")
    record_candle_gaps(writer, series, NOW - timedelta(days=2), NOW)
    done = bring(writer, settings, source, series)
    have = complete(writer, source, series)
    assert done.complete
    assert done.rows == len(have) == 2880 - 1 or len(have) == 2880
    assert have[-1][1] >= NOW - timedelta(seconds=70)
    row = progress(writer, series)
    assert (row["status"], row["total_candles"], row["processed_candles"]) == ("completed", len(have), len(have))
    assert row["start_ts"] == have[0][0]
    assert row["current_position_ts"] == row["end_ts"] == have[-1][1]
    assert progress(writer, Series("binance", "BTC/USDT", Timeframe.M15))["status"] == "completed"
    assert staged(writer, series) == 0
    assert not missing(writer, series), "what was never there was not lost"
    [whole] = writer.execute(
        "select count(*) from all_candles where symbol = 'BTC/USDT' and timeframe = '5m'"
    ).fetchone()  # type: ignore[misc]
    assert whole >= 2880 // 5 - 1
    results = writer.execute(
        "select count(*), bool_and(success) from quality_results where asset = 'history/candles_1m/binance/BTC-USDT'"
    ).fetchone()
    assert results == (14, True)


def test_an_active_stream_starts_nothing(database: Settings, writer: psycopg.Connection[Any]) -> None:
    series, source = minutes("ETH/USDT")
    settings = wanted(database, "1m:1d")
    bring(writer, settings, source, series)
    source.asked.clear()
    later = FetchRun(writer, settings, source, "run", clock=lambda: datetime.now(UTC) + timedelta(seconds=110))
    assert backfill(later, series) is None
    assert not source.asked


def test_an_hour_without_the_platform_is_found_and_filled(database: Settings, writer: psycopg.Connection[Any]) -> None:
    series, source = minutes("SOL/USDT")
    settings = wanted(database, "1m:1d")
    bring(writer, settings, source, series)
    down = floor(NOW, Timeframe.M1) - timedelta(hours=3)
    writer.execute(
        "delete from candles where symbol = 'SOL/USDT' and window_start >= %s and window_end <= %s",
        [down, down + timedelta(hours=1)],
    )
    assert due(state(writer, settings, series), datetime.now(UTC)) is None, "it is no history that is yet to come"
    record_candle_gaps(writer, series, down - timedelta(hours=1), NOW)
    list(heal_candles(HealingRun(writer, source), ["binance"]))
    complete(writer, source, series)
    gaps = [row for row in missing(writer, series) if row[0] == "1m"]
    assert sum((end - start for _, start, end, *_ in gaps), timedelta()) == timedelta(hours=1)
    assert {status for *_, status in gaps} == {"healed"}


def test_of_an_extended_history_only_the_older_part_is_fetched(
    database: Settings, writer: psycopg.Connection[Any]
) -> None:
    series, source = Series("binance", "ADA/USDT", Timeframe.D1), Source("ADA/USDT")
    bring(writer, wanted(database, "1d:40d"), source, series)
    before = progress(writer, series)
    source.asked.clear()
    done = bring(writer, wanted(database, "1d:365d"), source, series)
    assert done.complete
    assert max(until for what, _since, until in source.asked if not what.endswith("first")) == before["start_ts"]
    have = complete(writer, source, series)
    assert len(have) == 364
    row = progress(writer, series)
    assert (row["status"], row["end_ts"], row["covered_from"]) == ("completed", before["end_ts"], None)
    assert row["start_ts"] == have[0][0]
    assert row["processed_candles"] == row["total_candles"] == len(have)
    assert backfill(FetchRun(writer, wanted(database, "1d:365d"), source, "run"), series) is None


def test_an_extended_history_that_gets_no_answer_stays_complete_until_its_older_part_has_begun(
    database: Settings, writer: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    series, source = Series("binance", "NEAR/USDT", Timeframe.D1), Source("NEAR/USDT")
    source.first = floor(NOW, Timeframe.D1) - timedelta(days=60)
    bring(writer, wanted(database, "1d:40d"), source, series)
    before = progress(writer, series)

    def away(*_asked: object) -> None:
        raise TransientError("it is away")

    settings = wanted(database, "1d:all")
    with monkeypatch.context() as patched:
        patched.setattr(source, "first_candle", away)
        assert bring(writer, settings, source, series).reason == "it is away"
    row = progress(writer, series)
    assert (row["status"], row["error_message"], row["attempts"]) == ("completed", "it is away", 1)
    assert backfill(FetchRun(writer, settings, source, "run"), series) is None, "not before it is time"
    its_time(writer, series)
    source.asked.clear()
    assert bring(writer, settings, source, series).complete
    assert max(until for what, _since, until in source.asked if not what.endswith("first")) == before["start_ts"]
    row = progress(writer, series)
    assert (row["start_ts"], row["end_ts"], row["error_message"]) == (source.first, before["end_ts"], None)
    complete(writer, source, series)


def test_a_failure_is_tried_again_at_growing_distance(database: Settings, writer: psycopg.Connection[Any]) -> None:
    series, source = minutes("XRP/USDT")
    settings = wanted(database, "1m:2d")
    source.breaks_after = (2, TransientError("it is away"))
    done = bring(writer, settings, source, series)
    assert (done.complete, done.reason, done.pages) == (False, "it is away", 2)
    row = progress(writer, series)
    assert (row["status"], row["error_message"], row["attempts"]) == ("failed", "it is away", 1)
    assert row["current_position_ts"] == row["published_ts"] == row["start_ts"] + 1000 * MINUTE
    assert len(complete(writer, source, series)) == 1000, "what came before is published"

    source.breaks_after = (0, TransientError("it is away"))
    assert backfill(FetchRun(writer, settings, source, "run"), series) is None, "not before it is time"
    distances = []
    for attempt in (2, 3):
        tried_at = its_time(writer, series)
        bring(writer, settings, source, series)
        row = progress(writer, series)
        assert row["attempts"] == attempt
        distances.append(row["due_at"] - tried_at)
    assert distances[0] >= timedelta(minutes=5)
    assert distances[1] >= timedelta(minutes=30)

    source.breaks_after = (0, TransientError("it is away", retry_after=86_400))
    tried_at = its_time(writer, series)
    bring(writer, settings, source, series)
    assert progress(writer, series)["due_at"] >= tried_at + timedelta(days=1), "no earlier than the exchange asks for"

    source.breaks_after = None
    source.asked.clear()
    its_time(writer, series)
    assert bring(writer, settings, source, series).complete
    assert min(since for _, since, _ in source.asked) == row["current_position_ts"]
    complete(writer, source, series)


def test_what_is_refused_is_asked_again_every_day(database: Settings, writer: psycopg.Connection[Any]) -> None:
    series, source = minutes("DOT/USDT")
    source.breaks_after = (0, PermanentError("no such pair"))
    before = datetime.now(UTC)
    done = bring(writer, wanted(database, "1m:1d"), source, series)
    row = progress(writer, series)
    assert (done.reason, row["status"], row["error_message"]) == ("no such pair", "failed", "no such pair")
    assert row["due_at"] >= before + timedelta(days=1)


def test_what_was_left_in_progress_goes_on_at_the_exact_position(
    database: Settings, writer: psycopg.Connection[Any]
) -> None:
    series, source = minutes("LTC/USDT")
    settings = wanted(database, "1m:2d")
    source.breaks_after = (3, KeyboardInterrupt())  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        bring(writer, settings, source, series)
    row = progress(writer, series)
    assert (row["status"], row["processed_candles"]) == ("in_progress", 1500)
    assert row["current_position_ts"] == row["start_ts"] + 1500 * MINUTE
    assert (staged(writer, series), stored(writer, series)) == (1500, [])
    source.breaks_after = None
    source.asked.clear()
    assert bring(writer, settings, source, series).complete
    assert min(since for what, since, _ in source.asked if not what.endswith("first")) == row["current_position_ts"]
    complete(writer, source, series)


def test_two_never_work_on_one_series(
    database: Settings, writer: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_run, "LOCK_PATIENCE", timedelta(seconds=1))
    series, source = minutes("DOGE/USDT")
    settings = wanted(database, "1m:1d")
    with (
        claimed(writer, series),
        connect(Role.WRITER, database, autocommit=True) as other,
        pytest.raises(SeriesBusyError, match=r"another run is at work on binance DOGE/USDT 1m"),
    ):
        backfill(FetchRun(other, settings, source, "run"), series)
    assert not source.asked


def test_time_that_is_up_leaves_the_rest_to_the_next_run(database: Settings, writer: psycopg.Connection[Any]) -> None:
    series, source = minutes("UNI/USDT")
    settings = wanted(database, "1m:2d")
    done = bring(writer, settings, source, series, until=NOW)
    assert (done.complete, done.reason, done.pages) == (False, "out of time", 1)
    assert progress(writer, series)["status"] == "in_progress"
    assert len(complete(writer, source, series)) == 500
    assert bring(writer, settings, source, series).complete


def test_nothing_is_asked_for_that_was_before_the_listing(database: Settings, writer: psycopg.Connection[Any]) -> None:
    series, source = minutes("ARB/USDT")
    days = Series("binance", "ARB/USDT", Timeframe.D1)
    source.first = floor(NOW, Timeframe.D1) - timedelta(days=3)
    writer.execute("insert into instruments (exchange, pair, status) values ('binance', 'ARB/USDT', 'online')")
    assert bring(writer, wanted(database, "1d:all"), source, days).since == source.first
    [listed] = writer.execute("select listed_from from instruments where pair = 'ARB/USDT'").fetchone() or [None]
    assert listed == source.first, "it is written down"
    source.asked.clear()
    bring(writer, wanted(database, "1m:1d"), source, series)
    assert not [what for what, _, _ in source.asked if what.endswith("first")], "and nobody asks once more"
    done = bring(writer, wanted(database, "1m:10d"), source, series)
    assert done.since == source.first
    assert backfill(FetchRun(writer, wanted(database, "1m:20d"), source, "run"), series) is None, (
        "there is nothing older"
    )
    assert len(complete(writer, source, series)) >= 3 * 1440
    assert not missing(writer, series)


def test_where_the_exchange_says_that_nobody_traded_nothing_is_missing(
    database: Settings, writer: psycopg.Connection[Any]
) -> None:
    series, source = minutes("BCH/USDT")
    source.omits_empty = True
    bring(writer, wanted(database, "1m:1d"), source, series)
    found = [row for row in missing(writer, series) if row[0] == "1m"]
    assert found
    assert {row[3:] for row in found} == {("no_trades", "explained")}


def test_a_row_that_fails_is_held_back_and_the_rest_published(
    database: Settings, writer: psycopg.Connection[Any]
) -> None:
    series, source = minutes("LINK/USDT")
    at = floor(NOW, Timeframe.M1) - timedelta(hours=5)
    source.says = lambda row: (
        msgspec.structs.replace(row, volume=Decimal(0), trade_count=7) if row.window_start == at else row
    )
    done = bring(writer, wanted(database, "1m:1d"), source, series)
    assert done.complete
    assert [report.counts.quarantined for report in done.reports if report.counts.quarantined] == [1]
    assert at not in {row[0] for row in stored(writer, series)}
    [number, expectation, reason, key] = (
        writer.execute(
            "select id, expectation, reason, key from quarantine where payload ->> 'symbol' = %s",
            ["LINK/USDT"],
        ).fetchone()
        or [None] * 4
    )
    assert expectation == "volume_where_trades"
    assert "Where the exchange counts trades" in str(reason)
    assert key == f"binance|LINK/USDT|1m|{at.isoformat()}"
    assert ("1m", at, at + MINUTE, None, "open") in missing(writer, series), "it is missing until somebody decides"
    [refused] = release(writer, [int(str(number))], "somebody")
    assert not refused.done
    writer.execute("update quarantine set payload = payload || '{\"trade_count\": 0}' where id = %s", [number])
    [released] = release(writer, [int(str(number))], "somebody")
    assert released.done
    assert at in {row[0] for row in stored(writer, series)}
    assert {row[4] for row in missing(writer, series)} == {"healed"}


def test_what_no_candle_can_be_is_held_back_and_is_not_taken_for_missing(
    database: Settings, writer: psycopg.Connection[Any]
) -> None:
    series, source = minutes("OP/USDT")
    at = floor(NOW, Timeframe.M1) - timedelta(hours=5)
    source.spoils = {at}
    assert bring(writer, wanted(database, "1m:1d"), source, series).complete
    held = writer.execute(
        "select expectation, payload ->> 'window_start', (payload ->> 'low')::numeric > (payload ->> 'open')::numeric"
        " from quarantine where payload ->> 'symbol' = 'OP/USDT'"
    ).fetchall()
    assert [(name, datetime.fromisoformat(start), above) for name, start, above in held] == [
        ("low_is_lowest", at, True)
    ]
    starts = {row[0] for row in stored(writer, series)}
    assert at not in starts
    assert {at - MINUTE, at + MINUTE} <= starts
    told = (
        "select gap_start, gap_end, label, status, detail ->> 'reason' from candle_gaps"
        " where symbol = 'OP/USDT' and timeframe = '1m'"
    )
    open_gap = [(at, at + MINUTE, None, "open", "open and close do not lie between low and high")]
    assert writer.execute(told).fetchall() == open_gap
    source.asked.clear()
    writer.execute("delete from candle_gaps where symbol <> 'OP/USDT'")
    for days in range(1, CONFIRMED + 2):
        list(heal_candles(HealingRun(writer, source, clock=partial(NOW.__add__, timedelta(days=days))), ["binance"]))
    assert [what for what, *_ in source.asked if what == "OP/USDT 1m"], "or nothing is proved"
    assert writer.execute(told).fetchall() == open_gap, "the exchange does not lack it"
    source.spoils.clear()
    list(heal_candles(HealingRun(writer, source, clock=lambda: NOW + timedelta(days=30)), ["binance"]))
    assert at in {row[0] for row in stored(writer, series)}


def test_what_is_wrong_as_a_whole_is_not_published_and_asked_for_again(
    database: Settings, writer: psycopg.Connection[Any]
) -> None:
    series, source = minutes("AVAX/USDT")
    settings = wanted(database, "1m:1d")
    source.says = lambda row: msgspec.structs.replace(row, high=row.high * 20)
    done = bring(writer, settings, source, series, at_once=500)
    assert done.blocked
    assert done.pages == 1, "what follows is not even asked for"
    assert "one_market" in done.reason
    assert stored(writer, series) == []
    row = progress(writer, series)
    assert (row["status"], row["current_position_ts"], row["processed_candles"]) == ("failed", row["start_ts"], 0)
    held = writer.execute(
        "select count(*) from quarantine where subject = 'candles_rest' and payload ->> 'symbol' = 'AVAX/USDT'"
    ).fetchone()
    assert held == (500,)
    assert staged(writer, series) == 0
    source.says = lambda row: row
    its_time(writer, series)
    assert bring(writer, settings, source, series).complete
    complete(writer, source, series)


def test_a_range_is_fetched_once_more_and_the_progress_left_alone(
    database: Settings, writer: psycopg.Connection[Any]
) -> None:
    series, source = minutes("ATOM/USDT")
    settings = wanted(database, "1m:1d")
    bring(writer, settings, source, series)
    before, have = progress(writer, series), stored(writer, series)
    start = have[100][0]
    writer.execute(
        "update candles set close = low, source = 'stream' where symbol = 'ATOM/USDT' and window_start = %s", [start]
    )
    worker = FetchRun(writer, settings, source, "run")
    for _ in range(2):
        done = fetch(worker, series, start - timedelta(hours=1), start + timedelta(hours=1))
        assert (done.complete, done.rows) == (True, 120)
    assert (stored(writer, series), progress(writer, series)) == (have, before)
    older = have[0][0] - timedelta(hours=3)
    assert fetch(worker, series, older, have[0][0]).rows == 180
    assert len(complete(writer, source, series)) == len(have) + 180


def test_a_range_goes_on_where_it_was_killed_and_another_or_a_later_one_begins_anew(
    database: Settings, writer: psycopg.Connection[Any]
) -> None:
    series, source = minutes("ALGO/USDT")
    worker = FetchRun(writer, wanted(database, "1m:1d"), source, "run")
    start = floor(datetime.now(UTC) - timedelta(days=30), Timeframe.D1)
    until = start + timedelta(days=1)

    def killed() -> None:
        source.breaks_after = 2, RuntimeError("killed")
        with pytest.raises(RuntimeError):
            fetch(worker, series, start, until)
        source.breaks_after = None
        assert staged(writer, series) == 1000

    def pages_asked(since: datetime) -> list[datetime]:
        source.asked.clear()
        assert fetch(worker, series, since, until).complete
        assert complete(writer, source, series)[-1][1] == until
        return [began for _pair, began, _ended in source.asked if began >= since]

    killed()
    assert stored(writer, series) == []
    assert pages_asked(start)[0] == start + timedelta(minutes=1000)
    assert (len(stored(writer, series)), staged(writer, series)) == (1440, 0)
    killed()
    later = start + timedelta(hours=1)
    assert pages_asked(later)[0] == later
    assert staged(writer, series) == 1000, "the first range may still go on"
    writer.execute(
        "update staged_candles set staged_at = staged_at - interval '25 hours'"
        " where number < (select avg(number) from staged_candles)"
    )
    assert pages_asked(start)[0] == start
    assert staged(writer, series) == 0


def test_a_pair_wants_a_hundred_years_at_most(database: Settings, writer: psycopg.Connection[Any]) -> None:
    wanting = "insert into crypto_configuration (exchange, pair, history_days) values ('binance', 'ICP/USDT', %s)"
    with pytest.raises(psycopg.errors.CheckViolation):
        writer.execute(wanting, [36_501])
    with connect(Role.OWNER, database) as owner, owner.transaction(force_rollback=True):
        owner.execute("alter table crypto_configuration drop constraint crypto_configuration_history_days_check")
        owner.execute(wanting, [800_000])
        known = state(owner, wanted(database, "1m:1d"), Series("binance", "ICP/USDT", Timeframe.M1))
    assert known.age == timedelta(days=36_500)
    assert due(known, NOW) is not None


def test_what_is_wanted_never_leaves_the_database(database: Settings, writer: psycopg.Connection[Any]) -> None:
    settings = wanted(database, "1m:90d,1h:365d,1d:all").model_copy(update={"kraken_history": "1m:120d,1h:30d"})
    writer.execute(
        "insert into crypto_configuration (exchange, pair, history_days) values ('binance', 'BTC/USDT', 200)"
    )
    changed = keep_history(writer, states(writer, settings))
    assert {timeframe for _subject, timeframe, _age in changed} == {"1m", "5m", "15m", "1h", "1d"}
    policies = dict(
        writer.execute("select timeframe, history_age from tiering_policy where subject = 'candles'").fetchall()
    )
    assert policies["1m"] == policies["5m"] == policies["15m"] == timedelta(days=200)
    assert policies["1h"] == timedelta(days=365)
    assert policies["1d"] > timedelta(days=300_000)
    assert not keep_history(writer, states(writer, settings))
    writer.execute("delete from crypto_configuration")
    assert {age for _, _, age in keep_history(writer, states(writer, wanted(database, "1m:7d")))} == {
        timedelta(days=7),
        None,
    }


@pytest.fixture
def killable(postgres_cluster: Cluster, tmp_path: Path) -> Iterator[tuple[Settings, subprocess.Popen[str], Path]]:
    database = postgres_cluster.clone(postgres_cluster.editions[0])
    settings = wanted(database, "1m:40d")
    names = ("postgres_host", "postgres_port", "postgres_database", "history", "mode")
    told = {name: getattr(settings, name) for name in names}
    told |= {
        f"postgres_{role}_password": getattr(settings, f"postgres_{role}_password").get_secret_value() for role in Role
    }
    log = tmp_path / "asked"
    log.touch()
    command = [sys.executable, "-m", "tests.integration.backfill_worker", json.dumps(told), str(log)]
    with subprocess.Popen(
        command, cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as workers:
        try:
            yield settings, workers, log
        finally:
            workers.kill()
    postgres_cluster.drop(database)


def begin(workers: subprocess.Popen[str]) -> int:
    assert workers.stdin is not None
    assert workers.stdout is not None
    workers.stdin.write("\n")
    workers.stdin.flush()
    return int(workers.stdout.readline())


def ended(workers: subprocess.Popen[str]) -> int:
    assert workers.stdout is not None
    return int(workers.stdout.readline())


def test_killed_at_twenty_moments_it_refetches_at_most_a_page_each_time(
    killable: tuple[Settings, subprocess.Popen[str], Path],
) -> None:
    settings, workers, log = killable
    moments, kills = random.Random(7), 0
    while kills < 20:
        pid = begin(workers)
        time.sleep(moments.uniform(0.02, 0.45))
        os.kill(pid, signal.SIGKILL)
        kills += 1
        assert ended(workers) == -signal.SIGKILL, "it is still at work"
    begin(workers)
    assert ended(workers) == 0
    asked = [line.split() for line in log.read_text().splitlines()]
    refetched = len(asked) - len({start for _pid, start in asked})
    by_run = [[start for pid, start in asked if pid == one] for one in dict.fromkeys(pid for pid, _ in asked)]
    for before, after in itertools.pairwise(by_run):
        assert after[0] >= before[-1], "at most the page that was under way is asked for again"
    assert refetched <= kills
    source = SimulatedHistory("binance", [backfill_worker.PAIR], rate=0.05)
    with connect(Role.READER, settings) as reader:
        have = stored(reader, backfill_worker.SERIES)
        assert have == [values(row) for row in source.candles(backfill_worker.SERIES, have[0][0], have[-1][1])]
        assert len(have) >= 40 * 1440 - 1
        row = progress(reader, backfill_worker.SERIES)
        assert (row["status"], row["processed_candles"]) == ("completed", len(have))
        assert staged(reader, backfill_worker.SERIES) == 0
        assert not missing(reader, backfill_worker.SERIES)
