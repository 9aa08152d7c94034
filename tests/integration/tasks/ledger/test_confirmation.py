"""What LEDGER_DURABILITY waits for, on a master with a replica that can be stopped, and on disks."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest
import redis

from compose.local.processes import Instance, Process
from compose.local.servers import HOST, start_redis
from ingest.lanes.layout import Layout
from ingest.ledger import Checkpoint, IngestLedger
from tasks.configuration import Configuration
from tasks.events import Position
from tasks.ledger import LedgerKeys
from tasks.ledger.confirmation import MARK, UnconfirmedError
from tasks.protocol.counters import CounterKey, Counts
from tasks.protocol.notice import Notice
from tasks.protocol.routing import Router
from tasks.settings import Settings
from tests.support.relaying import packed, running, settings_of_a_relay, stage, until
from tests.support.sending import Rig, begun
from tests.support.servers.guarded_servers import RIGHTS, give_rights
from tests.support.servers.nats_logins import SECRET
from tests.support.waiting import wait_for

POOL = {"kinds": ["trade"], "partitions": 2, "strategies": {"x": {}}}
CONFIGURATION = Configuration.model_validate({"pools": {"trade": POOL}})
LAYOUT = Layout(Router(CONFIGURATION.routes()))


class Replicated:
    """A master and its replica."""

    def __init__(self, instance: Instance) -> None:
        _, self.url = start_redis(instance, "master", options=("--repl-diskless-sync-delay", "0"))
        options = ("--replicaof", HOST, str(urlsplit(self.url).port))
        self._replica: Process
        self._replica, _ = start_redis(instance, "replica", options=options)
        with closing(redis.Redis.from_url(self.url)) as master:
            wait_for(lambda: master.info("replication").get("slave0", {}).get("state") == "online", "the replica")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let the replica hear nothing."""
        self._replica.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._replica.send(signal.SIGCONT)


@pytest.fixture(scope="module")
def replicated(instance: Instance) -> Replicated:
    return Replicated(instance)


@pytest.fixture
def settings(replicated: Replicated, namespace: str) -> Settings:
    return Settings(redis_url=replicated.url, namespace=namespace, ledger_durability="replica")


def found(ledger: IngestLedger) -> list[str]:
    return [finding.name for finding in ledger.confirmation.findings()]


async def test_a_commit_is_settled_only_once_a_replica_has_it(settings: Settings, replicated: Replicated):
    async with begun(Rig(settings)) as rig:
        rig.offer()
        await rig.sent()
        with replicated.alone():
            batch = rig.queue.take_batch()
            rig.queue.commit(batch)
            rig.sender.on_notice(str(Notice(batch.lane, str(batch.epoch), batch.to)))
            with pytest.raises(UnconfirmedError):
                await rig.sender.poll(all_lanes=True)
            await rig.until(lambda: found(rig.ledger) == ["redis_unconfirmed"])
            assert rig.lanes.held == 1
        await rig.until(lambda: rig.lanes.held == 0, looking=True)
        assert found(rig.ledger) == []
        assert rig.counters.totals.of("resends") == 0


async def test_a_notice_settles_its_lane_without_being_overdue(settings: Settings):
    async with begun(Rig(settings)) as rig:
        rig.offer()
        await rig.sent()
        batch = rig.queue.take_batch()
        rig.queue.commit(batch)
        rig.sender.on_notice(str(Notice(batch.lane, str(batch.epoch), batch.to)))
        await rig.until(lambda: rig.lanes.held == 0)


async def test_a_notice_of_a_commit_that_the_next_master_lacks_settles_nothing(settings: Settings):
    async with begun(Rig(settings)) as rig:
        rig.offer()
        await rig.sent()
        lost = rig.queue.take_batch()
        rig.sender.on_notice(str(Notice(lost.lane, str(lost.epoch), lost.to)))
        await rig.until(lambda: len(rig.queue), looking=True)
        assert (rig.lanes.held, rig.queue.take_batch()) == (1, lost)
        assert rig.counters.totals.of("redis_went_back") == 0


async def test_a_checkpoint_that_no_replica_confirmed_is_counted_once(settings: Settings, replicated: Replicated):
    counts, at = Counts({CounterKey("frames"): 3}), Position("core-x", 3)
    async with begun(Rig(settings)) as rig:
        epoch, written = rig.sender.epoch, Checkpoint("only", [], counts, at)
        with replicated.alone(), pytest.raises(UnconfirmedError, match="no replica has what is committed within 1 s"):
            await rig.ledger.checkpoint(epoch, at, written, {})
        assert await rig.ledger.checkpoint(epoch, at, written, {})
        assert rig.client.hget(rig.keys.counters, "frames") == b"3"


async def test_scripts_that_the_next_master_does_not_know_are_loaded(settings: Settings):
    with closing(redis.Redis.from_url(settings.redis_url)) as client:
        client.script_flush()
    async with begun(Rig(settings)) as rig:
        assert rig.sender.epoch.number == 1


async def test_a_signal_is_published_only_once_a_replica_has_it(
    settings: Settings, replicated: Replicated, nats_url: str
):
    relaying = settings_of_a_relay(nats_url, settings.redis_url, settings.namespace)
    async with stage(relaying.model_copy(update={"ledger_durability": "replica"})) as on:
        with replicated.alone():
            async with running(on):
                await on.add(packed("one"))

                async def is_found() -> bool:
                    return found(on.ledger) == ["redis_unconfirmed"]

                await until(is_found)
                assert on.heard == []
        async with running(on):
            await on.hears("one")


async def test_a_user_with_the_rights_of_the_docs_needs_one_more(replicated: Replicated):
    url = urlsplit(replicated.url)._replace(netloc=f"rs-ingest:{SECRET}-ingest@{urlsplit(replicated.url).netloc}")
    ledger = IngestLedger(Settings(redis_url=url.geturl(), ledger_durability="replica"))
    with closing(redis.Redis.from_url(replicated.url)) as admin:
        give_rights(admin, {"ingest": RIGHTS["ingest"]})
        with pytest.raises(UnconfirmedError, match="wait"):
            await ledger.claim(0, LAYOUT, CONFIGURATION)
        give_rights(admin, {"ingest": [*RIGHTS["ingest"], "+wait"]})
        await ledger.claim(0, LAYOUT, CONFIGURATION)
    await ledger.close()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "appendonly is disabled"),
        (("--appendonly", "yes"), ""),
        (("--appendonly", "yes", "--appendfsync", "always"), ""),
    ],
)
async def test_a_disk_confirms_where_redis_writes_to_one(instance: Instance, namespace: str, options, why: str):
    process, url = start_redis(instance, f"disk-{len(options)}", options=options)
    ledger = IngestLedger(Settings(redis_url=url, namespace=namespace, ledger_durability="disk"))
    try:
        if why:
            with pytest.raises(UnconfirmedError, match=why):
                await ledger.claim(0, LAYOUT, CONFIGURATION)
            assert found(ledger) == ["redis_unconfirmed"]
        else:
            assert (await ledger.claim(0, LAYOUT, CONFIGURATION)).epoch.number == 1
    finally:
        await ledger.close()
        instance.kill(process)


async def test_nothing_is_written_for_it_unless_it_is_asked_for(settings: Settings):
    usual = settings.model_copy(update={"ledger_durability": "memory"})
    async with begun(Rig(usual)) as rig:
        await rig.sender.poll(all_lanes=True)
        assert not rig.client.hexists(LedgerKeys(usual.namespace).shard(0), MARK)
