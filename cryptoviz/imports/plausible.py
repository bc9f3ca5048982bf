"""Whether rows that look like candles can be candles of trades, of the length that their file claims.

columns of a chunk -> nothing, or ImportRefusedError with what the file holds instead and what to do
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cryptoviz.imports.files import File, ImportRefusedError, NotWantedError
from cryptoviz.imports.layouts import Format, timeframe_named
from cryptoviz.imports.progress import Target
from cryptoviz.pairs import Timeframe

_ENOUGH: Final = 100
"""So many rows speak for the file: some two that follow each other have trades, and the share at fault counts."""
_REGULAR: Final = 10
"""Nobody trades so many times at the same distance."""
_NEARLY: Final = 0.95
"""Of so many steps chance makes no multiples of any longer length."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def refuse_no_candles(file: File, form: Format, target: Target, staged: pa.Table) -> None:
    """Refuse rows of which most begin beside the windows of their length, or that have no volume while prices move.

    Raises:
        NotWantedError: nothing was traded in any of them.
        ImportRefusedError: they are no candles of this timeframe.
    """
    times = np.sort(staged["microseconds"].drop_null().to_numpy())
    timeframe = target.timeframe or Timeframe.M1
    _refuse_other_length(file, form, times, timeframe)
    _refuse_off_grid(file, form, target, times)
    _refuse_no_trades(file, staged)


def _refuse_other_length(file: File, form: Format, times: Any, timeframe: Timeframe) -> None:
    """Refuse rows that are further apart than candles of this length, or closer.

    Windows without trades may be left out: rows are of a longer length only if nearly all steps are multiples of it.
    Kraken leaves out every such window and says the length in the name, which then holds, however far apart they are.
    """
    steps = np.diff(np.unique(times))
    if not len(steps):
        return
    length = timeframe.seconds * 1_000_000
    apart, often = _usual(steps)
    if apart < length and (often == len(steps) or (2 * often > len(steps) >= _REGULAR)):
        raise ImportRefusedError(f"{file.name} has a row every {_duration(apart)}: no candles of {timeframe}")
    if form is Format.KRAKEN and timeframe_named(file.stem, form) == timeframe:
        return
    longer = {step for step in (apart, int(steps.min())) if step > length and _multiples(steps, step)}
    enough = len(steps) >= _ENOUGH or often == len(steps) >= _REGULAR
    monthly = timeframe is Timeframe.D1 and _of_months(times)
    if monthly or (longer and enough):
        raise ImportRefusedError(f"{file.name} has a row every {_duration(apart)}: no candles of {timeframe}")


def _multiples(steps: Any, length: int) -> bool:
    return bool(np.mean(steps % length == 0) >= _NEARLY)


def _of_months(times: Any) -> bool:
    """Whether rows are the first days of months: at least three, and nothing between them."""
    days = np.unique(times).astype("datetime64[us]")
    return len(days) > 2 and bool(np.all(days == days.astype("datetime64[M]")))


def _refuse_off_grid(file: File, form: Format, target: Target, times: Any) -> None:
    timeframe = target.timeframe or Timeframe.M1
    late = times % (timeframe.seconds * 1_000_000)
    off = late[late > 0]
    if len(off) < len(times) and (len(times) < _ENOUGH or 2 * len(off) <= len(times)):
        return  # each row is held back by itself
    if not len(off):
        return
    after, count = _usual(off)
    which = "" if count == len(off) else f"most of them, {count:,}, "
    first = _EPOCH + timedelta(microseconds=int(times[late > 0][0]))
    raise ImportRefusedError(
        f"{file.name}: {len(off):,} of {len(times):,} windows begin beside those of {timeframe},"
        f" {which}{_duration(after)} late (the first at {first:%Y-%m-%d %H:%M:%S.%f}): it has no candles of"
        f" {timeframe}. The trades of that time make them: {_trades(file, form, target)}"
    )


def _usual(counts: Any) -> tuple[int, int]:
    """The commonest of some numbers, and how often it is there."""
    values, often = np.unique(counts, return_counts=True)
    return int(values[often.argmax()]), int(often.max())


def _duration(microseconds: int) -> str:
    whole, left = divmod(microseconds, 60_000_000)
    if left:
        return f"{Decimal(microseconds).scaleb(-6).normalize():f} s"
    return f"{whole // 1440} d" if whole % 1440 == 0 else f"{whole // 60} h" if whole % 60 == 0 else f"{whole} min"


def _trades(file: File, form: Format, target: Target) -> str:
    """How to get the trades of the time of a file."""
    command = f"cryptoviz import trades --exchange {target.exchange} --pair {target.pair}"
    archive = re.sub(r"-\d+(mo|[smhdw])-", "-trades-", file.path.name)
    if form is Format.BINANCE and archive != file.path.name:
        return f"Binance's archive has them as {archive}; `{command} {archive}`"
    return f"`{command}` with the exchange's archive of trades"


def _refuse_no_trades(file: File, staged: pa.Table) -> None:
    high, low, volume = (staged[name].cast(pa.float64()) for name in ("high", "low", "volume"))
    moved = pc.any(pc.not_equal(high, low)).as_py() or pc.count_distinct(high).as_py() > 1
    if moved and not pc.any(pc.not_equal(volume, 0)).as_py():
        raise NotWantedError(
            f"{file.name} has prices that move and no volume in any of {staged.num_rows:,} rows: these are mark or"
            " index prices, or volumes are not known; only candles of spot trades are kept"
        )
