"""A ledger in this process: the backtest, the conformance suite and tests run their batches on it. Pure.

It keeps records and states in their stored form, as Redis does, so a batch starts from what a worker would read; it
has no fences and no resets, because nobody else writes to it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import engine
from tasks.events import AnyEvent
from tasks.protocol import records
from tasks.protocol.counters import Counts
from tasks.protocol.outcome import Outcome


class MemoryLedger:
    """The commits of all pools, in memory; signals that gates held back are in the outcomes only."""

    def __init__(self, source: str, options: engine.RunOptions = engine.DEFAULT) -> None:
        """Start empty, for events of `source`."""
        self.source, self.options = source, options
        #: Records and states, by pool and field name.
        self.fields: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        #: In the order of the commits.
        self.signals: list[bytes] = []
        self.positions: list[bytes] = []
        self.shadowed: list[bytes] = []
        self.letters: list[bytes] = []
        self.audit: list[bytes] = []
        self.counts = Counts()

    def run(
        self, pool: str, events: Sequence[AnyEvent], strategies: Sequence[BoundStrategy], config_version: str
    ) -> Outcome:
        """Return the outcome of a batch, committed.

        Raises NewerStateError and what is fatal, and then commits nothing.
        """
        stored = self.fields[pool]
        held = {name: stored.get(name) for name in engine.fields(events, strategies)}
        run = engine.BatchRun(pool, self.source, strategies, config_version, held, self.options)
        outcome = run.finish(events)
        stored.update(outcome.fields)
        self.signals += outcome.signals
        self.positions += outcome.positions
        self.shadowed += outcome.shadowed
        self.letters += outcome.letters
        self.audit += outcome.audit
        self.counts.update(outcome.counts)
        return outcome

    def take_signals(self) -> list[bytes]:
        """Return the signals since the last call; the ledger no longer holds them, nor dead letters and audit entries.

        So a long run stays small; there is no digest after it.
        """
        taken, self.signals, self.positions, self.letters, self.audit = self.signals, [], [], [], []
        self.shadowed = []
        return taken

    def add(self, other: "MemoryLedger") -> None:
        """Take over what another ledger holds of other streams of events."""
        for pool, fields in other.fields.items():
            self.fields[pool].update(fields)
        self.signals += other.signals
        self.positions += other.positions
        self.shadowed += other.shadowed
        self.letters += other.letters
        self.audit += other.audit
        self.counts.update(other.counts)

    def accounts(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield every paper account with its pool and field name, packed."""
        for pool, fields in self.fields.items():
            for name, packed in fields.items():
                if name.startswith("paper:"):
                    yield pool, name, packed

    def records(self) -> Iterator[tuple[str, str, records.Record]]:
        """Yield every record with its pool and field name, as the digest takes them."""
        for pool, fields in self.fields.items():
            for name, packed in fields.items():
                if name.startswith("record:"):
                    yield pool, name, records.unpack(packed)
