"""Duration of batches in this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from tasks.protocol.batches import Batch


class BatchTimings:
    """Seconds an event of each pool took in its last batch."""

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        """`now` is a clock, in seconds from any moment."""
        self._now = now
        self._event_s: dict[str, float] = {}

    @contextmanager
    def noted(self, batch: Batch[Any]) -> Iterator[None]:
        """Note how long the block takes, which runs a batch."""
        began_s = self._now()
        yield
        self._event_s[batch.pool] = (self._now() - began_s) / len(batch.events)

    def expected_s(self, batch: Batch[Any]) -> float:
        """Return the seconds that a batch will take; 0 where nobody knows."""
        return self._event_s.get(batch.pool, 0.0) * len(batch.events)
