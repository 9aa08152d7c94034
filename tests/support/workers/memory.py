"""The memory of a worker's processes."""

from pathlib import Path

import psutil

from tests.support.workers.process import Worker


def peaks(worker: Worker) -> dict[int, int]:
    """Return the most memory, in bytes, that each process of a worker has had, by its id."""
    main = psutil.Process(worker.process.pid)
    return {each.pid: _peak_bytes(each.pid) for each in (main, *main.children())}


def _peak_bytes(pid: int) -> int:
    words = (line.split() for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines())
    return next(int(each[1]) * 1_024 for each in words if each[0] == "VmHWM:")
