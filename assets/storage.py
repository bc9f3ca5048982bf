"""Where rows are: old ones move to cold_storage, what is beyond that leaves the database for the archive.

candles, indicators, article_data --tiering--> cold_storage --archive--> Parquet files, archive_files
the other tables ------------------------------------------retention--> Parquet files, archive_files
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.keys import ARCHIVE, INDICATORS, RETENTION, TIERING
from assets.metadata import table_value
from assets.resources import Database
from assets.runs import HEAVY_SQL
from assets.streams import PLATFORM_OWNERS, code
from assets.tables import CANDLES, TRADES
from cryptoviz.archive.export import ArchiveError, BusyError, archive, retained, tiered
from cryptoviz.archive.store import store
from cryptoviz.archive.subjects import TIERED, Subject
from cryptoviz.retention import tiering as tiers
from cryptoviz.settings import settings

if TYPE_CHECKING:
    from psycopg import Connection

KEEP_STORAGE: Final = dg.define_asset_job(
    "keep_storage",
    selection=dg.AssetSelection.assets(TIERING, ARCHIVE, RETENTION),
    description=(
        "Move old rows to cold_storage; archive what is beyond that, and what other tables keep no longer. The first "
        "hourly, all of it nightly."
    ),
    tags={"dagster/max_runtime": "10800", "kind": "storage", "cryptoviz/long": "true"},
)

_PATIENCE: Final = timedelta(minutes=40)
"""How long one run lets pieces begin; the next goes on."""

_NEWS: Final = "article_data"
_FILLED: Final = (
    *(TRADES, "ticker_data", "exchange_candles", "alert_data", "market_data", "fear_greed_data"),
    *("sentiment_data", "prediction_data", "analytics_data", "anomaly_data"),
)
_SIZES: Final = {"subject": "string", "tier": "string", "rows": "int", "MB": "float"}
_LEFT: Final = {"piece": "string", "rows": "int", "files": "int", "MB": "float", "seconds": "float"}
_SHOWN: Final = 50


@dg.asset(
    key=TIERING,
    deps=[CANDLES, INDICATORS, _NEWS],
    group_name="storage",
    kinds={"timescaledb", "postgres"},
    owners=PLATFORM_OWNERS,
    tags={"layer": "batch"},
    pool=HEAVY_SQL,
    metadata=code(
        "assets/storage.py", "cryptoviz/retention/tiering.py", "sql/functions/tiering.sql", "docs/history.md"
    ),
)
def tiering(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[None]:
    """Candles, indicators and news that are older than their hot age move to `cold_storage`, in committed batches.

    It runs hourly; materialize it to do it now. Readers of `all_candles`, `all_indicators` and `all_news` see each row
    exactly once meanwhile. The ages are in the table `tiering_policy`.
    """
    rows: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    with database.writer() as connection:
        for moved in tiers.tier(connection):
            rows[moved.subject] += moved.rows
            seconds[moved.subject] += moved.seconds  # type: ignore[assignment]
        for subject, count in rows.items():
            context.log.info("%d %s moved to cold_storage", count, subject)
        compressed = tiers.compress(connection)
        found = tiers.sizes(connection)
    return dg.MaterializeResult(
        metadata={
            **{f"rows moved {subject}": rows[subject] for subject in TIERED},
            **{f"rows a second {subject}": round(rows[subject] / seconds[subject]) for subject in rows},
            "parts put into the columnstore": compressed,
            **sizes_metadata(found),
        }
    )


@dg.asset(
    key=ARCHIVE,
    deps=[TIERING],
    group_name="storage",
    kinds={"parquet", "postgres"},
    owners=PLATFORM_OWNERS,
    tags={"layer": "batch"},
    pool=HEAVY_SQL,
    metadata=code("assets/storage.py", "cryptoviz/archive/export.py", "sql/functions/archive.sql", "docs/history.md"),
)
def archive_asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[None]:
    """Candles, indicators and news that are beyond cold leave the database for Parquet files.

    Whole months leave, once they are older than their ages in `tiering_policy` and than the configured history. Each
    file is read back and compared with the rows before these are deleted; what cannot be stays, and the run names it
    and fails when the others have left. It runs nightly. List, verify and restore the files: `cryptoviz archive`.
    """
    with database.writer() as connection:
        metadata = _leave(context, connection, tiered())
        metadata["parts put into the columnstore"] = tiers.compress(connection, again=True)
        return dg.MaterializeResult(metadata={**metadata, **sizes_metadata(tiers.sizes(connection))})


@dg.asset(
    key=RETENTION,
    deps=list(_FILLED),
    group_name="storage",
    kinds={"parquet", "postgres"},
    owners=PLATFORM_OWNERS,
    tags={"layer": "batch"},
    pool=HEAVY_SQL,
    metadata=code("assets/storage.py", "cryptoviz/archive/export.py", "sql/functions/archive.sql", "docs/history.md"),
)
def retention(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[None]:
    """Rows of the other tables that are older than the table `retention_policy` says leave for Parquet files.

    Days of trades, tickers and market overviews, months of the rest. Where a table is split by time whole parts of it
    are dropped, after all of their rows were read back from the archive and compared. It runs nightly, whatever becomes
    of `archive`. Candles stay as they are when their trades leave.
    """
    with database.writer() as connection:
        metadata = _leave(context, connection, retained())
        return dg.MaterializeResult(metadata={**metadata, **sizes_metadata(tiers.sizes(connection))})


STORAGE: Final = (tiering, archive_asset, retention)


def _leave(
    context: dg.AssetExecutionContext, connection: "Connection[Any]", subjects: Sequence[Subject]
) -> dict[str, Any]:
    began, now = time.monotonic(), datetime.now(UTC)
    rows: Counter[str] = Counter()
    pieces: list[dict[str, Any]] = []
    place = store(settings())
    stayed: ArchiveError | None = None
    with _explain_failures():
        try:
            for left in archive(connection, place, subjects, now, until=now + _PATIENCE):
                context.log.info("%s: %d rows, %d files", left.piece, left.rows, left.files)
                rows[left.piece.subject.name] += left.rows
                line = {"piece": str(left.piece), "rows": left.rows, "files": left.files}
                pieces.append({**line, "MB": round(left.bytes / 1e6, 3), "seconds": round(left.seconds, 2)})
        except ArchiveError as error:
            stayed = error
        tables = [table for subject in subjects for table in (subject.hot, subject.relation) if table]
        dropped = sum(tiers.drop_empty(connection, table, now) for table in tables)
    seconds = time.monotonic() - began
    metadata = {
        "archive": place.root,
        "rows archived": rows.total(),
        **{f"rows archived {name}": count for name, count in rows.items()},
        "files written": sum(piece["files"] for piece in pieces),
        "empty parts dropped": dropped,
        "rows a second": round(rows.total() / seconds) if pieces else 0,
        "seconds": round(seconds, 2),
        **({"pieces": table_value(pieces[:_SHOWN], _LEFT)} if pieces else {}),
    }
    if stayed:
        raise dg.Failure(f"These stay in the database, the others have left:\n{stayed}", metadata, allow_retries=False)
    return metadata


@contextmanager
def _explain_failures() -> Iterator[None]:
    try:
        yield
    except BusyError as error:
        raise dg.Failure(f"{error}. It goes on with what is left at the next run.", allow_retries=False) from error
    except OSError as error:
        raise dg.Failure(f"The archive cannot be written, its rows stay in the database: {error}") from error


def sizes_metadata(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows and bytes of each tier: the sums as numbers, which the pages plot, and every subject as a table."""
    tiers_found = list(dict.fromkeys(row["tier"] for row in found))
    sums = {
        f"{tier} {name}": sum(row[name] for row in found if row["tier"] == tier)
        for tier in tiers_found
        for name in ("rows", "bytes")
    }
    lines = [{**row, "MB": round(row["bytes"] / 1e6, 1)} for row in found]
    return {**sums, "tiers": table_value(lines, _SIZES)}
