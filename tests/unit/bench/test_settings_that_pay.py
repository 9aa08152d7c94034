"""What makes a task cheap and could be lost without a test: a setting of Celery, a package, objects that are frozen."""

import gc
from collections.abc import Callable

import pytest
import redis.asyncio.connection
import redis.connection
from celery.signals import worker_process_init, worker_ready

import tasks.celery
from ingest import service
from tasks.settings import Settings


def test_a_worker_prefetches_no_task_and_keeps_no_list_of_its_own():
    settings = tasks.celery.app.conf
    assert settings.worker_disable_prefetch
    assert settings.broker_transport_options["ack_emulation"] is False


def test_answers_of_redis_are_read_by_hiredis():
    for module in (redis.connection, redis.asyncio.connection):
        assert "hiredis" in module.DefaultParser.__name__.lower()


@pytest.mark.parametrize("started", [worker_process_init, worker_ready])
def test_a_workers_collections_pass_over_what_was_there_before(started):
    assert tasks.celery._freeze in [receiver() for _, receiver in started.receivers]
    assert freezes(tasks.celery._freeze)


def test_ingests_collections_pass_over_what_was_there_before(monkeypatch: pytest.MonkeyPatch):
    frozen: list[int] = []

    class Service:
        signal = None

        def __init__(self, _: object) -> None:
            frozen.append(gc.get_freeze_count())

        async def run(self) -> int:
            frozen.append(gc.get_freeze_count())
            return 1

    monkeypatch.setattr(service, "Service", Service)
    monkeypatch.setattr(service, "Components", lambda *_: None)
    monkeypatch.setattr(service, "configure_logging", lambda *_: None)
    assert service.run(Settings()) == 1
    before, meanwhile = frozen
    assert meanwhile > before


def freezes(work: Callable[[], object]) -> bool:
    before = gc.get_freeze_count()
    work()
    return gc.get_freeze_count() > before
