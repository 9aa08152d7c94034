"""The publisher of every benchmark: one process that reads a file, and then puts it on NATS as `replay` does.

Prints one JSON object at the end: when it began and ended (monotonic, which is one clock for the whole machine), and
the CPU that publishing took.
"""

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from ingest.feeds.publishing import publishing
from ingest.feeds.replay import RecordingOverview, Replay
from tasks.history import recordings
from tasks.settings import load


class Fed(msgspec.Struct, frozen=True):
    """What the publisher has to tell."""

    frames: int
    began_s: float
    ended_s: float
    cpu_s: float


async def feed(path: Path, speed: float | None) -> Fed:
    """Publish a recording that fits into memory."""
    lines = list(recordings.read(path))
    async with publishing(load()) as publisher:
        began_s, cpu_s = time.monotonic(), time.process_time()
        replay = Replay(publisher, RecordingOverview(len(lines), lines[0].received_at_ns), speed)
        await replay.run(iter(lines), lambda _: None)
        return Fed(len(lines), began_s, time.monotonic(), time.process_time() - cpu_s)


if __name__ == "__main__":
    told = asyncio.run(feed(Path(sys.argv[1]), None if sys.argv[2] == "max" else float(sys.argv[2])))
    print(msgspec.json.encode(told).decode())
