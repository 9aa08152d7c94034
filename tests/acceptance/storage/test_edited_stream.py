"""A stream that is purged, edited or deleted while it is read: what was unread is gone, the rest is applied once."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection, Sequence
from itertools import islice
from pathlib import Path

import nats
import pytest
import redis
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from compose.local.stack import Plan, Stack
from tasks.history import recordings
from tasks.history.recordings import RecordingLine
from tasks.ledger import LedgerKeys
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, running
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

#: By how many frames ingest has been suspended, the stream is edited, and all are published. What the server had been
#: asked for before that, 1,000 at most, may arrive all the same.
READ, STORED, ALL = 300, 2_000, 2_300

#: Edits a stream whose frames have these subjects; returns the numbers of those that it removes, in their order.
Edit = Callable[[JetStreamContext, str, Sequence[str]], Awaitable[Sequence[int]]]


async def purge(jetstream: JetStreamContext, stream: str, _: Sequence[str]) -> Sequence[int]:
    await jetstream.purge_stream(stream)
    return range(1, STORED + 1)


async def purge_all_but_the_last(jetstream: JetStreamContext, stream: str, _: Sequence[str]) -> Sequence[int]:
    await jetstream.purge_stream(stream, keep=200)
    return range(1, STORED - 200 + 1)


async def purge_a_subject(jetstream: JetStreamContext, stream: str, subjects: Sequence[str]) -> Sequence[int]:
    await jetstream.purge_stream(stream, subject=subjects[0])
    return [number for number, subject in enumerate(subjects, start=1) if subject == subjects[0]]


async def erase_messages(jetstream: JetStreamContext, stream: str, _: Sequence[str]) -> Sequence[int]:
    """One that was read, and three that were not: their bytes are written over."""
    removed = [READ // 2, STORED - 500, STORED - 499, STORED]
    for number in removed:
        await jetstream.delete_msg(stream, number)
    return removed


async def delete_stream(jetstream: JetStreamContext, stream: str, _: Sequence[str]) -> Sequence[int]:
    await jetstream.delete_stream(stream)
    return range(1, STORED + 1)


def write(file: Path, lines: Sequence[RecordingLine], without: Collection[int]) -> Path:
    """Write a recording of the lines but for those of these numbers; the first has the number 1."""
    kept = (line.raw + b"\n" for number, line in enumerate(lines, start=1) if number not in without)
    file.write_bytes(b"".join(kept))
    return file


async def publish(jetstream: JetStreamContext, lines: Sequence[RecordingLine]) -> None:
    for line in lines:
        await jetstream.publish(f"binance.{line.stream}", line.raw)


async def feed(stack: Stack, lines: Sequence[RecordingLine], edit: Edit) -> Sequence[int]:
    """Publish the lines; have the stream edited when most of them are in it. Return the numbers of what that removes."""
    client = await nats.connect(stack.nats_url)
    jetstream, stream = client.jetstream(), stack.settings.ingest_stream
    await publish(jetstream, lines[:READ])
    await asyncio.to_thread(wait_for_frames, stack)
    stack.ingest.send(signal.SIGSTOP)
    await publish(jetstream, lines[READ:STORED])
    removed = await edit(jetstream, stream, [f"binance.{line.stream}" for line in lines[:STORED]])
    stack.ingest.send(signal.SIGCONT)
    await until_there_is_a_stream(jetstream, stream)
    await publish(jetstream, lines[STORED:])
    await client.close()
    return removed


def wait_for_frames(stack: Stack) -> None:
    keys = LedgerKeys(stack.settings.namespace)
    with redis.Redis.from_url(stack.redis_url) as client:
        wait_for(lambda: int(client.hget(keys.counters, "frames") or 0) >= READ, "the first frames")


async def until_there_is_a_stream(jetstream: JetStreamContext, stream: str) -> None:
    while True:
        try:
            await jetstream.stream_info(stream)
        except NotFoundError:
            await asyncio.sleep(0.05)
        else:
            return


@pytest.mark.parametrize(
    "edit",
    [purge, purge_all_but_the_last, purge_a_subject, erase_messages, delete_stream],
    ids=lambda edit: edit.__name__,
)
def test_all_of_an_edited_stream_is_applied_that_was_read_or_is_left(recording: Path, tmp_path: Path, edit: Edit):
    lines = list(islice(recordings.read(recording), ALL))
    with running(Plan(2, "solo", environment={"INGEST_SOURCE": "jetstream"})) as stack:
        removed = asyncio.run(feed(stack, lines, edit))
        live = finish(stack)
        log, letters = stack.ingest.log.read_text(), deadletters(stack)
    # They are read in order, so those that were not are the last of them.
    unread = removed[-(ALL - live.frames) :] if live.frames < ALL else []
    assert len(unread) == ALL - live.frames > 0
    assert digests(live) == digests(backtested([write(tmp_path / "left.jsonl", lines, unread)]))
    assert letters == []
    if edit is delete_stream:
        assert (live.dropped, log.count("stream created")) == ({}, 2)
    else:
        assert live.dropped == {"expired": len(unread)}
