"""The ledger in Redis, as ingest sees it: epochs, where the lanes stand, checkpoints. Keys: see `tasks.ledger`."""

import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from ingest.counters import Counted
from ingest.lanes.lane import Lane
from ingest.lanes.layout import Layout
from ingest.ledger import counted, stored_shard
from ingest.ledger.commit_notices import CommitNotices
from ingest.ledger.damage import LedgerDamage
from ingest.ledger.relayed_ledger import OtherLedger, RelayedLedger
from ingest.ledger.servers import Connect, RedisServers
from ingest.ledger.stored_layout import read_layout
from ingest.ledger.stored_shard import StoredShard
from ingest.sources.resume import LastFrame, StoredOffsets
from tasks.clients.redis_client import FAILED, connect_async
from tasks.configuration import Configuration
from tasks.events import Position
from tasks.frames.symbols import symbol_of
from tasks.ledger import RESETS, LedgerKeys, commit_arguments, frame_field, lane_field, read_position
from tasks.ledger.confirmation import Confirmation
from tasks.ledger.lease import Lease, SupersededError
from tasks.ledger.lua import pack, script, string
from tasks.protocol import dead_letters
from tasks.protocol.batches import Batch, Epoch, unpack_event
from tasks.protocol.counters import Counts, read_count
from tasks.protocol.outcome import quarantine
from tasks.protocol.records import field as record_field
from tasks.protocol.routing import LaneId
from tasks.protocol.strikes import LastStrike, read_last_strikes, strikes_field
from tasks.settings import Settings

#: So many fields are read at a time.
PAGE = 1_000


class LanePositions(msgspec.Struct, frozen=True):
    """Committed positions of some lanes, with the starts of their batches in flight, and the lengths of the queues."""

    epoch: Epoch | None
    #: By lane: position and starts of the batch in flight.
    lanes: Mapping[LaneId, tuple[Position | None, int]]
    #: By pool: how many tasks wait in its queue; empty where that was not asked.
    queued: Mapping[str, int]


def _starts(stored: bytes | None) -> int:
    # What is no number was not written by us: no run can be begun then, and its worker says so.
    return read_count(stored) or 0


class Checkpoint(NamedTuple):
    """The counts since the last checkpoint. Its name is never used twice."""

    name: str
    letters: Sequence[bytes]
    counts: Counts
    #: Every frame up to here is counted with this checkpoint or an earlier one.
    counted: Position
    #: A frame that was read, to be known again.
    read: LastFrame | None = None


class EpochClaim(NamedTuple):
    """Result of claiming an epoch: the epoch, and the positions at which reading and the lanes start."""

    epoch: Epoch
    #: Where each lane of this shard stands.
    positions: Mapping[LaneId, Position | None]
    #: The start that was chosen for all of them.
    start: Position | None
    #: Up to which numbers of this source frames were counted.
    counted: Counted
    #: Whether something that was written before is gone, or is another text by now.
    is_damaged: bool = False


#: Given the stored positions, returns where every lane begins; None: at its own position.
Begin = Callable[[StoredOffsets], Awaitable[Position | None]]


async def _where_they_stand(_: StoredOffsets) -> None:
    """Begin nowhere else."""


class IngestLedger:
    """Ingest's connection to the ledger."""

    def __init__(self, settings: Settings, connect: Connect = connect_async) -> None:
        """`connect` makes the client of a server. Raises SettingsError, as `RedisServers`."""
        self.servers = RedisServers(settings, connect)
        self.client = self.servers.ledger
        self._queue_prefix = settings.celery_prefix
        self.keys = LedgerKeys(settings.namespace)
        #: In every epoch of this process: so it knows its own, also where the answer to a claim got lost.
        self._nonce = secrets.token_hex(4)
        self._highest = 0
        self._shard_key = self.keys.shard(settings.shard.number)
        self.lease = Lease(self.client, self.keys.lease(settings.shard.number), self._nonce)
        self.damage = LedgerDamage()
        self._claim = self.client.register_script(script("claim"))
        self._checkpoint = self.client.register_script(script("checkpoint"))
        self._commit = self.client.register_script(script("commit"))
        self._durability = settings.ledger_durability
        self.confirmation = Confirmation(self.client, self._durability, self._shard_key)

    def relayed(self) -> Iterator[tuple[int, RelayedLedger]]:
        """Yield what the first shard relays from, by shard: this ledger, and those of the others."""
        yield 0, self
        for number, client in self.servers.other_ledgers.items():
            confirmation = Confirmation(client, self._durability, self.keys.shard(number))
            yield number, OtherLedger(client, self.lease, confirmation)

    async def close(self) -> None:
        """Let go of the lease, and close the connections."""
        with suppress(*FAILED):
            await self.lease.release()
        await self.servers.close()

    async def epoch(self) -> Epoch | None:
        """Return the stored epoch; None where there is none."""
        stored = await self._field(self._shard_key, "epoch")
        return stored_shard.read_epoch(stored, self._shard_key) if stored else None

    def issued(self, epoch: Epoch) -> bool:
        """Whether this process started `epoch`, or tried to."""
        return epoch.nonce == self._nonce

    async def _field(self, key: str, field: str) -> bytes | None:
        value: Any = await self.client.hget(key, field)
        return value  # type: ignore[no-any-return]  # bytes, since responses are not decoded

    async def claim(
        self, above: int, layout: Layout, configuration: Configuration, begin: Begin = _where_they_stand
    ) -> EpochClaim:
        """Start an epoch whose number is higher than the stored one and than `above`.

        `begin` is called with the stored positions, and returns where every lane begins. Raises SupersededError:
        somebody else leads this shard, or others lead shards under another layout; SettingsError: it is another, or moves.
        """
        await self.lease.renew()
        stored = await self.epoch()
        self._highest = max(above, self._highest, stored.number if stored else 0) + 1
        epoch = Epoch(self._highest, self._nonce)
        before = await read_layout(self.servers, self.keys, layout)
        others = layout.other_shards(before)
        offsets, is_damaged, shards = await self._stored(layout, before)
        start = await begin(offsets)
        checkpoints = [string(shards[each].checkpoint or b"") for each in (layout.shard, *others) if each in shards]
        counted_of = counted.under_new_layout(layout, before, shards, start)
        keys = [self._shard_key, self.keys.layout, self.keys.configurations]
        keys += [self.keys.pool(lane.pool) for lane in layout.lanes]
        keys += [self.keys.lease(number) for number in others] + [self.keys.shard(number) for number in others]
        arguments: list[Any] = [str(stored or ""), str(epoch), string(before), string(layout.encode())]
        arguments += [configuration.version, string(configuration.stored()), str(start or "")]
        arguments += [list(map(lane_field, layout.lanes)), len(others), checkpoints, counted_of]
        verdict, *answer = await self.confirmation.run(self._claim, keys, [pack(arguments)])
        if verdict == b"started":
            stands = [read_position(at, self._where(lane)) for at, lane in zip(answer[2:], layout.lanes, strict=True)]
            found = counted.of_claim(answer, self._shard_key, start)
            return EpochClaim(epoch, dict(zip(layout.lanes, stands, strict=True)), start, found, is_damaged)
        if verdict == b"led":
            raise SupersededError(
                f"the ledger is laid out as {before.decode()}, another shard runs, "
                f"and this one wants {layout.encode().decode()}"
            )
        if verdict == b"epoch" and not self.issued(winner := stored_shard.read_epoch(answer[0], self._shard_key)):
            raise SupersededError(f"another ingest process started epoch {winner} at the same moment")
        # Another shard stored the layout, Redis went back, or an earlier claim of ours, which had seemed to fail, came through.
        return await self.claim(above, layout, configuration, begin)

    async def _stored(self, layout: Layout, before: bytes) -> tuple[StoredOffsets, bool, dict[int, StoredShard]]:
        """Return where reading stood before, whether some of that is damaged or gone, and what shards had stored."""
        shards = layout.shards_before(before)
        asked = sorted({*shards, layout.shard, *layout.other_shards(before)}) if layout.is_new(before) else shards
        asked_lanes = dict.fromkeys((*layout.lanes, *layout.lanes_before(before)))
        async with self.client.pipeline(transaction=True) as pipe:
            for number in asked:
                pipe.hmget(self.keys.shard(number), *stored_shard.FIELDS)
            for lane in asked_lanes:
                pipe.hmget(self.keys.pool(lane.pool), lane_field(lane), frame_field(lane))
            answers = await pipe.execute()
        found = {
            number: StoredShard(self.keys.shard(number), *its) for number, its in zip(asked, answers, strict=False)
        }
        stored, is_damaged = stored_shard.shards_that_began(found, shards, self.keys, self.damage)
        lanes = dict(zip(asked_lanes, answers[len(asked) :], strict=True))
        positions = {lane: read_position(at, self._where(lane)) for lane, (at, _) in lanes.items()}
        standing = {lane: positions[lane] for lane in layout.lanes}
        by_shard = [each.frontiers(self.damage) for each in stored]
        frontiers = list(chain.from_iterable(by_shard))
        # Of the layout before. Of its own lanes it is known whether they began.
        has_unstarted = list(shards) != [layout.shard] and [] in by_shard
        if not frontiers:
            frontiers = stored_shard.frontiers_of_lanes(self._shard_key, standing.values(), self.damage)
            is_damaged = bool(frontiers)
        elif before == layout.encode():
            is_damaged = stored_shard.report_lost(frontiers, standing, self.keys, self.damage) or is_damaged
        reached = [*chain.from_iterable(each.reached() for each in stored), *filter(None, positions.values())]
        frames = {f"{self.keys.pool(lane.pool)} {frame_field(lane)}": frame for lane, (_, frame) in lanes.items()}
        read = stored_shard.frames_read({f"{each.key} read": each.read for each in found.values()} | frames)
        return StoredOffsets(frontiers, reached, read, has_unstarted), is_damaged, found

    def _where(self, lane: LaneId) -> str:
        return f"{self.keys.pool(lane.pool)} {lane_field(lane)}"

    async def read(
        self, lanes: Sequence[tuple[Lane, Batch[msgspec.Raw] | None]], *, queues: bool = True
    ) -> LanePositions:
        """Read where lanes stand, and how often their batches in flight were started, in one round trip.

        Without `queues` their lengths are left out. Raises UnconfirmedError, and what Redis raises.
        """
        queued = await self.queued(sorted({lane.id.pool for lane, _ in lanes})) if queues else {}
        # Redis waits for nothing inside of a transaction. What a new leader does in the middle is seen by the epoch.
        async with self.client.pipeline(transaction=not self.confirmation.is_needed) as pipe:
            pipe.hget(self._shard_key, "epoch")
            for lane, batch in lanes:
                pipe.hget(self.keys.pool(lane.id.pool), lane_field(lane.id))
                pipe.hget(self.keys.starts(lane.id), batch.identity if batch else "")
            epoch, *values = await self.confirmation.answers(pipe)
        read = {
            lane.id: (read_position(position, self._where(lane.id)), _starts(starts))
            for (lane, _), position, starts in zip(lanes, values[::2], values[1::2], strict=True)
        }
        return LanePositions(stored_shard.read_epoch(epoch, self._shard_key) if epoch else None, read, queued)

    async def queued(self, pools: Sequence[str]) -> dict[str, int]:
        """Return how many tasks wait in each pool's queue."""
        async with self.servers.broker.pipeline(transaction=False) as pipe:
            for pool in pools:
                pipe.llen(f"{self._queue_prefix}{pool}")
            return dict(zip(pools, await pipe.execute(), strict=True))

    async def checkpoint(
        self, epoch: Epoch, frontier: Position, written: Checkpoint, lanes: Mapping[LaneId, Position | None]
    ) -> bool:
        """Write what ingest itself knows; return whether it is written, now or by an earlier call with the same name.

        `lanes` is where ingest knows each lane to stand. False, with nothing written: the epoch is not current, or a
        lane stands below that.
        """
        arguments: list[Any] = [str(epoch), written.name, str(frontier), str(written.counted), str(written.read or "")]
        arguments += [dead_letters.KEEP, list(map(string, written.letters))]
        arguments.append([part for lane, position in lanes.items() for part in (lane_field(lane), str(position or ""))])
        arguments.append([part for item in written.counts.stored().items() for part in item])
        keys = [self._shard_key, self.keys.counters, self.keys.deadletters]
        keys += [self.keys.pool(lane.pool) for lane in lanes]
        answer: bytes = await self.confirmation.run(self._checkpoint, keys, [pack(arguments)])
        return answer not in {b"epoch", b"fallen"}

    async def quarantine(self, batch: Batch[msgspec.Raw], starts: int) -> None:
        """Commit a batch of one event by passing over it: it goes to the dead letters, with the number of its `starts`."""
        event = unpack_event(batch.events[0])
        stored: Any = self.client.hmget(self.keys.pool(batch.pool), [record_field(event), RESETS])
        record, resets = await stored
        outcome = quarantine(batch.pool, batch.to.source, event, record, starts)
        keys, arguments = commit_arguments(self.keys, [(batch, outcome, resets or b"")])
        await self._commit(keys=keys, args=arguments)

    async def symbols(self, pools: Iterable[str]) -> set[tuple[str, str]]:
        """Return the venue and symbol of every record of these pools."""
        found = set[tuple[str, str]]()
        for pool in pools:
            async for field, _ in self.client.hscan_iter(self.keys.pool(pool), match="record:*:*:*", count=PAGE):
                _, venue, symbol, _ = field.decode(errors="replace").split(":", 3)
                found.add((venue, symbol_of(symbol)))
        return found

    async def last_strikes(self, configuration: str, pools: Sequence[str]) -> dict[str, Mapping[str, LastStrike]]:
        """Return by pool which strategies ended their process under a configuration."""
        async with self.client.pipeline(transaction=False) as pipe:
            for pool in pools:
                pipe.hget(self.keys.pool(pool), strikes_field(configuration))
            return dict(zip(pools, map(read_last_strikes, await pipe.execute()), strict=True))

    async def set_last_strikes(self, configuration: str, strikes: Mapping[str, Mapping[str, LastStrike]]) -> None:
        """Write by pool which strategies ended their process under a configuration, instead of what is there."""
        field = strikes_field(configuration)
        async with self.client.pipeline(transaction=False) as pipe:
            for pool, each in strikes.items():
                if each:
                    pipe.hset(self.keys.pool(pool), field, msgspec.json.encode(each))
                else:
                    pipe.hdel(self.keys.pool(pool), field)
            await pipe.execute()

    async def subscribe(self, *, first: bool = False) -> CommitNotices:
        """Listen to the notices of commits; or to those in the `first` shard's ledger, which tell what is of no shard."""
        pubsub = (self.servers.first if first else self.client).pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe(self.keys.notices)
        return CommitNotices(pubsub)
