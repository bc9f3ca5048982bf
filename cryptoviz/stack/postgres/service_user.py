"""The user that PostgreSQL runs as where we are root, and the folders that this user can reach."""

from __future__ import annotations

import hashlib
import os
import pwd
from pathlib import Path
from typing import Final

from cryptoviz.settings import PROJECT_ROOT

SERVICE_USER: Final = "postgres"


def local_data_dir(state: Path) -> Path:
    """Where the cluster's data goes: in the state folder if the service user can reach it, else in /var/lib."""
    return reachable_root(state) / "postgres"


def reachable_root(folder: Path) -> Path:
    """The folder itself if the service user can reach it, else one below /var/lib for this checkout."""
    if os.geteuid() != 0 or _reachable(folder):
        return folder
    checkout = hashlib.sha256(str(PROJECT_ROOT).encode()).hexdigest()[:12]
    return Path("/var/lib/cryptoviz") / checkout


def _reachable(folder: Path) -> bool:
    """Whether anybody (so also the service user) may pass through every folder down to `folder`."""
    existing = [path for path in (folder, *folder.parents) if path.exists()]
    return all(path.stat().st_mode & 0o001 for path in existing)


def as_service_user() -> list[str]:
    """The words to put before a command so that it runs as the service user: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    user = _service_user()
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--"]


def _service_user() -> pwd.struct_passwd:
    """The user `postgres` of the distribution's packages; without them the user `nobody`, which owns nothing else."""
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return pwd.getpwnam("nobody")


def give_to_service_user(*paths: Path) -> None:
    """Make the service user the owner of these paths."""
    if os.geteuid() != 0:
        return
    user = _service_user()
    for path in paths:
        os.chown(path, user.pw_uid, user.pw_gid)
