"""The ledger in Redis, as a worker sees it: begin a batch, commit it through the fence.

Its keys are in `keys`. The position of a lane and all that a batch changed are written by one script (`commit.lua`)
that changes nothing unless the epoch is current, the lane stands at the batch's `prev`, and no state was reset
meanwhile. So it does not matter how many workers hold a copy of a batch, or how late one of them wakes up.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Literal

import msgspec
import redis

from tasks.clients.redis_client import FAILED, connect, connection_options, reason
from tasks.errors import LedgerError
from tasks.events import AnyEvent, Position
from tasks.ledger.keys import RESETS, LedgerKeys, frame_field, lane_field, read_position
from tasks.ledger.known_configurations import KnownConfigurations
from tasks.ledger.lua import pack, script, string
from tasks.protocol import dead_letters
from tasks.protocol.batches import Batch
from tasks.protocol.counters import CounterKey
from tasks.protocol.notice import Notice, Refusal
from tasks.protocol.outcome import Outcome
from tasks.protocol.strikes import NOTHING, ExcludedEvents, find_excluded, strikes_field
from tasks.settings import Settings, mask

STARTS_EXPIRE_S = 3600
#: So many closed positions the ledger keeps, the newest.
POSITIONS_KEPT = 1_000_000

Committed = Literal["committed", "repeat", "epoch", "position", "reset"]


class BatchStart(msgspec.Struct, frozen=True):
    """The ledger's reply to the start of a run."""

    #: How many runs of this batch were started and have not ended, this one included.
    starts: int
    epoch: str
    #: Where the lane stands; None before its first commit.
    position: Position | None
    #: Records and states by field name.
    held: Mapping[str, bytes | None]
    #: How often states of the pool were reset; empty for never.
    resets: bytes = b""
    #: What earlier runs ended on.
    excluded: ExcludedEvents = NOTHING


#: A batch, and the names of the records and states that it needs.
Wanted = tuple[Batch[AnyEvent], Sequence[str]]
#: A batch, what it changes, and how often states had been reset when its own were read.
Worked = tuple[Batch[Any], Outcome, bytes]
#: KEYS and ARGV of a script.
Arguments = tuple[list[str], list[bytes | str | int]]


def commit_arguments(keys: LedgerKeys, worked: Sequence[Worked]) -> Arguments:
    """Return what `commit.lua` takes. All batches are of one shard."""
    names = [keys.shard(worked[0][0].shard), keys.counters, keys.signals, keys.held, keys.deadletters, keys.audit]
    names += [keys.positions, keys.shadowed]
    names += keys.of_batches(batch for batch, *_ in worked)
    return names, [keys.notices, dead_letters.KEEP, POSITIONS_KEPT, pack([_parts(*each) for each in worked])]


def _parts(batch: Batch[Any], outcome: Outcome, resets: bytes) -> list[Any]:
    """Return what the script needs of a batch, in its order."""
    epoch, to = str(batch.epoch), str(batch.to)
    notice = str(Notice(batch.lane, epoch, batch.to))
    counters = ["batches", 1, *chain.from_iterable(outcome.counts.stored().items())]
    fields = [(name, string(value)) for name, value in outcome.fields.items()]
    if batch.stored_at_ns:
        fields.append((frame_field(batch.lane), string(f"{to}@{batch.stored_at_ns}".encode())))
    nothing = [""] * len(outcome.signals)
    beside = outcome.traces or nothing, outcome.revisions or nothing
    signals = zip(map(string, outcome.signals), *beside, strict=True)
    streams = [
        list(map(string, entries))
        for entries in (outcome.held, outcome.letters, outcome.audit, outcome.positions, outcome.shadowed)
    ]
    return [
        epoch, lane_field(batch.lane), str(batch.prev or ""), to, notice, string(resets),
        list(chain.from_iterable(fields)), list(chain.from_iterable(signals)), *streams, counters,
    ]  # fmt: skip


def _begun(batch: Batch[Any], key: str, epoch: str, fields: Sequence[str], answer: Sequence[Any]) -> BatchStart:
    starts, all_starts, position, resets, ended, *held = answer
    named = dict(zip(fields, held, strict=True))
    excluded = find_excluded(batch.to.source, all_starts, ended)
    return BatchStart(
        starts, epoch, read_position(position, f"{key} {lane_field(batch.lane)}"), named, resets or b"", excluded
    )


class Ledger:
    """A worker's connection to the ledger of a shard."""

    def __init__(
        self,
        client: redis.Redis,
        namespace: str,
        first: "Ledger | None" = None,
        *,
        is_one_of_several: bool = False,
        server: str = "the ledger",
    ) -> None:
        """`first` is the ledger of the first shard, if that is another one: it has the configurations.

        `server` is what this one is called, without a login.
        """
        self._client, self.is_one_of_several, self._server = client, is_one_of_several, server
        self.keys = LedgerKeys(namespace)
        #: The configurations that this worker uses.
        self.known: KnownConfigurations = (
            first.known if first else KnownConfigurations(client, self.keys.configurations)
        )
        self._begin = client.register_script(script("begin"))
        self._commit = client.register_script(script("commit"))
        self._release_start = client.register_script(script("release_start"))

    @classmethod
    def connect(cls, settings: Settings, *, retries: int = 0) -> "Ledger":
        """Make the ledger, or that of the first shard; the connection opens at the first call."""
        client = connect(settings, settings.ledger, **connection_options(retries=retries))
        is_one_of_several, server = len(settings.ledgers) > 1, mask(settings.ledger)
        return cls(client, settings.namespace, is_one_of_several=is_one_of_several, server=server)

    def of_shard(self, settings: Settings, shard: int) -> "Ledger":
        """Make the ledger of a shard; this one, of the first, where there is no other. Raises LedgerError: it has none."""
        if not shard or not self.is_one_of_several:
            return self
        url = settings.ledger_of(shard)
        client = connect(settings, url, **connection_options())
        return Ledger(client, settings.namespace, self, is_one_of_several=True, server=mask(url))

    def begin(self, wanted: Sequence[Wanted]) -> list[BatchStart]:
        """Count a start of each batch and read what it needs, in one round trip. All are of one shard.

        Raises LedgerError: it is one of several, and not that shard's.
        """
        keys = [self.keys.shard(wanted[0][0].shard), *self.keys.of_batches(batch for batch, _ in wanted)]
        asked = [
            (batch.identity, (lane_field(batch.lane), RESETS, strikes_field(batch.configuration), *fields))
            for batch, fields in wanted
        ]
        epoch, *answers = self._begin(keys=keys, args=[STARTS_EXPIRE_S, pack(asked)])
        if epoch is None and self.is_one_of_several:
            raise LedgerError(
                f"{self._server} has no {keys[0]}: if shard {wanted[0][0].shard} of ingest runs, LEDGER_URLS here are not "
                "ingest's; else start it, and first restore a backup where this server lost its keys"
            )
        stored = (epoch or b"").decode(errors="replace")
        return [
            _begun(batch, self.keys.pool(batch.pool), stored, fields, answer)
            for (batch, fields), answer in zip(wanted, answers, strict=True)
        ]

    def commit(self, worked: Sequence[Worked]) -> list[Committed]:
        """Write for each batch all that it changed, or nothing; in one round trip.

        Safe to call again when the answer got lost.
        """
        keys, arguments = commit_arguments(self.keys, worked)
        answers: list[bytes] = self._commit(keys=keys, args=arguments)
        return [answer.decode() for answer in answers]  # type: ignore[misc]  # the script's five words

    def release_start(self, batch: Batch[AnyEvent]) -> None:
        """Release a start: the run ended, and its process did not."""
        self._release_start(keys=[self.keys.starts(batch.lane)], args=[batch.identity])

    def notify(self, batch: Batch[AnyEvent], position: Position) -> None:
        """Publish the notice of an earlier commit again."""
        self._client.publish(self.keys.notices, str(Notice(batch.lane, str(batch.epoch), position)))

    def publish_refusal(self, batches: Iterable[Batch[AnyEvent]], error: Exception) -> None:
        """Publish to the sender why these are not committed, if Redis lets us."""
        why = reason(error)
        lines = [str(Refusal(batch.lane, str(batch.epoch), why)) for batch in batches]
        with suppress(*FAILED):
            self._client.publish(self.keys.notices, "\n".join(lines))

    def count(self, counter: CounterKey, by: int = 1) -> None:
        """Add to a counter."""
        self._client.hincrby(self.keys.counters, counter.field, by)

    def keep_letter(self, letter: bytes, counter: CounterKey) -> None:
        """Write a dead letter that belongs to no batch, packed, and count it."""
        self._client.xadd(self.keys.deadletters, {"letter": letter}, maxlen=dead_letters.KEEP)
        # A counter that is no number is told of by itself.
        with suppress(redis.ResponseError):
            self.count(counter)

    def configuration(self, version: str) -> bytes | None:
        """Return the JSON of a configuration by its content hash."""
        return self.known.read(version)
