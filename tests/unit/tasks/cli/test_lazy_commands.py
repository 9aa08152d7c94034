"""Commands load what they use, when they are called, and their groups know their help without that."""

import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from compose.local.processes import ROOT
from tasks.cli.commands import TABLE
from tasks.cli.lazy_commands import LazyCommand, LazyCommands
from tasks.cli.main import app
from tests.data import RECORDING
from tests.support.files.openings import write_opening

#: What takes long to import, and what a command has that needs none of it.
CLIENTS = {"redis", "nats", "aiohttp", "celery", "kombu", "prometheus_client"}
SETTINGS = {"pydantic", "pydantic_settings", "structlog", "asyncio", "ssl"}
#: By what is called: what it does not import.
UNUSED = {
    "--help": CLIENTS | SETTINGS,
    "strategies --help": CLIENTS,
    "schema": CLIENTS,
    "config show": CLIENTS,
    "backtest RECORDING --digest": CLIENTS,
    "export --help": CLIENTS,
    "export events --help": CLIENTS,
    "strategies list": CLIENTS,
    "strategies describe iceberg": CLIENTS,
    "strategies get --help": CLIENTS - {"redis"},
    "sweep --help": CLIENTS - {"redis"},
    "state show --help": CLIENTS - {"redis"},
    "state seed --help": CLIENTS - {"redis"},
    "shadow report --help": CLIENTS - {"redis"},
    "signals --help": CLIENTS - {"redis"},
    "positions --help": CLIENTS - {"redis"},
    "why --help": CLIENTS - {"redis"},
    "doctor --help": CLIENTS - {"redis"},
    "deadletters list --help": CLIENTS - {"redis"},
    "deadletters retry --help": CLIENTS - {"redis", "nats", "aiohttp"},
}
#: Tried everywhere; the others by CI.
QUICK = ("--help", "config show", "backtest RECORDING --digest", "signals --help", "deadletters retry --help")
#: Runs a command, and then tells what has been imported.
PROGRAM = """
import json, os, sys
from tasks.cli.main import main
answer = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
try:
    main()
except SystemExit as ended:
    assert not ended.code
os.write(answer, json.dumps([name for name in sys.modules if "." not in name]).encode())
"""


def imported(words: list[str]) -> set[str]:
    """Return what a command has imported when it ends."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert not ended.returncode, ended.stderr
    return set(json.loads(ended.stdout))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_opening(RECORDING, 100, tmp_path_factory.mktemp("lazy") / "recording.jsonl")


@pytest.mark.parametrize(
    "called", [pytest.param(each, marks=[] if each in QUICK else [pytest.mark.ci]) for each in UNUSED]
)
def test_a_command_imports_no_library_that_it_does_not_use(recording: Path, called: str):
    words = called.replace("RECORDING", str(recording)).split()
    assert not imported(words) & UNUSED[called]


def rows(table: Any, command: Any, path: str = "") -> Iterator[tuple[str, LazyCommand | LazyCommands, Any]]:
    for name, row in table.items():
        loaded = command.commands[name]
        yield f"{path}{name}", row, loaded
        if isinstance(row, LazyCommands):
            yield from rows(row.commands, loaded, f"{path}{name} ")


ALL = list(rows(TABLE, typer.main.get_command(app)))


@pytest.mark.parametrize(("row", "command"), [pytest.param(row, command, id=name) for name, row, command in ALL])
def test_a_group_says_of_a_command_how_its_own_help_opens(row: LazyCommand | LazyCommands, command: Any):
    opening, *_ = inspect.cleandoc(command.help).split("\n\n")
    assert " ".join(opening.split()) == row.summary


def test_the_table_names_every_command_of_its_modules():
    named = {(row.module, name.rpartition(" ")[2]) for name, row, _ in ALL if isinstance(row, LazyCommand)}
    apps = {module: importlib.import_module(module).app for module, _ in named}
    assert named == {(module, name) for module, of in apps.items() for name in typer.main.get_group(of).commands}
