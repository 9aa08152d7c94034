"""A relay and the JetStream streams that take its signals, on real servers, driven by a test."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from nats.errors import Error as NatsError

from tasks.settings import Settings
from tests.support.relaying import Stage, stage


class Streams:
    """The streams of a stage's server, by the test."""

    def __init__(self, on: Stage, namespace: str) -> None:
        self._on, self._namespace = on, namespace

    async def make(self, name: str = "S", symbol: str = "*", **options: Any) -> None:
        subjects = [f"{self._namespace}.*.{symbol}.>"]
        await self._on.nats.jetstream().add_stream(name=f"{name}-{self._namespace}", subjects=subjects, **options)
        await self._on.streams.ask()

    async def edit(self, name: str = "S", **options: Any) -> None:
        jetstream = self._on.nats.jetstream()
        config = (await jetstream.stream_info(f"{name}-{self._namespace}")).config
        await jetstream.update_stream(config.evolve(**options))

    async def delete(self, name: str = "S") -> None:
        await self._on.nats.jetstream().delete_stream(f"{name}-{self._namespace}")

    async def kept(self, name: str = "S") -> list[str]:
        """Return the ids of the signals in a stream, in its order."""
        jetstream, stream = self._on.nats.jetstream(), f"{name}-{self._namespace}"
        state = (await jetstream.stream_info(stream)).state
        messages = [await jetstream.get_msg(stream, seq) for seq in range(state.first_seq, state.last_seq + 1)]
        return [json.loads(message.data or b"")["id"] for message in messages]


@asynccontextmanager
async def relay(settings: Settings, **options: Any) -> AsyncIterator[tuple[Stage, Streams]]:
    async with stage(settings, **options) as on:
        await on.create_group()
        streams = Streams(on, settings.namespace)
        try:
            yield on, streams
        finally:
            for name in ("S", "T"):
                with suppress(NatsError):
                    await streams.delete(name)


def found(on: Stage) -> dict[str, str]:
    return {finding.name: f"{finding.sign}: {finding.what} {finding.says}" for finding in on.streams.findings()}


def names(count: int, first: int = 0) -> list[str]:
    return [str(number) for number in range(first, first + count)]


async def drain_or_fail(on: Stage) -> bool:
    """Return whether all is relayed, also where NATS is not there."""
    try:
        return await on.relay.drain()
    except NatsError:
        return False
