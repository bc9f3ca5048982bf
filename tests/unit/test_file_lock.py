"""A lock between processes: held by one at a time, free again when its holder ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from cryptoviz.file_lock import LockHeldError, file_lock
from cryptoviz.settings import PROJECT_ROOT

HOLDER = """
import sys, time
from pathlib import Path
from cryptoviz.file_lock import file_lock
with file_lock(Path(sys.argv[1]), 5):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_refused_while_another_process_has_it_and_free_once_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeldError), file_lock(path, 0.2):
            pass
        holder.kill()
    with file_lock(path, 5):
        pass
