"""What one process makes of each batch when it is committed, in simulations in which people change something.

Where the configuration changes and states are reset, the recording alone does not say which signals are right: that
depends on the batches between which a change fell. So one process follows the commits. It is given the events that are
new by their exchange's ids, and the configuration that the batch names.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from tasks.configuration import registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import MemoryLedger
from tasks.events import AnyEvent
from tasks.ledger.keys import frame_field, lane_field
from tasks.protocol import records
from tasks.protocol.batches import Batch
from tests.simulation.in_force import ConfigurationsInForce
from tests.simulation.invariants import Violation
from tests.simulation.servers.lua import decode_msgpack


class Follower:
    """One process that takes the batches in the order of their commits."""

    def __init__(self, in_force: ConfigurationsInForce) -> None:
        self._configurations = in_force
        self.ledger = MemoryLedger("follower")
        #: By pool and field of a record: the exchange's ids that it took, in their order.
        self.taken: dict[tuple[str, str], list[int]] = {}
        self._events = 0
        #: By version of a configuration, what runs under it.
        self._running: dict[str, dict[str, tuple[BoundStrategy, ...]]] = {}

    def snapshot(self) -> Any:
        """Return what it knows, to be given to `restore`."""
        return copy.deepcopy((self.ledger.fields, self.ledger.signals, self.taken))

    def restore(self, snapshot: Any) -> None:
        """Go back to what was known, as Redis did."""
        self.ledger.fields, self.ledger.signals, self.taken = copy.deepcopy(snapshot)
        self._configurations.forget()

    def on_commit(self, packed: bytes, answers: Sequence[bytes], carried: Sequence[Batch[AnyEvent]]) -> None:
        """Follow what `commit.lua` was given and answers; `carried` is the task of its process. Raises Violation."""
        for parts, answer in zip(decode_msgpack(packed), answers, strict=True):
            if answer != b"committed":
                continue
            wanted = parts[4].decode()
            batch = next(
                each for each in carried if f"{each.lane.pool}|{each.lane.partition}|{each.epoch}|{each.to}" == wanted
            )
            fields = {name.decode(): value for name, value in zip(parts[6][::2], parts[6][1::2], strict=True)}
            for field in (lane_field(batch.lane), frame_field(batch.lane)):
                fields.pop(field, None)
            self._committed(batch, fields, parts[7][::3])

    def _committed(self, batch: Batch[AnyEvent], fields: Mapping[str, bytes], signals: Sequence[bytes]) -> None:
        version = batch.configuration
        if version not in self._running:
            self._running[version] = registry.running(self._configurations.configuration(version))
        outcome = self.ledger.run(batch.pool, self._new(batch), self._running[version][batch.pool], version)
        where = f"{batch.lane} at {batch.to} under {batch.configuration}"
        if list(signals) != outcome.signals:
            given, alone = next(each for each in zip_longest(signals, outcome.signals) if each[0] != each[1])
            raise Violation(
                f"{where} gives {len(signals)} signals, one process {len(outcome.signals)}; "
                f"the first that differs: {_words(given)}, there {_words(alone)}"
            )
        for field, value in fields.items():
            alone = self.ledger.fields[batch.pool].get(field)
            if alone is None or _told(field, value) != _told(field, alone):
                raise Violation(f"{field} after {where} is not what one process has")
            self._configurations.used(f"{batch.pool} {field}", batch.configuration)

    def _new(self, batch: Batch[AnyEvent]) -> list[AnyEvent]:
        """Return the events whose ids rise: what else comes was there before. They get numbers of their own."""
        found: list[AnyEvent] = []
        for event in batch.events:
            taken = self.taken.setdefault((batch.pool, records.field(event)), [])
            if not taken or event.id > taken[-1]:
                taken.append(event.id)
                self._events += 1
                found.append(msgspec.structs.replace(event, seq=self._events))
        return found

    def on_reset(self, key: bytes, fields: Iterable[bytes], removed: int) -> None:
        """Forget what `reset.lua` has removed. Raises Violation: there were not as many."""
        pool = key.decode().rpartition(":")[2]
        stored = self.ledger.fields[pool]
        found = sum(stored.pop(field.decode(), None) is not None for field in fields)
        if found != removed:
            raise Violation(f"a reset of {pool} removed {removed} states, and one process had {found}")


def _words(signal: bytes | None) -> str:
    if signal is None:
        return "none"
    told = msgspec.json.decode(signal)
    return f"{told['strategy_id']} {told['symbol']} on {told['rationale']} with {told['indicators']}"


def _told(field: str, packed: bytes) -> Any:
    """Return what both must have alike. A record also holds where it was applied, which is the lane's own."""
    if not field.startswith("record:"):
        return packed
    record = records.unpack(packed)
    return record.count, record.hash
