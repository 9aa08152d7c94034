"""NATS is killed again and again while a feed publishes into a stream as fast as it can."""

import asyncio
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tasks import backtest, configuration
from tasks.clients.nats_client import NatsClient
from tests.faults.rig import Setup, rig
from tests.faults.run import FaultRun, feed, finish
from tests.faults.to_nats import start
from tests.soak.rounds import Rounds
from tests.support.stacks.pipeline import digests

#: From one kill to the next on average: a few times what may be in flight.
FRAMES_A_KILL = 2_000


async def _stored(run: FaultRun) -> int:
    """Return how far the stream goes."""

    async def ignore(_: Exception) -> None:
        """The next look tells."""

    client = NatsClient(run.stack.settings)
    await client.open("test", ignore)
    info = await client.jetstream().stream_info(run.stack.settings.ingest_stream)
    await client.close()
    return int(info.state.last_seq)


def killed(run: FaultRun, times: int) -> Iterator[float]:
    """Kill NATS so many times, wherever the feed is; the number of frames decides when, not the clock."""
    while run.times < times:
        goal = asyncio.run(_stored(run)) + run.dice.randint(1, 2 * FRAMES_A_KILL - 1)
        while run.feeding and asyncio.run(_stored(run)) < goal:
            yield 0.0
        run.stack.nats.wanted = False
        run.stack.nats.send(signal.SIGKILL)
        run.stack.instance.kill(run.stack.nats)
        start(run)
        run.hit()


@pytest.mark.ci
@pytest.mark.parametrize(
    "times",
    [
        3,
        pytest.param(200, marks=[pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(3_600)]),
    ],
)
def test_nats_killed_at_full_speed_changes_nothing(recording: Path, tmp_path: Path, times: int):
    file = tmp_path / "rounds.jsonl"
    # Half as many again: kills are not evenly spread, and the last one must find the feed at work.
    count = FRAMES_A_KILL * (times + times // 2 + 2)
    with file.open("wb") as made:
        made.writelines(line.raw + b"\n" for line in islice(Rounds.read(recording).lines(0, count), count))
    with rig(Setup(2, "prefork", strategies=None), "jetstream") as stack:
        run = FaultRun(stack, "jetstream")
        feed(run, [file], "max", killed(run, times))
        live = finish(run)
        letters = list(run.reader.entries(run.reader.keys.deadletters, b"letter"))
        expected = backtest.run([file], configuration.read(stack.settings.strategies_file))
        log = stack.instance.directory / "feed.log"
        said = f"{run.times} kills; {live}; the feed says: {log.read_text()[-2000:]}"
    assert run.times == times
    assert (letters, live.dropped) == ([], {}), said
    assert (live.frames, digests(live)) == (count, digests(expected)), said
