"""Counts the events that each strategy raised on within the last minute.

Pure: time is an argument, in monotonic seconds.
"""

from collections.abc import Iterator

from ingest.monitoring.recent_counts import RecentCounts
from tasks.protocol.counters import Counts
from tasks.protocol.findings import Finding

#: Said is the last of these that was reached, so that words do not change with every event.
_STEPS = tuple(mantissa * 10**power for power in range(12) for mantissa in (1, 2, 5))


class ErrorCounts:
    """Errors by strategy within the last minute, from the ledger's counters."""

    def __init__(self) -> None:
        self._recent = RecentCounts("errors")

    def take(self, counters: Counts, now_s: float, ledger: int = 0) -> None:
        """Take a ledger's counters as they stand at `now_s`; what is not newer than the last call changes nothing."""
        self._recent.take(counters, now_s, ledger)

    def last_minute(self, now_s: float) -> dict[str, int]:
        """Return for each strategy that raised within the last minute on how many events; from the first sample on."""
        return self._recent.last_minute(now_s).by_label("errors")

    def since(self, since_s: float) -> dict[str, int]:
        """Return the same for the time since that moment, as far as the last minute goes."""
        return self._recent.since(since_s).by_label("errors")

    def findings(self, now_s: float) -> Iterator[Finding]:
        """Yield a warning for each strategy that raised within the last minute."""
        for name, count in self.last_minute(now_s).items():
            at_least = max(step for step in _STEPS if step <= count)
            says = f"raised on {at_least:,} events or more within a minute" if count > 1 else "raised within a minute"
            do = f"`./run tasks deadletters list` has the tracebacks; `./run tasks strategies kill {name}` holds its signals back"
            yield Finding("warning", f"strategy {name}", says, do, "strategy_errors")
