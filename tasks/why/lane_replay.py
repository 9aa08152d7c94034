"""One strategy over the events of one lane, on the engine, with a look at what each decision was made of. Pure."""

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import MemoryLedger, RunOptions, strategy_run
from tasks.engine.strategy_run import SavedState
from tasks.events import AnyEvent
from tasks.protocol.batches import MAX_BATCH_EVENTS
from tasks.protocol.outcome import Outcome
from tasks.protocol.strikes import ExcludedEvents

SOURCE = "why"
#: The last events that changed the state, of which a decision tells; and how many are looked at to find them.
RECENT, LOOKED_AT = 12, 200
#: Returns the strategy under a version of the configuration; None: it is off there, or not in it.
StrategyOf = Callable[[str], BoundStrategy | None]


class StateChange(NamedTuple):
    """An event that changed the state."""

    event: AnyEvent
    #: By field, its value before and after.
    changed: dict[str, tuple[Any, Any]]


class Decision(NamedTuple):
    """What a strategy decided on one event, and what of."""

    event: AnyEvent
    version: str
    #: None: it does not run under this version.
    bound: BoundStrategy | None
    #: None: it had seen no event.
    before: SavedState | None
    after: SavedState | None
    #: Oldest first.
    recent: tuple[StateChange, ...]
    outcome: Outcome


class LaneReplay:
    """A strategy and its state, from the first event on."""

    def __init__(self, pool: str, strategy_of: StrategyOf) -> None:
        """Start from an empty state in a pool."""
        self._pool, self._strategy_of = pool, strategy_of
        self._ledger = MemoryLedger(SOURCE)
        #: Not run yet: each event with the version under which it is run.
        self._pending: deque[tuple[AnyEvent, str]] = deque()
        #: The last events that changed the state: event, strategy, and the state before and after.
        self._recent: deque[tuple[AnyEvent, BoundStrategy, bytes, bytes]] = deque(maxlen=RECENT)
        #: How many events were taken.
        self.events = 0

    def take(self, event: AnyEvent, version: str) -> None:
        """Run the strategy on an event whose decision is not asked for."""
        self._pending.append((event, version))
        self.events += 1
        if len(self._pending) >= LOOKED_AT + MAX_BATCH_EVENTS:
            self._run_pending(leave=LOOKED_AT)

    def exclude(self, event: AnyEvent, version: str) -> None:
        """Take an event that was not given to the strategy; a trade of it is in the bars all the same."""
        self._run_pending(leave=0)
        self.events += 1
        strategies = self._strategies(version)
        excluded = ExcludedEvents(events=frozenset((each.name, event.seq) for each in strategies))
        self._ledger.options = RunOptions(excluded=excluded)
        self._ledger.run(self._pool, [event], strategies, version)
        self._ledger.options = RunOptions()

    def decide(self, event: AnyEvent, version: str) -> Decision:
        """Run the strategy on an event; return its decision. Raises what is fatal."""
        self._run_pending(leave=LOOKED_AT)
        while self._pending:
            self._step(*self._pending.popleft())
        bound = self._strategy_of(version)
        recent = tuple(StateChange(at, _changes(by, old, new)) for at, by, old, new in self._recent)
        before = self._state(bound, event)
        outcome = self._step(event, version)
        self.events += 1
        return Decision(event, version, bound, before, self._state(bound, event), recent, outcome)

    def _run_pending(self, leave: int) -> None:
        """Run in batches all but the last events, each batch of one version."""
        while len(self._pending) > leave:
            version = self._pending[0][1]
            batch = []
            for event, its in islice(self._pending, min(MAX_BATCH_EVENTS, len(self._pending) - leave)):
                if its != version:
                    break
                batch.append(event)
            for _ in batch:
                self._pending.popleft()
            self._ledger.run(self._pool, batch, self._strategies(version), version)

    def _step(self, event: AnyEvent, version: str) -> Outcome:
        bound = self._strategy_of(version)
        before = self._state(bound, event)
        outcome = self._ledger.run(self._pool, [event], self._strategies(version), version)
        after = self._state(bound, event)
        if bound and after and (before is None or bytes(before.state) != bytes(after.state)):
            empty = msgspec.msgpack.encode(bound.strategy.state_type())
            self._recent.append((event, bound, bytes(before.state) if before else empty, bytes(after.state)))
        return outcome

    def _strategies(self, version: str) -> tuple[BoundStrategy, ...]:
        bound = self._strategy_of(version)
        return (bound,) if bound else ()

    def _state(self, bound: BoundStrategy | None, event: AnyEvent) -> SavedState | None:
        if bound is None:
            return None
        name = strategy_run.field(event.venue, event.symbol, bound.strategy)
        packed = self._ledger.fields[self._pool].get(name)
        return strategy_run.unpack(packed) if packed else None


def fields(bound: BoundStrategy, state: bytes) -> dict[str, Any]:
    """Return the fields of a packed state as builtin types."""
    decoded = msgspec.msgpack.decode(state, type=bound.strategy.state_type)
    return {name: msgspec.to_builtins(getattr(decoded, name), str_keys=True) for name in decoded.__struct_fields__}


def _changes(bound: BoundStrategy, old: bytes, new: bytes) -> dict[str, tuple[Any, Any]]:
    before, after = fields(bound, old), fields(bound, new)
    return {name: (before.get(name), value) for name, value in after.items() if before.get(name) != value}
