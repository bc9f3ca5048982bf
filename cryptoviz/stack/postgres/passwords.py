"""The passwords of the local database's roles, kept in the state folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from cryptoviz.settings import PREFIX

SECRET_NAMES: Final = (
    "postgres_superuser_password",
    "postgres_owner_password",
    "postgres_writer_password",
    "postgres_reader_password",
    "dagster_database_password",
)


def ensure_secrets(state: Path) -> dict[str, str]:
    """The local passwords by setting name; those that lack are made and written to ``secrets.env`` (mode 0600)."""
    path = state / "secrets.env"
    state.mkdir(parents=True, exist_ok=True)
    known = dict(dotenv_values(path)) if path.exists() else {}
    missing = [name for name in SECRET_NAMES if not known.get(_variable(name))]
    if missing:
        known |= {_variable(name): secrets.token_urlsafe(24) for name in missing}
        partial = path.with_name("secrets.env.partial")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.writelines(f"{name}={value}\n" for name, value in known.items())
        partial.replace(path)
    return {name: str(known[_variable(name)]) for name in SECRET_NAMES}


def _variable(setting: str) -> str:
    return f"{PREFIX}{setting.upper()}"
