#!/usr/bin/env bash
# APScheduler 3.11.3: the crontab line "0 0 * * 1" runs on Tuesday.
#
# Expected: CronTrigger.from_crontab reads a crontab: 1 is Monday, 0 is Sunday, and a day of the month beside a day of the
# week means either.
# Seen: the number is taken as APScheduler counts, from Monday as 0. "0 0 1 * 1" runs only where both hold, a Tuesday that is
# the first of a month: once in the next six. croniter 7.0.0 reads both as cron does. Names (mon) are right in both.
# Why it matters: a weekly report or rebuild runs a day late, and a monthly one hardly ever; nothing fails.
# What to do: write weekdays as names, and never restrict both days.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apscheduler==3.11.3 croniter==7.0.0

"$folder/venv/bin/python" - <<'PY'
import sys
import datetime
import importlib.metadata

from apscheduler.triggers.cron import CronTrigger
from croniter import croniter


def expect(what: str, seen: object, known: object) -> None:
    print(f"{what}: {seen}")
    if seen != known:
        sys.exit(f"CHANGED: {what} used to be {known}")


sunday = datetime.datetime(2026, 11, 29, 12, tzinfo=datetime.timezone.utc)
print("apscheduler", importlib.metadata.version("apscheduler"), "croniter", importlib.metadata.version("croniter"))


def apscheduler(line: str) -> list[str]:
    """The next two days on which APScheduler runs a crontab line."""
    trigger = CronTrigger.from_crontab(line, timezone="UTC")
    first = trigger.get_next_fire_time(None, sunday)
    second = trigger.get_next_fire_time(first, first)
    return [f"{day:%a %d %b %Y}" for day in (first, second)]


def cron(line: str) -> list[str]:
    """The same as croniter reads it."""
    days = croniter(line, sunday)
    return [f"{days.get_next(datetime.datetime):%a %d %b %Y}" for _ in range(2)]


expect("croniter, 1", cron("0 0 * * 1"), ["Mon 30 Nov 2026", "Mon 07 Dec 2026"])
expect("APScheduler, 1", apscheduler("0 0 * * 1"), ["Tue 01 Dec 2026", "Tue 08 Dec 2026"])
expect("APScheduler, mon", apscheduler("0 0 * * mon"), ["Mon 30 Nov 2026", "Mon 07 Dec 2026"])
expect("croniter, both days", cron("0 0 1 * 1"), ["Mon 30 Nov 2026", "Tue 01 Dec 2026"])
expect("APScheduler, both days", apscheduler("0 0 1 * 1"), ["Tue 01 Dec 2026", "Tue 01 Jun 2027"])
PY
