"""A stream that lost its end numbers other frames as it had numbered those: no frame is taken for one of them."""

import asyncio
import gzip
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import nats
import pytest
import redis

from compose.local.processes import Process
from compose.local.stack import Plan, Stack
from tasks.ledger import LedgerKeys
from tests.support.servers.losing import ForgetfulNats
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, lasting, replay, running
from tests.support.stacks.publishing import publish_frames
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

PART = 3_000


@pytest.fixture
def parts(recording: Path, tmp_path: Path) -> list[Path]:
    """Three recordings, each the continuation of the one before."""
    made = []
    with gzip.open(recording) as lines:
        for number in range(3):
            made.append(tmp_path / f"{number}.jsonl")
            made[-1].write_bytes(b"".join(islice(lines, PART)))
    return made


@contextmanager
def about_to_lose(parts: list[Path]) -> Iterator[tuple[Stack, ForgetfulNats]]:
    """Yield a stack that has read two parts, and its NATS, which will have forgotten the second."""
    with running(Plan(2, "solo", environment={"INGEST_SOURCE": "jetstream"})) as stack:
        nats = ForgetfulNats(stack.instance, stack.nats, stack.nats_url)
        replay(stack, parts[:1], "max")
        wait_for_frames(stack, PART)
        nats.save()
        replay(stack, parts[1:2], "max")
        wait_for_frames(stack, 2 * PART)
        yield stack, nats


def wait_for_frames(stack: Stack, count: int) -> None:
    keys = LedgerKeys(stack.settings.namespace)
    with redis.Redis.from_url(stack.redis_url) as client:
        wait_for(lambda: int(client.hget(keys.counters, "frames") or 0) >= count, f"{count} frames")


def test_after_a_lost_tail_running_ingest_processes_each_new_frame_once(parts: list[Path]):
    with about_to_lose(parts) as (stack, nats):
        nats.lose()
        nats.start()
        replay(stack, parts[2:], "max")
        wait_for_frames(stack, 3 * PART)
        live = finish(stack)
        assert "lost frames that were read" in stack.ingest.log.read_text()
        assert (digests(live), live.frames) == (digests(backtested(parts)), 3 * PART)
        assert (live.dropped, deadletters(stack)) == ({}, [])


def test_after_a_lost_tail_two_later_starts_process_each_new_frame_once(parts: list[Path]):
    with about_to_lose(parts) as (stack, nats):
        finish(stack)
        nats.lose()
        nats.start()
        # So many that the stream reaches to where ingest stood.
        replay(stack, parts[2:], "max")
        for _ in range(2):
            stack.instance.start_again(stack.ingest)
            live = finish(stack)
        assert stack.ingest.log.read_text().count("lost frames that were read") == 1
        assert (digests(live), live.frames) == (digests(backtested(parts)), 3 * PART)
        assert (live.dropped, deadletters(stack)) == ({}, [])


async def last_seq(stack: Stack) -> int:
    client = await nats.connect(stack.nats_url)
    info = await client.jetstream().stream_info(stack.settings.ingest_stream)
    await client.close()
    return int(info.state.last_seq)


@contextmanager
def about_to_crash(parts: list[Path]) -> Iterator[tuple[Stack, ForgetfulNats, Process]]:
    """Yield a stack that reads the second part while it is published, and its NATS, which has written some of it to disk."""
    with running(Plan(2, "solo", environment={"INGEST_SOURCE": "jetstream"})) as stack:
        machine = ForgetfulNats(stack.instance, stack.nats, stack.nats_url)
        replay(stack, parts[:1], "max")
        feed = stack.start_feed(["replay", str(parts[1]), "--speed", lasting(parts[1:2], 6)])
        wait_for_frames(stack, PART + 500)
        machine.sync()
        wait_for_frames(stack, PART + 1_500)
        assert feed.returncode is None, feed.tail()
        yield stack, machine, feed


def test_a_machine_that_dies_loses_nothing_that_its_feed_sends_again(parts: list[Path]):
    with about_to_crash(parts) as (stack, machine, feed):
        stack.instance.kill(feed)
        machine.crash()
        machine.start()
        asyncio.run(publish_frames(stack, parts[1]))
        replay(stack, parts[2:], "max")
        live = finish(stack)
        assert "lost frames that were read" in stack.ingest.log.read_text()
        letters = deadletters(stack)
    assert (digests(live), live.dropped, letters) == (digests(backtested(parts)), {}, [])


def test_a_machine_that_dies_takes_nothing_from_what_was_read_before(parts: list[Path]):
    """Its feed publishes on, and tells at its end that NATS lost what it had confirmed."""
    with about_to_crash(parts) as (stack, machine, feed):
        feed.send(signal.SIGSTOP)
        wait_for_frames(stack, asyncio.run(last_seq(stack)))
        machine.crash()
        machine.start()
        feed.send(signal.SIGCONT)
        wait_for(lambda: feed.returncode is not None, "the feed's end")
        assert (feed.returncode, "NATS lost what it had confirmed" in feed.tail()) == (1, True), feed.tail()
        replay(stack, parts[2:], "max")
        live = finish(stack)
        assert "lost frames that were read" in stack.ingest.log.read_text()
        letters = deadletters(stack)
    assert (digests(live), live.dropped, letters) == (digests(backtested(parts)), {}, [])


def test_a_machine_that_dies_loses_what_nobody_read_and_it_had_not_written(parts: list[Path], tmp_path: Path):
    with running(Plan(2, "solo", environment={"INGEST_SOURCE": "jetstream"})) as stack, ThreadPoolExecutor() as pool:
        machine = ForgetfulNats(stack.instance, stack.nats, stack.nats_url)
        replay(stack, parts[:1], "max")
        wait_for_frames(stack, PART)
        stack.instance.kill(stack.ingest)
        sending = pool.submit(asyncio.run, publish_frames(stack, parts[1]))
        wait_for(lambda: asyncio.run(last_seq(stack)) > PART + 500, "the first frames of the part")
        machine.sync()
        sending.result()
        machine.crash()
        machine.start()
        kept = asyncio.run(last_seq(stack))
        assert PART < kept < 2 * PART
        stack.instance.start_again(stack.ingest)
        replay(stack, parts[2:], "max")
        live = finish(stack)
        letters = deadletters(stack)
    left = tmp_path / "left.jsonl"
    with parts[1].open("rb") as lines:
        left.write_bytes(b"".join(islice(lines, kept - PART)))
    assert (digests(live), live.dropped, letters) == (digests(backtested([parts[0], left, parts[2]])), {}, [])
