"""``python -m streaming run NAME``: run one stream in this process until SIGTERM."""

from __future__ import annotations

import argparse
import sys

from cryptoviz.logs import configure
from cryptoviz.settings import SettingsError, load
from streaming.runner import run, stream_names


def main() -> int:
    """Run the stream that the command line names; returns the exit status."""
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    parser = argparse.ArgumentParser(prog="streaming", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="run one stream until SIGTERM")
    runner.add_argument("name", choices=stream_names(settings))
    arguments = parser.parse_args()
    configure(settings.log_level, json=settings.log_json)
    return run(arguments.name, settings)


if __name__ == "__main__":
    sys.exit(main())
