"""Numbers that one process counts and another one reads, while both run: a file that both have mapped."""

import mmap
import os
from collections.abc import Sequence
from pathlib import Path

_BYTES_EACH = 8


class Counters:
    """Named 64-bit counters, shared by everybody who opens the same file under the same names."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        """Open the file, or make it with zeros."""
        size = _BYTES_EACH * len(names)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, size)
            self._values = memoryview(mmap.mmap(descriptor, size)).cast("q")
        finally:
            os.close(descriptor)
        self._places = {name: place for place, name in enumerate(names)}

    def add(self, name: str, count: int = 1) -> None:
        """Count. Only one process may count under a name."""
        self._values[self._places[name]] += count

    def __getitem__(self, name: str) -> int:
        return self._values[self._places[name]]
