"""Backfills of simulated history that may be killed: a child process for each line read, its pid for an answer.

python -m tests.integration.backfill_worker <settings as JSON> <file with what was asked>
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cryptoviz.backfill.fetch_run import FetchRun
from cryptoviz.backfill.run import backfill
from cryptoviz.exchanges.history import Page
from cryptoviz.gate import engine, suites
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.settings import Role, Settings
from cryptoviz.storage.database import connect
from tests.integration.simulated_history import SimulatedHistory

PAIR = "BTC/USDT"
SERIES = Series("binance", PAIR, Timeframe.M1)
PAGE = 500
AT_ONCE = 5_000


class LoggedHistory(SimulatedHistory):
    """Writes down each page that is asked for, with the process that asks."""

    def __init__(self, log: Path) -> None:
        super().__init__("binance", [PAIR], rate=0.05)
        self.page = PAGE
        self._log = log

    def pages(self, exchange: str, pair: str, timeframe: Timeframe, since: datetime, until: datetime) -> Iterator[Page]:
        for page in super().pages(exchange, pair, timeframe, since, until):
            with self._log.open("a") as log:
                log.write(f"{os.getpid()} {page.rows[0].window_start.isoformat()}\n")
            yield page


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    settings = Settings(**json.loads(sys.argv[1]))
    source = LoggedHistory(Path(sys.argv[2]))
    # Loaded once and not in each child: what is to be killed is the backfill.
    engine.check(suites.read("candles_rest"))
    for _line in sys.stdin:
        child = os.fork()
        if not child:
            with connect(Role.WRITER, settings, autocommit=True) as connection:
                backfill(FetchRun(connection, settings, source, "run", at_once=AT_ONCE), SERIES)
            os._exit(0)
        _say(child)
        _, status = os.waitpid(child, 0)
        _say(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
