"""Sources of lines, merged by time. One is opened when its turn comes, so a year of daily files takes no memory. Pure."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tasks.history.recording_line import RecordingLine


class Source(NamedTuple):
    """What lines come from."""

    #: The time of its first line, or any earlier one; unix nanoseconds.
    first_ns: int
    open: Callable[[], Iterator[RecordingLine]]


def merged(sources: Iterable[Source]) -> Iterator[RecordingLine]:
    """Yield the lines of all sources by `received_at_ns`, each in its own order; of equals the first source's first."""
    every = list(sources)
    # The next line of each source, None before it is opened. No two have the same number, so lines are never compared.
    heap: list[tuple[int, int, RecordingLine | None]] = [(each.first_ns, n, None) for n, each in enumerate(every)]
    heapq.heapify(heap)
    opened: dict[int, Iterator[RecordingLine]] = {}
    while heap:
        _, number, held = heap[0]
        if held is None:
            opened[number] = every[number].open()
        else:
            yield held
        # From here on another source comes before this one.
        end = min(heap[1:3])[:2] if len(heap) > 1 else None
        for line in opened[number]:
            if end is not None and (line.received_at_ns, number) > end:
                heapq.heapreplace(heap, (line.received_at_ns, number, line))
                break
            yield line
        else:
            heapq.heappop(heap)
            del opened[number]
