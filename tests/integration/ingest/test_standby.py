"""Two ingest processes of one shard: one leads, the other stands by."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tasks.ledger import LedgerKeys
from tasks.ledger.lease import STANDBY_S, TTL_S
from tests.integration.ingest.test_service import TRADE, send
from tests.support.ledger import dump
from tests.support.sending import one_pool
from tests.support.service import PATIENT, Ingest, ingest
from tests.support.waiting import wait_for

#: From the end of a leader to the lead of the one that stood by, on a machine that has nothing else to do.
TAKE_OVER_S = 5.0


def stands_by(service: Ingest) -> bool:
    status, body = service.get("/ready")
    return status == 200 and json.loads(body)["standing_by"]


@contextmanager
def two(nats_url: str, redis_url: str, namespace: str, tmp_path: Path) -> Iterator[tuple[Ingest, Ingest]]:
    """Yield one that leads and one that stands by."""
    own = {"STRATEGIES_FILE": one_pool(tmp_path)} | PATIENT
    with ingest(nats_url, redis_url, namespace, **own) as leader:
        leader.wait_ready()
        with ingest(nats_url, redis_url, namespace, **own) as other:
            wait_for(lambda: stands_by(other), f"the second to stand by{other.process.tail()}")
            yield leader, other


@pytest.fixture
def pair(nats_url, redis_url, namespace, tmp_path) -> Iterator[tuple[Ingest, Ingest]]:
    with two(nats_url, redis_url, namespace, tmp_path) as both:
        yield both


def test_a_standby_takes_nothing_in_and_takes_over_soon_after_a_kill(
    pair, nats_url, client: redis.Redis, keys: LedgerKeys, namespace
):
    leader, other = pair
    send(nats_url, (f"{namespace}.x", TRADE % 1))
    wait_for(lambda: client.llen(f"{namespace}:celery:trade") == 1, "the leader's batch")
    assert json.loads(other.get("/ready")[1])["held_events"] == 0
    leader.process.send(signal.SIGKILL)
    wait_for(other.ready, "the lead")
    assert TTL_S + STANDBY_S < TAKE_OVER_S
    assert str(client.hget(keys.shard(0), "epoch")).startswith("b'2.")
    send(nats_url, (f"{namespace}.x", TRADE % 2))
    wait_for(lambda: client.llen(f"{namespace}:celery:trade") == 2, "the new leader's batch")


def test_a_clean_stop_of_the_leader_hands_over_at_once(pair, client: redis.Redis, keys: LedgerKeys):
    leader, other = pair
    client.persist(keys.lease(0))
    held_by = client.get(keys.lease(0))
    leader.process.terminate()
    assert leader.wait_end() == -signal.SIGTERM
    # Nobody waits for the lease to run out: it was let go, and is nobody's or the other's by now.
    assert client.get(keys.lease(0)) != held_by
    wait_for(other.ready, "the lead")


def test_one_that_stands_by_stops_cleanly(pair):
    leader, other = pair
    other.process.terminate()
    assert other.wait_end() == -signal.SIGTERM
    assert leader.ready()


def test_a_leader_that_was_stopped_and_wakes_up_changes_nothing_and_ends(
    pair, nats_url, client: redis.Redis, keys: LedgerKeys, namespace
):
    leader, other = pair
    leader.process.send(signal.SIGSTOP)
    wait_for(other.ready, "the lead")
    # Both have these in their sockets; only the one that leads may do anything with them.
    send(nats_url, *((f"{namespace}.x", TRADE % number) for number in range(1, 50)))
    wait_for(lambda: json.loads(other.get("/ready")[1])["held_events"] == 49)
    wait_for(lambda: client.hget(keys.counters, "events") == b"49", "the new leader's checkpoint")
    queued = client.lrange(f"{namespace}:celery:trade", 0, -1)
    other.process.send(signal.SIGSTOP)
    client.persist(keys.lease(0))
    before = dump(client, namespace)
    leader.process.send(signal.SIGCONT)
    assert leader.wait_end() == 1
    assert leader.logged("superseded: stopping")
    assert dump(client, namespace) == before
    assert client.lrange(f"{namespace}:celery:trade", 0, -1) == queued
    other.process.send(signal.SIGCONT)
