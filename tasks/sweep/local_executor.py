"""Runs slices in processes of this machine."""

import gc
import os
import signal
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from ctypes import c_double
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple

from tasks.errors import RealtimeStrategiesError
from tasks.protocol.strikes import NO_MEMORY_STATUS
from tasks.sweep import slice_run
from tasks.sweep.hang_limit import stuck_s
from tasks.sweep.slice_run import BlockState, SliceLimits
from tasks.sweep.sweep_run import SliceAnswer, SliceJob

#: A strategy can disarm the timer that ends its process where it is stuck: after so much longer its process is ended from here.
_GRACE_S = 2.0


_NO_END = "it did not come to an end"


class _SliceResult(NamedTuple):
    """What a process answers."""

    state: BlockState | None
    error: RealtimeStrategiesError | None = None


class LocalExecutor:
    """Processes, each with one slice at a time."""

    def __init__(self, directory: Path, processes: int, hang_s: float) -> None:
        """Start `processes` processes, which read datasets from `directory`."""
        self._options = directory, hang_s
        self._processes = [_SliceProcess(*self._options) for _ in range(processes)]

    @property
    def processes(self) -> int:
        """How many slices run at a time."""
        return len(self._processes)

    def room(self) -> int:
        """Return how many more slices can be sent."""
        return sum(each.running is None for each in self._processes)

    def submit(self, jobs: Sequence[SliceJob]) -> None:
        """Send slices to processes that have none."""
        idle = [each for each in self._processes if each.running is None]
        for process, job in zip(idle, jobs, strict=False):
            process.send(job)

    def answers(self, wait_s: float) -> list[SliceAnswer]:
        """Return the answers to slices since the last call. Raises what a slice raised."""
        for each in self._processes:
            each.end_if_stuck()
        busy = {each.connection: each for each in self._processes if each.running is not None}
        ready = wait(list(busy), wait_s) if busy else []
        return [self._answer(busy[each]) for each in ready if isinstance(each, Connection)]

    def _answer(self, process: "_SliceProcess") -> SliceAnswer:
        job = process.running
        assert job is not None  # noqa: S101 only those are asked that run one
        try:
            result: _SliceResult = process.connection.recv()
        except (EOFError, OSError):
            why = process.end()
            self._processes[self._processes.index(process)] = _SliceProcess(*self._options)
            return SliceAnswer(job.block.key, None, why)
        process.running = None
        if result.error is not None:
            raise result.error
        return SliceAnswer(job.block.key, result.state)

    def close(self) -> None:
        """End the processes, wherever they are."""
        for each in self._processes:
            each.end()


class _SliceProcess:
    """One process. It ends with this one."""

    def __init__(self, directory: Path, hang_s: float) -> None:
        # A fork would copy the progress bar's thread half-way; the server forks at once, with everything loaded.
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.connection, theirs = context.Pipe()
        #: When it was last seen to make progress, in monotonic seconds.
        self._alive_s = context.RawValue("d", 0.0)
        self._hang_s, self._is_stuck = hang_s, False
        arguments = theirs, directory, hang_s, self._alive_s
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self.running: SliceJob | None = None

    def send(self, job: SliceJob) -> None:
        self.running = job
        self._alive_s.value = time.monotonic()
        with suppress(OSError):  # It ended: its answer will say so.
            self.connection.send(job)

    def end_if_stuck(self) -> None:
        """End the process if its slice takes much longer than it may, and its own timer did not."""
        if self.running is None:
            return
        silent_s = time.monotonic() - self._alive_s.value
        if silent_s > stuck_s(self._hang_s, self.running.budget_s) + _GRACE_S:
            self._is_stuck = True
            self._process.kill()

    def end(self) -> str:
        """End the process; return how it ended."""
        if self._is_stuck:
            self._process.join()
            self.connection.close()
            return _NO_END
        self._process.terminate()
        self._process.join()
        self.connection.close()
        return _ending(self._process.exitcode)


def _ending(code: int | None) -> str:
    """Return how a process with this exit code ended, in words."""
    if code == NO_MEMORY_STATUS:
        return "it used all memory"
    if code == -signal.SIGALRM:
        return _NO_END
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


def _be_alive(limit_s: float, alive_s: c_double) -> None:
    # By default this signal ends the process, wherever it is.
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    alive_s.value = time.monotonic()


def _serve(connection: "Connection[_SliceResult, SliceJob]", directory: Path, hang_s: float, alive_s: c_double) -> None:
    """Run slices until the first process is gone; Ctrl-C is its business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # What is there by now stays: full collections need not look through it again and again.
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        alive = partial(_be_alive, stuck_s(hang_s, job.budget_s), alive_s)
        limits = SliceLimits(job.budget_s, hang_s, alive=alive, is_unwanted=_is_orphan, look_s=1.0)
        alive()
        try:
            result = _SliceResult(slice_run.run(job.block, job.state, directory, limits))
        except MemoryError:
            os._exit(NO_MEMORY_STATUS)
        except RealtimeStrategiesError as error:
            result = _SliceResult(None, error)
        except Exception:  # noqa: BLE001 no strategy's, whose error is a result: it is said where a person looks
            result = _SliceResult(None, RealtimeStrategiesError(f"unexpected error\n{traceback.format_exc()}"))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        connection.send(result)


def _is_orphan() -> bool:
    first = parent_process()
    if first is not None and not first.is_alive():
        os._exit(1)
    return False
