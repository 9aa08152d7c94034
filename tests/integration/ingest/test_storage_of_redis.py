"""A Redis that loses what it has: one that may delete keys is refused, a full disk is reported and waited out."""

import json
from typing import Any

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import start_redis
from tasks.ledger import LedgerKeys
from tasks.ops import doctor_checks
from tasks.ops.doctor_probes import ask_redis
from tests.support.sending import one_pool
from tests.support.servers.full_disk import LimitedRedis
from tests.support.service import Ingest, ingest
from tests.support.waiting import wait_for


def told(service: Ingest, name: str) -> list[dict[str, Any]]:
    """Return the findings of a name in /ready."""
    status, body = service.get("/ready")
    return [each for each in json.loads(body)["findings"] if each["name"] == name] if status else []


@pytest.fixture
def instance():
    with Instance("storage") as instance:
        yield instance


def test_ingest_refuses_a_ledger_of_which_redis_may_delete_keys(instance, nats_url, namespace, tmp_path):
    _, url = start_redis(instance, options=["--maxmemory-policy", "allkeys-lru"])
    with ingest(nats_url, url, namespace, STRATEGIES_FILE=one_pool(tmp_path)) as service:
        assert service.wait_end() == 1
        [line] = service.logged("can't go on")
        assert "maxmemory-policy allkeys-lru" in line["why"]
        assert "CONFIG SET maxmemory-policy noeviction" in line["why"]
    more = {"STRATEGIES_FILE": one_pool(tmp_path), "INGEST_ALLOW_EVICTION": "true"}
    with ingest(nats_url, url, namespace, **more) as service:
        service.wait_ready()
        [finding] = wait_for(lambda: told(service, "redis_evicts"), "the finding")
        assert finding["sign"] == "warning"


def test_a_policy_that_changes_while_ingest_runs_is_found(instance, nats_url, namespace, tmp_path):
    _, url = start_redis(instance)
    with ingest(nats_url, url, namespace, STRATEGIES_FILE=one_pool(tmp_path)) as service:
        service.wait_ready()
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory-policy", "allkeys-lfu")
            [finding] = wait_for(lambda: told(service, "redis_evicts"), "the finding")
            assert (finding["sign"], "allkeys-lfu" in finding["says"]) == ("fault", True)
            client.config_set("maxmemory-policy", "noeviction")
        service.wait_ready()


def test_a_full_disk_of_redis_is_found_and_waited_out(instance, nats_url, namespace, tmp_path):
    """Ingest and the doctor say the same."""
    server = LimitedRedis(instance)
    one = {"STRATEGIES_FILE": one_pool(tmp_path)}
    with server.client, ingest(nats_url, server.url, namespace, **one) as service:
        service.wait_ready()
        epoch = server.client.hget(LedgerKeys(namespace).shard(0), "epoch")
        server.fill_disk()
        [finding] = wait_for(lambda: told(service, "redis_cannot_save"), "the finding")
        assert (finding["sign"], service.get("/ready")[0]) == ("fault", 503)
        facts = ask_redis(service.settings, server.url, ("ledger",))
        [doctors] = [each for each in doctor_checks.redis(facts) if each.name == "redis_cannot_save"]
        assert (doctors.sign, doctors.says) == (finding["sign"], finding["says"])
        server.make_room()
        service.wait_ready()
        assert not told(service, "redis_cannot_save")
        assert server.client.hget(LedgerKeys(namespace).shard(0), "epoch") == epoch
