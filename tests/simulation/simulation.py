"""The simulation of a seed, from its plan to what it came to."""

import functools
from typing import NamedTuple
from unittest import mock

import structlog
from redis.asyncio.lock import Lock

from tasks.configuration import Configuration, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tests.simulation.plan import Plan
from tests.simulation.scheduler import Scheduler
from tests.simulation.virtual_time import virtual_time
from tests.simulation.world import World

_build = registry.build
#: What `registry.signal_name` says, once for each name: it looks on the disk each time.
_name_once = functools.cache(registry.signal_name)


class Outcome(NamedTuple):
    """What a simulation came to."""

    seed: int
    events: int
    #: Faults that happened, and calls that the network lost or held up.
    faults: int
    #: How many tasks went to the queue of one worker.
    own_tasks: int
    #: How many callbacks ran.
    steps: int
    #: In virtual time.
    took_s: float
    #: What was violated; empty: nothing.
    violation: str
    #: In words, if it was asked for or something was violated.
    trace: list[str]


@functools.cache
def _built(configuration: str) -> dict[str, tuple[BoundStrategy, ...]]:
    return _build(Configuration.model_validate_json(configuration))


def _build_once(configuration: Configuration) -> dict[str, tuple[BoundStrategy, ...]]:
    """Do what `registry.build` does once for each content: it asks the disk again where each strategy comes from."""
    return dict(_built(configuration.model_dump_json()))


def simulate(seed: int, *, keep_trace: bool = False, operated: bool = True) -> Outcome:
    """Run the simulation of a seed; return what it came to, with its trace if something was violated. Never raises.

    Not `operated`: the seed's frames and faults, without what people do meanwhile.
    """
    scheduler = Scheduler(seed)
    looked_up_once = mock.patch.multiple(registry, build=_build_once, signal_name=_name_once)
    # redis-py keeps the scripts of its first client for all: ours are of no use outside.
    own_scripts = mock.patch.multiple(Lock, lua_release=None, lua_extend=None, lua_reacquire=None)
    with virtual_time(scheduler), looked_up_once, own_scripts, structlog.testing.capture_logs() as logs:
        plan = Plan.of(seed, scheduler.random, operated=operated)
        world = World(plan, scheduler)
        violation = ""
        try:
            scheduler.run(world.run())
        except Exception as error:  # noqa: BLE001 whatever goes wrong is what is looked for
            # Who meets a violation may write again, which is the next one: the first tells most.
            first = world.problem or error
            violation = f"{type(first).__name__}: {first}"
    for failure in scheduler.failures:
        violation = violation or f"nobody handled {failure.get('exception') or failure}"
    hits = world.redis_network.hits + world.nats_network.hits
    warnings = [f"log: {each}" for each in logs if each["log_level"] not in {"debug", "info"}] if violation else []
    trace = [str(plan), *world.trace.lines(), *warnings] if violation or keep_trace else []
    took = (world.faults + hits, world.roster.own_tasks, scheduler.steps, scheduler.now_s)
    return Outcome(seed, len(plan.frames), *took, violation, trace)
