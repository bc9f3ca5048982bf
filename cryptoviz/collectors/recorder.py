"""Raw frames on disk, one JSON line each, as they came off the wire; and back through the real parsers.

    frame -> Recorder -> <dir>/<exchange>-<start>-<n>.jsonl     {ts, conn, kind, url?, data}
    file  -> captured -> Replay(parse) -> records, events, refusals

`kind` is ``config``, ``connect``, ``send``, ``recv`` or ``http``; `data` is the untouched text.
"""

from __future__ import annotations

import gzip
import io
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from cryptoviz.exchanges.adapter import Event, Exchange, FrameError, Ignored
from cryptoviz.records import Record

_ROTATE_BYTES: Final = 64 * 1024 * 1024
_KEPT_FILES: Final = 64


class Line(msgspec.Struct, omit_defaults=True):
    """One event of a capture; `ts` is seconds since the epoch, 0 for what has no time."""

    ts: float
    conn: str
    kind: str
    url: str = ""
    data: str = ""


class Recorder:
    """Writes frames to files of at most `rotate_bytes`; the oldest beyond `kept` are deleted."""

    def __init__(
        self, directory: Path, exchange: str, *, rotate_bytes: int = _ROTATE_BYTES, kept: int = _KEPT_FILES
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._stem = f"{exchange}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        self._exchange = exchange
        self._directory = directory
        self._rotate_bytes = rotate_bytes
        self._kept = kept
        self._number = 0
        self._written = 0
        self._file: io.BufferedWriter | None = None

    def write(self, conn: str, kind: str, data: bytes | str = b"", *, url: str = "") -> None:
        """Append one event, now. Bytes that are not UTF-8 are kept readable with escapes."""
        text = data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")
        line = msgspec.json.encode(Line(time.time(), conn, kind, url, text)) + b"\n"
        if self._file is None or self._written + len(line) > self._rotate_bytes:
            self._rotate()
        assert self._file is not None  # noqa: S101 - `_rotate` opened it
        self._file.write(line)
        self._written += len(line)

    def close(self) -> None:
        """Write out what is buffered and close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rotate(self) -> None:
        self.close()
        self._number += 1
        self._written = 0
        self._file = (self._directory / f"{self._stem}-{self._number:04}.jsonl").open("ab")
        files = sorted(self._directory.glob(f"{self._exchange}-*.jsonl"))
        for old in files[: -self._kept]:
            old.unlink(missing_ok=True)


def captured(path: Path) -> Iterator[Line]:
    """The events of a capture file (``.jsonl``, or the same compressed with gzip), in order.

    Raises:
        ValueError: a line is not an event; the message has its number.
    """
    with path.open("rb") as file, gzip.open(file) if path.suffix == ".gz" else file as lines:
        for number, text in enumerate(lines, start=1):
            try:
                yield msgspec.json.decode(text, type=Line)
            except msgspec.MsgspecError as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from None


@dataclass
class Replay:
    """What a real parser made of a capture. Times of receipt are those of the recording."""

    exchange: Exchange
    frames: int = 0
    records: list[Record] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, FrameError]] = field(default_factory=list)

    def play(self, path: Path) -> Replay:
        """Feed every received frame of a file to the parser."""
        for line in captured(path):
            if line.kind == "recv":
                self.feed(line.data.encode(), datetime.fromtimestamp(line.ts, UTC))
        return self

    def feed(self, frame: bytes, received_at: datetime) -> None:
        """Feed one frame."""
        self.frames += 1
        try:
            parsed = self.exchange.parse(frame, received_at)
        except FrameError as error:
            self.refused.append((frame.decode("utf-8", "backslashreplace"), error))
            self.records += error.records
            return
        if isinstance(parsed, list):
            self.records += parsed
        else:
            self.events[explain(parsed)] += 1


def explain(event: Event) -> str:
    """One phrase for an event, for counters."""
    return f"ignored: {event.reason}" if isinstance(event, Ignored) else type(event).__name__
