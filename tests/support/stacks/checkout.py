"""A copied checkout on a machine with a Python that only pretends to install."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from compose.local.processes import ROOT
from tests import write_help

# Stands for a Python: makes a `.venv` that holds itself, notes what pip is asked for, and does the rest for real.
FAKE_PYTHON = f"""#!/bin/sh
case "$*" in
*ensurepip*) [ ! -e "$FAKE/no-ensurepip" ] ;;
"-I -m venv --clear "*) rm -rf "$5" && mkdir -p "$5/bin" && cp "$0" "$5/bin/python" ;;
"-I -m pip "*)
    echo "$*" >>"$FAKE/pip"
    while [ -e "$FAKE/slow-network" ]; do sleep 0.02; done
    [ ! -e "$FAKE/no-network" ]
    ;;
"-m pytest"* | "-m compose.local"* | "-m compose.celery_command"* | "-m tests.bench"* | "-m tests.simulation"* | "-m tests.soak"* | "-m website"* | "-m tasks"* | "-m ingest"*) echo "ran $*" ;;
*realpath*) echo "$FAKE/python3" ;;
*) exec "{sys.executable}" "$@" ;;
esac
"""
OLD_PYTHON = '#!/bin/sh\n[ "$*" != --version ] && exit 1\necho "Python 3.9.2"\n'
COMMANDS = (
    "demo",
    "tasks",
    "ingest",
    "celery",
    "bench",
    "test",
    "sim",
    "soak",
    "check",
    "fix",
    "wheel",
    "site",
    "lock",
    "clean",
)
NAMES = ("python", "python3", *(f"python3.{minor}" for minor in range(11, 16)))


class Checkout:
    """A copy of what `run` needs, and a machine whose only Python is `python`."""

    def __init__(self, folder: Path, python: str) -> None:
        self.root = folder / "checkout"
        self.fake = folder / "fake"
        self.called_from = folder
        for directory in (self.root, self.fake):
            directory.mkdir()
        shutil.copy(ROOT / "run", self.root)
        for _, file in write_help.COMMANDS.values():
            copy = self.root / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        for name in ("__init__.py", "version.py"):
            shutil.copy(ROOT / "tasks" / name, self.root / "tasks")
        (self.root / "requirements").mkdir()
        for name in ("demo", "dev", "bench", "docs"):
            (self.root / f"requirements/{name}.txt").write_text(f"{name}==1\n")
        bridge = self.root / "ingest" / "feeds" / "ccxt_bridge"
        bridge.mkdir(parents=True)
        (bridge / "requirements.txt").write_text("ccxt==1\n")
        for name in NAMES:
            program = self.fake / name
            program.write_text(python)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if name != "PYTHON"}
        path = f"{self.fake}:{os.environ['PATH']}"
        return subprocess.Popen(
            [self.root / "run", *arguments],
            cwd=self.called_from,
            env=clean | {"PATH": path, "FAKE": str(self.fake)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def files(self) -> set[Path]:
        return {*self.root.rglob("*")}

    @property
    def installs(self) -> list[str]:
        log = self.fake / "pip"
        return log.read_text().splitlines() if log.exists() else []
