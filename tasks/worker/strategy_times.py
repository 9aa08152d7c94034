"""Adds up the time that strategies take, for the ledger's counters."""

import time
from collections import defaultdict
from collections.abc import Callable

from tasks.protocol.outcome import Outcome

#: So often the sums go out with a commit: a count more in each one would cost Redis as much as the strategies take.
INTERVAL_S = 1.0


class StrategyTimes:
    """Sums of this process. Those of a batch that is not committed, or of a killed process, are lost."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is a clock, in seconds from any moment."""
        self._now = now
        #: By strategy: nanoseconds, and events.
        self._sums = defaultdict[str, list[int]](lambda: [0, 0])
        self._due_s = now()

    def add(self, outcome: Outcome) -> None:
        """Add the times of a batch, and give its commit the sums to count, if it is time to."""
        applied = outcome.counts.of("applied")
        for name, spent_ns in outcome.spent_ns.items():
            sums = self._sums[name]
            sums[0] += spent_ns
            sums[1] += applied
        now_s = self._now()
        if now_s < self._due_s:
            return
        for name, (all_ns, events) in self._sums.items():
            outcome.counts.add("strategy_ns", name, by=all_ns)
            outcome.counts.add("strategy_events", name, by=events)
        self._sums.clear()
        self._due_s = now_s + INTERVAL_S
