"""How far the states of strategies have warmed up, for the page, the API and the command line alike."""

from collections.abc import Iterator
from itertools import chain, islice

import msgspec

from tasks.configuration import Configuration, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import strategy_run
from tasks.errors import UNREADABLE
from tasks.ledger.reader import CHUNK, LedgerReader
from tasks.ops.states import StateField, StateFilter

#: Of each strategy and pool, so many states are looked at.
MAX_STATES = 5_000


class WarmUp(msgspec.Struct, frozen=True):
    """The warm-up of one strategy: signals of the first events of a state are dropped."""

    #: How many states it has, and how many of them still warm up.
    states: int
    warming: int
    #: Of the one that is furthest behind: events that it has seen, and that it needs; 0 where none warms up.
    seen: int = 0
    needed: int = 0

    def __add__(self, other: "WarmUp") -> "WarmUp":
        """Return that of the states of both."""
        behind = min(self, other, key=lambda each: each.seen / each.needed if each.needed else 1.0)
        return WarmUp(self.states + other.states, self.warming + other.warming, behind.seen, behind.needed)

    @property
    def text(self) -> str:
        """It in words: "52 of 250, 3 of 20 states"."""
        return f"{self.seen:,} of {self.needed:,}" + (
            f", {self.warming:,} of {self.states:,} states" if self.states > 1 else ""
        )


def warm_ups(reader: LedgerReader, configuration: Configuration) -> dict[str, WarmUp]:
    """Return the warm-up of each strategy that has one and any state, by the name that its signals carry.

    Shadows are left out. Raises SettingsError: a strategy can't be imported; and what Redis raises.
    """
    found: dict[str, WarmUp] = {}
    for pool, strategies in registry.build(configuration).items():
        for each in strategies:
            if not each.shadows and any(one.warmup for one in (each.strategy, *each.overrides.values())):
                for warm_up in _of_states(reader, pool, each):
                    found[each.name] = found.get(each.name, WarmUp(0, 0)) + warm_up
    return found


def _of_states(reader: LedgerReader, pool: str, strategy: BoundStrategy) -> Iterator[WarmUp]:
    pattern = StateFilter(pool=pool, strategy=strategy.name).pattern
    key = reader.keys.pool(pool)
    stored = (client.hscan_iter(key, match=pattern, count=CHUNK) for client in reader.clients)
    for field, packed in islice(chain.from_iterable(stored), MAX_STATES):
        name = StateField.parse(pool, field)
        if name is None:
            continue
        try:
            seen = strategy_run.unpack(packed).seen
        except UNREADABLE:
            # It starts from empty; the workers tell of it with a dead letter.
            seen = 0
        needed = strategy.for_symbol(name.symbol).warmup
        yield WarmUp(1, 1, seen, needed) if seen < needed else WarmUp(1, 0)
