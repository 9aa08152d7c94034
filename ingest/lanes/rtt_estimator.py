"""Estimates how long to wait for a commit before asking the ledger: TCP's estimator (RFC 6298), bounded. Pure."""

from typing import NamedTuple


class TimeoutBounds(NamedTuple):
    """How long is waited at least and at most; seconds."""

    min_s: float = 1.0
    max_s: float = 10.0


TIMEOUT_BOUNDS = TimeoutBounds()


class RttEstimator:
    """The smoothed round-trip time of one lane and its mean deviation, in seconds."""

    def __init__(self, bounds: TimeoutBounds = TIMEOUT_BOUNDS) -> None:
        self.bounds = bounds
        self.smoothed_s: float | None = None
        self._deviation_s = 0.0

    def sample(self, round_trip_s: float) -> None:
        """Take a measured round trip. Never of a batch that was sent twice: nobody knows which copy was answered."""
        if self.smoothed_s is None:
            self.smoothed_s, self._deviation_s = round_trip_s, round_trip_s / 2
            return
        self._deviation_s += (abs(round_trip_s - self.smoothed_s) - self._deviation_s) / 4
        self.smoothed_s += (round_trip_s - self.smoothed_s) / 8

    def timeout_s(self, tries: int) -> float:
        """Return how long to wait after so many sends (from 1): doubling, between the bounds."""
        base_s = (self.smoothed_s or 0.0) + 4 * self._deviation_s
        return min(self.bounds.max_s, max(self.bounds.min_s, base_s) * 2.0 ** min(tries - 1, 8))
