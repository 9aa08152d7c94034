"""Entries of queues that workers refused lately, from the ledger's counters. Pure: time is in monotonic seconds."""

from collections.abc import Iterator

from tasks.protocol.counters import OTHER_QUEUES, Counts
from tasks.protocol.findings import Finding

#: For so long a refusal is told of. Within as long a worker that has too many to count them all counts again.
TOLD_S = 630.0


class EntryRefusals:
    """The queues of which an entry was refused within the last ten minutes."""

    def __init__(self) -> None:
        #: By ledger: when it was looked at last, and the counts by queue then.
        self._seen: dict[int, tuple[float, dict[str, int]]] = {}
        #: By queue: when the count was seen to rise.
        self._risen_s: dict[str, float] = {}

    def take(self, counters: Counts, now_s: float, ledger: int = 0) -> None:
        """Take a ledger's counters as they stand at `now_s`; calls come in the order of time."""
        counts = counters.by_label("entries_refused")
        seen_s, before = self._seen.get(ledger, (now_s, counts))
        for queue, count in counts.items():
            if count > before.get(queue, 0) and now_s - seen_s < TOLD_S:
                self._risen_s[queue] = now_s
        self._seen[ledger] = now_s, counts

    def findings(self, now_s: float) -> Iterator[Finding]:
        """Yield a warning for each of these queues."""
        for queue, risen_s in sorted(self._risen_s.items()):
            if now_s - risen_s < TOLD_S:
                what = "broker" if queue == OTHER_QUEUES else f"queue {queue}"
                says = "workers refused what is no task of this project"
                do = "`./run tasks deadletters list --reason queue_entry` shows it; keep who writes there out with an ACL"
                yield Finding("warning", what, says, do, "entry_refused")
