"""What ingest does with signals that are left when it stops."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ingest.service import Service


class Relay:
    """A relay that waits for a stream or for rights, until it is asked often enough."""

    def __init__(self, *, waits_for_streams: bool) -> None:
        self.waits_for_streams, self.asked, self.steps = waits_for_streams, 0, ["relay"]

    async def drain(self) -> bool:
        self.asked += 1
        return self.asked > 1


@pytest.mark.parametrize(("waits_for_streams", "drained", "asked"), [(True, True, 2), (False, False, 1)])
async def test_a_stop_asks_again_only_for_what_a_stream_may_still_take(
    waits_for_streams: bool,  # noqa: FBT001 of the parameters
    drained: bool,  # noqa: FBT001
    asked: int,
):
    relay = Relay(waits_for_streams=waits_for_streams)
    ended = asyncio.create_task(asyncio.sleep(0))
    service: Any = SimpleNamespace(_is_first=True, _tasks={"relay": ended}, components=SimpleNamespace(relays=relay))
    assert (await Service._drain_relay(service, 60.0), relay.asked) == (drained, asked)
