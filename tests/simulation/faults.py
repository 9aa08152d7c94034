"""What goes wrong, and how it ends."""

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.protocol.batches import MAX_STARTS_OF_AN_EVENT
from tests.simulation import operators
from tests.simulation.plan import ACTIONS, Fault
from tests.simulation.scheduler import Process
from tests.simulation.servers.network import CALM

if TYPE_CHECKING:
    from tests.simulation.world import World

#: After which time without faults nobody is left who knows the content of the configuration in force.
FORGOTTEN_S = 12.0
#: Longer than the lease lasts.
FROZEN_S = 8.0
#: By how much a wall clock steps. By MAX_CLOCK_LEAD_S back, ingest refuses frames of plain NATS; by SIGNAL_MAX_AGE_S ahead,
#: it holds signals back.
STEPS_S = (-15.0, -5.0, -0.5, 0.5, 5.0, 15.0)
#: One less than what a single event may have.
DEATHS = MAX_STARTS_OF_AN_EVENT - 1


def happen(fault: Fault, world: "World") -> None:
    """Have a fault happen."""
    world.faults += 1
    world.log("ACTION" if fault.kind in ACTIONS else "FAULT", fault.kind)
    _FAULTS[fault.kind](world)


def heal(world: "World") -> None:
    """End everything that goes wrong."""
    world.log("world", "no more faults")
    if world.plan.is_reconfigured:
        world.later(FORGOTTEN_S, lambda: operators.forget_lost(world))
    for network in (world.redis_network, world.nats_network):
        network.weather, network.is_down = CALM, False


def _some(world: "World", processes: Any) -> Process | None:
    living = [each for each in processes if each.is_alive]
    return world.random.choice(living) if living else None


def _kill_worker(world: "World", process: Process | None = None) -> None:
    if process := process or _some(world, world.workers):
        world.log(process.name, "is killed")
        world.stop(process)
        number = int(process.name.split()[1])
        world.later(world.random.random() * 2, lambda: world.start_worker(number))


def _kill_ingest(world: "World") -> None:
    if process := _some(world, world.ingests):
        world.log(process.name, "is killed")
        world.stop(process)
        number = int(process.name.split()[1])
        world.later(world.random.random() * 2, lambda: world.start_ingest(number))


def _freeze(world: "World", process: Process | None) -> None:
    if process:
        until_s = world.scheduler.now_s + world.random.random() * FROZEN_S
        world.scheduler.freeze(process, max(process.frozen_until_s, until_s))
        world.log(process.name, f"is frozen until {process.frozen_until_s:.3f}")


def _away(world: "World", network: Any) -> None:
    network.is_down = True
    network.cut()
    world.later(world.random.random() * 4, lambda: setattr(network, "is_down", False))


def _go_back(world: "World") -> None:
    if not world.has_begun:
        # A Redis that lost everything has lost the states: ingest goes on from where it stands (docs/faults.md).
        return
    snapshot = world.redis.snapshot()
    followed = world.follower.snapshot() if world.follower else None

    def restore() -> None:
        world.log("redis", "goes back to the last fault's moment")
        world.redis_network.cut()
        world.redis.restore(snapshot)
        world.invariants.forget()
        if world.follower:
            world.follower.restore(followed)

    world.later(world.random.random() * 2, restore)


def _restart(world: "World") -> None:
    world.redis_network.cut()
    world.redis.restart()


def _lose_queues(world: "World") -> None:
    for queue in world.roster.queues:
        world.redis.data.pop(queue, None)


def _again(world: "World", after_s: float) -> None:
    """Put copies of the last tasks into their queues again, now or much later."""
    for queue, message in list(world.recent):
        world.later(
            after_s * world.random.random(),
            partial(world.redis.execute, "LPUSH", queue, message),
        )


def _lose_lease(world: "World") -> None:
    for shard in range(world.total):
        world.redis.execute("DEL", world.keys.lease(shard))


def _turn_clock(world: "World") -> None:
    if process := _some(world, [*world.ingests, *world.workers]):
        process.rate = world.random.choice([0.97, 1.03])
        world.log(process.name, f"has a clock of rate {process.rate}")


def _step_clock(world: "World") -> None:
    if process := _some(world, [*world.ingests, *world.workers]):
        process.ahead_s += world.random.choice(STEPS_S)
        world.log(process.name, f"has a wall clock that is {process.ahead_s:g} s ahead")


def _change_layout(world: "World") -> None:
    """Start again under another layout, while those that led before are dead or asleep."""
    for process in list(world.ingests):
        if world.random.random() < 0.5:
            world.stop(process)
        else:
            sleeps_s = 4 + world.random.random() * 3
            world.scheduler.freeze(process, world.scheduler.now_s + sleeps_s)
            # For a moment it believes that it leads, and its layout stands.
            world.later(sleeps_s + 1.0, partial(world.stop, process))
            world.log(process.name, f"is frozen until {process.frozen_until_s:.3f}")
    world.partitions = world.random.randrange(1, 4)
    world.total = world.random.choice([1, 2])
    world.log("world", f"{world.total} shards, {world.partitions} partitions from now on")
    for shard in range(world.total):
        # Beyond the lease of those that were there.
        world.later(4.0, partial(world.start_ingest, shard))
    _again(world, 8.0)


def _change_layout_in_run(world: "World") -> None:
    """Change the layout while a worker sleeps in a run of the old one."""

    def change(process: Process) -> None:
        world.scheduler.freeze(process, world.scheduler.now_s + 4.2 + world.random.random() * 4)
        world.log(process.name, f"is frozen until {process.frozen_until_s:.3f}")
        _change_layout(world)

    world.in_next_run(change)


def _make_deadly(world: "World") -> None:
    """Have the next event end the process that runs it, a few times: fewer than make it a dead letter."""
    world.deadly[world.nats.frames.published + 1] = DEATHS


def _make_fatal(world: "World") -> None:
    """Have the next event end every process that runs it, until it is a dead letter."""
    world.deadly[world.nats.frames.published + 1] = sys.maxsize


_FAULTS: dict[str, Callable[["World"], None]] = {
    "kill worker": _kill_worker,
    "kill ingest": _kill_ingest,
    "kill worker in a run": lambda world: world.in_next_run(lambda process: _kill_worker(world, process)),
    "freeze worker in a run": lambda world: world.in_next_run(lambda process: _freeze(world, process)),
    "freeze worker": lambda world: _freeze(world, _some(world, world.workers)),
    "freeze ingest": lambda world: _freeze(world, _some(world, world.ingests)),
    "cut redis": lambda world: world.redis_network.cut(),
    "redis away": lambda world: _away(world, world.redis_network),
    "redis goes back": _go_back,
    "redis restarts": _restart,
    "queue lost": _lose_queues,
    "tasks again": lambda world: _again(world, 0.0),
    "old tasks again": lambda world: _again(world, 6.0),
    "cut nats": lambda world: world.nats_network.cut(),
    "nats away": lambda world: _away(world, world.nats_network),
    "lease lost": _lose_lease,
    "clock": _turn_clock,
    "clock steps": _step_clock,
    "one more worker": lambda world: world.start_worker(len(world.workers) + 10),
    "layout": _change_layout,
    "layout in a run": _change_layout_in_run,
    "deadly event": _make_deadly,
    "fatal event": _make_fatal,
} | operators.ACTIONS
