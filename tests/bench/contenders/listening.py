"""What contenders that talk to NATS themselves share: a subscription, and an answer to the feed's question."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import nats
from nats.aio.msg import Msg

from ingest.transport.flush import confirm_published
from tasks.event_loop import new_event_loop
from tasks.protocol.ingest_status import STATUS_SUBJECT, IngestStatus, encode
from tasks.settings import load
from tests.bench.counters import Counters

SUBJECTS = "binance.>"
#: Where a contender without Redis counts what it has done, and leaves its verdict.
COUNTED = "BENCH_COUNTED"
VERDICT = "BENCH_VERDICT"
DONE = "done"

#: Takes (raw, subject, now_ns).
Take = Callable[[bytes, str, int], None]


def status(waiting: int) -> bytes:
    """Return a status in which so many frames wait; bytes do not matter."""
    return encode(IngestStatus(held_bytes=0, bound_bytes=1, held_frames=waiting))


def counted() -> Counters:
    """Return the counter of this process."""
    return Counters(Path(os.environ[COUNTED]), [DONE])


def leave(verdict: msgspec.Struct) -> None:
    """Write the verdict, whole or not at all."""
    path = Path(os.environ[VERDICT])
    path.with_suffix(".part").write_bytes(msgspec.json.encode(verdict))
    path.with_suffix(".part").rename(path)


def listen(take: Take, at_end: Callable[[], None] = lambda: None) -> None:
    """Hand every frame to `take` until SIGTERM comes."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_listen(take))
    at_end()


async def _listen(take: Take) -> None:
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    client = await nats.connect(load().nats_url)

    async def on_frame(message: Msg) -> None:
        take(message.data, message.subject, time.time_ns())

    subscription = await client.subscribe(SUBJECTS, cb=on_frame)

    async def on_question(message: Msg) -> None:
        await message.respond(status(subscription.pending_msgs))

    await client.subscribe(STATUS_SUBJECT, cb=on_question)
    await confirm_published(client)
    await ending.wait()
    await client.close()
