"""With a stream as the log nothing is lost: whatever dies, what was not decided is read again."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import nats
import pytest
import redis

from compose.local.processes import Process
from compose.local.servers import start_nats
from compose.local.stack import Plan, Stack
from tasks.backtest import BacktestResult
from tasks.history import recordings
from tasks.ledger import LedgerKeys
from tests.support.stacks.pipeline import (
    applied_by,
    backtested,
    deadletters,
    digests,
    finish,
    lasting,
    ready,
    replay,
    running,
)
from tests.support.waiting import wait_for


@contextmanager
def reading_a_stream(workers: int = 2, **environment: str) -> Iterator[Stack]:
    plan = Plan(workers, "solo", environment={"INGEST_SOURCE": "jetstream", **environment})
    with running(plan) as stack:
        yield stack


def kill(stack: Stack, process: Process) -> None:
    stack.instance.kill(process)
    stack.instance.start_again(process)


def applied(client: redis.Redis, keys: LedgerKeys) -> int:
    """Return how many events were applied, as far as Redis knows; 0 while it is unavailable."""
    with suppress(redis.RedisError):
        return int(client.hget(keys.counters, "applied") or 0)
    return 0


class Every:
    """Does something to the stack every few seconds, a little at random."""

    def __init__(self, seconds: float, seed: int) -> None:
        self._seconds, self._dice = seconds, random.Random(seed)
        self._next_s = time.monotonic() + seconds
        self.times = 0

    def due(self) -> bool:
        if time.monotonic() < self._next_s:
            return False
        self._next_s = time.monotonic() + self._seconds * self._dice.uniform(0.5, 1.5)
        self.times += 1
        return True


def check(stack: Stack, expected: BacktestResult) -> None:
    live = finish(stack)
    assert deadletters(stack) == []
    assert (live.dropped, live.repeats) == ({}, 0)
    assert (live.frames, live.events) == (expected.frames, expected.frames), (
        "each frame counted once, however often it was read"
    )
    assert digests(live) == digests(expected)


def test_ingest_that_is_killed_again_and_again_loses_and_repeats_nothing(opening: Path):
    expected = backtested([opening])
    with reading_a_stream() as stack:
        faults = Every(2.5, seed=1)
        replay(stack, [opening], lasting([opening], 14), lambda: kill(stack, stack.ingest) if faults.due() else None)
        assert faults.times >= 4
        check(stack, expected)


@pytest.mark.ci
def test_a_redis_that_comes_back_older_is_noticed_and_later_work_is_redone(opening: Path):
    expected = backtested([opening])
    with reading_a_stream() as stack, redis.Redis.from_url(stack.redis_url, retry=None) as client:
        keys = LedgerKeys(stack.settings.namespace)
        #: How much was applied when it was saved, and when it was killed.
        at: list[int] = []

        def turn_back() -> bool:
            if len(at) < 2 and (done := applied(client, keys)) >= (at[-1] if at else 0) + 1_000:
                at.append(done)
                client.save() if len(at) == 1 else kill(stack, stack.redis)
            return len(at) == 2

        replay(stack, [opening], lasting([opening], 7), turn_back)
        wait_for(turn_back, what="so much to be applied")
        wait_for(lambda: "Redis went back in time" in stack.ingest.log.read_text())
        live = finish(stack)
    assert (live.dropped, live.repeats, live.frames) == ({}, 0, expected.frames)
    assert digests(live) == digests(expected)


def test_nats_that_is_restarted_while_ingest_reads_changes_nothing(opening: Path):
    expected = backtested([opening])
    # Without a worker ingest stops at this bound, in the middle of the stream.
    with reading_a_stream(1, INGEST_LANE_BYTES=str(2**20), INGEST_TOTAL_BYTES=str(2**20)) as stack:
        stack.instance.stop(*stack.workers)
        replay(stack, [opening], "max")
        wait_for(lambda: ready(stack)["held_up_by"], "ingest to read no further")
        stack.instance.kill(stack.nats)
        start_nats(stack.instance, "nats", int(stack.nats_url.rpartition(":")[2]))
        assert ready(stack)["held_up_by"]
        for worker in stack.workers:
            stack.instance.start_again(worker)
        keys = LedgerKeys(stack.settings.namespace)
        with redis.Redis.from_url(stack.redis_url) as client:
            wait_for(lambda: client.hget(keys.counters, "frames") == str(expected.frames).encode(), hangs_s=120)
        check(stack, expected)


@pytest.mark.ci
def test_a_redis_that_lost_everything_is_refilled_from_where_ingest_stood(recording: Path):
    """Nothing hangs: what comes after the loss is applied, each event once."""
    with reading_a_stream() as stack, redis.Redis.from_url(stack.redis_url) as client:
        flushed: list[int] = []
        keys = LedgerKeys(stack.settings.namespace)

        def flush() -> bool:
            if not flushed and (done := applied(client, keys)) >= 1_000:
                flushed.append(done)
                client.flushall()
            return bool(flushed)

        replay(stack, [recording], lasting([recording], 7), flush)
        wait_for(flush, what="something to be applied")
        live = finish(stack)
        assert "Redis went back in time" in stack.ingest.log.read_text()
        # What came after the loss is there, each event once; a few from before it are read again, as new.
        assert applied(client, keys) == pytest.approx(applied_by([recording]) - flushed[0], rel=0.2)
        assert (live.repeats, deadletters(stack)) == (0, [])


@pytest.mark.ci
def test_what_is_recorded_from_the_stream_gives_the_digest_of_the_live_run(recording: Path, tmp_path: Path):
    recorded = tmp_path / "recorded.jsonl"
    with reading_a_stream() as stack:
        recorder = stack.start_feed(["record", str(recorded)])
        wait_for(recorded.exists, "the recording")
        asyncio.run(publish_without_time(stack.nats_url, recording))
        recorder.terminate()
        wait_for(lambda: stack.instance.watch() is not None and recorder.returncode is not None, "its end")
        check(stack, backtested([recorded]))


async def publish_without_time(nats_url: str, recording: Path) -> None:
    """Publish spot frames as the exchange sends them, where nothing in a book tells when it came; wait for the stream."""
    client, count = await nats.connect(nats_url), 0
    for line in islice(recordings.read(recording), 6_000):
        if b"lastUpdateId" in line.raw or b'"X":' not in line.raw:
            raw = line.raw[: line.raw.rindex(b',"received_at"')] + b"}"
            await client.publish("binance.websocket.data", raw)
            count += 1
    # That the server has got them does not say that the stream has.
    while (await client.jetstream().stream_info("FRAMES")).state.messages < count:
        await asyncio.sleep(0.02)
    await client.close()
