"""The ledger in Redis, as ingest sees it: epochs, where the lanes stand, checkpoints. Keys: see `tasks.ledger`."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import redis.asyncio as redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ingest.lane import Lane
from tasks import deadletters
from tasks.batches import Batch, Epoch, unpack_event
from tasks.configuration import Configuration
from tasks.errors import RealtimeStrategiesError
from tasks.events import Position
from tasks.ledger import Keys, commit_arguments, connection_options, lane_field, script
from tasks.outcome import condemn
from tasks.records import field as record_field
from tasks.routing import LaneId
from tasks.settings import Settings

SHARD = 0


class SupersededError(RealtimeStrategiesError):
    """Another ingest process has taken over this shard."""


class Reading(msgspec.Struct, frozen=True):
    """What the ledger says of a few lanes."""

    epoch: Epoch | None
    #: By lane: position and starts of the batch in flight.
    lanes: Mapping[LaneId, tuple[Position | None, int]]
    #: By pool: how many tasks wait in its queue.
    queued: Mapping[str, int]


def _position(stored: bytes | None) -> Position | None:
    return Position.parse(stored.decode()) if stored else None


class IngestLedger:
    """Ingest's connection to the ledger."""

    def __init__(self, settings: Settings) -> None:
        options = connection_options() | {"retry": Retry(NoBackoff(), 0)}
        self.client = redis.Redis.from_url(settings.ledger, **options)
        self._broker = redis.Redis.from_url(settings.broker, **options)
        self._queue_prefix = settings.celery_prefix
        self.keys = Keys(settings.namespace)
        #: In every epoch of this process: so it knows its own, also where the answer to a claim got lost.
        self._nonce = secrets.token_hex(4)
        self._highest = 0
        self._claim = self.client.register_script(script("claim"))
        self._checkpoint = self.client.register_script(script("checkpoint"))
        self._commit = self.client.register_script(script("commit"))

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()
        await self._broker.aclose()

    async def epoch(self) -> Epoch | None:
        """Give the stored epoch; None where there is none."""
        stored = await self._field(self.keys.shard(SHARD), "epoch")
        return Epoch.parse(stored.decode()) if stored else None

    def issued(self, epoch: Epoch) -> bool:
        """Whether this process started `epoch`, or tried to."""
        return epoch.nonce == self._nonce

    async def _field(self, key: str, field: str) -> bytes | None:
        value: Any = await self.client.hget(key, field)
        return value  # type: ignore[no-any-return]  # bytes, since responses are not decoded

    async def claim(
        self, above: int, lanes: Sequence[LaneId], layout: Mapping[str, int], configuration: Configuration
    ) -> tuple[Epoch, dict[LaneId, Position | None]]:
        """Start an epoch whose number is higher than the stored one and than `above`.

        Returns it, and where each lane stands. Raises SupersededError: somebody else started one at the same moment.
        """
        stored = await self.epoch()
        self._highest = max(above, self._highest, stored.number if stored else 0) + 1
        epoch = Epoch(self._highest, self._nonce)
        keys = [self.keys.shard(SHARD), self.keys.layout, self.keys.configurations]
        keys += [self.keys.pool(lane.pool) for lane in lanes]
        layout_text = msgspec.json.encode({"shards": 1, "partitions": dict(layout)}, order="sorted")
        arguments: list[Any] = [str(stored or ""), str(epoch), layout_text]
        arguments += [configuration.version, configuration.canonical(), *map(lane_field, lanes)]
        won, *positions = await self._claim(keys=keys, args=arguments)
        if not won:
            winner = Epoch.parse(positions[0].decode())
            if self.issued(winner):
                # An earlier claim of ours, which had seemed to fail, came through meanwhile.
                return await self.claim(above, lanes, layout, configuration)
            raise SupersededError(f"another ingest process started epoch {winner} at the same moment")
        return epoch, {lane: _position(stored) for lane, stored in zip(lanes, positions, strict=True)}

    async def read(self, lanes: Sequence[tuple[Lane, Batch[msgspec.Raw] | None]]) -> Reading:
        """Read where lanes stand, and how often their batches in flight were started, in one round trip."""
        pools = sorted({lane.id.pool for lane, _ in lanes})
        queued = await self.queued(pools)
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.hget(self.keys.shard(SHARD), "epoch")
            for lane, batch in lanes:
                pipe.hget(self.keys.pool(lane.id.pool), lane_field(lane.id))
                pipe.hget(self.keys.starts(lane.id), batch.identity if batch else "")
            epoch, *values = await pipe.execute()
        read = {
            lane.id: (_position(position), int(starts or 0))
            for (lane, _), position, starts in zip(lanes, values[::2], values[1::2], strict=True)
        }
        return Reading(Epoch.parse(epoch.decode()) if epoch else None, read, queued)

    async def queued(self, pools: Sequence[str]) -> dict[str, int]:
        """Give how many tasks wait in each pool's queue."""
        async with self._broker.pipeline(transaction=False) as pipe:
            for pool in pools:
                pipe.llen(f"{self._queue_prefix}{pool}")
            return dict(zip(pools, await pipe.execute(), strict=True))

    async def checkpoint(
        self, epoch: Epoch, name: str, frontier: Position, letters: Sequence[bytes], counts: Mapping[str, int]
    ) -> bool:
        """Write what ingest itself knows. False: the epoch is not current. Safe to repeat under the same `name`."""
        arguments: list[Any] = [str(epoch), name, str(frontier), deadletters.KEEP, len(letters), *letters]
        arguments += [part for item in counts.items() for part in item]
        keys = [self.keys.shard(SHARD), self.keys.counters, self.keys.deadletters]
        answer: bytes = await self._checkpoint(keys=keys, args=arguments)
        return answer != b"epoch"

    async def condemn(self, batch: Batch[msgspec.Raw], detail: str) -> None:
        """Commit a batch of one event by passing over it: it goes to the dead letters."""
        event = unpack_event(batch.events[0])
        record = await self._field(self.keys.pool(batch.pool), record_field(event))
        keys, arguments = commit_arguments(
            self.keys, batch, condemn(batch.pool, batch.to.source, event, record, detail)
        )
        await self._commit(keys=keys, args=arguments)

    async def subscribe(self) -> PubSub:
        """Listen to the notices of commits."""
        pubsub = self.client.pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe(self.keys.notices)
        return pubsub
