"""What a move refuses, each in one line and with nothing written, and that ingest does not start in the middle of one."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis

from ingest.lanes.layout import Layout
from ingest.ledger.ledger import IngestLedger
from ingest.ledger_move import LedgerMover
from tasks.configuration import Configuration
from tasks.errors import LedgerError, RealtimeStrategiesError, SettingsError
from tasks.ledger import MOVING, LedgerKeys
from tasks.protocol.routing import Pool, Router, Shard
from tests.support.moves.killed import Killer
from tests.support.moves.ledgers import POOLS, clients, contents, fill, keys_of, settings_of, urls

Prepare = Callable[[list[Any], LedgerKeys], object]


async def refused(old: str, new: str, namespace: str) -> str:
    """Return why a move is refused; empty: it is not."""
    mover = LedgerMover(settings_of(new, namespace), old, POOLS)
    try:
        if await mover.is_needed():
            await mover.move("")
    except RealtimeStrategiesError as error:
        return str(error)
    finally:
        await mover.close()
    return ""


def lose_shard(servers: list[Any], keys: LedgerKeys) -> None:
    servers[1].delete(keys.shard(1))
    for pool in POOLS:
        servers[1].hdel(keys.pool(pool.name), *(f"lane:{number}" for number in range(12)))


def read_another(servers: list[Any], keys: LedgerKeys) -> None:
    servers[1].hset(keys.shard(1), mapping={"frontier": "js-FRAMES-5@7", "checkpoint": ""})


def deliver_late(servers: list[Any], keys: LedgerKeys) -> None:
    servers[0].hset(keys.delivery("late"), "position", "5-0")


def deliver_late_there(servers: list[Any], keys: LedgerKeys) -> None:
    servers[0].hset(keys.delivery("late"), "position", servers[0].xinfo_stream(keys.signals)["last-generated-id"])


REFUSED: dict[str, tuple[Prepare, str]] = {
    "a shard that runs": (lambda servers, keys: servers[1].set(keys.lease(1), "x", px=60_000), "shard 1 runs"),
    "a shard of the new ledger that runs": (lambda servers, keys: servers[2].set(keys.lease(2), "x"), "shard 2 runs"),
    "signals that are not relayed": (
        lambda servers, keys: servers[1].xadd(keys.signals, {"signal": "x"}),
        "NATS does not",
    ),
    "a delivery that is late": (deliver_late, "the delivery late has not sent all signals"),
    "a delivery that is late in the second ledger": (deliver_late_there, "the delivery late has not sent all signals"),
    "a delivery that runs": (
        lambda servers, keys: servers[0].set(f"{keys.delivery('x')}:lease", "h"),
        "a delivery of sig",
    ),
    "a ledger that is not one yet, and no empty one": (
        lambda servers, keys: servers[2].hset(keys.pool("trade"), "record:spot:X:trade", "r"),
        "is no ledger yet, and holds",
    ),
    "a shard that never began": (lose_shard, "shard 1 has never begun"),
    "shards in different streams": (read_another, "shards stand in different streams"),
    "no layout": (lambda servers, keys: [server.delete(keys.layout) for server in servers], "there is no ledger of"),
    "what is no layout": (lambda servers, keys: servers[1].set(keys.layout, "x"), "where the layout belongs"),
}


@pytest.mark.parametrize(("prepare", "says"), REFUSED.values(), ids=REFUSED)
async def test_a_move_that_could_lose_something_is_refused(
    redis_url: str, keys: LedgerKeys, prepare: Prepare, says: str
):
    old, new = urls(redis_url, 1, 2), urls(redis_url, 3, 4)
    fill(old, keys.namespace)
    with clients(f"{old} {new}") as servers:
        prepare(servers, keys)
        before = contents(old, keys.namespace)
        assert says in (why := await refused(old, new, keys.namespace))
        assert "\n" not in why
        assert contents(old, keys.namespace) == before
        assert not any(server.exists(keys.moving) for server in servers)


OTHER_SERVERS = {
    "in another order": ((2, 1), (3, 4), "give all ledgers there are, in the order of their shards"),
    "without one of them": ((1,), (3, 4), "give all ledgers there are, in the order of their shards"),
    "with one more": ((1, 2, 3), (4,), "give all ledgers there are, in the order of their shards"),
    "the first as the second": ((1, 2), (2, 1), "stays the first of LEDGER_URLS, or is none of them"),
}


@pytest.mark.parametrize(("named", "new", "says"), OTHER_SERVERS.values(), ids=OTHER_SERVERS)
async def test_servers_that_are_not_those_of_the_ledger_are_refused(
    redis_url: str, namespace: str, named: tuple[int, ...], new: tuple[int, ...], says: str
):
    fill(urls(redis_url, 1, 2), namespace)
    assert says in await refused(urls(redis_url, *named), urls(redis_url, *new), namespace)


async def test_one_database_by_two_names_is_refused(redis_url: str, namespace: str):
    old = urls(redis_url, 1)
    fill(old, namespace)
    assert "are one database of a Redis" in await refused(old, old.replace("127.0.0.1", "localhost"), namespace)


async def test_a_shard_that_took_its_lease_at_the_same_moment_ends_the_move(redis_url: str, keys: LedgerKeys):
    old, new = urls(redis_url, 1), urls(redis_url, 1, 2)
    fill(old, keys.namespace)
    mover = LedgerMover(settings_of(new, keys.namespace), old, POOLS)
    with clients(new) as servers:
        assert await mover.is_needed()
        servers[0].set(keys.lease(0), "x", px=60_000)
        with pytest.raises(LedgerError, match="shard 0 runs"):
            await mover.move("")
        assert not any(server.exists(keys.moving) for server in servers)
        assert servers[0].hexists(keys.shard(0), "epoch")
    await mover.close()


async def test_signals_committed_when_all_had_looked_end_the_move(redis_url: str, keys: LedgerKeys):
    """The worker's task was in flight, and its signals would never go out."""
    old, new = urls(redis_url, 1, 2), urls(redis_url, 1)
    fill(old, keys.namespace)
    mover = LedgerMover(settings_of(new, keys.namespace), old, POOLS)
    with clients(old) as servers:
        assert await mover.is_needed()
        before = [server.get(keys.layout) for server in servers]
        servers[1].xadd(keys.signals, {"signal": "{}"})
        with pytest.raises(LedgerError, match="has signals that NATS does not have yet"):
            await mover.move("")
        assert [server.get(keys.layout) for server in servers] == before
        assert [server.hexists(keys.shard(at), "epoch") for at, server in enumerate(servers)] == [True, True]
        assert not any(server.exists(keys.moving) for server in servers)
    await mover.close()


async def killed(old: str, new: str, namespace: str, writes: int) -> None:
    """Begin a move that is killed after so many writes."""
    mover = LedgerMover(settings_of(new, namespace), old, POOLS, Killer(writes).connect)
    assert await mover.is_needed()
    with suppress(redis.ConnectionError):
        await mover.move("")
    await mover.close()


#: Of two ledgers to two others: the marks are 4 writes, the two that join are kept away, and the epochs end in two more.
BEFORE_ANYTHING_IS_OVERWRITTEN = [3, 4, 6, 7, 8]


@pytest.mark.parametrize("writes", BEFORE_ANYTHING_IS_OVERWRITTEN)
async def test_a_shard_that_leads_when_a_killed_move_goes_on_ends_it(redis_url: str, keys: LedgerKeys, writes: int):
    old, new = urls(redis_url, 1, 2), urls(redis_url, 3, 4)
    fill(old, keys.namespace)
    mover = LedgerMover(settings_of(new, keys.namespace), old, POOLS)
    with clients(f"{old} {new}") as servers:

        def begins() -> list[Any]:
            return [[server.get(keys.layout), server.hgetall(keys.shard(at))] for at, server in enumerate(servers[:2])]

        before = begins()
        await killed(old, new, keys.namespace, writes)
        assert all(server.exists(keys.moving) for server in servers[:3])
        assert (begins() == before) == (writes <= 6)
        assert await mover.is_needed()
        servers[1].set(keys.lease(1), "x", px=60_000)
        with pytest.raises(LedgerError, match="shard 1 runs"):
            await mover.move("")
        assert begins() == before
        assert not any(server.exists(keys.moving) for server in servers)
        assert not any(server.exists(keys.layout) for server in servers[2:])
    await mover.close()


@pytest.mark.parametrize("writes", BEFORE_ANYTHING_IS_OVERWRITTEN)
async def test_a_killed_move_goes_on_where_a_server_had_no_layout(redis_url: str, keys: LedgerKeys, writes: int):
    old, new = urls(redis_url, 1, 2), urls(redis_url, 3, 4)
    fill(old, keys.namespace)
    before = contents(old, keys.namespace)
    with clients(old) as servers:
        servers[1].delete(keys.layout)
        await killed(old, new, keys.namespace, writes)
        assert servers[1].get(keys.layout) == (MOVING if writes == 8 else None)
    assert await refused(old, new, keys.namespace) == ""
    assert contents(new, keys.namespace) == before


async def test_another_move_is_refused_until_the_first_one_is_finished(redis_url: str, keys: LedgerKeys):
    old, new = urls(redis_url, 1), urls(redis_url, 1, 2)
    fill(old, keys.namespace)
    await killed(old, new, keys.namespace, 12)
    assert "part of another move" in await refused(old, urls(redis_url, 1, 3), keys.namespace)
    assert await refused(old, new, keys.namespace) == ""


CONFIGURATION = Configuration.model_validate(
    {"pools": {"trade": {"kinds": ["trade"], "strategies": {"trade_momentum": {}}}}}
)


async def test_ingest_does_not_start_while_the_ledger_moves(redis_url: str, keys: LedgerKeys):
    settings = settings_of(urls(redis_url, 1), keys.namespace)
    layout = Layout(Router([Pool("trade", ("trade",))], Shard(0, 1)))
    ledger = IngestLedger(settings)
    with clients(urls(redis_url, 1)) as [server]:
        server.set(keys.layout, MOVING)
        with pytest.raises(SettingsError, match=r"is being moved to other servers, or was: .*move-ledger"):
            await ledger.claim(0, layout, CONFIGURATION)
        assert not server.exists(keys.shard(0))
        server.delete(keys.layout)
        await ledger.claim(0, layout, CONFIGURATION)
    await ledger.close()


async def test_what_workers_with_old_settings_wrote_is_no_hindrance(redis_url: str, keys: LedgerKeys):
    old, new = urls(redis_url, 1), urls(redis_url, 1, 2)
    fill(old, keys.namespace)
    with clients(new) as servers:
        servers[1].hset(keys.workers, "w", "{}")
        servers[1].hset(f"{keys.namespace}:starts:trade-3", "x", 1)
        assert await refused(old, new, keys.namespace) == ""
        assert keys_of(servers[1], keys.namespace)


@pytest.mark.parametrize("key", ["counters", "deadletters", "configurations"])
async def test_what_may_be_a_ledgers_is_refused_where_no_move_has_left_its_mark(
    redis_url: str, keys: LedgerKeys, key: str
):
    old, new = urls(redis_url, 1), urls(redis_url, 1, 2)
    fill(old, keys.namespace)
    with clients(new) as servers:
        servers[1].hset(f"{keys.namespace}:{key}", "x", 1)
        assert f"is no ledger yet, and holds {keys.namespace}:{key}" in await refused(old, new, keys.namespace)


@pytest.mark.parametrize("key", ["signals", "pool:trade", "shard:1", "resets", "configuration", "delivery:x"])
async def test_what_a_move_leaves_no_process_write_is_refused_also_behind_one(
    redis_url: str, keys: LedgerKeys, key: str
):
    old, new = urls(redis_url, 1, 2), urls(redis_url, 1)
    fill(old, keys.namespace)
    assert await refused(old, new, keys.namespace) == ""
    with clients(old) as servers:
        servers[1].hset(f"{keys.namespace}:{key}", "x", 1)
        assert f"is no ledger yet, and holds {keys.namespace}:{key}" in await refused(new, old, keys.namespace)


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no URL": ("redis://1.2.3.4:1/0", {"old": "localhost:1"}, "^--from: not an address"),
    "no server": ("redis://1.2.3.4:1/0", {"old": ""}, "LEDGER_FROM"),
    "ledgers for other shards": ("redis://a redis://b", {"ingest_shard": "0/3"}, "LEDGER_URLS names 2 ledgers"),
    "partitions for other shards": ("redis://a redis://b", {"nats_partitions": 3}, "NATS_PARTITIONS 3 is no multiple"),
    "lanes for other shards": ("redis://a " * 4 + "redis://b", {}, "names one database of a Redis twice"),
}


@pytest.mark.parametrize(("new", "more", "says"), WRONG.values(), ids=WRONG)
def test_settings_with_which_ingest_would_not_start_are_refused(new: str, more: dict[str, Any], says: str):
    old = more.pop("old", "redis://:hunter2@c")
    with pytest.raises((SettingsError, ValueError), match=says) as refusal:
        LedgerMover(settings_of(new, "t", **more), old, POOLS)
    assert "hunter2" not in str(refusal.value)
