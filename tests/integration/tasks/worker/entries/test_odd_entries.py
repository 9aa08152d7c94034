"""What is no task of ours is taken from the queue once, told, kept as a dead letter, and harms no worker."""

import json
from collections.abc import Iterator
from functools import partial

import pytest
import redis

from tasks.ledger import LedgerKeys
from tasks.ledger.dead_letters import DeadLetterFilter, DeadLetterStore
from tasks.ledger.reader import LedgerReader
from tasks.protocol.dead_letters import MAX_KEPT_BYTES, DeadLetter
from tasks.settings import Settings
from tasks.worker.entries.transport import MAX_REPLY_BYTES
from tests.support.waiting import wait_for
from tests.support.workers import odd_entries
from tests.support.workers.process import Channels, Worker, worker
from tests.support.workers.unharmed import unharmed

POOLS = {
    "prefork": ("--pool", "prefork", "--concurrency", "1"),
    "solo": ("--pool", "solo"),
}


@pytest.fixture(params=POOLS)
def one(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Worker]:
    with worker(settings, *POOLS[request.param], "-Q", "trade,research") as started:
        started.wait_ready()
        yield started


@pytest.fixture
def lanes(client: redis.Redis, settings: Settings, keys: LedgerKeys) -> Channels:
    return Channels(client, settings, keys)


def foreign(one: Worker) -> float:
    return one.samples().get(("worker_foreign_tasks_total",), 0)


def letters(settings: Settings, count: int) -> list[DeadLetter]:
    """Return the dead letters, once there are so many."""
    found = [each.letter for each in DeadLetterStore(LedgerReader(settings)).choose(DeadLetterFilter())]
    return found if len(found) >= count else []


def test_an_odd_entry_ends_no_process_takes_no_memory_and_is_kept(
    one: Worker, lanes: Channels, client: redis.Redis, settings: Settings
):
    odd = list(odd_entries.entries())

    def emptied(queue: str) -> bool:
        return not client.llen(f"{settings.celery_prefix}{queue}")

    with unharmed(one, lanes):
        for queue in ("trade", "research"):
            for name, entry in odd:
                client.lpush(f"{settings.celery_prefix}{queue}", entry)
                wait_for(partial(emptied, queue), f"{name} to be taken{one.process.tail()}")
        # Larger than any: it ends the connection, and no process.
        client.lpush(f"{settings.celery_prefix}trade", bytes(200_000_000))
        wait_for(lambda: foreign(one) == 2 * len(odd) + 1, f"all to be counted{one.process.tail()}")
    kept = wait_for(lambda: letters(settings, 2 * len(odd) + 1), "all to be kept")
    assert [each.detail for each in kept[2 * len(odd) :]] == [f"larger than {MAX_REPLY_BYTES} bytes"]
    kept = kept[: 2 * len(odd)]
    assert {(each.reason, each.refusal) for each in kept} == {("refused", "queue_entry")}
    assert [each.pool for each in kept] == ["trade"] * len(odd) + ["research"] * len(odd)
    assert [each.raw for each in kept] == 2 * [entry[:MAX_KEPT_BYTES] for _, entry in odd]
    # No callback, errback, chain or chord was followed.
    assert not client.exists(f"{settings.celery_prefix}elsewhere")


def test_an_odd_message_of_the_remote_control_ends_no_process(
    one: Worker, lanes: Channels, client: redis.Redis, settings: Settings
):
    mailbox = f"{settings.celery_prefix}/0.celery.pidbox"
    with unharmed(one, lanes):
        for message in odd_entries.control_messages():
            # After some of them Celery subscribes again.
            wait_for(partial(client.publish, mailbox, message), "somebody to listen")
        # What is good is obeyed afterwards.
        good = odd_entries.control({"method": "revoke", "arguments": {"task_id": "seen-last"}})
        wait_for(lambda: client.publish(mailbox, good) and "seen-last" in one.log(), "the last command to be obeyed")
    # What is refused is told once a minute; kombu's own line quotes each message, with a traceback.
    assert "Cannot process event" not in one.log()
    # While Celery subscribes again it may miss some.
    assert foreign(one) > 0


def test_a_payload_that_is_no_batch_is_kept_and_leaves_no_result(
    one: Worker, lanes: Channels, client: redis.Redis, settings: Settings
):
    with unharmed(one, lanes):
        for queue, name in (("trade", "tasks.process"), ("research", "tasks.research")):
            client.lpush(f"{settings.celery_prefix}{queue}", json.dumps(odd_entries.envelope(name=name)))
        kept = wait_for(lambda: letters(settings, 2), f"both to be kept{one.process.tail()}")
    assert {(each.refusal, each.raw) for each in kept} == {("queue_entry", b"junk")}
    assert foreign(one) == 2
    assert not client.exists(f"{settings.celery_prefix}celery-task-meta-odd-1")
    assert "Traceback" not in one.log()


def test_a_worker_that_joins_others_refuses_nothing_of_theirs(one: Worker, settings: Settings):
    with worker(settings, "--pool", "solo", "-n", "joins@test") as other:
        other.wait_ready()
        assert (foreign(one), foreign(other)) == (0, 0)
    assert not list(DeadLetterStore(LedgerReader(settings)).choose(DeadLetterFilter()))
