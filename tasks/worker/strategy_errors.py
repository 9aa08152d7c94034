"""Exceptions of strategies, logged at intervals. All of them are in the dead letters, with their tracebacks."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import structlog

from tasks.protocol import dead_letters
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()


class StrategyErrors:
    """Logs an exception of each strategy, with the number of exceptions, at most once in an interval."""

    def __init__(self) -> None:
        self._throttle: defaultdict[str, LogThrottle] = defaultdict(LogThrottle)
        self._unlogged: Counter[str] = Counter()

    def record(self, letters: Iterable[bytes]) -> None:
        """Take the dead letters of one committed batch."""
        for letter in map(dead_letters.unpack, letters):
            name = letter.strategy
            self._unlogged[name] += 1
            if self._throttle[name].allow():
                log.warning(
                    "a strategy raised" if letter.reason == "strategy_error" else "the ledger held what can't be read",
                    strategy=name,
                    symbol=letter.symbol,
                    event_id=letter.event.id if letter.event else None,
                    error=letter.detail.strip().rpartition("\n")[2],
                    count=self._unlogged.pop(name),
                )
