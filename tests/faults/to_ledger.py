"""Faults of the ledger's keys while everything runs: deleted, of another type, with a bit that has changed."""

from collections.abc import Iterator
from typing import Any

from tasks.ledger import LedgerKeys, lane_field
from tasks.protocol.routing import LaneId
from tests.faults.run import Case, FaultRun

POOLS = ("depth", "trade", "basket")

#: Changes a bit of what a string, or a field of a hash, holds; returns what it held, and holds now.
FLIP = """
local held = ARGV[1] == '' and redis.call('GET', KEYS[1]) or redis.call('HGET', KEYS[1], ARGV[1])
if not held then return false end
local at = tonumber(ARGV[2]) % #held + 1
local flipped = string.sub(held, 1, at - 1) .. string.char(bit.bxor(string.byte(held, at), ARGV[3]))
flipped = flipped .. string.sub(held, at + 1)
if ARGV[1] == '' then redis.call('SET', KEYS[1], flipped, 'KEEPTTL') else redis.call('HSET', KEYS[1], ARGV[1], flipped) end
return {held, flipped}
"""
#: Puts back what was held, unless somebody wrote something else meanwhile.
_PUT_BACK = """
local is_field = ARGV[1] ~= ''
local now = is_field and redis.call('HGET', KEYS[1], ARGV[1]) or not is_field and redis.call('GET', KEYS[1])
if now ~= ARGV[3] then return 0 end
if is_field then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL') end
return 1
"""
_RETYPE = """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end
redis.call('RPUSH', KEYS[1], "somebody else's")
"""
_RENAME_BACK = """
redis.call('DEL', KEYS[1])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[1]) end
"""


#: Attributes of `LedgerKeys` that are no keys of a pipeline that runs, and what the verdict is read from, or holds the
#: states: not to be deleted.
NO_KEYS, NEEDED = {"namespace", "notices", "moving"}, {"pool", "signals", "positions"}


def by_name(keys: LedgerKeys) -> dict[str, list[str]]:
    """Return every key of the ledger by its name in `LedgerKeys`: of one shard, and of a lane of each pool."""
    single = {name: [key] for name, key in vars(keys).items() if name not in NO_KEYS}
    pools, starts = list(map(keys.pool, POOLS)), list(map(keys.starts, lanes()))
    return single | {"lease": [keys.lease(0)], "shard": [keys.shard(0)], "pool": pools, "starts": starts}


def lanes() -> list[LaneId]:
    """Return a lane of each pool."""
    return [LaneId(pool, 0) for pool in POOLS]


def fields(keys: LedgerKeys) -> list[tuple[str, str]]:
    """Return the texts of the ledger by which ingest goes, as key and field; a string has no field."""
    shard = [(keys.shard(0), name) for name in ("epoch", "frontier", "checkpoint", "counted", "read")]
    positions = [(keys.pool(lane.pool), lane_field(lane)) for lane in lanes()]
    return [*shard, *positions, (keys.configuration, "version"), (keys.layout, ""), (keys.lease(0), "")]


def deleted(run: FaultRun, *names: str) -> Iterator[float]:
    """Delete the keys of these names; without any, all that may be."""
    for name, keys in by_name(run.reader.keys).items():
        for key in keys if name in (names or by_name(run.reader.keys).keys() - NEEDED) else ():
            yield 0.7
            run.redis.delete(key)
            run.hit()


def retyped(run: FaultRun, *names: str) -> Iterator[float]:
    """Have the keys of these names, without any of all, be of another type for a second."""
    evaluate: Any = run.redis.eval
    for name, keys in by_name(run.reader.keys).items():
        for key in keys if name in (names or by_name(run.reader.keys)) else ():
            yield 0.7
            kept = f"{key}:kept"
            evaluate(_RETYPE, 2, key, kept)
            yield 1.0
            evaluate(_RENAME_BACK, 2, key, kept)
            run.hit()


def some(run: FaultRun) -> Iterator[float]:
    """Do both to the keys without which nobody leads and nothing is committed."""
    yield from deleted(run, "lease", "shard")
    yield from retyped(run, "pool")


def flipped(run: FaultRun) -> Iterator[float]:
    # An epoch that is another one by now means that another process has taken over: this one ends, and is started again.
    run.stack.ingest.restart = True
    evaluate: Any = run.redis.eval
    for key, field in fields(run.reader.keys):
        for _ in range(3):
            yield 0.7
            where, bit = run.dice.randrange(1_000), 1 << run.dice.randrange(7)
            before = evaluate(FLIP, 1, key, field, where, bit)
            if before is None:
                continue
            yield 1.2
            evaluate(_PUT_BACK, 1, key, field, *before)
            run.hit()


CASES = (
    Case("ledger: keys deleted, one by one", deleted, lasts_s=20),
    Case("ledger: keys of another type", retyped, lasts_s=30),
    Case("ledger: a bit of a text flips", flipped, core_loses=True, lasts_s=60),
)
