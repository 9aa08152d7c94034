"""Child processes that can't outlive their parent.

    with Instance("demo") as instance:
        worker = instance.start("worker", ["celery", ...], environment, restart=True)
        ...
        instance.watch()           # now and then: starts again what should run and does not

Each process leads a session of its own, so that Ctrl-C reaches the parent only and a process can be ended together
with its children. What they print goes to NAME.log, their number into NAME.pid. The directory and every process are gone after the
`with`, and also after a kill -9 of the parent: see `reaper`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from compose.local import reaper
from compose.local.waiting import wait_for
from tasks.errors import RealtimeStrategiesError

ROOT = Path(__file__).resolve().parents[2]


def work_folder(root: Path = ROOT) -> Path:
    """Return where instances have their directories: in a checkout its `.run`, else that of the system for such files."""
    return root / ".run" if (root / "run").is_file() else Path(tempfile.gettempdir())


#: Tells the reaper its process id, then becomes the command. Standard input is the reaper's pipe only until then, so
#: no command holds the write end, and no moment is left in which a process runs that the reaper does not know.
_REGISTERED = ("sh", "-c", 'echo "+$$" >&0 && exec "$@" </dev/null', "sh")

_QUICK_S = 5.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0


def next_pause_s(ran_s: float, last_pause_s: float) -> float:
    """Return the pause before the next start: none after a run of 5 s, else 0.5 s, doubling up to 10 s."""
    return 0.0 if ran_s >= _QUICK_S else min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, 2 * last_pause_s))


class LocalStackError(RealtimeStrategiesError):
    """A process of the local stack failed."""


class Process:
    """One child process, which may be started again under the same name."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        folder: Path = ROOT,
        *,
        restart: bool,
    ) -> None:
        """Describe it; `Instance.start` makes and starts it."""
        self.name = name
        self.command = tuple(command)
        self.environment = dict(environment)
        self.log = log
        #: Where it runs.
        self.folder = folder
        #: Whether it must run: no once it was told to stop, and for what ends by itself.
        self.wanted = False
        #: Whether `Instance.watch` starts it again when it ends unasked.
        self.restart = restart
        #: How often it was started.
        self.starts = 0
        #: Monotonic time of the next start, once its end was noticed.
        self.resume_s: float | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._pause_s = 0.0
        self._read_bytes = 0

    def __repr__(self) -> str:
        return f"<{self.name}, pid {self.pid}>"

    @property
    def pid(self) -> int:
        """Process id, which is the id of its process group too; 0 before the first start."""
        return self._popen.pid if self._popen else 0

    @property
    def returncode(self) -> int | None:
        """Exit status, minus the signal's number if one ended it; None while it runs."""
        return self._popen.poll() if self._popen else None

    @property
    def ended(self) -> str:
        """How it ended, for a person."""
        code = self.returncode
        if code is None:
            return "runs"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"

    def tail(self, lines: int = 10) -> str:
        """Return the last lines of its log, indented."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "".join(f"\n  {line}" for line in text.splitlines()[-lines:])

    def new_lines(self) -> list[str]:
        """Return the whole lines that its log got since the last call."""
        with self.log.open("rb") as log:
            log.seek(self._read_bytes)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._read_bytes += len(whole) + len(newline)
        return whole.decode(errors="replace").splitlines()

    def launch(self, register: IO[bytes]) -> None:
        """Start it; `register` is the reaper's pipe."""
        self.wanted = True
        self.starts += 1
        self.resume_s = None
        self._started_s = time.monotonic()
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                [*_REGISTERED, *self.command],
                stdin=register,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )
        self.log.with_suffix(".pid").write_text(f"{self._popen.pid}\n", encoding="ascii")

    def send(self, number: int) -> None:
        """Send a signal to it, not to its children; nothing happens when it has ended."""
        if self._popen:
            self._popen.send_signal(number)

    def terminate(self) -> None:
        """Ask it to end for good."""
        self.wanted = False
        self.send(signal.SIGTERM)

    def release(self) -> None:
        """Let it end by itself."""
        self.wanted = False

    def keep_running(self) -> None:
        """Have `Instance.watch` start it again, from now on, when it ends unasked."""
        self.restart = True

    def restart_as(self, command: Sequence[str]) -> None:
        """Set the command of the next start."""
        self.command = tuple(command)

    def plan(self, now_s: float) -> None:
        """Set the time of the next start; called once an end was noticed."""
        self._pause_s = next_pause_s(now_s - self._started_s, self._pause_s)
        self.resume_s = now_s + self._pause_s


class Instance:
    """A directory, and the processes that work in it and end with it."""

    def __init__(self, name: str, below: Path | None = None) -> None:
        """Make a directory of its own below `below`, without it below `work_folder`, and start the reaper."""
        below = below or work_folder()
        below.mkdir(parents=True, exist_ok=True)
        self.directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=below))
        self.processes: list[Process] = []
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", reaper.__file__, str(self.directory)],
            bufsize=0,  # a line is with the reaper as soon as it is written
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        folder: Path = ROOT,
        *,
        restart: bool = False,
    ) -> Process:
        """Start a process with exactly this environment (default: ours); its output goes to NAME.log."""
        log = self.directory / f"{name}.log"
        process = Process(name, command, environment or os.environ, log, folder, restart=restart)
        self.processes.append(process)
        process.launch(self._pipe)
        return process

    def start_again(self, process: Process) -> None:
        """Start a process that was stopped or killed on purpose."""
        process.launch(self._pipe)

    def watch(self) -> list[str]:
        """Start again what ended unasked; return a line for each end. Raises LocalStackError if it must not end."""
        said = []
        now_s = time.monotonic()
        for process in [process for process in self.processes if process.wanted and process.returncode is not None]:
            if not process.restart:
                raise self.failure(process)
            if process.resume_s is None:
                self._forget(process)
                process.plan(now_s)
                said.append(f"{process.name} {process.ended} and is started again")
            if process.resume_s is not None and now_s >= process.resume_s:
                process.launch(self._pipe)
        return said

    def stop(self, *processes: Process, grace_s: float = 5.0) -> None:
        """End processes with their children: ask all, wait, then make those that are left."""
        for process in processes:
            process.terminate()
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: all(process.returncode is not None for process in processes), grace_s)
        for process in processes:
            self.kill(process)

    def kill(self, process: Process) -> None:
        """End a process and its children at once, for good."""
        process.wanted = False
        if process.pid:
            reaper.send(process.pid, signal.SIGKILL)
            wait_for(lambda: process.returncode is not None, 10, f"{process.name} to end")
        self._forget(process)

    def failure(self, process: Process) -> LocalStackError:
        """Describe a process that ended when it must not, with the end of its log."""
        return LocalStackError(f"{process.name} {process.ended}; its log ends with:{process.tail() or ' nothing'}")

    def close(self) -> None:
        """End everything and remove the directory. Takes a few seconds when a process does not end by itself."""
        for process in self.processes:
            process.wanted = False
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()
        wait_for(self._reaped, reaper.GRACE_S + 10, "the processes to end")

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._reaper.stdin is not None  # noqa: S101 asked for when it was started; mypy can't know
        return self._reaper.stdin

    def _reaped(self) -> bool:
        # Ask every child, each time: for the reaper one that has ended is there until its parent has asked. Also one
        # whose start a signal cut short, so that nobody here knows it.
        running = [process for process in self.processes if process.pid and process.returncode is None]
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        return not running and self._reaper.poll() is not None

    def _forget(self, process: Process) -> None:
        """Take what is left of an ended process's group off the reaper's list, and off the machine."""
        reaper.send(process.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            self._pipe.write(f"-{process.pid}\n".encode())
