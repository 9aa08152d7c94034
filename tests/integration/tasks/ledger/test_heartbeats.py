"""Workers write themselves into the ledger, under its clock, and leave it when they stop."""

import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis

from tasks.ledger import LedgerKeys, heartbeats
from tasks.ledger.heartbeats import Heartbeat
from tasks.protocol.notice import WORKERS_NOTICE
from tasks.settings import Settings
from tasks.version import VERSION
from tests.support.waiting import HANGS_S, wait_for
from tests.support.workers.process import worker


async def with_heartbeat(settings: Settings, name: str, what: Callable[[Heartbeat], Awaitable[None]]) -> None:
    one = Heartbeat(settings, name)
    await what(one)
    await one.close()


def entries(client: redis.Redis, keys: LedgerKeys) -> dict[bytes, bytes]:
    stored: Any = client.hgetall(keys.workers)
    return dict(stored)


def seconds(client: redis.Redis) -> int:
    """Return Redis's time."""
    said: Any = client.time()
    return int(said[0])


async def test_a_worker_is_seen_by_rediss_clock_and_its_own_is_compared(monkeypatch, client, keys, settings):
    now_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns + 3_600 * 10**9)
    await with_heartbeat(settings, "w1@a", lambda one: one.announce(4, ["depth", "trade"]))
    [seen] = heartbeats.read(client, keys)
    assert (seen.name, seen.queues, seen.processes, seen.version) == ("w1@a", ["depth", "trade"], 4, VERSION)
    assert 0 <= seen.age_s < HANGS_S
    assert 3_600 - HANGS_S < seen.clock_ahead_s < 3_610


async def test_who_leaves_is_gone_and_takes_nobody_else_along(client, keys, settings):
    for name in ("w1@a", "w2@b"):
        await with_heartbeat(settings, name, lambda one: one.announce(1, ["depth", "trade"]))
    await with_heartbeat(settings, "w1@a", lambda one: one.leave())
    assert [seen.name for seen in heartbeats.read(client, keys)] == ["w2@b"]


async def test_entries_unseen_for_a_minute_and_foreign_entries_are_removed(client, keys, settings):
    now_s = seconds(client)
    for name, seen_s in (("old", now_s - 61), ("recent", now_s - 20)):
        client.hset(keys.workers, name, f'{{"seen_s":{seen_s}.000000,"clock_ms":0}}')
    client.hset(keys.workers, "junk", "junk")
    await with_heartbeat(settings, "w1@a", lambda one: one.announce(1, ["depth", "trade"]))
    assert set(entries(client, keys)) == {b"recent", b"w1@a"}


@contextmanager
def notices(client: redis.Redis, keys: LedgerKeys) -> Iterator[Callable[[], list[bytes]]]:
    """Yield what returns the notices that were published since, and is called once, at the end."""
    with client.pubsub() as listener:  # type: ignore[no-untyped-call]  # redis-py's gap
        listener.subscribe(keys.notices)

        def published() -> list[bytes]:
            client.publish(keys.notices, "end")
            data = (message["data"] for message in listener.listen() if message["type"] == "message")
            return list(iter(data.__next__, b"end"))

        yield published


async def test_only_what_changes_who_works_on_what_is_told_by_a_notice(client, keys, settings):
    async def live(one: Heartbeat) -> None:
        for processes, queues in ((1, ["trade"]), (1, ["trade"]), (2, ["trade"]), (2, []), (2, [])):
            await one.announce(processes, queues)
        await one.leave()
        await one.leave()

    with notices(client, keys) as published:
        await with_heartbeat(settings, "w1@a", live)
        assert published() == [WORKERS_NOTICE.encode()] * 4


async def test_a_worker_that_was_silent_for_too_long_is_news_again(client, keys, settings):
    await with_heartbeat(settings, "w1@a", lambda one: one.announce(1, ["trade"]))
    [(name, entry)] = entries(client, keys).items()
    seen = str(int(json.loads(entry)["seen_s"])).encode()
    client.hset(keys.workers, name, entry.replace(seen, b"%d" % (int(seen) - 20), 1))
    with notices(client, keys) as published:
        await with_heartbeat(settings, "w1@a", lambda one: one.announce(1, ["trade"]))
        assert published() == [WORKERS_NOTICE.encode()]


def test_workers_of_one_name_are_two_and_a_killed_one_goes_after_10_s(client, keys, settings):
    with worker(settings) as one, worker(settings) as other:
        names = {f"worker-1@test/{each.process.pid}" for each in (one, other)}
        wait_for(lambda: {seen.name for seen in heartbeats.read(client, keys)} == names, f"{names} to be seen")
        other.instance.stop(other.process)
        os.kill(one.process.pid, signal.SIGKILL)
        wait_for(lambda: one.process.returncode is not None)
        left = entries(client, keys)
        [(name, entry)] = left.items()
        seen_s = json.loads(entry)["seen_s"]
        assert name.decode() == f"worker-1@test/{one.process.pid}"
        assert [seen.name for seen in heartbeats.alive(left, seen_s + heartbeats.ALIVE_S)] == [name.decode()]
        assert heartbeats.alive(left, seen_s + heartbeats.ALIVE_S + 0.1) == []
