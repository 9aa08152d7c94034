"""The keys of the ledger in Redis, and the names of fields that several of them share.

Keys, each behind the namespace:

    shard:0          hash    epoch, frontier, checkpoint of an ingest process (its name, epoch, and the frontier again), up
                             to where it has counted, of each partition too where the layout has changed (counted_of), and a
                             frame that it has read from a stream
    lease:0          string  nonce of the process that leads this shard; runs out by itself
    layout           string  JSON: how many shards, how many partitions each pool has, and how many the frames have
    pool:depth       hash    lane:3 → position;  frame:3 → the frame there and when the stream stored it;  record:spot:BTCUSDT:depth, state:spot:BTCUSDT:orderbook_skew,
                             paper:spot:BTCUSDT:orderbook_skew → msgpack;
                             resets → how often states were reset, seeded or pruned; ended:configuration → JSON: which strategies
                             ended their process under it
    starts:depth-3   hash    identity of a batch → how often a run of it was started and has not ended;
                             strike|event|strategy → how often the process ended there
    signals          stream  the contract's JSON and, in further fields, the trace that it belongs to, if any, and the revision of
                             its strategy
    signals:held     stream  JSON of what the gate held back: reason and signal
    signals:shadow   stream  JSON of what a version of a strategy said that does not emit: version and signal
    positions        stream  JSON of each position that a paper account closed
    deadletters      stream  JSON
    audit            stream  JSON: which configuration a record went on under, from which event; a line lives as long as
                             its record
    resets           stream  JSON: which states were reset, seeded or pruned, by whom, why and from which files; in
                             further fields how many there were, and of how many symbols that were pruned
    counters         hash    what summaries add up
    configuration    hash    version in force, version of the strategies file, overlay (JSON: what was set at run time), aliases (JSON:
                             the strategies that have one, and the names that their signals carry)
    configurations   hash    version (content hash) → JSON, the whole of it
    configuration:history  stream  JSON: version, previous, author, reason, time, overlay, what a rollback restored
    api:answer:HASH  string  JSON: a request of the HTTP API under an Idempotency-Key, and its answer; for a day
    api:answers      list    the hashes, newest first
    delivery:NAME    hash    where a delivery of signals stands: position in the stream and how many are passed, of each
                             ledger, with blanks between; how many are sent, filtered, refused and trimmed, and its trouble
    delivery:NAME:lease  string  the process that delivers under this name; runs out by itself
    moving           hash    while the ledger moves to other servers (`ingest/ledger_move`): plan, what is done, and what the
                             next steps need of what they overwrite; ingest does not start
    workers          hash    node name and process id of a worker → JSON, written every 3 s (`tasks/ledger/heartbeats.py`)
    notices          channel pool|partition|epoch|position, a line for each batch of a commit; `configuration`, by a
                             change of it; `workers`, by one that starts, stops or changes its queues;
                             refused|pool|partition|epoch|why, where Redis refused a commit;
                             strike|pool|partition|epoch|answer of `strike.lua`, where a strategy ended its process
"""

from collections.abc import Iterable
from typing import Any

from tasks.errors import LedgerError
from tasks.events import Position
from tasks.protocol.batches import Batch
from tasks.protocol.routing import LaneId


class LedgerKeys:
    """The names of the ledger's keys."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.signals = f"{namespace}:signals"
        self.held = f"{namespace}:signals:held"
        self.shadowed = f"{namespace}:signals:shadow"
        self.positions = f"{namespace}:positions"
        self.deadletters = f"{namespace}:deadletters"
        self.audit = f"{namespace}:audit"
        self.resets = f"{namespace}:resets"
        self.counters = f"{namespace}:counters"
        self.configuration = f"{namespace}:configuration"
        self.configurations = f"{namespace}:configurations"
        self.history = f"{namespace}:configuration:history"
        self.layout = f"{namespace}:layout"
        self.notices = f"{namespace}:notices"
        self.workers = f"{namespace}:workers"
        self.moving = f"{namespace}:moving"

    def shard(self, number: int) -> str:
        """Return the key of one ingest process."""
        return f"{self.namespace}:shard:{number}"

    @property
    def shard_pattern(self) -> str:
        """Return the pattern of the keys of all ingest processes."""
        return f"{self.namespace}:shard:*"

    def lease(self, number: int) -> str:
        """Return the key of the lock of who leads a shard."""
        return f"{self.namespace}:lease:{number}"

    def delivery(self, name: str) -> str:
        """Return the key of a delivery of signals."""
        return f"{self.namespace}:delivery:{name}"

    def pool(self, name: str) -> str:
        """Return the key of a pool's positions, records and states."""
        return f"{self.namespace}:pool:{name}"

    def starts(self, lane: LaneId) -> str:
        """Return the key of the starts of a lane's batches."""
        return f"{self.namespace}:starts:{lane}"

    def of_batches(self, batches: Iterable[Batch[Any]]) -> list[str]:
        """Return the keys of each batch as the scripts take them: its pool and its starts."""
        return [key for batch in batches for key in (self.pool(batch.pool), self.starts(batch.lane))]


def lane_field(lane: LaneId) -> str:
    """Return the field of a lane's position in the hash of its pool."""
    return f"lane:{lane.partition}"


def frame_field(lane: LaneId) -> str:
    """Return the field of the last frame that a lane took from a stream, beside that of its position."""
    return f"frame:{lane.partition}"


def damaged(stored: bytes, what: str, where: str, remedy: str = "") -> LedgerError:
    """Return the error about something in the ledger that is not what belongs there.

    `where` is its key and field, without which ingest writes it again, unless there is another remedy.
    """
    return LedgerError(f"the ledger holds {stored!r} where {what} belongs: {remedy or f'HDEL {where}'}")


def read_position(stored: bytes | None, where: str, remedy: str = "") -> Position | None:
    """Return the position that the ledger holds `where`, if any. Raises LedgerError: it is something else."""
    try:
        return Position.parse(stored.decode()) if stored else None
    except ValueError:
        raise damaged(stored or b"", "a position", where, remedy) from None


#: What stands for the layout while the ledger moves to other servers: no release starts with it.
MOVING = b"moving"
#: The field in a pool's hash that counts how often states of it were reset or seeded.
RESETS = "resets"
