"""``python -m streaming run NAME``: keep one stream running until SIGTERM. ``work`` is what its runner starts."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime

from cryptoviz.logs import configure
from cryptoviz.settings import SettingsError, load
from cryptoviz.topics import INGESTED


def main() -> int:
    """Run what the command line names; returns the exit status."""
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    from streaming.jobs.registry import job, stream_names  # noqa: PLC0415 - settings that make no sense are told first

    parser = argparse.ArgumentParser(prog="streaming", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    names = stream_names(settings)
    commands.add_parser("run", help="keep one stream running until SIGTERM").add_argument("name", choices=names)
    child = commands.add_parser("work", help="a runner's child: needs its line to the runner on standard input")
    child.add_argument("name", choices=names)
    child.add_argument("--epoch", type=int, required=True)
    replay = commands.add_parser("replay", help="read a topic's messages of a range into its table once more")
    replay.add_argument("topic", choices=[topic.name for topic in INGESTED])
    replay.add_argument("--since", type=datetime.fromisoformat, required=True, help="an instant with its time zone")
    replay.add_argument("--until", type=datetime.fromisoformat, required=True, help="an instant with its time zone")
    commands.add_parser("train", help="archive the classes of a Spark driver: later ones start sooner")
    arguments = parser.parse_args()
    configure(settings.log_level, json=settings.log_json)
    if arguments.command == "replay":
        from streaming.replay import run as run_replay  # noqa: PLC0415 - the others do without

        return run_replay(settings, arguments.topic, arguments.since, arguments.until)
    if arguments.command == "train":
        from streaming.classes import train  # noqa: PLC0415 - the others do without

        return 0 if train(settings) else 1
    if arguments.command == "work":
        from cryptoviz.streams.worker import work  # noqa: PLC0415 - the runner does without

        work(arguments.name, arguments.epoch, settings, job(arguments.name))
        return 0
    from cryptoviz.streams.runner import run  # noqa: PLC0415 - the worker does without

    return run(arguments.name, settings)


if __name__ == "__main__":
    sys.exit(main())
