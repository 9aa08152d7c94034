"""A stop before Redis is full, against a real server with a small limit that something else fills up."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import start_redis
from ingest.brake import Brake
from ingest.surroundings import Surroundings
from tasks.settings import Settings
from tests.integration.sending import Rig, dispatching

FILLER = "somebody else's"


@pytest.fixture
def small() -> Iterator[str]:
    """A server that may use 8 MB."""
    with Instance("brake") as instance:
        yield start_redis(instance, options=("--maxmemory", "8mb"))[1]


def fill(client: Any, share: float) -> None:
    """Fill it up to a share of its limit."""
    while (about := client.info("memory"))["used_memory"] < share * about["maxmemory"]:
        client.rpush(FILLER, b"x" * 20_000)


def test_batches_wait_while_redis_is_almost_full_and_go_out_when_it_is_not(
    small: str, namespace: str, monkeypatch: pytest.MonkeyPatch
):
    settings = Settings(redis_url=small, namespace=namespace)

    async def scenario(rig: Rig) -> None:
        brake = Brake(0.9)
        surroundings = Surroundings(rig.ledger, ["trade"], brake)
        brake.on_release, rig.sender.may_send = rig.sender.pump_all, lambda: not brake.full
        await rig.sender.begin()
        rig.offer()
        await rig.sent()
        fill(rig.client, 0.95)
        await surroundings.ask()
        assert surroundings.seen is not None
        assert surroundings.seen.redis_full
        # What is in flight is committed, also now; nothing follows it.
        first = rig.queue.take_batch()
        rig.offer()
        assert rig.queue.commit(first) == "committed"
        await rig.until(lambda: rig.tally.totals["committed"] == 1, looking=True)
        rig.offer()
        await rig.sender.look(everywhere=True)
        assert (len(rig.queue), rig.lanes.held, rig.tally.totals["batches_sent"]) == (0, 2, 1)
        rig.client.delete(FILLER)
        await surroundings.ask()
        await rig.sent()
        assert [event.id for event in rig.queue.take_batch().events] == [2, 3]
        assert rig.tally.totals["dropped:overflow"] == 0
        refused: Any = rig.client.info("errorstats")
        assert "errorstat_OOM" not in refused

    async def run() -> None:
        with dispatching(monkeypatch, settings) as dispatcher:
            rig = Rig(settings, dispatcher)
            try:
                await scenario(rig)
            finally:
                await rig.close()

    asyncio.run(run())


def test_without_the_stop_the_same_server_would_refuse_writes(small: str):
    with redis.Redis.from_url(small) as client:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            fill(client, 1.1)
        assert "errorstat_OOM" in client.info("errorstats")
