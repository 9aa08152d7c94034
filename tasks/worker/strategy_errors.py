"""Dead letters of committed batches, logged at intervals: what strategies raised, and what can't be read."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import structlog

from tasks.protocol import dead_letters
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()


class StrategyErrors:
    """Logs the newest dead letter of each strategy, with their number since the last line, at most once in 10 s.

    They are its errors and its unreadable states, in one count. Unreadable records count together, as strategy "".
    """

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
