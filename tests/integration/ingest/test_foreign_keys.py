"""Keys of ours that hold something of another type: every one is named, with what to do, and nothing ends for it."""

import json
from itertools import product
from typing import Any

import msgspec
import pytest
import redis

from tasks.ledger import LedgerKeys
from tasks.ledger.lease import Lease
from tasks.ops.ledger_probes import ask_foreign_keys
from tasks.protocol.routing import Pool
from tests.support.sending import one_pool
from tests.support.service import Ingest, ingest
from tests.support.waiting import wait_for

TRADE = [Pool("trade", ("trade",))]


def told(service: Ingest) -> dict[str, str]:
    """Return what /ready says to do about each key of another type."""
    status, body = service.get("/ready")
    findings: list[dict[str, Any]] = json.loads(body)["findings"] if status else []
    return {each["what"]: each["do"] for each in findings if each["what"].startswith("key ")}


def our_keys(keys: LedgerKeys) -> list[str]:
    """Return the keys that an ingest of one pool may read."""
    fixed = [keys.layout, keys.counters, keys.configuration, keys.configurations, keys.workers, keys.history]
    streams = [keys.signals, keys.held, keys.shadowed, keys.positions, keys.deadletters, keys.audit]
    return [*fixed, *streams, keys.lease(0), keys.shard(0), keys.pool("trade")]


@pytest.fixture
def spoilt(client: redis.Redis, keys: LedgerKeys) -> list[str]:
    for key in our_keys(keys):
        client.delete(key)
        client.rpush(key, "somebody else's")
    return our_keys(keys)


def test_an_ingest_among_foreign_keys_names_each_and_starts_without_them(
    nats_url, redis_url, client, spoilt, namespace, tmp_path
):
    with ingest(nats_url, redis_url, namespace, STRATEGIES_FILE=one_pool(tmp_path)) as service:
        wait_for(lambda: set(told(service)) == {f"key {key}" for key in spoilt}, f"them{service.process.tail()}")
        assert all(f"RENAME {name.partition(' ')[2]} " in do for name, do in told(service).items())
        assert not service.logged("standing by: another ingest process leads this shard")
        client.delete(*spoilt)
        service.wait_ready()
        wait_for(lambda: not told(service), "the end of the findings")


def test_a_leader_whose_lease_becomes_a_list_names_it_and_leads_on(
    nats_url, redis_url, client, keys, namespace, tmp_path
):
    with ingest(nats_url, redis_url, namespace, STRATEGIES_FILE=one_pool(tmp_path)) as service:
        service.wait_ready()
        epoch = client.hget(keys.shard(0), "epoch")
        with client.pipeline() as pipe:
            pipe.delete(keys.lease(0)).rpush(keys.lease(0), "somebody else's").execute()
        wait_for(lambda: f"key {keys.lease(0)}" in told(service), f"the finding{service.process.tail()}")
        client.delete(keys.lease(0))
        wait_for(service.ready, f"the lead{service.process.tail()}")
        assert client.hget(keys.shard(0), "epoch") == epoch
        assert not service.logged("superseded: stopping")


#: A lease that somebody else wrote: it never runs out, or in a day.
ENDLESS = pytest.mark.parametrize("expiry_s", [None, pytest.param(86_400, marks=pytest.mark.ci)])


@ENDLESS
def test_an_ingest_behind_a_lease_that_does_not_run_out_names_it(
    nats_url, redis_url, client, keys, namespace, tmp_path, settings, expiry_s
):
    client.set(keys.lease(0), "somebody else's", ex=expiry_s)
    with ingest(nats_url, redis_url, namespace, STRATEGIES_FILE=one_pool(tmp_path)) as service:
        wait_for(lambda: f"key {keys.lease(0)}" in told(service), f"the finding{service.process.tail()}")
        assert f"RENAME {keys.lease(0)} " in told(service)[f"key {keys.lease(0)}"]
        assert [line["what"] for line in service.logged("finding")].count(f"key {keys.lease(0)}") == 1
        assert not service.logged("standing by: another ingest process leads this shard")
        assert f"key {keys.lease(0)}" in {each.what for each in ask_foreign_keys(settings, [])}
        client.rename(keys.lease(0), f"{keys.lease(0)}:foreign")
        service.wait_ready()


@ENDLESS
def test_a_leader_whose_lease_is_replaced_for_ever_names_it_and_leads_on(
    nats_url, redis_url, client, keys, namespace, tmp_path, expiry_s
):
    with ingest(nats_url, redis_url, namespace, STRATEGIES_FILE=one_pool(tmp_path)) as service:
        service.wait_ready()
        client.set(keys.lease(0), "somebody else's", ex=expiry_s)
        wait_for(lambda: f"key {keys.lease(0)}" in told(service), f"the finding{service.process.tail()}")
        client.delete(keys.lease(0))
        wait_for(service.ready, f"the lead{service.process.tail()}")
        assert not service.logged("superseded: stopping")


async def test_a_login_that_may_not_ask_for_the_expiry_stands_by(redis_url, client, keys, namespace):
    client.set(keys.lease(0), "somebody else's")
    client.acl_setuser(namespace, enabled=True, passwords=["+p"], keys=["*"], commands=["+@all", "-pttl"])
    try:
        async with redis.asyncio.Redis.from_url(redis_url, username=namespace, password="p") as own:  # noqa: S106 of the test
            assert not await Lease(own, keys.lease(0), "me").take()
    finally:
        client.acl_deluser(namespace)


async def test_a_lease_that_ran_out_and_is_a_list_is_refused_not_somebody_elses(redis_url, client, keys):
    client.rpush(keys.lease(0), "somebody else's")
    async with redis.asyncio.Redis.from_url(redis_url) as own:
        for step in (Lease(own, keys.lease(0), "me").take, Lease(own, keys.lease(0), "me").renew):
            with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
                await step()


#: By what is stored elsewhere than it belongs: what belongs there, and the command that helps, behind the namespace.
MISPLACED = {
    "shard:0 epoch": ("an epoch", "HDEL {} epoch"),
    "shard:0 read": ("a frame that was read", "HDEL {} read"),
    "shard:0 counted": ("a position", "HDEL {} counted"),
    "shard:0 frontier": ("a position", "HSET {} frontier SOURCE@0, with the source of its field counted"),
    "pool:trade lane:0": ("a position", "HDEL {} lane:0"),
    "pool:trade frame:0": ("a frame that was read", "HDEL {} frame:0"),
    "layout": ("the layout", "DEL {}"),
}


#: Each takes a start of ingest that is refused: one is enough for whoever tries it at home.
QUICK = [("shard:0 frontier", b"nonsense")]
ALL = [*product(MISPLACED, (b"nonsense", b"\xff\xfe"))]


@pytest.mark.parametrize(
    ("where", "stored"), [*QUICK, *(pytest.param(*each, marks=pytest.mark.ci) for each in ALL if each not in QUICK)]
)
def test_a_value_that_is_none_of_ours_is_told_with_the_command_that_helps(
    nats_url, redis_url, client, namespace, tmp_path, where, stored
):
    key, _, field = where.partition(" ")
    place, (what, remedy) = f"{namespace}:{key}", MISPLACED[where]
    if field:
        client.hset(place, mapping={"counted": "s@7", field: stored} if field == "frontier" else {field: stored})
    else:
        client.set(place, stored)
    with ingest(nats_url, redis_url, namespace, STRATEGIES_FILE=one_pool(tmp_path)) as service:
        told = f"refuses what ingest asks for: the ledger holds {stored!r} where {what} belongs: {remedy.format(place)}"
        wait_for(lambda: says(service, told), f"the finding{service.process.tail()}")
        wait_for(lambda: any(line["says"].startswith(told) for line in service.logged("finding")), "the log's line")
        # What was there is left to whoever may want to look at it.
        assert (client.hget(place, field) if field else client.get(place)) == stored
        client.execute_command(*remedy.format(place).partition(",")[0].replace("SOURCE", "s").split(" "))
        service.wait_ready()


def says(service: Ingest, told: str) -> bool:
    """Whether /ready has a finding that begins like that."""
    body = service.get("/ready")[1]
    return bool(body) and any(each["says"].startswith(told) for each in json.loads(body)["findings"])


def test_counts_that_are_no_numbers_are_named_and_nothing_ends_for_them(
    nats_url, redis_url, client, keys, namespace, tmp_path, settings
):
    client.hset(keys.counters, mapping={"frames": "many", "events": 2**63 - 1, "batches": 7, "odd\x1b[2J": b"\xff"})
    client.hset(keys.pool("trade"), mapping={"resets": "often", "lane:0": "s@1"})
    with ingest(nats_url, redis_url, namespace, STRATEGIES_FILE=one_pool(tmp_path)) as service:
        wait_for(lambda: len(told(service)) == 2, f"the findings{service.process.tail()}")
        service.wait_ready()
        found = json.loads(service.get("/ready")[1])["findings"]
        own = {each["what"]: each for each in found if each["name"] == "no_number"}
        assert {each["sign"] for each in own.values()} == {"warning"}
        sums, resets = own[f"key {keys.counters}"], own[f"key {keys.pool('trade')}"]
        assert {field for field in ("frames", "events", "batches", "odd") if field in sums["says"]} == {
            "frames", "events", "odd",
        }  # fmt: skip
        assert ("resets" in resets["says"], f"HDEL {keys.counters} " in sums["do"]) == (True, True)
        asked = {each.what: msgspec.to_builtins(each) for each in ask_foreign_keys(settings, TRADE)}
        assert asked == own
        assert {line["what"] for line in service.logged("finding") if line["name"] == "no_number"} == set(own)
        client.hdel(keys.counters, *(field for field in client.hkeys(keys.counters) if field != b"batches"))
        client.hdel(keys.pool("trade"), "resets")
        wait_for(lambda: not told(service), "the end of the findings")


def test_the_doctor_names_foreign_keys_and_what_to_do(settings, spoilt):
    found = ask_foreign_keys(settings, TRADE)
    assert {finding.what for finding in found} == {f"key {key}" for key in spoilt}
    assert {(finding.sign, "RENAME" in finding.do) for finding in found} == {("fault", True)}
