"""When a simulation is done, and what must be true then."""

from functools import cache
from typing import TYPE_CHECKING

from ingest.lanes.layout import Layout
from ingest.sources.resume import SAME_NS
from tasks.events import Position
from tasks.protocol import records
from tasks.protocol.digest import digest
from tasks.protocol.routing import Router, Shard
from tests.simulation import workload
from tests.simulation.invariants import Violation
from tests.simulation.reference import highest, signal_id
from tests.simulation.servers.nats_server import BEGIN_NS

if TYPE_CHECKING:
    from tests.simulation.ingest_process import SimulatedIngest
    from tests.simulation.world import World


@cache
def _layout(partitions: int, shards: int, frame_partitions: int) -> bytes:
    return Layout(Router(workload.pools(partitions), Shard(0, shards), frame_partitions)).encode()


class Ending:
    """Looks at a world."""

    def __init__(self, world: "World") -> None:
        self._world = world

    @property
    def is_done(self) -> bool:
        """Whether everything that was published is done, and every signal is out."""
        world, leaders = self._world, self._world.leaders()
        if len({each.components.settings.shard.number for each in leaders}) < world.total:
            return False
        if any(process.frozen_until_s > world.scheduler.now_s for process in [*world.ingests, *world.workers]):
            return False
        layout = _layout(world.pool_partitions, world.total, world.plan.frame_partitions)
        if world.redis.data.get(world.keys.layout.encode()) != layout:
            return False
        if world.plan.is_reconfigured and not self._is_known(leaders):
            return False
        if world.plan.is_stream:
            return all(self._is_read(shard, leaders) for shard in range(world.total)) and self._signals_out()
        return not any(each.components.lanes.held for each in leaders) and self._signals_out()

    def _is_known(self, leaders: list["SimulatedIngest"]) -> bool:
        """Whether all have the configuration in force, and the ledger has its content."""
        version, world = self._world.in_force.version, self._world
        held = world.redis.data.get(world.keys.configurations.encode(), {})
        return version.encode() in held and all(
            each.components.active_configuration.version == version for each in leaders
        )

    def _is_read(self, shard: int, leaders: list["SimulatedIngest"]) -> bool:
        """Whether a shard has written that everything in the stream is done."""
        stored = self._world.redis.data.get(self._world.keys.shard(shard).encode(), {}).get(b"frontier")
        frontier = Position.parse(stored.decode()) if stored else None
        end_seq = self._world.nats.frames.info.last_seq
        return frontier in {Position(each.components.lanes.source, end_seq) for each in leaders if self._is_held(each)}

    def _is_held(self, leader: "SimulatedIngest") -> bool:
        """Whether the stream still has what a leader read last; else it is still to notice a loss."""
        read = leader.components.source.read
        if read is None or read.source != leader.components.lanes.source:
            return True
        held = self._world.nats.frames.messages.get(read.seq)
        return held is not None and abs(BEGIN_NS + held.stored_at_ns - read.stored_at_ns) < SAME_NS

    def _signals_out(self) -> bool:
        return set(map(signal_id, self._signals())) <= set(map(signal_id, self._world.nats.received))

    def _signals(self) -> list[bytes]:
        stream = self._world.redis.data.get(self._world.keys.signals.encode())
        return [fields[1] for fields in stream.entries.values()] if stream else []

    def what_waits(self) -> str:
        """Return in words what is not done."""
        end_seq = self._world.nats.frames.info.last_seq
        found = [
            f"shard {each.components.settings.shard} holds {each.components.lanes.held}, read up to "
            f"{each.components.lanes.last_seq} of {end_seq} under {each.components.active_configuration.version}"
            for each in self._world.leaders()
        ]
        return "; ".join([*found, "signals out" if self._signals_out() else "signals wait"])

    def check(self) -> None:
        """Compare the end with what it must be. Raises Violation."""
        world = self._world
        if world.follower:
            self._compare_followed()
        if not world.plan.is_complete:
            return
        if world.nats.lost:
            self._check_survivors()
            return
        if world.given_up.events and not world.follower:
            # Killed five times by chance, an event is given up where nobody follows: then nothing says what is right.
            return
        found = [
            (key.decode().removeprefix(world.keys.pool("")), name.decode(), records.unpack(value))
            for key, pool in world.redis.data.items()
            if key.startswith(world.keys.pool("").encode())
            for name, value in pool.items()
            if name.startswith(b"record:")
        ]
        if world.follower:
            self._check_survivors()
            signals, followed = world.follower.ledger.signals, world.follower.ledger.records()
            expected = digest(signals, followed if world.given_up.events else world.reference.records)
        else:
            unique = {signal_id(packed): packed for packed in [*world.nats.received, *self._signals()]}
            signals, expected = list(unique.values()), world.reference.digest
        if digest(signals, found) != expected:
            raise Violation(f"at the end the digest is not that of one process: {self._difference(signals, found)}")

    def _difference(self, signals: list[bytes], found: list[tuple[str, str, records.Record]]) -> str:
        """Return in words where the end differs from what one process has."""
        follower, reference = self._world.follower, self._world.reference
        records_ = follower.ledger.records() if follower and self._world.given_up.events else reference.records
        expected = {(pool, name): record.count for pool, name, record in records_}
        counts = {(pool, name): record.count for pool, name, record in found}
        for pool, name in sorted(expected.keys() | counts.keys()):
            if (count := counts.get((pool, name), 0)) != (alone := expected.get((pool, name), 0)):
                return f"{name} of {pool} has {count} events, there {alone}"
        ids = set(map(signal_id, follower.ledger.signals)) if follower else reference.signals
        missing, more = len(ids - set(map(signal_id, signals))), len(set(map(signal_id, signals)) - ids)
        return (
            f"{missing} signals are missing, {more} are not among those" if missing or more else "their contents differ"
        )

    def _compare_followed(self) -> None:
        """What is in the ledger must be what the commits gave, in their order."""
        follower = self._world.follower
        if follower and self._signals() != follower.ledger.signals:
            raise Violation("at the end the ledger has other signals than one process that followed the commits")

    def _check_survivors(self) -> None:
        """Of what the stream still has, each event must be there, unless a later one was published before it."""
        world = self._world
        left = {stored.number for stored in world.nats.frames.messages.values()}
        published = [(frame.subject, frame.data) for _, frame in sorted(world.nats.contents.items())]
        for name, number, id_ in highest(published):
            for pool in workload.STRATEGIES if number in left else ():
                if (pool, name, id_) in world.given_up.events:
                    continue
                if world.follower and id_ not in world.follower.taken.get((pool, name), ()):
                    raise Violation(f"the stream has trade {id_} of {name}, and {pool} never took it")
