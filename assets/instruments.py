"""The table `instruments`: which pairs can be traded where, one Dagster partition per exchange."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from assets.audits import gate_check, gate_result, reviewed
from assets.metadata import table_value
from assets.partitions import exchange_partitions
from assets.resources import Database, ExchangeRest
from assets.streams import code
from assets.tables import table_metadata
from cryptoviz.instruments import Changes, Listing, publish
from cryptoviz.remote.errors import PermanentError, TransientError

REFRESH_INSTRUMENTS: Final = dg.define_asset_job(
    "refresh_instruments",
    selection=dg.AssetSelection.assets("instruments"),
    description="Ask one exchange for its spot pairs and bring the table `instruments` in line.",
    tags={"dagster/max_runtime": "900"},
)

KEY: Final = dg.AssetKey("instruments")

_RETRIES: Final = 4
_PREVIEW_ROWS: Final = 20
_PREVIEWED: Final = ("pair", "spelling", "status", "price_increment", "volume_increment")
_FRESH: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=2), warn_window=timedelta(hours=26))


def instruments_asset(exchanges: Sequence[str]) -> dg.AssetsDefinition:
    """The asset for the configured exchanges."""

    @dg.asset(
        key=KEY,
        deps=list(exchanges),
        partitions_def=exchange_partitions(exchanges),
        group_name="history",
        kinds={"python", "postgres"},
        owners=["team:market-data"],
        tags={"layer": "batch"},
        freshness_policy=_FRESH,
        check_specs=[gate_check(KEY)],
        metadata={
            **table_metadata("instruments"),
            **code("assets/instruments.py", "cryptoviz/instruments.py", "docs/data-dictionary.md"),
        },
    )
    def instruments(
        context: dg.AssetExecutionContext, exchange_rest: ExchangeRest, database: Database
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        """The spot pairs that each exchange lists, with status and increments.

        Materialize a partition to refresh that exchange now; otherwise it happens daily, and once at the start when
        the table has no row of the exchange. A pair that is no longer listed keeps its row with status `delisted`.
        What fails its suite goes to quarantine; if the listing as a whole does, the table stays as it is.
        """
        exchange, began, seen_at = context.partition_key, time.monotonic(), datetime.now(UTC)
        listing = _fetch_listing(context, exchange_rest, exchange)
        with reviewed(context), database.writer() as connection:
            # Each exchange is judged by itself: one that passes must not hide another that does not.
            judged_as = f"{KEY.to_user_string()}/{exchange}"
            report, changes = publish(connection, exchange, listing, seen_at, run=context.run.run_id, asset=judged_as)
        yield from gate_result(report, KEY)
        _warn(context, listing, changes)
        yield dg.MaterializeResult(metadata=_metadata(listing, changes, time.monotonic() - began))

    return instruments


def _fetch_listing(context: dg.AssetExecutionContext, rest: ExchangeRest, exchange: str) -> Listing:
    try:
        return rest.instruments(exchange)
    except PermanentError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    except TransientError as error:
        if context.retry_number >= _RETRIES:
            raise dg.Failure(
                f"{exchange} did not answer in {_RETRIES + 1} attempts. The table keeps what it had. Last answer: "
                f"{error}",
                metadata={"attempts": _RETRIES + 1, "last answer": str(error)},
                allow_retries=False,
            ) from error
        wait = max(error.retry_after or 0, rest.delay_before(context.retry_number + 1))
        context.log.warning("%s. Next attempt in %.0f s.", error, wait)
        raise dg.RetryRequested(max_retries=_RETRIES, seconds_to_wait=wait) from error


def _warn(context: dg.AssetExecutionContext, listing: Listing, changes: Changes) -> None:
    for change in changes.changed:
        context.log.warning("%s was %s and is now %s", change.pair, change.before, change.after)
    if changes.delisted:
        context.log.warning("no longer listed: %s", ", ".join(changes.delisted))
    if listing.skipped:
        context.log.warning(
            "skipped, no pair in our words, or the name of another market: %s", ", ".join(listing.skipped)
        )


def _metadata(listing: Listing, changes: Changes, seconds: float) -> dict[str, Any]:
    changed = "\n".join(f"- {change.pair}: {change.before} -> {change.after}" for change in changes.changed)
    return {
        "dagster/row_count": len(listing.instruments),
        "new": len(changes.new),
        "delisted": len(changes.delisted),
        "changed status": len(changes.changed),
        "skipped": len(listing.skipped),
        "seconds": round(seconds, 2),
        **({"status changes": dg.MetadataValue.md(changed)} if changed else {}),
        **({"no longer listed": dg.MetadataValue.text(", ".join(changes.delisted))} if changes.delisted else {}),
        "preview": _preview(listing),
    }


def _preview(listing: Listing) -> dg.TableMetadataValue:
    rows = [
        {
            "pair": row.pair,
            "spelling": row.spelling or "",
            "status": row.status,
            "price_increment": _plain(row.price_increment),
            "volume_increment": _plain(row.volume_increment),
        }
        for row in listing.instruments[:_PREVIEW_ROWS]
    ]
    return table_value(rows, dict.fromkeys(_PREVIEWED, "string"))


def _plain(step: object) -> str:
    return "" if step is None else f"{step:f}"
