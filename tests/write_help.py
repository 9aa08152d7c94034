"""Writes what `./run demo --help` and `./run bench --help` print, which need no installation: python -m tests.write_help."""

from pathlib import Path

import typer
from typer.testing import CliRunner

from compose.local import commands as demo
from compose.local.processes import ROOT
from tests.bench import commands as bench

WIDTH = 100
COMMANDS: dict[str, tuple[typer.Typer, Path]] = {
    "demo": (demo.app, ROOT / "compose" / "local" / "help.txt"),
    "bench": (bench.app, ROOT / "tests" / "bench" / "help.txt"),
}


def text(name: str) -> str:
    """Return the help of a command of `./run`, as a terminal of 100 columns shows it."""
    app, _ = COMMANDS[name]
    return CliRunner().invoke(app, [name, "--help"], prog_name="./run", terminal_width=WIDTH).output


if __name__ == "__main__":
    for name, (_, file) in COMMANDS.items():
        file.write_text(text(name), encoding="utf-8")
