"""Small tasks go to one worker, over a real queue and a real ledger; the test plays the workers."""

from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from redis.exceptions import NoPermissionError
from structlog.testing import capture_logs

from ingest.dispatch.celery_publisher import WORKER_QUEUE_MS, CeleryPublisher, OutgoingTask
from ingest.lanes.task_packing import Workforce
from tasks.clients.redis_client import connect_async, connection_options
from tasks.events import Position
from tasks.protocol.batches import Batch, Epoch, pack_event
from tasks.settings import Settings
from tests.support.events import trade
from tests.support.sending import Queue, Rig, begun

W1, W2 = "worker.w1@test", "worker.w2@test"


class Scene(Rig):
    """A sender to two workers."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.first, self.second = (Queue(self.client, settings, queue) for queue in (W1, W2))
        self.workforce = Workforce([({"trade", W1}, 1), ({"trade", W2}, 1)])


@pytest.fixture
async def rig(settings: Settings) -> AsyncIterator[Scene]:
    """Yield a sender that has sent one small task: from the next one on they go to a worker."""
    async with begun(Scene(settings)) as scene:
        scene.offer()
        await scene.sent()
        scene.queue.commit(scene.queue.take_batch())
        await scene.sender.poll(all_lanes=True)
        yield scene


async def test_small_tasks_that_are_alone_stand_in_the_queue_of_one_worker(rig: Scene):
    for _ in range(3):
        rig.offer()
        await rig.until(lambda: len(rig.first))
        rig.first.commit(rig.first.take_batch())
        await rig.sender.poll(all_lanes=True)
    assert (rig.counters.totals.of("committed"), len(rig.queue), len(rig.second)) == (4, 0, 0)


async def test_what_a_worker_that_is_gone_had_in_its_queue_goes_to_the_pool(rig: Scene):
    """At the next look, and not when it is overdue: a worker that ends in the normal way costs no time."""
    rig.offer("BTCUSDT")
    await rig.until(lambda: len(rig.first))
    [lane] = [lane for lane in rig.lanes if lane.flight]
    lane.check_s += 3_600  # it is not overdue by itself
    rig.workforce = Workforce([({"trade", W2}, 1)])
    await rig.sender.poll()
    await rig.sent()
    assert lane.tries == 2
    rig.queue.commit(rig.queue.take_batch())
    await rig.sender.poll(all_lanes=True)
    assert rig.lanes.held == 0


async def test_a_worker_that_does_not_take_its_task_is_not_preferred_any_more(rig: Scene):
    """As one that hangs: the task goes to the pool when it is overdue, and the next one to another worker."""
    rig.offer()
    await rig.until(lambda: len(rig.first))
    await rig.until(lambda: len(rig.queue), looking=True)
    rig.queue.commit(rig.queue.take_batch())
    await rig.sender.poll(all_lanes=True)
    rig.offer()
    await rig.until(lambda: len(rig.second))


async def test_a_new_epoch_prefers_a_worker_whatever_was_in_flight_before(rig: Scene):
    rig.offer()
    await rig.until(lambda: len(rig.first))
    await rig.sender.begin()
    await rig.sent()
    rig.queue.commit(rig.queue.take_batch())
    await rig.sender.poll(all_lanes=True)
    rig.offer()
    await rig.until(lambda: len(rig.first) == 2)
    assert len(rig.queue) == 0


# What Redis lets us do


@pytest.fixture
def earlier(client: redis.Redis, settings: Settings) -> Iterator[str]:
    """Yield the URL of a user with the permissions that ingest had before workers had queues of their own."""
    login = f"{settings.namespace}-ingest"
    keys = [f"{settings.celery_prefix}trade"]
    client.acl_setuser(login, enabled=True, passwords=["+secret"], keys=keys, commands=["+@all"])
    yield settings.broker.replace("//", f"//{login}:secret@")
    client.acl_deluser(login)


def task(number: int, queue: str = "") -> OutgoingTask:
    to = Position("core-2.3f9a02c1", number)
    batch = Batch("trade", 0, 0, Epoch(2, "3f9a02c1"), None, to, "c1", (pack_event(trade(id=number, seq=number)),))
    return OutgoingTask([batch], "1 event", queue=queue)


async def test_without_the_permission_for_queues_of_workers_pools_have_all_tasks(
    client: redis.Redis, settings: Settings, earlier: str
):
    """It is logged once, and no task is lost: an upgrade needs no new permissions."""
    queue = Queue(client, settings)
    async with connect_async(settings, earlier, **connection_options()) as broker:
        publisher = CeleryPublisher(broker, settings.celery_prefix, "ingest@test")
        with capture_logs() as logged:
            await publisher.send([task(1, W1), task(2), task(5, W2)])
            await publisher.send([task(3, W1), task(4)])
    assert [line["event"][:13] for line in logged] == ["no permission"]
    assert sorted(queue.take_batch().to.seq for _ in range(len(queue))) == [1, 2, 3, 4, 5]


async def test_without_the_permission_for_the_queue_of_a_pool_a_send_fails(settings: Settings, earlier: str):
    async with connect_async(settings, earlier, **connection_options()) as broker:
        publisher = CeleryPublisher(broker, f"{settings.celery_prefix}other.", "ingest@test")
        for queue, warnings in (("", 0), (W1, 1), ("", 0)):
            with pytest.raises(NoPermissionError), capture_logs() as logged:
                await publisher.send([task(1, queue)])
            assert len(logged) == warnings


async def test_redis_forgets_what_stays_in_the_queue_of_a_worker(client: redis.Redis, settings: Settings):
    """A worker that is gone may never come back; what it had is sent again within 10 s."""
    async with connect_async(settings, settings.broker, **connection_options()) as broker:
        publisher = CeleryPublisher(broker, settings.celery_prefix, "ingest@test")
        await publisher.send([task(1, W1), task(2)])
    assert 50_000 < client.pttl(Queue(client, settings, W1).key) <= WORKER_QUEUE_MS
    assert client.pttl(Queue(client, settings).key) == -1
