"""Great Expectations as the gate uses it: it comes back from its import, writes nothing, asks nobody, draws nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cryptoviz.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow

QUIET = """
import json, os, resource, socket, sys
def refused(*_arguments, **_named):
    raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refused
sys.path.insert(0, sys.argv[1])
from cryptoviz.gate import engine, suites
lazy = [name for name in ("great_expectations", "pandas", "numpy") if name in sys.modules]
columns = [{"index": 60.0, "classification": "Greed", "fitting": "Greed", "age_s": 5.0, "seconds_of_day": 0,
            "missing_days": None}] * 200
engine.evaluate(suites.read("mood"), columns)
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
before = cpu()
judged = engine.evaluate(suites.read("mood"), columns)
print(json.dumps({"lazy": lazy, "failed": [one.expectation.name for one in judged if not one.outcome.success],
                  "judged": len(judged), "seconds": cpu() - before}))
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, str(PROJECT_ROOT)],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "TMPDIR": str(folder), "XDG_CONFIG_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def test_the_import_comes_back(tmp_path: Path) -> None:
    """With some versions of pyspark it ended the process with status 0, and with it every run that judged."""
    assert run("import great_expectations; print('still here')", tmp_path).stdout == "still here\n"


def test_judging_writes_no_file_asks_nobody_draws_nothing_and_is_cheap(tmp_path: Path) -> None:
    done = run(QUIET, tmp_path)
    found = json.loads(done.stdout)
    assert (found["lazy"], found["failed"]) == ([], [])
    assert found["judged"] == 8
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
    assert found["seconds"] < 1
