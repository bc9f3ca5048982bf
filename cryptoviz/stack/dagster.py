"""How Dagster's three processes are started: their folder, environment and command lines.

    code server <- web server, daemon -> PostgreSQL (a database of their own)

The code server carries the project's code; web server and daemon find it through `workspace.yaml`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from cryptoviz.settings import PREFIX, PROJECT_ROOT, Settings

_WORKSPACE: Final = PROJECT_ROOT / "workspace.yaml"
_INSTANCE: Final = PROJECT_ROOT / "dagster.yaml"


def home(settings: Settings) -> Path:
    """Dagster's folder: compute logs, and a link to dagster.yaml."""
    return settings.state / "dagster"


def prepare(settings: Settings) -> Path:
    """Make `home` ready for the processes; may be called again at any time."""
    folder = home(settings)
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / _INSTANCE.name
    if not link.is_symlink() or link.readlink() != _INSTANCE:
        link.unlink(missing_ok=True)
        link.symlink_to(_INSTANCE)
    return folder


def environment(settings: Settings) -> dict[str, str]:
    """The variables that the three processes need beside the usual ones; the password is among them: never log it."""
    database = urlsplit(settings.dagster_database())
    query = f"?{database.query}" if database.query else ""
    return {
        "DAGSTER_HOME": str(home(settings)),
        "DAGSTER_POSTGRES_USER": unquote(database.username or ""),
        "DAGSTER_POSTGRES_PASSWORD": unquote(database.password or ""),
        "DAGSTER_POSTGRES_HOST": database.hostname or settings.postgres_host,
        "DAGSTER_POSTGRES_PORT": str(database.port or 5432),
        # dagster-postgres appends the name to an address as it is: options such as sslmode ride along.
        "DAGSTER_POSTGRES_DB": database.path.lstrip("/") + query,
        f"{PREFIX}DAGSTER_CODE_HOST": settings.dagster_code_host,
        f"{PREFIX}DAGSTER_CODE_PORT": str(settings.dagster_code_port),
        f"{PREFIX}MODE": str(settings.mode),
        # Threads each reserve a malloc arena otherwise: tens of megabytes that nobody uses.
        "MALLOC_ARENA_MAX": "2",
    }


def commands(settings: Settings) -> dict[str, list[str]]:
    """The command line of each process, by name, in the order of starting; to be run in the project's root."""
    python = [sys.executable, "-m"]
    code = ["--module-name", "dagster_project.definitions", "--attribute", "definitions"]
    return {
        "dagster-code": [
            *python, "dagster_project.server",
            "--host", settings.listen_host, "--port", str(settings.dagster_code_port),
            *code, "--location-name", "cryptoviz", "--use-python-environment-entry-point", "--max-workers", "4",
            "--inject-env-vars-from-instance", "--log-level", "warning",
        ],
        "dagster-webserver": [
            *python, "dagster_webserver", "--host", settings.listen_host, "--port", str(settings.dagster_port),
            "--workspace", str(_WORKSPACE), "--live-data-poll-rate", "5000", "--dagster-log-level", "warning",
        ],
        "dagster-daemon": [
            *python, "dagster._daemon", "run", "--workspace", str(_WORKSPACE), "--log-level", "warning",
        ],
    }  # fmt: skip
