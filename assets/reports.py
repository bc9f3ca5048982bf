"""The reports: a static site of the gate's stored results, and the addresses of its pages for links.

quality_results, quality_documents, quarantine -> reports -> http://127.0.0.1:8300
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.keys import REPORTS
from assets.resources import Database
from assets.streams import PLATFORM_OWNERS, code
from cryptoviz.reports import address
from cryptoviz.reports.facts import Stored
from cryptoviz.reports.store import BusyError
from cryptoviz.settings import Settings, settings

if TYPE_CHECKING:
    from cryptoviz.reports.site import Built

BUILD_REPORTS: Final = dg.define_asset_job(
    "build_reports",
    selection=dg.AssetSelection.assets(REPORTS),
    description="Build the reports anew: hourly, soon after other expectations fail than before, and on demand.",
    tags={"dagster/max_runtime": "900", "kind": "report"},
)

_DEPS: Final = ("quality_results", "quality_documents", "quarantine")


def report_url(asset: dg.AssetKey | str) -> dg.UrlMetadataValue:
    """The link to the report about an asset, for the metadata of its runs and checks."""
    return dg.MetadataValue.url(address.report_url(settings(), _name(asset)))


def _name(asset: dg.AssetKey | str) -> str:
    return asset if isinstance(asset, str) else asset.to_user_string()


def quarantine_url(subject: str) -> dg.UrlMetadataValue:
    """The link to the quarantined rows of a subject."""
    return dg.MetadataValue.url(address.quarantine_url(settings(), subject))


def reports_asset(ours: Settings) -> dg.AssetsDefinition:
    """The asset for these settings."""

    @dg.asset(
        key=REPORTS,
        deps=list(_DEPS),
        group_name="quality",
        kinds={"python", "html"},
        owners=PLATFORM_OWNERS,
        tags={"layer": "batch"},
        pool="reports",
        metadata={
            "site": dg.MetadataValue.url(address.site_url(ours)),
            **code("cryptoviz/reports/site.py", "cryptoviz/gate/docs.py", "docs/reports.md"),
        },
    )
    def reports(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[None]:
        """What the gate found, as a web page that needs no knowledge of the platform.

        Materialize to build it now; otherwise it happens hourly, and within minutes after other expectations fail than
        before. The page that is served stays as it is until the new one is whole.
        """
        from cryptoviz.reports.site import publish  # noqa: PLC0415 - loading the code location needs no templates

        folder = address.reports_folder(ours)
        try:
            with database.reader() as connection:
                built = publish(folder, Stored(connection), datetime.now(UTC))
        except BusyError as error:
            raise dg.Failure(f"{error}. It publishes the same.", allow_retries=False) from error
        except OSError as error:
            raise dg.Failure(f"The reports cannot be written: {error}", allow_retries=False) from error
        if built.trouble:
            context.log.warning("no new documents: %s", built.trouble)
        return dg.MaterializeResult(metadata=_metadata(built, ours))

    return reports


def _metadata(built: "Built", ours: Settings) -> dict[str, Any]:
    return {
        "report": dg.MetadataValue.url(address.site_url(ours)),
        "tables judged": built.assets,
        "tables that do not pass": len(built.failing),
        **({"not passing": ", ".join(built.failing)} if built.failing else {}),
        "open in quarantine": sum(built.open_rows.values()),
        **{f"open {subject}": count for subject, count in built.open_rows.items()},
        "pages": built.pages,
        "documents": built.documents,
        "documents rendered": built.rendered,
        "documents removed": built.removed,
        "documents left to the next build": built.left,
        "size on disk MB": round(built.size / 1_000_000, 1),
        "CPU seconds": built.cpu_seconds,
        "seconds": built.seconds,
    }
