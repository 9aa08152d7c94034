"""Starts many programs of ours in little time: one process imports what they share, and forks for each.

As a program it reads requests, a line of JSON each: [arguments, environment, folder], where the first argument is a
module; and writes a line for each: [exit status, standard output, standard error].
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import BinaryIO

from compose.local.processes import ROOT
from tests.support.waiting import HANGS_S

#: Not what reads the settings as it is imported.
_SHARED = (
    "celery.bin.celery", "celery.apps.worker", "flower.command", "ingest.service", "ingest.feeds.binance",
    "ingest.feeds.record", "ingest.feeds.replay", "ingest.feeds.simulate", "ingest.feeds.run_feed", "tasks.backtest.html_report",
    "tasks.cli.main", "tasks.cli.command_line", "compose.local.commands", "compose.local.demo",
)  # fmt: skip
#: What a program keeps of this process's environment, where the test does not give all of it.
_KEPT = ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV", "LANG")


class _Forker:
    """The process that forks, from the first request until the end of the tests."""

    def __init__(self) -> None:
        # Warnings are for the programs, and they are given their environment as they start.
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONPATH": str(ROOT)}
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.starting"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._end)

    def ask(self, arguments: list[str], *rest: object) -> subprocess.CompletedProcess[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(json.dumps([arguments, *rest]) + "\n")
            self._process.stdin.flush()
            return subprocess.CompletedProcess(arguments, *json.loads(self._process.stdout.readline()))

    def _end(self) -> None:
        self._process.communicate()


_forker = cache(_Forker)


def start(
    arguments: list[str], environment: Mapping[str, str], folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `python -m ARGUMENTS` in a folder, until it ends; the environment is all that it has."""
    return _forker().ask(arguments, dict(environment), str(folder))


def start_alone(arguments: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Do the same with nothing of this environment but where programs are."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return start(arguments, {**kept, "PYTHONPATH": str(ROOT), **environment})


def _start(arguments: list[str], environment: dict[str, str], folder: str) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            os.chdir(folder)
            _run(arguments, environment, out, err)
        _, status = os.waitpid(child, 0)
        printed, said = (os.pread(file.fileno(), 10_000_000, 0).decode(errors="replace") for file in (out, err))
        return os.waitstatus_to_exitcode(status), printed, said


def _run(arguments: list[str], environment: dict[str, str], out: BinaryIO, err: BinaryIO) -> None:
    """Run the program in this process, and end with it."""
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 its number is wanted
        os.dup2(nothing.fileno(), 0)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    signal.alarm(int(HANGS_S))
    sys.argv = arguments
    status: int | str | None = 0
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code
    except BaseException:  # noqa: BLE001 what Python itself does with it
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(bool(status)))


def _serve() -> None:
    # Ctrl-C is for the tests: without them there are no more requests.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _SHARED:
        importlib.import_module(name)
    gc.freeze()
    for request in sys.stdin:
        print(json.dumps(_start(*json.loads(request))), flush=True)


if __name__ == "__main__":
    _serve()
