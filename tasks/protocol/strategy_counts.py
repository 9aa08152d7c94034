"""What the ledger counted of each strategy, for the page, the API and the command line alike. Pure."""

from collections import defaultdict

import msgspec

from tasks.protocol.counters import Counts, strategy_and_reason


class StrategyCounts(msgspec.Struct):
    """The counts of one strategy."""

    signals: int = 0
    #: Signals that the gate held back, by reason. Workers of earlier releases count them in `held` only.
    held: dict[str, int] = msgspec.field(default_factory=dict)
    #: Events on which it raised.
    errors: int = 0
    #: Events that it was given and that were timed, and the time that it took for all of these.
    events: int = 0
    spent_ns: int = 0

    @property
    def event_us(self) -> float | None:
        """Mean time for an event, in microseconds; None: none was timed."""
        return round(self.spent_ns / self.events / 1_000, 3) if self.events else None


def strategy_counts(counts: Counts) -> dict[str, StrategyCounts]:
    """Return the counts of each strategy that there are any of, by its name. Counts may be those of a part of the time."""
    found = defaultdict[str, StrategyCounts](StrategyCounts)
    for (name, label), count in counts.items():
        if label is None:
            continue
        if name == "signals":
            found[label].signals = count
        elif name == "errors":
            found[label].errors = count
        elif name == "strategy_events":
            found[label].events = count
        elif name == "strategy_ns":
            found[label].spent_ns = count
        elif name == "strategy_held":
            strategy, reason = strategy_and_reason(label)
            found[strategy].held[reason] = count
    return dict(found)
