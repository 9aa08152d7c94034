"""The claim that whatever happens in a block ends no process of a worker, takes little memory, and stops no lane."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.workers.process import Channels, Worker

#: A process may not grow by more.
GROWTH_BYTES = 50_000_000


@contextmanager
def unharmed(one: Worker, lanes: Channels) -> Iterator[None]:
    """Run batches before and after the block; fail where a process ended meanwhile, or took more than 50 MB."""
    lanes.run(1)
    before = peaks(one)
    yield
    lanes.run(1)
    after = peaks(one)
    assert after.keys() == before.keys(), one.process.tail()
    assert max(after[pid] - before[pid] for pid in after) < GROWTH_BYTES


def peaks(worker: Worker) -> dict[int, int]:
    """Return the most memory, in bytes, that each process of a worker has had, by its id."""
    main = psutil.Process(worker.process.pid)
    return {each.pid: _peak_bytes(each.pid) for each in (main, *main.children())}


def _peak_bytes(pid: int) -> int:
    words = (line.split() for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines())
    return next(int(each[1]) * 1_024 for each in words if each[0] == "VmHWM:")
