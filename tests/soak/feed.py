"""Publishes some rounds of a recording: python -m tests.soak.feed FILE LINES FIRST COUNT SPEED."""

import sys
from pathlib import Path

from ingest.feeds import run_feed
from ingest.feeds.publishing import publishing
from ingest.feeds.replay import RecordingOverview, Replay
from tasks.settings import load
from tasks.telemetry.logs import configure_structlog
from tests.soak.rounds import Rounds


async def _publish(rounds: Rounds, first: int, count: int, speed: float) -> None:
    begins_ns = next(rounds.lines(first, 1)).received_at_ns
    overview = RecordingOverview(len(rounds.recording) * count, begins_ns)
    async with publishing(load()) as publisher:
        await Replay(publisher, overview, speed).run(rounds.lines(first, count), lambda _: None)


if __name__ == "__main__":
    configure_structlog(load(), "feed")
    _file, _lines, _first, _count, _speed = sys.argv[1:]
    run_feed.run(_publish(Rounds.read(Path(_file), int(_lines)), int(_first), int(_count), float(_speed)))
