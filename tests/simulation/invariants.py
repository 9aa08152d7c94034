"""What must hold after every write to Redis, whatever happens."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from tasks.events import Position
from tasks.ledger import LedgerKeys
from tasks.protocol import records
from tasks.protocol.counters import CounterKey
from tests.simulation.plan import Plan
from tests.simulation.reference import Reference, signal_id
from tests.simulation.servers.redis_server import RedisServer

APPLIED = CounterKey("applied").field.encode()


class Violation(Exception):  # noqa: N818 it is what the simulator is for
    """Something that must never happen has happened."""


class Invariants:
    """Looks at the ledger after each write, and compares it with what it was and with the truth."""

    def __init__(self, server: RedisServer, reference: Reference, keys: LedgerKeys, plan: Plan) -> None:
        self._server, self._reference, self._plan = server, reference, plan
        #: Whether an event was given up, so that the recording alone does not say what is right.
        self.gave_up = False
        #: How keys of shards and of pools begin.
        self._shards, self._pools = keys.shard(0).removesuffix("0").encode(), keys.pool("").encode()
        self._counters, self._signals_key = keys.counters.encode(), keys.signals.encode()
        #: By key and field, what stood there.
        self._seen: dict[tuple[bytes, bytes], bytes] = {}
        #: By key of a shard, its epoch's number; by key and field of a lane, which epochs there were when it moved.
        self._epochs: dict[bytes, int] = {}
        self._moved: dict[bytes, int] = {}
        self._signals = 0
        self._ids = set[bytes]()
        #: The ids of all signals that were ever committed, also of those that Redis has lost since.
        self.committed = set[bytes]()
        #: By key and field of a record, how many events it has.
        self._counts: dict[tuple[bytes, bytes], int] = {}
        #: Their sum.
        self._applied = 0
        self.checks = 0

    def forget(self) -> None:
        """Redis went back in time: what it had said does not count any more."""
        self._seen.clear()
        self._epochs.clear()
        self._moved.clear()
        self._signals = 0
        self._ids.clear()
        self._counts.clear()
        self._applied = 0

    def check(self) -> None:
        """Compare what is stored. Raises Violation."""
        self.checks += 1
        server = self._server
        if server.changed:
            changed = sorted(server.changed)
            server.changed.clear()
            for key in changed:
                if key.startswith(self._shards):
                    self._check_shard(key, server.data.get(key, {}))
                elif key.startswith(self._pools) and key in server.data:
                    self._check_pool(key, server.data[key])
        self._check_signals()
        applied = int(server.data.get(self._counters, {}).get(APPLIED, b"0"))
        if applied != self._applied:
            raise Violation(f"the counter says {applied} events, and all records have {self._applied}")

    def _check_pool(self, key: bytes, pool: Mapping[bytes, bytes]) -> None:
        for field, value in pool.items():
            before = self._seen.get((key, field))
            if value == before:
                continue
            self._seen[key, field] = value
            if field.startswith(b"record:"):
                count = self._check_record(field.decode(), before, value)
                self._applied += count - self._counts.get((key, field), 0)
                self._counts[key, field] = count
            elif field.startswith(b"lane:"):
                self._check_position(key, field, before, value)

    def _check_record(self, field: str, before: bytes | None, value: bytes) -> int:
        record = records.unpack(value)
        if before is not None and record.count < records.unpack(before).count:
            raise Violation(f"{field} goes back to {record.count} events")
        hashes, knows = self._reference.hashes[field], self._plan.knows_records and not self.gave_up
        if knows and (record.count >= len(hashes) or record.hash != hashes[record.count]):
            raise Violation(f"{field} has {record.count} events which are not the first of the recording")
        return record.count

    def _check_position(self, key: bytes, field: bytes, before: bytes | None, value: bytes) -> None:
        if before is None:
            return
        old, new = Position.parse(before.decode()), Position.parse(value.decode())
        epoch, current = self._moved.get(key + field), self._epoch()
        self._moved[key + field] = current
        if old.source == new.source and new.seq < old.seq and epoch == current:
            raise Violation(f"{field!r} of {key!r} goes back from {old} to {new}")

    def _epoch(self) -> int:
        return hash(
            tuple(value.get(b"epoch") for key, value in self._server.data.items() if key.startswith(self._shards))
        )

    def _check_shard(self, key: bytes, shard: Mapping[bytes, bytes]) -> None:
        epoch = shard.get(b"epoch")
        if epoch is None:
            # Another layout has ended them.
            self._epochs.pop(key, None)
            return
        number = int(epoch.partition(b".")[0])
        if number < self._epochs.get(key, 0):
            raise Violation(f"{key!r} goes back to epoch {epoch!r}")
        self._epochs[key] = number
        self._check_checkpoint(key, shard.get(b"checkpoint"), epoch)

    def _check_checkpoint(self, key: bytes, checkpoint: bytes | None, epoch: bytes) -> None:
        if checkpoint is None:
            return
        before = self._seen.get((key, b"checkpoint"))
        self._seen[key, b"checkpoint"] = checkpoint
        _, wrote, _ = checkpoint.split(b" ")
        # The next epoch leaves the last one's until it writes its own; so it may stand where Redis has gone back to.
        if before is not None and checkpoint != before and wrote != epoch:
            raise Violation(f"epoch {wrote!r} writes a checkpoint to {key!r}, which epoch {epoch!r} leads")

    def check_published(self, packed: bytes) -> None:
        """Look at a signal that goes out. Raises Violation: nobody has committed it."""
        if (id_ := signal_id(packed)) not in self.committed:
            raise Violation(f"a signal goes out that nobody has committed: {id_.decode()}")

    def _check_signals(self) -> None:
        stream: Any = self._server.data.get(self._signals_key)
        if stream is None or len(stream.entries) == self._signals:
            return
        fresh = list(islice(stream.entries.values(), self._signals, None))
        self._signals = len(stream.entries)
        knows = self._plan.knows_signals and not self.gave_up
        for fields in fresh:
            id_ = signal_id(fields[1])
            if knows and id_ not in self._reference.signals:
                raise Violation(f"a signal that no single process gives: {fields[1]!r}")
            if id_ in self._ids:
                raise Violation(f"a signal is there twice: {fields[1]!r}")
            self._ids.add(id_)
            self.committed.add(id_)
