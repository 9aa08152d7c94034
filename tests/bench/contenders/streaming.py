"""FastStream's NATS subscriber, with states in memory or in Redis: `python -m ... memory|redis`."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio
from faststream import FastStream
from faststream.message import StreamMessage
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.msg import Msg

from tasks.protocol.ingest_status import STATUS_SUBJECT
from tasks.settings import load
from tests.bench.application import Desk, Loop
from tests.bench.contenders import store
from tests.bench.contenders.listening import DONE, SUBJECTS, counted, leave, status

Take = Callable[[bytes, str], Awaitable[None]]


def in_memory(loop: Loop) -> Take:
    """Work on a frame at once."""
    counter = counted()

    async def take(raw: bytes, subject: str) -> None:
        counter.add(DONE, loop.take(raw, subject, time.time_ns()))

    return take


def in_redis() -> Take:
    """Work on a frame between two round trips."""
    desk, client = Desk(), redis.asyncio.Redis.from_url(load().redis_url)

    async def take(raw: bytes, subject: str) -> None:
        event = desk.parse(raw, subject, time.time_ns())
        fields = desk.fields(event) if event else []
        if event is None or not fields:
            return
        values: Any = await client.hmget(store.key(event), fields)
        work = desk.run(event, dict(zip(fields, values, strict=True)))
        async with client.pipeline(transaction=False) as pipe:
            store.write(pipe, event, work)
            await pipe.execute()

    return take


async def _as_it_came(message: StreamMessage[Msg]) -> bytes:
    body: bytes = message.body
    return body


def application(take: Take) -> FastStream:
    """Put it behind a subscriber, and answer the feed."""
    broker = NatsBroker(load().nats_url, logger=None)
    # Its own decoder would read the JSON, which the work does again.
    frames = broker.subscriber(SUBJECTS, decoder=_as_it_came)

    @frames
    async def handle(raw: bytes, message: NatsMessage) -> None:
        await take(raw, message.raw_message.subject)

    @broker.subscriber(STATUS_SUBJECT)
    async def answer() -> bytes:
        subscription = frames.subscription
        return status(subscription.pending_msgs if subscription else 0)

    return FastStream(broker, logger=None)


if __name__ == "__main__":
    if sys.argv[1] == "memory":
        kept = Loop()
        asyncio.run(application(in_memory(kept)).run())
        leave(kept.verdict())
    else:
        asyncio.run(application(in_redis()).run())
