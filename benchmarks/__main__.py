"""Every benchmark, one after the other: ``python -m benchmarks`` or ``python -m benchmarks sink latency``.

Each is a process of its own, so that none inherits another's warm caches. The exit status is the number of benchmarks
that failed or missed their budget.
"""

from __future__ import annotations

import subprocess
import sys

from cryptoviz.settings import PROJECT_ROOT

BENCHMARKS = (
    "collectors",
    "news",
    "poll",
    "senders",
    "sink",
    "imports",
    "gaps",
    "indicators",
    "tiering",
    "locks",
    "ingestion",
    "latency",
)


def main(wanted: list[str]) -> int:
    """Run the benchmarks named, or all."""
    unknown = set(wanted) - set(BENCHMARKS)
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}\n")
        return 2
    failed = [name for name in wanted or BENCHMARKS if not _succeeds(name)]
    if failed:
        sys.stderr.write(f"missed: {', '.join(failed)}\n")
    return len(failed)


def _succeeds(name: str) -> bool:
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False, cwd=PROJECT_ROOT)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
