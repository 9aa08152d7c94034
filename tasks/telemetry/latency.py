"""Latencies as counts in buckets whose width grows with the value: small, addable, within 5 %. Pure."""

import math
from collections import Counter
from collections.abc import Mapping
from functools import cache

from tasks.protocol.counters import CounterKey, Counts

BUCKETS_PER_OCTAVE = 16


def bucket(latency_ns: int) -> int:
    """Return the bucket of a latency; below one microsecond counts as one."""
    return round(math.log2(max(latency_ns, 1_000) / 1_000) * BUCKETS_PER_OCTAVE)


def counter(latency_ns: int) -> CounterKey:
    """Return the counter of a latency."""
    return _counter(bucket(latency_ns))


@cache
def _counter(number: int) -> CounterKey:
    return CounterKey("latency", str(number))


def by_bucket(counts: Counts) -> Counter[int]:
    """Return how many latencies each bucket counted."""
    return Counter({int(number): count for number, count in counts.by_label("latency").items() if number.isdecimal()})


def milliseconds(number: int) -> float:
    """Return the middle of a bucket."""
    return float(2 ** (number / BUCKETS_PER_OCTAVE)) / 1_000


def quantile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """Return the latency that a `share` (0 to 1) of all counted ones stays within; None when nothing was counted."""
    wanted = share * sum(counts.values())
    seen = 0
    for number in sorted(counts):
        seen += counts[number]
        if counts[number] and seen >= wanted:
            return round(milliseconds(number), 3)
    return None
