"""archive: what has left the database, as files: list, verify, restore."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from cryptoviz.archive.subjects import SUBJECTS
from cryptoviz.commands.output import Json, as_json, explained, finish, say, table
from cryptoviz.settings import Role, Settings, load
from cryptoviz.stack.errors import StackError

app = typer.Typer(help="What has left the database, as Parquet files: list, verify, restore.", no_args_is_help=True)

_START: Final = "is the database up? `make status` says; `make demo` or `make up` starts it"
_STORAGE: Final = "check the folder or the CRYPTOVIZ_ARCHIVE_ settings: `cryptoviz settings` shows them"
_COLUMNS: Final = {
    "subject": "subject",
    "exchange": "exchange",
    "symbol": "pair",
    "timeframe": "timeframe",
    "from": "from (UTC)",
    "rows": "rows",
    "bytes": "bytes",
    "status": "status",
    "verified": "verified (UTC)",
    "restored": "restored until (UTC)",
}


def _subject(value: str | None) -> str | None:
    if value is not None and value not in SUBJECTS:
        raise typer.BadParameter(f"there are {', '.join(SUBJECTS)}")
    return value


Exchange = Annotated[str | None, typer.Option("--exchange", help="Only of this exchange, such as kraken.")]
Pair = Annotated[str | None, typer.Option("--pair", help="Only of this pair, such as BTC/USD.")]
Timeframe = Annotated[str | None, typer.Option("--timeframe", help="Only of this timeframe, such as 1m.")]
Of = Annotated[str | None, typer.Option("--subject", callback=_subject, help="Only of these rows, such as candles.")]
_FORMATS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"]
From = Annotated[datetime | None, typer.Option("--from", formats=_FORMATS, help="From this time on (UTC).")]
To = Annotated[datetime | None, typer.Option("--to", formats=_FORMATS, help="Up to this time (UTC), not included.")]


@app.command("list")
def list_(
    *,
    subject: Of = None,
    exchange: Exchange = None,
    pair: Pair = None,
    timeframe: Timeframe = None,
    since: From = None,
    until: To = None,
    troubled: Annotated[str | None, typer.Option("--status", help="sound, damaged or absent.")] = None,
    json: Json = False,
) -> None:
    """List the files of the archive."""
    import psycopg

    from cryptoviz.archive.catalogue import FileFilter, list_files

    wanted = FileFilter(subject, exchange, pair, timeframe, _utc(since), _utc(until), troubled)
    with explained("the catalogue cannot be read", _START, psycopg.Error), _connected(Role.READER, load()) as database:
        files = list_files(database, wanted)
    if json:
        as_json(files)
        return
    shown = [
        file
        | {
            "from": f"{file['first_at']:%Y-%m-%d %H:%M}",
            "verified": f"{file['verified_at']:%Y-%m-%d %H:%M}",
            "restored": f"{file['restored_until']:%Y-%m-%d %H:%M}" if file["restored_until"] else None,
        }
        for file in files
    ]
    table("", shown, _COLUMNS, empty="no file of the archive is like that")
    say(f"{len(files):,} files, {sum(f['rows'] for f in files):,} rows, {sum(f['bytes'] for f in files):,} bytes")


@app.command()
def verify(
    *,
    subject: Of = None,
    exchange: Exchange = None,
    pair: Pair = None,
    timeframe: Timeframe = None,
    since: From = None,
    until: To = None,
    json: Json = False,
) -> None:
    """Read the files of the archive again and compare them with the catalogue; says which are damaged or absent.

    What a later night wrote in the place of an absent file is entered: so it is after a backup of the database was
    restored.
    """
    import psycopg

    from cryptoviz.archive import catalogue
    from cryptoviz.archive.export import BusyError
    from cryptoviz.archive.store import store

    wanted = catalogue.FileFilter(subject, exchange, pair, timeframe, _utc(since), _utc(until))
    settings = load()
    with (
        explained("the archive's catalogue cannot be read", _START, psycopg.Error),
        explained("the archive cannot be read", _STORAGE, OSError),
        _connected(Role.WRITER, settings) as connection,
    ):
        place = store(settings)
        adopted: list[catalogue.Adopted] = []
        with suppress(BusyError):
            adopted.extend(catalogue.adopt(connection, place, wanted))
        found = list(catalogue.verify(connection, place, wanted))
        others = catalogue.uncatalogued_files(connection, place)
    bad = [file for file in found if file.status != "sound"]
    if json:
        changes = {"troubled": [vars(file) for file in bad], "entered": [vars(file) for file in adopted]}
        as_json({"files": len(found), **changes, "not in the catalogue": others})
        finish(not bad)
    for file in adopted:
        say(f"entered: {file.path}: in the place of {file.instead_of}, which is absent")
    for verified in bad:
        say(f"{verified.status}: {verified.path}: {verified.reason}")
    if others:
        say(f"not in the catalogue: {len(others)} files, the first {others[0]}")
    say(f"{len(found) - len(bad):,} of {len(found):,} files in {place.root} are sound")
    finish(not bad)


@app.command()
def restore(
    subject: Annotated[str, typer.Argument(callback=_subject, help="What: candles, indicators, news or a table.")],
    *,
    exchange: Exchange = None,
    pair: Pair = None,
    timeframe: Timeframe = None,
    since: From = None,
    until: To = None,
    keep: Annotated[float, typer.Option("--keep", min=0, help="Days that the rows stay in the database.")] = 7,
    json: Json = False,
) -> None:
    """Bring rows back into the database for a while; what is there already stays as it is."""
    import psycopg

    from cryptoviz.archive import catalogue
    from cryptoviz.archive.export import ArchiveError, BusyError
    from cryptoviz.archive.files import DamagedError
    from cryptoviz.archive.store import store

    wanted = catalogue.FileFilter(subject, exchange, pair, timeframe, _utc(since), _utc(until))
    settings = load()
    with (
        explained("the rows cannot be restored", _START, psycopg.Error),
        explained("the archive cannot be read", _STORAGE, OSError),
        explained("the archive is not sound", "`cryptoviz archive verify` names what is wrong", DamagedError),
        explained("not restored", "`cryptoviz archive verify` names what is wrong", ArchiveError),
        explained("not restored", "try again when it is done", BusyError),
        _connected(Role.WRITER, settings) as connection,
    ):
        done = list(
            catalogue.restore(connection, store(settings), wanted, now=datetime.now(UTC), keep=timedelta(days=keep))
        )
    if json:
        as_json([vars(restored) for restored in done])
        return
    if not done:
        raise StackError("no file of the archive has such rows", fix="`cryptoviz archive list` shows what there is")
    stay = f"they stay until {min(restored.until for restored in done):%Y-%m-%d %H:%M} UTC"
    say(f"{sum(restored.rows for restored in done):,} rows of {len(done):,} files are back; {stay}")


def _utc(instant: datetime | None) -> datetime | None:
    return instant.replace(tzinfo=UTC) if instant else None


def _connected(role: Role, settings: Settings) -> Any:
    from cryptoviz.storage.database import connect

    return connect(role, settings, autocommit=True, application_name="cryptoviz archive")
