"""What people do while everything runs: they change the configuration and reset states. And what gets lost of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import redis

from ingest.sources.resume import LastFrame
from tasks.configuration import named_strategies
from tasks.errors import RealtimeStrategiesError
from tasks.ledger import script
from tasks.ledger.configurations import ConfigurationStore
from tasks.ops.states import KEEP, StateField, StateFilter, StateReset
from tests.simulation import workload
from tests.simulation.ingest_process import settings, shards
from tests.simulation.scheduler import Process, blocking
from tests.simulation.servers.redis_client import BlockingClient, RedisLink

if TYPE_CHECKING:
    from tests.simulation.world import World


def _operate(world: "World", act: Callable[[BlockingClient], str]) -> None:
    """Have somebody do something with Redis, over a network that may fail; it is not tried again."""
    client = BlockingClient.over(RedisLink(world.redis, world.redis_network))

    async def main() -> None:
        try:
            said = await blocking(lambda: act(client))
        except (redis.RedisError, RealtimeStrategiesError) as error:
            said = f"fails: {error}"
        world.log("operator", said)

    world.scheduler.start(Process("operator"), main)


def _set(world: "World", values: dict[str, Any]) -> None:
    name = world.random.choice([each.name for (each,) in workload.STRATEGIES.values()])

    def act(client: BlockingClient) -> str:
        store = ConfigurationStore(settings("core", shards(1)[0]), lambda *_, **__: client)
        done = store.set(lambda now: named_strategies.values(now.configuration, name, values), "simulated", "operator")
        return f"sets {values} of {name}: {done.new.version} in force"

    _operate(world, act)


def _lose_configurations(world: "World") -> None:
    """Lose what is in force, or the contents of one configuration or of all."""
    held = world.redis.data.get(world.keys.configurations.encode(), {})
    match world.random.randrange(3):
        case 0:
            # A Redis that loses it has lost its connections too: everybody connects, and looks, again.
            world.redis.execute("DEL", world.keys.configuration)
            world.redis_network.cut()
        case 1:
            world.redis.execute("DEL", world.keys.configurations)
        case _ if held:
            world.redis.execute("HDEL", world.keys.configurations, world.random.choice(sorted(held)))


def forget_lost(world: "World") -> None:
    """Do what the error asks for where nobody who is left knows what is in force: forget it."""
    if world.in_force.version.encode() not in world.redis.data.get(world.keys.configurations.encode(), {}):
        world.log("operator", "forgets what is in force: nobody knows its content")
        world.redis.execute("DEL", world.keys.configuration)


def _reset(world: "World") -> None:
    """Reset the states of a strategy, or one of them."""
    pool, ((strategy),) = world.random.choice(list(workload.STRATEGIES.items()))
    symbol = world.random.choice(["", *workload.SYMBOLS]) if pool == "trade" else ""
    chosen = StateFilter(pool, "", symbol, strategy.name)

    def act(client: BlockingClient) -> str:
        stored: Any = client.hgetall(world.keys.pool(pool))
        named = [name for field in stored if (name := StateField.parse(pool, field)) and chosen.takes(name)]
        about = msgspec.json.encode(StateReset(pool, strategy.name, "", symbol, "operator", "simulated"))
        keys = [world.keys.pool(pool), world.keys.resets]
        removed = client.register_script(script("reset"))(
            keys=keys, args=[about, KEEP, *(name.field for name in named)]
        )
        return f"resets {removed} states of {strategy.name} {symbol}"

    _operate(world, act)


def _reset_in_run(world: "World") -> None:
    """Reset while a worker sleeps between what it has read and its commit."""

    def reset(process: Process) -> None:
        world.scheduler.freeze(process, world.scheduler.now_s + 0.1)
        _reset(world)

    world.in_next_run(reset)


def _lose_tail(world: "World") -> None:
    """Restart NATS without its last messages, once, and only what is noticed by all means (docs/architecture.md)."""
    stored = [world.redis.data.get(world.keys.shard(shard).encode(), {}).get(b"read") for shard in range(world.total)]
    read = [LastFrame.parse(each.decode()).seq for each in stored if each]
    if not world.plan.is_stream or world.nats.lost or len(read) < world.total:
        return
    kept_seq = max(0, min(read) - 1 - world.random.randrange(8))
    world.nats.lose_tail(kept_seq)
    world.nats_network.cut()
    world.log("nats", f"has lost {len(world.nats.lost)} messages after {kept_seq}")


ACTIONS: dict[str, Callable[["World"], None]] = {
    "set": lambda world: _set(world, {"every": world.random.randrange(1, 5)}),
    "kill": lambda world: _set(world, {"gate.killed": True}),
    "revive": lambda world: _set(world, {"gate.killed": False, "gate.off": False}),
    "pause": lambda world: _set(world, {"gate.off": True}),
    "configurations lost": _lose_configurations,
    "reset": _reset,
    "reset in a run": _reset_in_run,
    "stream loses its tail": _lose_tail,
}
