"""Starts many programs of ours in little time: one process imports what they share, and forks for each.

As a program it reads JSON, a list of [arguments, environment], where the first argument is a module, and writes
for each: [exit status, standard output, standard error].
"""

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from typing import BinaryIO, NamedTuple

from compose.local.processes import ROOT

#: Not what reads the settings as it is imported.
_SHARED = (
    "celery.bin.celery", "celery.apps.worker", "flower.command", "ingest.service", "ingest.feeds.binance",
    "ingest.feeds.record", "ingest.feeds.replay", "ingest.feeds.simulate", "ingest.feeds.run_feed", "tasks.backtest.html_report",
)  # fmt: skip
_ENDS_S = 30
#: What a program keeps of this process's environment; all else is what the test gives.
_KEPT = ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV", "LANG")


class EndedProgram(NamedTuple):
    """The result of a program; the status is negative where a signal ended it."""

    status: int
    out: str
    err: str


def start_all(programs: Sequence[tuple[Sequence[str], Mapping[str, str]]]) -> list[EndedProgram]:
    """Run each of `programs` with an environment of its own, until it ends."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONPATH": str(ROOT)}
    told = json.dumps([(list(arguments), environment | dict(more)) for arguments, more in programs])
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.starting"],
        input=told,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [EndedProgram(*each) for each in json.loads(ran.stdout)]


def _start(arguments: list[str], environment: dict[str, str]) -> EndedProgram:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            _run(arguments, environment, out, err)
        _, status = os.waitpid(child, 0)
        texts = [os.pread(file.fileno(), 1_000_000, 0).decode(errors="replace") for file in (out, err)]
        return EndedProgram(os.waitstatus_to_exitcode(status), *texts)


def _run(arguments: list[str], environment: dict[str, str], out: BinaryIO, err: BinaryIO) -> None:
    """Run the program in this process, and end with it."""
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    signal.alarm(_ENDS_S)
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


if __name__ == "__main__":
    for _name in _SHARED:
        importlib.import_module(_name)
    json.dump([_start(*each) for each in json.load(sys.stdin)], sys.stdout)
