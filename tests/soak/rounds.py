"""A recording again and again: each round has later times and higher ids than the last one. Pure but for `read`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from tasks.history import recordings
from tasks.history.recording_line import RecordingLine

#: From the last frame of a round to the first of the next.
PAUSE_MS = 2_000
IDS = 10**9
_TIMES = re.compile(rb'("[ET]":)(\d+)')
_IDS = re.compile(rb'("(?:t|u|U|pu|lastUpdateId)":)(\d+)')
_RECEIVED = re.compile(rb'("received_at":)(\d+)')


class Rounds(NamedTuple):
    """The lines of one round."""

    recording: tuple[RecordingLine, ...]

    @classmethod
    def read(cls, file: Path, at_most: int | None = None) -> Self:
        """Read a recording; of more lines than `at_most` some are left out, evenly. Raises RecordingError."""
        lines = tuple(recordings.read(file))
        count = min(len(lines), at_most or len(lines))
        return cls(tuple(lines[number * len(lines) // count] for number in range(count)))

    @property
    def round_ms(self) -> int:
        """From the beginning of one round to that of the next."""
        first, last = self.recording[0], self.recording[-1]
        return (last.received_at_ns - first.received_at_ns) // 1_000_000 + PAUSE_MS

    def lines(self, first: int, count: int) -> Iterator[RecordingLine]:
        """Yield the lines of `count` rounds from number `first` on."""
        for number in range(first, first + count):
            for line in self.recording:
                later_ms = number * self.round_ms
                raw = _later(_later(line.raw, _TIMES, later_ms), _IDS, number * IDS)
                raw = _later(raw, _RECEIVED, later_ms * 1_000_000)
                yield RecordingLine(raw, line.stream, line.received_at_ns + later_ms * 1_000_000)


def _later(line: bytes, pattern: re.Pattern[bytes], by: int) -> bytes:
    return pattern.sub(lambda found: b"%b%d" % (found[1], int(found[2]) + by), line)
