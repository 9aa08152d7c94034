"""A ledger that moves: what its servers hold together stays the same, wherever the move was ended and begun again."""

from collections.abc import Sequence
from contextlib import suppress

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.lanes.layout import Layout
from ingest.ledger.ledger import EpochClaim, IngestLedger
from ingest.ledger_move import LedgerMover, Moved
from ingest.relay import GROUP
from ingest.sources.resume import LastFrame, StoredOffsets
from tasks.configuration import Configuration
from tasks.events import Position
from tasks.ledger import MOVING, LedgerKeys
from tasks.protocol.routing import Pool, Router, Shard
from tests.support.moves.killed import Killer
from tests.support.moves.ledgers import (
    POOLS,
    STREAM,
    Contents,
    check_delivery,
    clients,
    contents,
    fill,
    keys_of,
    misplaced,
    remove,
    settings_of,
    shards,
    urls,
)

CONFIGURATION = Configuration.model_validate(
    {"pools": {"trade": {"kinds": ["trade"], "strategies": {"trade_momentum": {}}}}}
)


async def move(old: str, new: str, namespace: str, killer: Killer | None = None) -> Moved | None:
    """Move a ledger; None: there was nothing to move."""
    mover = LedgerMover(settings_of(new, namespace), old, POOLS, (killer or Killer()).connect)
    try:
        return await mover.move("growth") if await mover.is_needed() else None
    finally:
        await mover.close()


def leftovers(old: str, new: str, namespace: str) -> list[str]:
    """Return the keys on servers that left, but for what keeps a start with the old settings away."""
    gone = " ".join(url for url in old.split() if url not in new.split())
    with clients(gone) as left:
        assert all(client.get(f"{namespace}:layout") == MOVING for client in left)
        return [key for client in left for key in keys_of(client, namespace) if not key.endswith(":layout")]


def check(before: Contents, old: str, new: str, namespace: str) -> None:
    """Check that the ledger at `new` holds what it held, each thing where it belongs, and that nothing is left at `old`."""
    assert contents(new, namespace) == before
    assert misplaced(new, namespace) == []
    assert leftovers(old, new, namespace) == []
    check_delivery(new, namespace)


async def test_a_ledger_is_split_split_again_and_joined(redis_url: str, namespace: str):
    old = urls(redis_url, 1)
    fill(old, namespace)
    before = contents(old, namespace)
    for databases in [(1, 2), (1, 2, 3), (4, 2), (4,), (1,)]:
        new = urls(redis_url, *databases)
        assert await move(old, new, namespace)
        check(before, old, new, namespace)
        assert await move(old, new, namespace) is None, "a second time there is nothing to do"
        old = new


_DATABASES = st.lists(st.integers(1, 4), min_size=1, max_size=4, unique=True)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_DATABASES, _DATABASES, st.integers(0, 9), st.integers(2, 30), st.integers(1, 9))
async def test_what_ledgers_hold_together_stays_the_same(
    redis_url: str, namespace: str, before: Sequence[int], after: Sequence[int], seed: int, symbols: int, entries: int
):
    if before[0] in after[1:]:
        after = [before[0], *(number for number in after if number != before[0])]
    old, new = urls(redis_url, *before), urls(redis_url, *after)
    remove(urls(redis_url, 1, 2, 3, 4), namespace)
    fill(old, namespace, seed, symbols, entries)
    held = contents(old, namespace)
    moved = await move(old, new, namespace)
    assert bool(moved) == (list(before) != list(after))
    assert contents(new, namespace) == held
    if moved:
        check(held, old, new, namespace)


async def killed_at_each_write(old: str, new: str, namespace: str) -> None:
    """Move ledgers again and again, each time killed before the next write and then once more to the end."""
    writes, ended = 0, False
    fill(old, namespace)
    await move(old, new, namespace)
    expected = shards(new, namespace)
    while not ended:
        name = f"{namespace}-{writes}"
        fill(old, name)
        before, killer = contents(old, name), Killer(writes)
        with suppress(redis.ConnectionError):
            await move(old, new, name, killer)
            ended = True
        await move(old, new, name)
        check(before, old, new, name)
        assert shards(new, name) == expected
        remove(f"{old} {new}", name)
        writes += 1
    assert writes > 20


async def test_a_split_that_is_killed_before_any_write_is_finished(redis_url: str, namespace: str):
    await killed_at_each_write(urls(redis_url, 1), urls(redis_url, 1, 2, 3), namespace)


async def test_a_join_that_is_killed_before_any_write_is_finished(redis_url: str, namespace: str):
    await killed_at_each_write(urls(redis_url, 1, 2, 3), urls(redis_url, 1), namespace)


@pytest.mark.ci
async def test_a_move_to_others_that_is_killed_before_any_write_is_finished(redis_url: str, namespace: str):
    await killed_at_each_write(urls(redis_url, 1, 2), urls(redis_url, 2, 3), namespace)


async def test_more_than_a_page_of_symbols_and_signals_is_moved(redis_url: str, namespace: str):
    old, new = urls(redis_url, 1, 2), urls(redis_url, 2)
    fill(old, namespace, symbols=1_200, entries=3_000)
    before = contents(old, namespace)
    moved = await move(old, new, namespace)
    check(before, old, new, namespace)
    assert moved
    assert moved.symbols > 500
    assert moved.signals > 0


async def test_reading_begins_at_the_lowest_frontier_and_counts_on(redis_url: str, keys: LedgerKeys):
    old, new = urls(redis_url, 1, 2), urls(redis_url, 1, 2, 3)
    fill(old, keys.namespace)
    with clients(old) as servers:
        for number, server in enumerate(servers):
            shard = {"frontier": f"{STREAM}@{500 + number}", "counted": f"{STREAM}@{600 + number}"}
            server.hset(keys.shard(number), mapping=shard)
            server.hdel(keys.shard(number), "checkpoint")
    await move(old, new, keys.namespace)
    with clients(new) as servers:
        counted = ",".join(str(600 + partition % 2) for partition in range(12))
        start = f"{STREAM}@500".encode()
        for number, server in enumerate(servers):
            assert server.hgetall(keys.shard(number)) == {
                b"frontier": start,
                b"counted": start,
                b"counted_of": f"{STREAM}@{counted}".encode(),
                b"read": f"{STREAM}@1301@18".encode(),
            }
            lanes = {f"lane:{lane}".encode() for lane in range(12) if lane % 3 == number}
            held: dict[bytes, bytes] = server.hgetall(keys.pool("depth"))
            assert {field: held[field] for field in held if field.startswith(b"lane:")} == dict.fromkeys(lanes, start)
            assert not [field for field in held if field.startswith(b"frame:")]


async def test_shards_begin_behind_a_move_as_under_a_new_layout(redis_url: str, keys: LedgerKeys):
    old, new = urls(redis_url, 1), urls(redis_url, 1, 2)
    for source, start in [(STREAM, Position(STREAM, 40)), ("core-7.00000000", None)]:
        fill(old, keys.namespace)
        with clients(old) as [server]:
            server.hset(
                keys.shard(0), mapping={"frontier": f"{source}@40", "counted": f"{source}@50", "checkpoint": ""}
            )
            for pool in POOLS if start is None else ():
                server.hset(keys.pool(pool.name), mapping={f"lane:{lane}": f"{source}@60" for lane in range(12)})
        await move(old, new, keys.namespace)
        told, claims = list[StoredOffsets](), list[EpochClaim]()

        async def begin(stored: StoredOffsets, told: list[StoredOffsets] = told) -> Position | None:
            told.append(stored)
            return min(stored.frontiers, key=lambda each: each.seq, default=None)

        for number in range(2):
            ledger = IngestLedger(settings_of(new, keys.namespace, ingest_shard=f"{number}/2"))
            layout = Layout(Router(POOLS, Shard(number, 2), 12), has_own_ledger=True)
            claims.append(await ledger.claim(0, layout, CONFIGURATION, begin))
            await ledger.close()
        assert [claim.start for claim in claims] == [start, start]
        assert not any(claim.is_damaged or claim.epoch.number > 1 for claim in claims)
        assert {position for claim in claims for position in claim.positions.values()} == {start}
        assert [stored.read for stored in told] == [LastFrame(STREAM, 1300, 17)] * 2
        remove(new, keys.namespace)


async def test_a_pool_that_is_keyed_in_another_way_moves_to_the_first_ledger(redis_url: str, keys: LedgerKeys):
    ledgers = urls(redis_url, 1, 2)
    fill(ledgers, keys.namespace, symbols=9)
    before = contents(ledgers, keys.namespace)
    shared = Pool("depth", ("depth",), key="all", symbols=frozenset({"BTCUSDT"}))
    mover = LedgerMover(settings_of(ledgers, keys.namespace), ledgers, (POOLS[0], shared, POOLS[2]))
    assert await mover.is_needed()
    assert (await mover.move("")).fields > 0
    await mover.close()
    assert contents(ledgers, keys.namespace) == before
    with clients(ledgers) as [first, second]:
        assert len(first.hkeys(keys.pool("depth"))) == 9 + 1, "with the position of its lane"
        assert not second.exists(keys.pool("depth"))


async def test_the_relay_goes_on_behind_what_was_merged(redis_url: str, keys: LedgerKeys):
    old, new = urls(redis_url, 1, 2), urls(redis_url, 1)
    fill(old, keys.namespace, seed=3)
    await move(old, new, keys.namespace)
    with clients(new) as [server]:
        about = server.xinfo_stream(keys.signals)
        [group] = server.xinfo_groups(keys.signals)
        assert (group["name"], group["pending"], group["lag"]) == (GROUP.encode(), 0, 0)
        assert group["last-delivered-id"] == about["last-generated-id"]
        ids = [entry for entry, _ in server.xrange(keys.signals)]
        assert len(ids) == len(set(ids)) > 0


async def test_resets_and_strikes_outlive_a_move_that_is_killed_while_it_removes(redis_url: str, namespace: str):
    """What one of several old servers had is there, and is what each new one keeps, when that server was emptied."""
    old, new = urls(redis_url, 1, 2), urls(redis_url, 3, 4)
    fill(old, namespace)
    whole = Killer()
    await move(old, new, namespace, whole)
    expected = told_everywhere(new, namespace)
    assert expected[0] == expected[1] != {}
    removed = 0
    for writes in range(whole.made - 12, whole.made):
        name = f"{namespace}-{writes}"
        fill(old, name)
        with suppress(redis.ConnectionError):
            await move(old, new, name, Killer(writes))
        removed += told_everywhere(old, name)[0] == {}
        await move(old, new, name)
        assert told_everywhere(new, name) == expected
        remove(f"{old} {new}", name)
    assert removed


def told_everywhere(ledgers: str, namespace: str) -> list[dict[bytes, bytes]]:
    """Return resets and strikes of the pool `trade`, as each ledger has them."""
    with clients(ledgers) as servers:
        pools = [server.hgetall(LedgerKeys(namespace).pool("trade")) for server in servers]
        return [{name: pool[name] for name in pool if name.startswith((b"resets", b"ended:"))} for pool in pools]


@pytest.mark.parametrize("databases", [(1,), (3,)], ids=["the first stays", "all leave"])
async def test_what_workers_wrote_behind_a_move_joins_the_ledger_that_returns(
    redis_url: str, keys: LedgerKeys, databases: tuple[int, ...]
):
    """Workers that still have the old settings count what is refused to them, and keep letters of what is no task."""
    before, between = urls(redis_url, 1, 2), urls(redis_url, *databases)
    fill(before, keys.namespace)
    await move(before, between, keys.namespace)
    expected = contents(between, keys.namespace)
    gone = urls(redis_url, *({1, 2} - {*databases}))
    with clients(gone) as servers:
        for number, server in enumerate(servers):
            server.hset(keys.workers, "w", "{}")
            server.hset(f"{keys.namespace}:starts:trade-3", "x", 1)
            server.hincrby(keys.counters, "fenced", 1)
            server.xadd(keys.deadletters, {"letter": f"late {number}"})
            server.hset(keys.configurations, "c0", "{}")
            expected.counters["fenced"] += 1
            expected.entries[keys.deadletters][((b"letter", b"late %d" % number),)] += 1
            expected.added[keys.deadletters] += 1
    assert await move(between, before, keys.namespace)
    found = contents(before, keys.namespace)
    assert (found.entries, found.added, found.counters) == (expected.entries, expected.added, expected.counters)
    assert found.fields.keys() == expected.fields.keys()
    check_delivery(before, keys.namespace)


async def test_each_ledger_knows_resets_and_strikes_of_all(redis_url: str, keys: LedgerKeys):
    old, new = urls(redis_url, 1, 2), urls(redis_url, 1, 3)
    fill(old, keys.namespace)
    await move(old, new, keys.namespace)
    with clients(new) as servers:
        for server in servers:
            resets, ended = server.hmget(keys.pool("trade"), ["resets", "ended:c1"])
            assert resets == b"2"
            assert b'"s0"' in ended
            assert b'"s1"' in ended
