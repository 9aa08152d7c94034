"""Watches what a worker's processes run. Ends a process whose timer did not, and names the strategy that ended one.

A strategy can swallow the timer that bounds its run (`time_limit.bounded`), so a run that outlasts it is ended from
outside. Its `run_note` has what a process was at when it ended; how long it had been at it is observed, so that the
time in which the process was stopped, or got no processor, is no strategy's fault.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from tasks.errors import UNREADABLE
from tasks.protocol.strikes import MAX_STRIKES, NO_MEMORY_STATUS, Strike
from tasks.worker import run_note
from tasks.worker.run_note import RunPosition

#: How often one should look.
POLL_S = 0.25
#: So much longer than its limit a run may take before it is ended from outside.
GRACE_S = 2.0
#: Signals that a process gets from others: who sent them is not known.
_OF_OTHERS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP})


class ProcessState(NamedTuple):
    """State of a process according to the operating system."""

    #: R for one that runs or would if it could, T for one that is stopped, and so on; empty: nobody knows.
    letter: str = ""
    #: Processor time that it has had, in any unit.
    cpu: int = 0


class WatchedProcess(msgspec.Struct):
    """A watched process: its last position and for how long it has been there, in monotonic seconds."""

    position: RunPosition = RunPosition(0, None, 0, "")
    state: ProcessState = ProcessState()
    looked_s: float = 0.0
    #: Since when it has run this task.
    task_since_s: float = 0.0
    #: How long it was seen to work in this one call of a strategy.
    call_s: float = 0.0
    #: Whether it was ended from here.
    killed: bool = False

    def take(self, position: RunPosition, state: ProcessState, now_s: float) -> None:
        """Take what it has noted, and how the system sees it, at `now_s` (monotonic seconds).

        Another task starts `task_since_s` again, another note or one without a strategy `call_s`; else `call_s` grows
        by the time since the last call where the process worked meanwhile, by at most two polls.
        """
        if position.task != self.position.task:
            self.task_since_s = now_s
        if position != self.position or not position.strategy:
            self.call_s = 0.0
        elif _works(self.state, state):
            # Who watches may have been stopped too.
            self.call_s += min(now_s - self.looked_s, 2 * POLL_S)
        self.position, self.state, self.looked_s = position, state, now_s

    def task_s(self, now_s: float) -> float:
        """Return for how long it has run its task; 0: it has none."""
        return now_s - self.task_since_s if self.position.task else 0.0

    def strike(self, exit_code: int | None, limit_s: float) -> Strike | None:
        """Return what its end means: `exit_code` is that of `multiprocessing`, None where nobody knows it."""
        position = self.position
        if position.batch is None or not position.strategy or exit_code == NO_MEMORY_STATUS:
            return None
        if exit_code == -signal.SIGALRM and not self.killed and 2 * self.task_s(self.looked_s) <= limit_s:
            # Not the alarm of its limit: the strategy, or a library of it, sets alarms of its own.
            return Strike(position.batch, position.strategy, position.seq, 1, "was ended by an alarm of its own")
        timed_out = self.killed or exit_code == -signal.SIGALRM
        if timed_out or (exit_code is None and 2 * self.call_s > limit_s):
            # Many short calls that took too long together are no single one's fault: the batch is halved.
            weight, why = (MAX_STRIKES, f"hung for {self.call_s:.0f} s") if 2 * self.call_s > limit_s else (0, "")
        elif exit_code is None or -exit_code in _OF_OTHERS:
            # Whoever kills workers at will hits the same call of a slow strategy now and then, twice in a row too.
            weight, why = 1, "was killed, or exited"
        elif exit_code < 0:
            weight, why = MAX_STRIKES, f"crashed ({_named(-exit_code)})"
        else:
            weight, why = MAX_STRIKES, f"exited (status {exit_code})"
        return Strike(position.batch, position.strategy, position.seq, weight, why) if weight else None


def _named(number: int) -> str:
    return next((each.name for each in signal.Signals if each == number), f"signal {number}")


def _works(before: ProcessState, now: ProcessState) -> bool:
    """Whether a process was at work: not stopped, and not one that would run if it got a processor."""
    return now.letter != "T" and not (now.letter == before.letter == "R" and now.cpu == before.cpu)


def state_of(pid: int) -> ProcessState:
    """Return the state of a process; it is known where there is /proc."""
    with suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return ProcessState(fields[0], int(fields[11]) + int(fields[12]))
    return ProcessState()


def left_behind(directories: Iterable[Path], limit_s: float) -> Iterator[Strike]:
    """Yield the strikes of ended solo workers that left these directories, each once, whichever process reads first."""
    for file in (file for directory in directories for file in directory.glob(run_note.SOLO)):
        with suppress(OSError, *UNREADABLE):
            watched = WatchedProcess(run_note.read(file), call_s=run_note.read_seen(file))
            file.unlink()
            if strike := watched.strike(None, limit_s):
                yield strike


class RunWatch:
    """All processes of one worker that run batches."""

    def __init__(self, directory: Path, limit_s: float, now: Callable[[], float] = time.monotonic) -> None:
        """Watch those that leave notes in `directory`; a run of theirs takes `limit_s` seconds at most."""
        self._directory, self._limit_s, self._now = directory, limit_s, now
        self._watched: dict[int, WatchedProcess] = {}

    def poll_children(self) -> None:
        """Look at all processes of the pool; end those that are over their time."""
        for file in self._directory.glob(f"{run_note.CHILD}*"):
            self._observe(int(file.name.removeprefix(run_note.CHILD)), file)

    def observe(self, pid: int) -> None:
        """Look at a solo worker, and add to its note for how long it was seen at what it is at."""
        file = self._directory / run_note.SOLO
        watched = self._observe(pid, file)
        with suppress(OSError):
            run_note.write_seen(file, watched.call_s)

    def ended(self, pid: int, exit_code: int | None) -> Strike | None:
        """Take the end of a process of the pool; return what it means."""
        file = run_note.of_child(self._directory, pid)
        watched = self._take(pid, file)
        del self._watched[pid]
        with suppress(OSError):
            file.unlink()
        return watched.strike(exit_code, self._limit_s)

    def _observe(self, pid: int, file: Path) -> WatchedProcess:
        watched = self._take(pid, file)
        limit_s = watched.position.limit_s or self._limit_s
        if watched.task_s(watched.looked_s) > limit_s + GRACE_S and not watched.killed:
            watched.killed = True
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return watched

    def _take(self, pid: int, file: Path) -> WatchedProcess:
        watched = self._watched.setdefault(pid, WatchedProcess())
        with suppress(OSError, *UNREADABLE):
            watched.take(run_note.read(file), state_of(pid), self._now())
        return watched
