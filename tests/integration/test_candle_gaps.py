"""Gaps in candles: each hole is found exactly, labelled as planted, healed; the result equals the source."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import psycopg
import pytest
from pyarrow.feather import read_table

from cryptoviz.exchanges.history import Answer
from cryptoviz.gaps.healing import heal_candles
from cryptoviz.gaps.healing_run import HealingResult, HealingRun
from cryptoviz.gaps.labels import GapLabel
from cryptoviz.gaps.rulings import CONFIRMED
from cryptoviz.gaps.tables import CLAIM_TIMEOUT, record_candle_gaps
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.records import Candle, CandleSource
from cryptoviz.remote.errors import PermanentError, TransientError
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from tests.integration.simulated_history import SimulatedHistory, copy, stored, values

pytestmark = pytest.mark.services

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
KRAKEN = "kraken"
PAIRS = ("BTC/USD", "ADA/USD")


def backfilled(connection: psycopg.Connection, series: Series, since: datetime, until: datetime) -> None:
    """The history asked for begins at `since`, whatever is stored of it."""
    connection.execute(
        "insert into backfill_progress (exchange, symbol, timeframe, status, start_ts, end_ts)"
        " values (%s, %s, %s, 'completed', %s, %s)",
        [series.exchange, series.pair, series.timeframe.value, since, until],
    )


def runs(starts: Iterable[datetime], length: timedelta) -> list[tuple[datetime, datetime]]:
    """Windows as spans, consecutive ones as one: the reference."""
    found: list[tuple[datetime, datetime]] = []
    for start in sorted(starts):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], start + length)
        else:
            found.append((start, start + length))
    return found


def find(connection: psycopg.Connection, series: Series, since: datetime, until: datetime) -> list[tuple]:
    return connection.execute(
        "select gap_start, gap_end from find_candle_gaps(%s, %s, %s, %s, %s)",
        [series.exchange, series.pair, series.timeframe.value, since, until],
    ).fetchall()


def gaps(connection: psycopg.Connection, series: Series, *statuses: str) -> list[tuple]:
    return connection.execute(
        "select gap_start, gap_end, label from candle_gaps where exchange = %s and symbol = %s and timeframe = %s"
        " and status = any(%s) order by gap_start",
        [series.exchange, series.pair, series.timeframe.value, list(statuses)],
    ).fetchall()


def heal(connection: psycopg.Connection, history: SimulatedHistory) -> None:
    """Heal as often as it takes to confirm what the source lacks."""
    at = datetime.now(UTC)
    for day in range(0, 2 * CONFIRMED + 1, 2):
        for done in heal_candles(
            HealingRun(connection, history, clock=lambda day=day: at + timedelta(days=day)), [KRAKEN]
        ):
            assert not done.reason


def punched(dice: random.Random, since: datetime, until: datetime, length: timedelta) -> set[datetime]:
    """Windows to take out: single ones, hours across midnight, a month's border, both ends, whole days."""
    windows = (until - since) // length
    holes = {since, until - length}
    holes |= {since + dice.randrange(windows) * length for _ in range(12)}
    days = (until - since).days
    for _ in range(3):
        midnight = since + timedelta(days=dice.randrange(1, days))
        start = midnight - dice.randrange(1, 60) * timedelta(minutes=1)
        start -= (start - since) % length
        holes |= {start + number * length for number in range(int(timedelta(hours=2) / length) or 2)}
    first_of_month = (since + timedelta(days=days // 2)).replace(day=1)
    if since < first_of_month < until:
        holes |= {first_of_month - length, first_of_month}
    day = since + timedelta(days=dice.randrange(1, days - 2))
    holes |= {day + number * length for number in range(int(timedelta(days=1) / length) or 1)}
    return {hole for hole in holes if since <= hole < until}


@pytest.mark.parametrize(
    ("timeframe", "days", "seed"),
    [
        (Timeframe.M1, 9, 1),
        (Timeframe.M15, 60, 3),
        (Timeframe.H1, 90, 4),
        (Timeframe.D1, 90, 5),
    ],
)
def test_every_hole_is_found_labelled_and_healed_until_all_equals_the_source(
    each_writer: psycopg.Connection, timeframe: Timeframe, days: int, seed: int
) -> None:
    lose_and_heal(each_writer, timeframe, days, seed)


@pytest.mark.slow
def test_so_is_every_hole_in_a_long_history_of_minutes(database: Settings, request: pytest.FixtureRequest) -> None:
    with connect(Role.WRITER, database, autocommit=True) as connection:
        lose_and_heal(connection, Timeframe.M1, request.config.getoption("--history-days"), 6)


def lose_and_heal(connection: psycopg.Connection, timeframe: Timeframe, days: int, seed: int) -> None:
    """Punch holes into the history of two pairs, some of which the source lacks, too; find, label and heal them."""
    dice = random.Random(seed)
    history = SimulatedHistory(KRAKEN, PAIRS, rate=12 / timeframe.seconds, seed=seed)
    until = TODAY - timedelta(hours=3 if timeframe is not Timeframe.D1 else 0)
    since = TODAY - timedelta(days=days)
    connection.execute("update tiering_policy set cold_age = '1000 days' where hot_age is not null")
    punches, sources = {}, {}
    for pair in PAIRS:
        series = Series(KRAKEN, pair, timeframe)
        source = history.candles(series, since, until)
        holes = punched(dice, since, until, timeframe.length)
        history.lacks |= {(series, start) for start in dice.sample(sorted(holes), len(holes) // 4)}
        punches[series], sources[series] = holes, source
        backfilled(connection, series, since, until)
        copy(connection, (row for row in source if row.window_start not in holes))
    while connection.execute("select tier_old_candles()").fetchone() != (0,):
        pass

    for series, holes in punches.items():
        assert find(connection, series, since, until) == runs(holes, timeframe.length)
        record_candle_gaps(connection, series, since, until)
        assert gaps(connection, series, "open") == [(*span, None) for span in runs(holes, timeframe.length)]
        record_candle_gaps(connection, series, since, until)
        assert [gap[:2] for gap in gaps(connection, series, "open")] == runs(holes, timeframe.length)

    heal(connection, history)

    for series, holes in punches.items():
        lacks = {start for start in holes if (series, start) in history.lacks}
        source = [row for row in sources[series] if row.window_start not in lacks]
        assert stored(connection, series) == [values(row) for row in source]
        assert find(connection, series, since, until) == runs(lacks, timeframe.length)
        explained = gaps(connection, series, "explained")
        assert windows(explained, timeframe) == dict.fromkeys(lacks, GapLabel.SOURCE_MISSING)
        empty = {row.window_start for row in source if not row.volume}
        assert windows(gaps(connection, series, "healed"), timeframe) == {
            start: GapLabel.NO_TRADES if start in empty else GapLabel.LOST_BY_US for start in holes - lacks
        }
        assert not gaps(connection, series, "open", "healing", "failed")


def windows(rows: Iterable[tuple], timeframe: Timeframe) -> dict[datetime, str]:
    return {
        start + number * timeframe.length: label
        for start, end, label in rows
        for number in range((end - start) // timeframe.length)
    }


BTC = Series(KRAKEN, "BTC/USD", Timeframe.M1)
MINUTE = timedelta(minutes=1)
NOON = TODAY - timedelta(hours=36)


class Recorded:
    """A source that has exactly these candles, whatever else is asked for."""

    def __init__(self, rows: Sequence[Candle] = (), *, error: Exception | None = None) -> None:
        self.rows = rows
        self.error = error
        self.asked: list[tuple[datetime, datetime]] = []

    def closed_candles(
        self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime
    ) -> Answer:
        """As the protocol says."""
        self.asked.append((since, until))
        if self.error is not None:
            raise self.error
        return Answer([row for row in self.rows if since <= row.window_start < until], complete=True)


def candle(series: Series, start: datetime, price: str = "100", volume: str = "1", trades: int = 1) -> Candle:
    return Candle(
        received_at=datetime.now(UTC),
        window_start=start,
        window_end=start + series.timeframe.length,
        exchange=series.exchange,
        symbol=series.pair,
        timeframe=series.timeframe,
        open=Decimal(price),
        high=Decimal(price),
        low=Decimal(price),
        close=Decimal(price),
        volume=Decimal(volume),
        trade_count=trades,
        closed=True,
        source=CandleSource.REST,
    )


def minutes(first: int, last: int) -> list[Candle]:
    """Candles of the minutes `first` to `last` after noon of the day before yesterday."""
    return [candle(BTC, NOON + number * MINUTE) for number in range(first, last)]


def at(minute: int) -> datetime:
    return NOON + minute * MINUTE


def remove(connection: psycopg.Connection, *numbers: int) -> None:
    connection.execute("delete from candles where window_start = any(%s)", [[at(number) for number in numbers]])


def listed(connection: psycopg.Connection, *statuses: str) -> list[tuple[int, int, str | None]]:
    """Gaps in minutes after noon."""
    return [
        ((start - NOON) // MINUTE, (end - NOON) // MINUTE, label)
        for start, end, label in gaps(connection, BTC, *statuses)
    ]


def done(connection: psycopg.Connection, source: Recorded, **when: datetime) -> list[HealingResult]:
    clock = when.get("clock", datetime.now(UTC))
    return list(heal_candles(HealingRun(connection, source, clock=lambda: clock), [KRAKEN]))


def test_gaps_grow_shrink_split_heal_and_open_again_with_their_labels(each_writer: psycopg.Connection) -> None:
    copy(each_writer, minutes(0, 60))
    remove(each_writer, *range(10, 20))
    record_candle_gaps(each_writer, BTC, NOON, at(60))
    assert listed(each_writer, "open") == [(10, 20, None)]
    [(found,)] = each_writer.execute("select detected_at from candle_gaps").fetchall()

    remove(each_writer, *range(20, 25), 5)
    record_candle_gaps(each_writer, BTC, NOON, at(60))
    assert listed(each_writer, "open") == [(5, 6, None), (10, 25, None)]
    assert each_writer.execute("select detected_at from candle_gaps where missing = 15").fetchone() == (found,)

    each_writer.execute("update candle_gaps set label = 'source_missing', attempts = 3 where missing = 15")
    copy(each_writer, [*minutes(14, 16), *minutes(24, 25)])
    record_candle_gaps(each_writer, BTC, NOON, at(60))
    assert listed(each_writer, "open") == [(5, 6, None), (10, 14, "source_missing"), (16, 24, "source_missing")]
    assert listed(each_writer, "healed") == [(14, 16, "source_missing"), (24, 25, "source_missing")]
    assert each_writer.execute("select distinct attempts from candle_gaps where label is not null").fetchall() == [(3,)]

    # Growth beside a gap that was asked about is a gap of its own: nobody knows yet why it is there.
    remove(each_writer, 24)
    record_candle_gaps(each_writer, BTC, NOON, at(60))
    assert listed(each_writer, "open")[2:] == [(16, 24, "source_missing"), (24, 25, None)]
    assert listed(each_writer, "healed") == [(14, 16, "source_missing")]

    before = each_writer.execute("select * from candle_gaps order by gap_start").fetchall()
    assert record_candle_gaps(each_writer, BTC, NOON, at(60)) == {}
    assert each_writer.execute("select * from candle_gaps order by gap_start").fetchall() == before

    copy(each_writer, [*minutes(5, 6), *minutes(10, 14), *minutes(16, 25)])
    record_candle_gaps(each_writer, BTC, NOON, at(60))
    assert listed(each_writer, "open") == []
    assert listed(each_writer, "healed") == [
        (5, 6, "lost_by_us"),
        (10, 14, "source_missing"),
        (14, 16, "source_missing"),
        (16, 24, "source_missing"),
        (24, 25, "lost_by_us"),
    ]
    remove(each_writer, *range(12, 18))
    record_candle_gaps(each_writer, BTC, NOON, at(60))
    assert listed(each_writer, "open") == [(12, 18, None)]
    assert [gap[:2] for gap in listed(each_writer, "healed")] == [(5, 6), (10, 12), (18, 24), (24, 25)]


@pytest.mark.parametrize("seed", range(2))
def test_any_history_of_losing_and_finding_leaves_the_table_equal_to_the_truth(
    each_writer: psycopg.Connection, seed: int
) -> None:
    dice, absent, ever = random.Random(seed), set(), set()
    backfilled(each_writer, BTC, NOON, at(90))
    copy(each_writer, minutes(0, 90))
    for _ in range(15):
        first = dice.randrange(90)
        span = range(first, min(90, first + dice.randrange(1, 20)))
        if dice.random() < 0.5:
            remove(each_writer, *span)
            absent |= set(span)
            ever |= absent
        else:
            copy(each_writer, [candle(BTC, at(number)) for number in span if number in absent])
            absent -= set(span)
        record_candle_gaps(each_writer, BTC, NOON, at(90))
        if dice.random() < 0.3:
            each_writer.execute("update candle_gaps set label = 'lost_by_us', attempts = 1 where status = 'open'")
        rows = [(*gap, "missing") for gap in listed(each_writer, "open")]
        rows += [(*gap, "healed") for gap in listed(each_writer, "healed")]
        covered = [(number, kind) for start, end, _label, kind in rows for number in range(start, end)]
        assert len(covered) == len({number for number, _ in covered})
        assert {number for number, kind in covered if kind == "missing"} == absent
        assert {number for number, kind in covered if kind == "healed"} == ever - absent
        [(expected, kept, healed)] = each_writer.execute("select expected, stored, healed from completeness").fetchall()
        assert (expected, kept, healed) == (90, 90 - len(absent), len(ever - absent))


def test_completeness_says_of_every_day_what_it_has_and_lacks(each_writer: psycopg.Connection) -> None:
    history = SimulatedHistory(KRAKEN, ["BTC/USD"], rate=0.2)
    since, until = TODAY - timedelta(days=3, hours=5), TODAY - timedelta(hours=2)
    source = history.candles(BTC, since, until)
    quiet = {row.window_start for row in source if not row.volume}
    lost = {row.window_start for row in source if row.window_start.hour == 1} | quiet
    lacks = {row.window_start for row in source if row.window_start.hour == 1 and row.window_start.minute < 10} - quiet
    history.lacks = {(BTC, start) for start in lacks}
    history.omits_empty = True
    backfilled(each_writer, BTC, since, until)
    copy(each_writer, (row for row in source if row.window_start not in lost))
    record_candle_gaps(each_writer, BTC, since, until)
    assert summed(each_writer, "stored", "unexplained") == (len(source) - len(lost), len(lost))
    heal(each_writer, history)

    rows = each_writer.execute(
        "select day, expected, stored, no_trades, source_missing, lost_by_us, unexplained, healed"
        " from completeness where timeframe = '1m' order by day"
    ).fetchall()
    expected = []
    for day in sorted({row.window_start.date() for row in source}):
        starts = {row.window_start for row in source if row.window_start.date() == day}
        kept = starts - quiet - lacks
        expected.append((day, len(starts), len(kept), len(starts & quiet), len(starts & lacks), 0, 0, len(kept & lost)))
    assert rows == expected
    assert sum(row[3] for row in rows) > 0

    before = each_writer.execute("select * from completeness").fetchall()
    record_candle_gaps(each_writer, BTC, since, until)
    record_candle_gaps(each_writer, BTC, until - timedelta(hours=1), until)
    assert each_writer.execute("select * from completeness").fetchall() == before
    record_candle_gaps(each_writer, BTC, until, until + timedelta(hours=1))
    assert summed(each_writer, "expected", "unexplained") == (len(source) + 60, 60)


def summed(connection: psycopg.Connection, *columns: str) -> tuple:
    named = ", ".join(f"sum({column})::bigint" for column in columns)
    [row] = connection.execute(f"select {named} from completeness where timeframe = '1m'").fetchall()
    return tuple(row)


def test_what_is_archived_has_left_whatever_the_ages_say_later(each_writer: psycopg.Connection) -> None:
    since, until = TODAY - timedelta(days=4), TODAY - timedelta(hours=1)
    gone, kept = TODAY - timedelta(days=2), TODAY - timedelta(days=3)
    copy(each_writer, (candle(BTC, since + number * MINUTE) for number in range((until - since) // MINUTE)))
    each_writer.execute("delete from candles where window_start = any(%s)", [[kept + 5 * MINUTE, kept + 9 * MINUTE]])
    record_candle_gaps(each_writer, BTC, since, until)
    before = each_writer.execute("select * from completeness order by day").fetchall()
    each_writer.execute("delete from candles where window_start >= %s and window_start < %s", [kept, gone])
    each_writer.execute(
        "insert into archive_files (subject, exchange, symbol, timeframe, since, until, path, rows, first_at, last_at,"
        " bytes, sha256, schema_version)"
        " values ('candles', %s, %s, '1m', %s, %s, 'minutes', 1438, %s, %s, 1, repeat('0', 64), 1)",
        [KRAKEN, BTC.pair, kept, gone, kept, kept],
    )
    assert record_candle_gaps(each_writer, BTC, since, until) == {}
    assert each_writer.execute("select * from completeness order by day").fetchall() == before
    assert each_writer.execute("select distinct gap_is_left(candle_gaps) from candle_gaps").fetchall() == [(True,)]

    each_writer.execute("delete from candles where window_start = any(%s)", [[kept - MINUTE, gone]])
    record_candle_gaps(each_writer, BTC, since, until)
    left = each_writer.execute(
        "select gap_start, missing, gap_is_left(candle_gaps) from candle_gaps order by 1"
    ).fetchall()
    assert left == [
        (kept - MINUTE, 1, False),
        (kept + 5 * MINUTE, 1, True),
        (kept + 9 * MINUTE, 1, True),
        (gone, 1, False),
    ]
    each_writer.execute("update archive_files set restored_until = now() + interval '1 day'")
    assert record_candle_gaps(each_writer, BTC, since, until)["open", None] > 1_400


def test_what_is_kept_for_ever_never_leaves_even_with_a_history_age(each_writer: psycopg.Connection) -> None:
    daily = Series(KRAKEN, "BTC/USD", Timeframe.D1)
    each_writer.execute("update tiering_policy set history_age = '3 days' where timeframe = '1d'")
    days = [TODAY - timedelta(days=age) for age in (30, 29, 27, 1)]
    copy(each_writer, [candle(daily, day) for day in days])
    record_candle_gaps(each_writer, daily, days[0], TODAY)
    missing = "select sum(missing)::int, bool_or(gap_is_left(candle_gaps)) from candle_gaps"
    assert each_writer.execute(missing).fetchall() == [(26, False)]


def test_nothing_can_be_missing_while_the_pair_was_not_listed(each_writer: psycopg.Connection) -> None:
    copy(each_writer, minutes(20, 40))
    backfilled(each_writer, BTC, NOON, at(60))
    record_candle_gaps(each_writer, BTC, NOON, at(60))
    assert listed(each_writer, "open") == [(0, 20, None), (40, 60, None)]
    each_writer.execute(
        "insert into instruments (exchange, pair, status, seen_from, seen_to, listed_from)"
        " values ('kraken', 'BTC/USD', 'delisted', %s, %s, %s)",
        [at(0), at(45), at(12)],
    )
    assert find(each_writer, BTC, NOON, at(60)) == [(at(12), at(20)), (at(40), at(45))]
    record_candle_gaps(each_writer, BTC, NOON, at(60))
    assert listed(each_writer, "open") == [(12, 20, None), (40, 45, None)]
    assert listed(each_writer, "explained") == [(0, 12, "source_missing"), (45, 60, "source_missing")]
    assert each_writer.execute("select expected, stored from completeness").fetchall() == [(33, 20)]


def test_what_is_young_and_what_is_in_both_tiers_is_counted_like_all_else(each_writer: psycopg.Connection) -> None:
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)
    series = [BTC, replace(BTC, pair="ETH/USD"), replace(BTC, timeframe=Timeframe.M5)]
    whole = [candle(BTC, start + number * MINUTE) for number in range(120)]
    copy(each_writer, [row for number, row in enumerate(whole) if number not in {0, 50, 51, 119}])
    copy(each_writer, [candle(series[1], row.window_start) for row in whole])
    until = start + timedelta(hours=2)
    rows = each_writer.execute(
        "select * from find_candle_gaps(%s::text[], %s::text[], %s::text[], %s, %s)",
        [
            [one.exchange for one in series],
            [one.pair for one in series],
            [one.timeframe.value for one in series],
            start,
            until,
        ],
    ).fetchall()
    holes = [(start, 1), (start + 50 * MINUTE, 2), (start + 119 * MINUTE, 1)]
    assert [row for row in rows if row[2] == "1m"] == [
        (KRAKEN, "BTC/USD", "1m", hole, hole + count * MINUTE, count) for hole, count in holes
    ]
    assert sum(row[5] for row in rows if row[2] == "5m") * timedelta(minutes=5) <= until - start
    assert find(each_writer, BTC, start, until) == [(hole, hole + count * MINUTE) for hole, count in holes]

    copy(each_writer, minutes(0, 60))
    each_writer.execute("insert into cold_storage.candles select * from candles where window_start < %s", [at(30)])
    remove(each_writer, 3, *range(28, 33))
    assert find(each_writer, BTC, NOON, at(60)) == [(at(30), at(33))]


def test_no_answer_and_a_refusal_leave_the_gap_open_with_the_reason(each_writer: psycopg.Connection) -> None:
    copy(each_writer, [*minutes(0, 5), *minutes(8, 10)])
    record_candle_gaps(each_writer, BTC, NOON, at(10))
    away = Recorded(error=TransientError("status 503"))
    [treated] = done(each_writer, away)
    assert (treated.reason, treated.healed) == ("status 503", 0)
    [(status, attempts, due, reason)] = each_writer.execute(
        "select status, attempts, due_at, detail->>'reason' from candle_gaps"
    ).fetchall()
    assert (status, attempts, reason) == ("open", 1, "status 503")
    assert done(each_writer, away) == []
    assert due > datetime.now(UTC)

    [treated] = done(each_writer, Recorded(error=PermanentError("unknown pair")), clock=due)
    assert treated.reason == "unknown pair"
    assert listed(each_writer, "failed") == [(5, 8, None)]
    [treated] = done(each_writer, Recorded(minutes(5, 8)), clock=due + timedelta(days=2))
    assert treated.healed == 3
    assert listed(each_writer, "healed") == [(5, 8, "lost_by_us")]


def test_a_claim_is_left_alone_until_its_holder_has_fallen_silent(each_writer: psycopg.Connection) -> None:
    copy(each_writer, [*minutes(0, 5), *minutes(8, 10)])
    record_candle_gaps(each_writer, BTC, NOON, at(10))
    each_writer.execute("update candle_gaps set status = 'healing', asked_at = now()")
    source = Recorded(minutes(5, 8))
    assert done(each_writer, source) == []
    assert [one.healed for one in done(each_writer, source, clock=datetime.now(UTC) + CLAIM_TIMEOUT + MINUTE)] == [3]


def test_what_a_running_backfill_has_before_it_is_left_to_it(each_writer: psycopg.Connection) -> None:
    copy(each_writer, [*minutes(0, 5), *minutes(8, 10)])
    backfilled(each_writer, BTC, NOON, at(60))
    each_writer.execute("update backfill_progress set status = 'in_progress', published_ts = %s", [at(10)])
    record_candle_gaps(each_writer, BTC, NOON, at(60))
    assert listed(each_writer, "open") == [(5, 8, None), (10, 60, None)]
    source = Recorded(minutes(0, 60))
    assert [one.healed for one in done(each_writer, source)] == [3]
    each_writer.execute("update backfill_progress set status = 'completed', current_position_ts = %s", [at(60)])
    assert [one.healed for one in done(each_writer, source)] == [50]


def test_gaps_that_one_request_reaches_are_asked_for_together(each_writer: psycopg.Connection) -> None:
    copy(each_writer, [candle(BTC, at(number)) for number in range(0, 600, 2)])
    record_candle_gaps(each_writer, BTC, NOON, at(599))
    source = Recorded(minutes(0, 600))
    assert [one.healed for one in done(each_writer, source)] == [299]
    assert source.asked == [(at(1), at(598))]


def test_streamed_minutes_beside_a_gap_are_fetched_and_their_differences_kept(each_writer: psycopg.Connection) -> None:
    copy(each_writer, [candle(BTC, at(0)), candle(BTC, at(3), price="90"), candle(BTC, at(4))], source="stream")
    record_candle_gaps(each_writer, BTC, NOON, at(5))
    source = Recorded(minutes(0, 5))
    assert [one.healed for one in done(each_writer, source)] == [2]
    assert source.asked == [(at(0), at(4))]
    assert stored(each_writer, BTC) == [values(row) for row in minutes(0, 5)]
    assert each_writer.execute(
        "select source from candles where timeframe = '1m' order by window_start"
    ).fetchall() == [
        ("rest",),
        ("rest",),
        ("rest",),
        ("rest",),
        ("stream",),
    ]
    assert each_writer.execute(
        "select window_start, stream_close, rest_close, cause from candle_differences"
    ).fetchall() == [(at(3), 90, 100, None)]


def test_longer_candles_follow_but_are_not_invented_from_parts(each_writer: psycopg.Connection) -> None:
    five, hour = replace(BTC, timeframe=Timeframe.M5), replace(BTC, timeframe=Timeframe.H1)
    history = SimulatedHistory(KRAKEN, ["BTC/USD"], rate=1)
    source = history.candles(BTC, NOON, at(30))
    copy(each_writer, source[:7])
    copy(each_writer, source[13:])
    copy(each_writer, history.candles(five, NOON, at(5)))
    for series in (BTC, five):
        backfilled(each_writer, series, NOON, at(30))
        record_candle_gaps(each_writer, series, NOON, at(30))
    assert len(gaps(each_writer, five, "open")) == 1
    assert sum(one.healed for one in heal_candles(HealingRun(each_writer, history), [KRAKEN])) == 6 + 5
    assert {name for name, _, _ in history.asked} == {"BTC/USD 1m"}  # all five minutes of each longer one are stored
    assert stored(each_writer, five) == [values(row) for row in history.candles(five, NOON, at(30))]
    assert stored(each_writer, hour) == []


def test_the_five_real_holes_and_the_empty_minutes_of_kraken_are_told_apart(
    each_writer: psycopg.Connection, shared_data: Path
) -> None:
    each_writer.execute("update tiering_policy set hot_age = null, cold_age = null where subject = 'candles'")
    ada, tether = Series("binance", "ADA/BTC", Timeframe.M5), Series(KRAKEN, "BTC/USDT", Timeframe.M1)
    bars = feather(shared_data / "candles" / "ADA_BTC-5m.feather", ada)
    ohlc = recorded_ohlc(shared_data / "kraken" / "http_ohlc.json", tether)
    for series, rows in ((ada, bars), (tether, ohlc)):
        backfilled(each_writer, series, rows[0].window_start, rows[-1].window_end)
    copy(each_writer, bars)
    copy(each_writer, (row for row in ohlc if row.trade_count), source="stream")

    for series, rows in ((ada, bars), (tether, ohlc)):
        record_candle_gaps(each_writer, series, rows[0].window_start, rows[-1].window_end)
    assert [end - start for start, end, _ in gaps(each_writer, ada, "open")] == [
        timedelta(minutes=5) * count for count in (1, 1, 4, 1, 33)
    ]
    assert len(windows(gaps(each_writer, tether, "open"), tether.timeframe)) == 216

    moment = datetime.now(UTC)
    for day in range(0, 2 * CONFIRMED + 1, 2):
        clock = moment + timedelta(days=day)
        source = Recorded([*bars, *ohlc])
        for treated in heal_candles(
            HealingRun(each_writer, source, clock=lambda clock=clock: clock), ["binance", KRAKEN]
        ):
            assert not treated.reason
    assert {label for _, _, label in gaps(each_writer, ada, "explained")} == {GapLabel.SOURCE_MISSING}
    assert len(windows(gaps(each_writer, ada, "explained"), ada.timeframe)) == 40
    assert windows(gaps(each_writer, tether, "healed"), tether.timeframe) == {
        row.window_start: GapLabel.NO_TRADES for row in ohlc if not row.trade_count
    }
    assert stored(each_writer, tether) == [values(row) for row in ohlc]
    assert stored(each_writer, ada) == [values(row) for row in bars]


def feather(path: Path, series: Series) -> list[Candle]:
    return [
        replaced(
            candle(series, row["date"].to_pydatetime()),
            [Decimal(f"{row[name]:.8f}") for name in ("open", "high", "low", "close", "volume")],
        )
        for row in read_table(path).to_pylist()
    ]


def recorded_ohlc(path: Path, series: Series) -> list[Candle]:
    result = json.loads(path.read_text())["result"]
    [rows] = [rows for name, rows in result.items() if name != "last"]
    return [
        replaced(
            candle(series, datetime.fromtimestamp(start, UTC), trades=count),
            [Decimal(text) for text in (opened, high, low, close, volume)],
        )
        for start, opened, high, low, close, _vwap, volume, count in rows
    ]


def replaced(row: Candle, numbers: Sequence[Decimal]) -> Candle:
    names = ("open", "high", "low", "close", "volume")
    return msgspec.structs.replace(row, **dict(zip(names, numbers, strict=True)))
