"""Counts the events that each strategy raised on within the last minute.

Pure: time is an argument, in monotonic seconds.

Workers add to the ledger's counters with each commit; ingest reads them every few seconds and keeps a minute of it.
"""

from collections import deque
from collections.abc import Iterator, Mapping

from tasks.protocol.counters import Counts
from tasks.protocol.findings import Finding

MINUTE_S = 60.0
#: Said is the last of these that was reached, so that words do not change with every event.
_STEPS = tuple(mantissa * 10**power for power in range(12) for mantissa in (1, 2, 5))


class ErrorCounts:
    """Errors by strategy within the last minute, from the ledger's counters."""

    def __init__(self) -> None:
        #: When, and the counters then, for a little more than a minute.
        self._samples: deque[tuple[float, dict[str, int]]] = deque()

    def take(self, counters: Counts, now_s: float) -> None:
        """Take the ledger's counters as they stand at `now_s`, monotonic seconds; calls come in the order of time.

        What is older than a minute is forgotten, but for the sample where the minute begins.
        """
        self._samples.append((now_s, counters.by_label("errors")))
        # The newest of those that are a minute old, or more, is where the minute begins.
        while len(self._samples) > 1 and now_s - self._samples[1][0] >= MINUTE_S:
            self._samples.popleft()

    def last_minute(self, now_s: float) -> dict[str, int]:
        """Return for each strategy that raised within the last minute on how many events; from the first sample on."""
        if not self._samples or now_s - self._samples[-1][0] > MINUTE_S:
            return {}
        return self._risen(self._samples[0][1])

    def since(self, since_s: float) -> dict[str, int]:
        """Return the same for the time since that moment, as far as the last minute goes."""
        first = next((counts for at_s, counts in self._samples if at_s >= since_s), None)
        return {} if first is None else self._risen(first)

    def _risen(self, first: Mapping[str, int]) -> dict[str, int]:
        last = self._samples[-1][1]
        # Counters that fell were removed meanwhile, with the whole ledger.
        risen = {
            name: count - first.get(name, 0) if count >= first.get(name, 0) else count for name, count in last.items()
        }
        return {name: count for name, count in sorted(risen.items()) if count}

    def findings(self, now_s: float) -> Iterator[Finding]:
        """Yield a warning for each strategy that raised within the last minute."""
        for name, count in self.last_minute(now_s).items():
            at_least = max(step for step in _STEPS if step <= count)
            says = f"raised on {at_least:,} events or more within a minute" if count > 1 else "raised within a minute"
            do = f"`./run tasks deadletters list` has the tracebacks; `./run tasks strategies kill {name}` holds its signals back"
            yield Finding("warning", f"strategy {name}", says, do, "strategy_errors")
