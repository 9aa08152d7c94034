"""The beginnings of recordings: enough for a claim that does not need all of one."""

from itertools import islice
from pathlib import Path

from tasks.history import recordings


def write_opening(recording: Path, frames: int, to: Path) -> Path:
    """Write the first frames of a recording, unpacked; return where."""
    to.write_bytes(b"".join(line.raw + b"\n" for line in islice(recordings.read(recording), frames)))
    return to
