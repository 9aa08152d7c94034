"""`./run tasks why` in a process of its own: it runs a strategy over many events, which ingest itself never does.

It may take long, and a lot of memory; here it has bounds for both, and what it does can't touch ingest.
"""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ingest.api.problem import RETRY, ApiError
from tasks.errors import UNREADABLE

#: How long an answer may take, less than the minute after which many a proxy gives up; the command line has no limit.
LIMIT_S = 55.0
#: What the process may allocate.
MAX_BYTES = 512 * 1024 * 1024
#: Behind whatever else wants the processor.
_NICE = 5
#: One at a time: it may need a core.
_running = threading.Lock()
#: Those that run: one at most.
_processes = set[subprocess.Popen[bytes]]()
#: By `tasks.why.answer.Answer`.
Answer = dict[str, Any]
_decode: Callable[[bytes], Answer] = msgspec.json.Decoder(Answer).decode


def ask(identity: str, limit_s: float = LIMIT_S) -> Answer:
    """Return the answer about a signal. Raises ApiError: another one is asked for, it took too long, or it failed."""
    if not _running.acquire(blocking=False):
        raise ApiError(503, "another signal is asked about; wait for it", "busy", headers=RETRY)
    try:
        return _answer(*_run(identity, limit_s))
    finally:
        _running.release()


def end() -> None:
    """End the one that runs: ingest stops, which would wait for it."""
    for process in tuple(_processes):
        process.kill()


def _run(identity: str, limit_s: float) -> tuple[bytes, bytes]:
    """Return what it wrote to standard output and standard error. Raises ApiError: it took too long."""
    command = [sys.executable, "-m", "tasks", "why", "--json", "--", identity]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _processes.add(process)
        _bound(process.pid)
        try:
            return process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            why = f"it took longer than {limit_s:g} s; the command line has no limit: ./run tasks why {identity}"
            raise ApiError(503, why, "took-too-long") from None
        except BaseException:
            process.kill()
            raise
        finally:
            _processes.discard(process)


def _bound(pid: int) -> None:
    """Have the process give way to ingest: for the processor, and where memory runs out."""
    with suppress(OSError):  # it has ended
        os.setpriority(os.PRIO_PROCESS, pid, _NICE)
    if sys.platform == "linux":
        with suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
            Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")


def _answer(written: bytes, said: bytes) -> Answer:
    """Return the answer that was written. Raises ApiError: there is none."""
    try:
        return _decode(written)
    except UNREADABLE:
        lines = said.decode(errors="replace").strip().splitlines()
        why = (
            lines[-1].removeprefix("error: ")
            if lines
            else f"its process ended without one, within {MAX_BYTES >> 20} MiB"
        )
        raise ApiError(503, f"there is no answer: {why}", "no-answer") from None
