"""Faults of the ledger's keys while everything runs: deleted, of another type, with a bit that has changed."""

from collections.abc import Iterator
from typing import Any

from tasks.ledger import LedgerKeys, lane_field
from tasks.protocol.routing import LaneId
from tests.faults.run import Case, FaultRun

POOLS = ("depth", "trade", "basket")

#: Changes a bit of what a string, or a field of a hash, holds; returns what it held, and holds now.
_FLIP = """
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


def spare(keys: LedgerKeys) -> list[str]:
    """Return the keys that can go without any signal changing: all but the pools, and what the verdict is read from."""
    fixed = [keys.layout, keys.counters, keys.configuration, keys.configurations, keys.workers]
    streams = [keys.held, keys.shadowed, keys.deadletters, keys.audit, keys.resets, keys.history]
    return [keys.lease(0), keys.shard(0), *fixed, *streams, *map(keys.starts, lanes())]


def lanes() -> list[LaneId]:
    """Return a lane of each pool."""
    return [LaneId(pool, 0) for pool in POOLS]


def fields(keys: LedgerKeys) -> list[tuple[str, str]]:
    """Return the texts of the ledger by which ingest goes, as key and field; a string has no field."""
    shard = [(keys.shard(0), name) for name in ("epoch", "frontier", "checkpoint", "counted", "read")]
    positions = [(keys.pool(lane.pool), lane_field(lane)) for lane in lanes()]
    return [*shard, *positions, (keys.configuration, "version"), (keys.layout, ""), (keys.lease(0), "")]


def deleted(run: FaultRun) -> Iterator[float]:
    for key in spare(run.reader.keys):
        yield 0.7
        run.redis.delete(key)
        run.hit()


def retyped(run: FaultRun) -> Iterator[float]:
    evaluate: Any = run.redis.eval
    for key in [*spare(run.reader.keys), *map(run.reader.keys.pool, POOLS), run.reader.keys.signals]:
        yield 0.7
        kept = f"{key}:kept"
        evaluate(_RETYPE, 2, key, kept)
        yield 1.0
        evaluate(_RENAME_BACK, 2, key, kept)
        run.hit()


def flipped(run: FaultRun) -> Iterator[float]:
    # An epoch that is another one by now means that another process has taken over: this one ends, and is started again.
    run.stack.ingest.restart = True
    evaluate: Any = run.redis.eval
    for key, field in fields(run.reader.keys):
        for _ in range(3):
            yield 0.7
            where, bit = run.dice.randrange(1_000), 1 << run.dice.randrange(7)
            before = evaluate(_FLIP, 1, key, field, where, bit)
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
