"""A value that changes only once another one was seen several times in a row. Pure."""

from typing import Generic, TypeVar

T = TypeVar("T")
#: So many samples in a row make a change.
SAMPLES = 3


class Hysteresis(Generic[T]):
    """A value that changes only once another one was seen several times in a row."""

    def __init__(self, value: T, samples: int = SAMPLES) -> None:
        self.value, self._samples = value, samples
        #: The other value that was seen last, and how often in a row.
        self._other, self._seen = value, 0

    def take(self, sample: T) -> T:
        """Take a sample, and return the value."""
        if sample == self.value:
            self._seen = 0
        elif self._seen and sample == self._other:
            self._seen += 1
        else:
            self._other, self._seen = sample, 1
        if self._seen >= self._samples:
            self.value, self._seen = self._other, 0
        return self.value
