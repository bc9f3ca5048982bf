#!/usr/bin/env bash
# croniter 7.0.0, APScheduler 3.11.3, croner 11.0.1, cron-parser 5.10.6: "30 2 * * *" on the days the clock changes.
#
# Expected: cron's rule, which cronie documents: a job at a fixed hour that falls into the hour that is skipped runs just
# after the change, and one in the hour that comes twice runs once.
# Seen: on 25 October 2026 in Berlin croniter and APScheduler run it twice, croner and cron-parser once. On 29 March, when
# 02:30 does not exist, croniter and croner run it at 03:00, APScheduler and cron-parser at 03:30.
# Why it matters: a nightly report that is doubled once a year, and two libraries that disagree about whether a run was
# missed: what one schedules, the other calls late.
# What to do: schedule in UTC, or outside 01:00 to 04:00; let the job itself know what it has done.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check croniter==7.0.0 apscheduler==3.11.3
cd "$folder"
npm install --silent --no-audit --no-fund croner@11.0.1 cron-parser@5.10.6

cat >finding.py <<'PY'
import datetime
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from croniter import croniter

berlin = ZoneInfo("Europe/Berlin")
for day in (datetime.datetime(2026, 3, 28, 12, tzinfo=berlin), datetime.datetime(2026, 10, 24, 12, tzinfo=berlin)):
    runs, trigger, fired = croniter("30 2 * * *", day), CronTrigger.from_crontab("30 2 * * *", timezone=berlin), None
    found: dict[str, list[str]] = {"croniter": [], "APScheduler": []}
    for _ in range(2):
        fired = trigger.get_next_fire_time(fired, fired or day)
        for name, run in (("croniter", runs.get_next(datetime.datetime)), ("APScheduler", fired)):
            found[name].append(f"{run.astimezone(datetime.timezone.utc):%d %H:%M}")
    for name, times in found.items():
        print(f"{day:%b}", name, *times)
PY
cat >finding.mjs <<'JS'
import { Cron } from "croner";
import { CronExpressionParser } from "cron-parser";

const text = (at) => at.toISOString().slice(8, 16).replace("T", " ");
for (const [month, day] of [["Mar", "2026-03-28T12:00:00Z"], ["Oct", "2026-10-24T12:00:00Z"]]) {
  const cron = new Cron("30 2 * * *", { timezone: "Europe/Berlin", paused: true });
  console.log(month, "croner", ...cron.nextRuns(2, new Date(day)).map(text));
  const parsed = CronExpressionParser.parse("30 2 * * *", { currentDate: new Date(day), tz: "Europe/Berlin" });
  console.log(month, "cron-parser", ...[1, 2].map(() => text(parsed.next().toDate())));
}
JS
{ "$folder/venv/bin/python" finding.py && node finding.mjs; } | sort >seen
sort >known <<'TXT'
Mar croniter 29 01:00 30 00:30
Mar croner 29 01:00 30 00:30
Mar APScheduler 29 01:30 30 00:30
Mar cron-parser 29 01:30 30 00:30
Oct croniter 25 00:30 25 01:30
Oct APScheduler 25 00:30 25 01:30
Oct croner 25 00:30 26 01:30
Oct cron-parser 25 00:30 26 01:30
TXT
echo "the next two runs, in UTC:"
cat seen
diff known seen || { echo "CHANGED: the first column used to be so" >&2; exit 1; }
