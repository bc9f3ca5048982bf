"""Takes the local stack down and leaves no process behind; `reset` also forgets its state."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from cryptoviz.processes import members, stop
from cryptoviz.settings import PROJECT_ROOT, Settings
from cryptoviz.stack.errors import StackError
from cryptoviz.stack.postgres.service_user import local_data_dir
from cryptoviz.stack.start import exclusive
from cryptoviz.stack.supervisor import Supervisor

_SERVERS: Final = ("postgres", "kafka")
_KEPT: Final = frozenset({"jars", "cache"})
"""Downloads and builds: they hold nothing of ours and are slow to get again."""


def down(settings: Settings) -> int:
    """Stop everything, services before servers; the number of processes that ran.

    Raises:
        StackError: a process could not be stopped.
    """
    data_dir = local_data_dir(settings.state)
    with exclusive(settings):
        before = members(settings.state, data_dir)
        supervisor = Supervisor(settings)
        running = [name for name, state in supervisor.states().items() if state.running]
        supervisor.stop([name for name in running if name not in _SERVERS])
        supervisor.stop([name for name in running if name in _SERVERS])
        supervisor.shutdown()
        stop(members(settings.state, data_dir))
        left = members(settings.state, data_dir)
    if left:
        names = "\n".join(f"{process.pid} {process.command}" for process in left)
        raise StackError("processes could not be stopped", detail=names, fix="stop them by hand; are you their owner?")
    return len(before)


def reset(settings: Settings) -> list[Path]:
    """Stop everything and delete the state, the database included; downloads stay. Returns what was deleted.

    Raises:
        StackError: the state folder does not look like one.
    """
    state, data_dir = settings.state, local_data_dir(settings.state)
    if not state.exists():
        return []
    if state in (PROJECT_ROOT, *PROJECT_ROOT.parents) or not (state / "run").is_dir():
        raise StackError(f"{state} does not look like a state folder of the stack", fix="delete it by hand")
    down(settings)
    doomed = [path for path in sorted(state.iterdir()) if path.name not in _KEPT]
    if not data_dir.is_relative_to(state) and data_dir.exists():
        doomed += [path for path in sorted(data_dir.parent.iterdir()) if path.name.startswith(data_dir.name)]
    for path in doomed:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return doomed
