"""How much counters of the ledger have risen within the last minute. Pure: time is an argument, in monotonic seconds.

Workers add to the ledger's counters with each commit; ingest reads them every few seconds and keeps a minute of it.
"""

from collections import deque

from tasks.protocol.counters import CounterName, Counts

MINUTE_S = 60.0


class RecentCounts:
    """The rise of some counters of the ledger."""

    def __init__(self, *names: CounterName) -> None:
        self._names = frozenset(names)
        #: When, and the counters then, for a little more than a minute.
        self._samples: deque[tuple[float, Counts]] = deque()

    def take(self, counters: Counts, now_s: float) -> None:
        """Take the ledger's counters as they stand at `now_s`; calls come in the order of time.

        What is older than a minute is forgotten, but for the sample where the minute begins.
        """
        chosen = {key: count for key, count in counters.items() if key.name in self._names}
        self._samples.append((now_s, Counts(chosen)))
        # The newest of those that are a minute old, or more, is where the minute begins.
        while len(self._samples) > 1 and now_s - self._samples[1][0] >= MINUTE_S:
            self._samples.popleft()

    def last_minute(self, now_s: float) -> Counts:
        """Return what was counted within the last minute; from the first sample on."""
        if not self._samples or now_s - self._samples[-1][0] > MINUTE_S:
            return Counts()
        return self._risen(self._samples[0][1])

    def since(self, since_s: float) -> Counts:
        """Return the same for the time since that moment, as far as the last minute goes."""
        first = next((counts for at_s, counts in self._samples if at_s >= since_s), None)
        return Counts() if first is None else self._risen(first)

    def _risen(self, first: Counts) -> Counts:
        last = self._samples[-1][1]
        # Counters that fell were removed meanwhile, with the whole ledger.
        risen = {key: count - first[key] if count >= first[key] else count for key, count in last.items()}
        return Counts({key: count for key, count in risen.items() if count})
