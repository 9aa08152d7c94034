"""How much counters of the ledger have risen within the last minute. Pure: time is an argument, in monotonic seconds.

Workers add to the ledger's counters with each commit; ingest reads them every few seconds and keeps a minute of it. Each
of several ledgers is counted by itself: what one tells after more than a minute of silence was counted at an unknown time.
"""

from collections import defaultdict, deque
from collections.abc import Iterator

from tasks.protocol.counters import CounterName, Counts

MINUTE_S = 60.0
_Sample = tuple[float, Counts]


class RecentCounts:
    """The rise of some counters of the ledger."""

    def __init__(self, *names: CounterName) -> None:
        self._names = frozenset(names)
        #: By ledger: when, and the counters then, for a little more than a minute.
        self._samples = defaultdict[int, deque[_Sample]](deque)

    def take(self, counters: Counts, now_s: float, ledger: int = 0) -> None:
        """Take a ledger's counters as they stand at `now_s`; what is not newer than the last call changes nothing.

        What is older than a minute is forgotten, but for the sample where the minute begins.
        """
        samples = self._samples[ledger]
        if samples and now_s <= samples[-1][0]:
            return
        if samples and now_s - samples[-1][0] > MINUTE_S:
            samples.clear()
        chosen = {key: count for key, count in counters.items() if key.name in self._names}
        samples.append((now_s, Counts(chosen)))
        # The newest of those that are a minute old, or more, is where the minute begins.
        while len(samples) > 1 and now_s - samples[1][0] >= MINUTE_S:
            samples.popleft()

    def last_minute(self, now_s: float) -> Counts:
        """Return what was counted within the last minute; in each ledger from its first sample on."""
        known = [samples for samples in self._samples.values() if now_s - samples[-1][0] <= MINUTE_S]
        return Counts.sum_of(_risen(samples[0][1], samples[-1][1]) for samples in known)

    def since(self, since_s: float) -> Counts:
        """Return the same for the time since that moment, as far as the last minute goes."""
        return Counts.sum_of(self._risen_since(since_s))

    def _risen_since(self, since_s: float) -> Iterator[Counts]:
        for samples in self._samples.values():
            first = next((counts for at_s, counts in samples if at_s >= since_s), None)
            if first is not None:
                yield _risen(first, samples[-1][1])


def _risen(first: Counts, last: Counts) -> Counts:
    # Counters that fell were removed meanwhile, with the whole ledger.
    risen = {key: count - first[key] if count >= first[key] else count for key, count in last.items()}
    return Counts({key: count for key, count in risen.items() if count})
