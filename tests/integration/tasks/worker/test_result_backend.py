"""Results that can't be stored: what they are about is committed, so a worker goes on."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from tasks.ledger import LedgerKeys
from tasks.settings import Settings
from tests.support.servers.nats_logins import SECRET
from tests.support.servers.silent import silent_server
from tests.support.waiting import wait_for
from tests.support.workers.process import LANES, Channels, worker


@pytest.fixture
def result_url(client: redis.Redis, redis_url: str, namespace: str) -> Iterator[str]:
    """Yield a login that may do anything but write."""
    client.acl_setuser(
        namespace, enabled=True, passwords=[f"+{SECRET}"], keys="*", channels="*", commands=["+@all", "-set"]
    )
    yield urlsplit(redis_url)._replace(netloc=f"{namespace}:{SECRET}@{urlsplit(redis_url).netloc}").geturl()
    client.acl_deluser(namespace)


@pytest.mark.parametrize("pool", [pytest.param("solo", marks=pytest.mark.slow), "prefork"])
def test_a_worker_whose_results_redis_refuses_goes_on_and_says_so_once(
    client: redis.Redis, keys: LedgerKeys, settings: Settings, result_url: str, pool: str
):
    with worker(settings, "--pool", pool, "--concurrency", "1", RESULT_URL=result_url) as one:
        one.wait_ready()
        channels = Channels(client, settings, keys)
        channels.run(2)
        assert channels.counters()["batches"] == 2 * LANES
        wait_for(lambda: "a result could not be stored" in one.log(), "the log")
        assert one.log().count("a result could not be stored") == 1
        assert "Connection to broker lost" not in one.log()
        assert "raised unexpected" not in one.log()
        assert one.is_ready()
        assert [name for name in client.scan_iter("*celery-task-meta*") if settings.namespace.encode() in name] == []


@pytest.mark.parametrize("pool", [pytest.param("solo", marks=pytest.mark.slow), "prefork"])
def test_a_result_store_that_never_answers_holds_up_one_batch_and_no_more(
    client: redis.Redis, keys: LedgerKeys, settings: Settings, pool: str
):
    rounds = 10
    with (
        silent_server() as store,
        worker(settings, "--pool", pool, "--concurrency", "1", RESULT_URL=store.url) as one,
    ):
        one.wait_ready()
        channels = Channels(client, settings, keys)
        channels.run(rounds)
        assert channels.counters()["batches"] == rounds * LANES
        # One for each half minute that this takes, and not one for each batch.
        assert 1 <= len(store.taken) < rounds * LANES / 4
        assert one.log().count("a result could not be stored") == 1
        assert one.is_ready()


@pytest.mark.parametrize(("small_results_per_s", "stored"), [("0", 0), ("1000000", 2 * LANES)])
def test_results_of_small_tasks_are_stored_only_as_often_as_is_said(
    client: redis.Redis, keys: LedgerKeys, settings: Settings, small_results_per_s: str, stored: int
):
    with worker(settings, "--concurrency", "1", SMALL_RESULTS_PER_S=small_results_per_s) as one:
        one.wait_ready()
        channels = Channels(client, settings, keys)
        channels.run(2)
        assert channels.counters()["batches"] == 2 * LANES
        # A result comes after its commit.
        one.process.terminate()
        assert one.wait_end() == 0
        assert len(list(client.scan_iter(f"{settings.celery_prefix}celery-task-meta-*"))) == stored
