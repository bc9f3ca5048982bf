"""Runs as processes of the code server, without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from cryptoviz.settings import PROJECT_ROOT

# A forkserver serves a whole process: this one is of its own.
_OUTLIVED = """
import os, signal, sys, time
from multiprocessing import forkserver, get_context
from dagster_project.server import Run

forkserver.ensure_running()
run = Run(target=time.sleep, args=(60,))
run.start()
of = forkserver._forkserver._forkserver_pid
os.kill(of, signal.SIGKILL)
os.waitpid(of, 0)
print(run.is_alive(), run.is_alive(), run.pid, flush=True)
sys.stdin.readline()
while run.is_alive():
    time.sleep(0.01)
print("ended", flush=True)
os._exit(0)
"""


def test_a_run_is_at_work_although_the_process_that_it_is_a_copy_of_was_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _OUTLIVED], cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        alive, still, pid = server.stdout.readline().split()
        assert (alive, still) == ("True", "True")
        os.kill(int(pid), signal.SIGKILL)
        server.stdin.write("\n")
        server.stdin.flush()
        assert server.stdout.readline() == "ended\n"
