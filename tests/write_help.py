"""Writes what `./run demo --help` and its like print where nothing is installed: python -m tests.write_help."""

import argparse
from pathlib import Path

import typer
from typer.testing import CliRunner

from compose.local import commands as demo
from compose.local.processes import ROOT
from ingest import __main__ as ingest
from tasks.cli import main as tasks
from tests.bench import commands as bench
from tests.simulation import commands as sim
from tests.soak import commands as soak

WIDTH = 100
COMMANDS: dict[str, tuple[typer.Typer, Path]] = {
    "demo": (demo.app, ROOT / "compose" / "local" / "help.txt"),
    "bench": (bench.app, ROOT / "tests" / "bench" / "help.txt"),
    "sim": (sim.app, ROOT / "tests" / "simulation" / "help.txt"),
    "soak": (soak.app, ROOT / "tests" / "soak" / "help.txt"),
    "tasks": (tasks.app, ROOT / "tasks" / "help.txt"),
    "ingest": (ingest.app, ROOT / "ingest" / "help.txt"),
}


def text(name: str) -> str:
    """Return the help of a command of `./run`, as a terminal of 100 columns shows it."""
    app, _ = COMMANDS[name]
    words, prog_name = ([name], "./run") if name in {"demo", "bench", "sim", "soak"} else ([], f"./run {name}")
    return CliRunner().invoke(app, [*words, "--help"], prog_name=prog_name, terminal_width=WIDTH).output


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.write_help", description=__doc__).parse_args()
    for name, (_, file) in COMMANDS.items():
        file.write_text(text(name), encoding="utf-8")
