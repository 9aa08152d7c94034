"""What a worker's consumer does when its connection to the broker is lost."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.solo import TaskPool as SoloPool
from celery.worker import state

from tasks.worker.consumer import WorkerConsumer
from tasks.worker.health import WorkerHealth


class Request:
    """One that Celery takes for running."""

    id = "trade-0-1.a-7"
    name = "tasks.process"


@pytest.mark.parametrize(("pool", "at_work"), [(SoloPool, 0), (PreforkPool, 1)], ids=["solo", "prefork"])
def test_a_lost_connection_ends_the_task_of_a_solo_worker_but_not_a_childs(
    monkeypatch: pytest.MonkeyPatch, pool: Any, at_work: int
):
    consumer: Any = WorkerConsumer.__new__(WorkerConsumer)
    consumer.pool, consumer.controller, consumer.task_buckets = object.__new__(pool), None, {}
    monkeypatch.setattr(pool, "flush", None, raising=False)
    consumer._health = WorkerHealth(1.0)
    consumer._health.listen()
    request = Request()
    try:
        state.task_reserved(request)
        state.task_accepted(request)
        consumer.on_close()
        assert (len(state.active_requests), len(state.reserved_requests)) == (at_work, at_work)
        assert not consumer._health.listening
    finally:
        state.reset_state()


@pytest.mark.parametrize(
    ("queues", "told"), [(["trade", "depth"], ("depth", "trade")), (["depth"], ("depth",)), ([], ()), (None, ())]
)
def test_it_tells_which_queues_it_takes_tasks_from_at_this_moment(queues: list[str] | None, told: tuple[str, ...]):
    consumer: Any = WorkerConsumer.__new__(WorkerConsumer)
    consumer.pool, consumer._health = SimpleNamespace(num_processes=1), WorkerHealth(1.0)
    listed = None if queues is None else [SimpleNamespace(name=name) for name in queues]
    consumer.task_consumer = listed if listed is None else SimpleNamespace(queues=listed)
    consumer._beat()
    assert consumer._health.queues == told
