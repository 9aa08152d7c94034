"""A stream that lost its end numbers other frames as it had numbered those: no frame is taken for one of them."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest
import redis

from compose.local.stack import Plan, Stack
from tasks.ledger import LedgerKeys
from tests.support.servers.losing import ForgetfulNats
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, replay, running
from tests.support.waiting import wait_for

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
