"""The ledger loses what is in `configurations`: whoever knows it writes it back, and nobody restarts for it."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import ExitStack

import pytest
import redis

from tasks.configuration import Configuration
from tasks.errors import LedgerError
from tasks.ledger import Ledger, LedgerKeys
from tasks.ledger.known_configurations import KnownConfigurations
from tasks.ledger.reader import LedgerReader
from tasks.worker.strategy_cache import StrategyCache
from tests.integration.ingest.test_service import TRADE
from tests.support.sending import one_pool
from tests.support.servers.guarded_servers import ran
from tests.support.service import Ingest, ingest, publish
from tests.support.waiting import wait_for
from tests.support.workers.process import CONFIGURATION, worker


def send(service: Ingest, ids: Sequence[int]) -> None:
    subject = f"{service.settings.namespace}.x"
    asyncio.run(publish(service.settings.nats_url, *((subject, TRADE % number) for number in ids)))


def says(service: Ingest) -> str:
    """Return what /ready finds."""
    status, body = service.get("/ready")
    return " ".join(each["says"] + each["do"] for each in json.loads(body)["findings"]) if status else ""


def test_workers_that_start_after_the_loss_work_on(nats_url, redis_url, client, keys, namespace, tmp_path):
    """The configurations are lost and all workers restarted."""
    own = {"STRATEGIES_FILE": one_pool(tmp_path)}
    with ingest(nats_url, redis_url, namespace, **own) as service, ExitStack() as working:
        reader = LedgerReader(service.settings)
        service.wait_ready()
        for number in (1, 2):
            client.delete(keys.configurations)
            send(service, [number])
            work = working.enter_context(worker(service.settings, **own))
            wait_for(lambda: reader.counters().of("applied") == number, f"the event{work.process.tail()}")  # noqa: B023 called at once
            assert "Traceback" not in work.log()
            working.pop_all().close()
        [lost, *_] = service.logged("the ledger had lost a configuration: it is written back")
        assert lost["version"] == client.hget(keys.configuration, "version").decode()


@pytest.mark.ci
def test_a_worker_without_the_configuration_says_so_and_waits(nats_url, redis_url, client, keys, namespace, tmp_path):
    """Nothing else than a key of another type keeps ingest from writing it back."""
    own = {"STRATEGIES_FILE": one_pool(tmp_path)}
    with ingest(nats_url, redis_url, namespace, **own) as service, worker(service.settings, **own) as work:
        service.wait_ready()
        client.delete(keys.configurations)
        client.rpush(keys.configurations, "somebody else's")
        send(service, [1])
        wait_for(lambda: f"RENAME {keys.configurations} " in says(service), f"the key{service.process.tail()}")
        wait_for(
            lambda: "Redis refuses those of 1 lane: WRONGTYPE" in says(service),
            f"refusal{says(service)}{work.log()}",
            hangs_s=5,
        )
        wait_for(lambda: "Redis refuses what a batch needs" in work.log(), "the worker's log")
        doctor = ran(service.environment | {"COLUMNS": "300"}, "tasks", "doctor")
        assert (doctor.returncode, f"RENAME {keys.configurations} " in doctor.stdout) == (1, True), doctor
        client.delete(keys.configurations)
        wait_for(lambda: LedgerReader(service.settings).counters().of("applied") == 1, "the event")
        assert "Traceback" not in work.log() + service.process.tail(500)


def test_an_ingest_whose_own_file_is_the_lost_version_starts(nats_url, redis_url, client, keys, namespace, tmp_path):
    """Also after a release that kept no overlay."""
    own = {"STRATEGIES_FILE": one_pool(tmp_path)}
    for lost in ((), ("overlay",), ("overlay", "file")):
        client.delete(keys.configurations)
        if lost:
            client.hdel(keys.configuration, *lost)
        with ingest(nats_url, redis_url, namespace, **own) as service:
            service.wait_ready()
            wait_for(lambda: client.hkeys(keys.configurations) == [client.hget(keys.configuration, "version")])


@pytest.mark.ci
def test_an_ingest_that_does_not_know_what_is_lost_waits_for_it(nats_url, redis_url, client, keys, namespace, tmp_path):
    """A release that kept no overlay had put it in force."""
    client.hset(keys.configuration, "version", CONFIGURATION.version)
    with ingest(nats_url, redis_url, namespace, STRATEGIES_FILE=one_pool(tmp_path)) as service:
        wait_for(lambda: CONFIGURATION.version in says(service), f"the finding{service.process.tail()}")
        assert keys.configurations in says(service)
        client.hset(keys.configurations, CONFIGURATION.version, CONFIGURATION.stored())
        service.wait_ready()


def test_a_damaged_version_in_force_is_told_with_the_command_that_helps(
    nats_url, redis_url, client, keys, namespace, tmp_path
):
    """While ingest runs, once it reads the version again, and at its next start."""
    own = {"STRATEGIES_FILE": one_pool(tmp_path)}
    with ingest(nats_url, redis_url, namespace, **own) as service:
        service.wait_ready()
        version = client.hget(keys.configuration, "version").decode()
        damaged, remedy = f"g{version[1:]}", f"HSET {keys.configuration} version {version}"
        client.hset(keys.configuration, "version", damaged)
        client.publish(keys.notices, "configuration")
        wait_for(lambda: remedy in says(service), f"the finding{service.process.tail()}")
        assert f"{keys.configurations} has lost {damaged}" in says(service)
    with ingest(nats_url, redis_url, namespace, **own) as service:
        wait_for(lambda: remedy in says(service), f"the finding{service.process.tail()}")
        client.execute_command(*remedy.split(" "))
        service.wait_ready()


CHANGED = CONFIGURATION.stored().replace(b"0.5", b"0.4")
assert CONFIGURATION.stored() != CHANGED


@pytest.mark.parametrize("found", [None, b"nonsense", b"\xff", b"{}", CHANGED])
def test_a_worker_writes_back_what_it_knows(client: redis.Redis, keys: LedgerKeys, ledger: Ledger, found):
    version = CONFIGURATION.version
    client.hset(keys.configurations, version, CONFIGURATION.stored())
    strategies = StrategyCache(restore_s=0)
    strategies.find(ledger, version, "trade")
    client.delete(keys.configurations)
    if found is not None:
        client.hset(keys.configurations, version, found)
    strategies.find(ledger, version, "trade")
    assert client.hgetall(keys.configurations) == {version.encode(): CONFIGURATION.stored()}
    assert StrategyCache().find(ledger, version, "trade")


def test_what_can_be_read_is_never_written_over(client: redis.Redis, keys: LedgerKeys):
    """Releases may write the same content in different bytes."""
    known = KnownConfigurations(client, keys.configurations)
    known.remember(CONFIGURATION)
    as_another_wrote = CONFIGURATION.canonical().replace(b'"kinds":', b'"kinds": ')
    assert Configuration.parse(as_another_wrote).version == CONFIGURATION.version
    client.hset(keys.configurations, CONFIGURATION.version, as_another_wrote)
    assert known.restore() == []
    assert client.hget(keys.configurations, CONFIGURATION.version) == as_another_wrote


def test_a_worker_that_knows_nothing_names_version_and_key(keys: LedgerKeys, ledger: Ledger):
    with pytest.raises(LedgerError, match=f"c1.*{keys.configurations}"):
        StrategyCache().find(ledger, "c1", "trade")
