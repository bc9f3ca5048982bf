"""A worker whose job does as a file says: works, dies, hangs, does not stop, or never begins.

python -m tests.integration.fake_worker FILE STREAM --epoch N
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from cryptoviz.logs import configure
from cryptoviz.settings import Settings, load
from cryptoviz.streams.progress import PROGRESS, ReportFigures
from cryptoviz.streams.worker import work


def main() -> None:
    plan = Path(sys.argv[1])

    def job(_settings: Settings, epoch: int, stop: threading.Event, report: ReportFigures) -> None:
        (plan.parent / f"worker-{epoch}").write_text(str(os.getpid()))
        if plan.read_text() == "die":
            raise RuntimeError("as it was told to")
        rows = 0
        while not stop.wait(0.05) or plan.read_text() == "deaf":
            if plan.read_text() == "hang":
                time.sleep(3600)
            if plan.read_text() == "stand still":
                report({"rows_total": rows, "lag": 5, PROGRESS: rows})
                continue
            rows += 1
            report({"rows_total": rows, "lag": 0, PROGRESS: rows, "exotic": "figure"})
        (plan.parent / f"graceful-{epoch}").touch()

    configure()
    work(sys.argv[2], int(sys.argv[4]), load(), job)


if __name__ == "__main__":
    main()
