"""Frames that come when all is well again. Plain NATS lost some before; none of these may be missing."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tasks.events import AnyEvent
from tasks.protocol import records
from tests.simulation import workload
from tests.simulation.invariants import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

#: After so long without faults, whoever leads goes on leading: a lease that answers came too late for has expired by then.
SETTLES_S = 20.0
FRAMES = 8
BETWEEN_S = 0.05
PATIENCE_S = 30.0


async def publish_more(world: "World") -> None:
    """Publish more trades, and wait until every pool has had each of them once, in their order. Raises Violation."""
    newest = max((event.id for event in workload.events(world.plan.frames)), default=0)
    frames, stood = [], _stored(world)
    for number in range(FRAMES):
        symbol = workload.SYMBOLS[number % 3]
        frames.append(workload.frame(symbol, newest + 1 + number, world.scheduler.now_s))
        world.nats.publish_frame(*frames[-1])
        await asyncio.sleep(BETWEEN_S)
    wanted = _after(stood, workload.events(frames, world.scheduler.now_s))
    end_s = world.scheduler.now_s + PATIENCE_S
    while (stands := {key: _told(value) for key, value in _stored(world).items()}) != wanted:
        if world.problem:
            raise world.problem
        if world.scheduler.now_s > end_s:
            name = next(key for key in wanted if stands.get(key) != wanted[key])
            raise Violation(
                f"{name[1]} of {name[0]} has {stands.get(name, (0, b''))[0]} events after {FRAMES} more came without any "
                f"fault, and should have {wanted[name][0]}, or has others"
            )
        await asyncio.sleep(0.5)


def _stored(world: "World") -> dict[tuple[str, str], bytes]:
    """Return the records by pool and field."""
    pools = {pool: world.redis.data.get(world.keys.pool(pool).encode(), {}) for pool in workload.STRATEGIES}
    return {
        (pool, name.decode()): value
        for pool, fields in pools.items()
        for name, value in fields.items()
        if name.startswith(b"record:")
    }


def _after(
    stood: Mapping[tuple[str, str], bytes], events: Iterable[AnyEvent]
) -> dict[tuple[str, str], tuple[int, bytes]]:
    """Return what each record must tell once it has had these events, too."""
    known = {key: records.unpack(value) for key, value in stood.items()}
    for event in events:
        for pool in workload.STRATEGIES:
            record = known.setdefault((pool, records.field(event)), records.Record())
            record.take(event, "afterwards")
            record.chain([event])
    return {key: (record.count, record.hash) for key, record in known.items()}


def _told(packed: bytes) -> tuple[int, bytes]:
    record = records.unpack(packed)
    return record.count, record.hash
