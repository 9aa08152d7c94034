"""A wheel of the checkout, and the program that it installs."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from compose.local.processes import ROOT
from tests.support.needs import module
from tests.support.waiting import HANGS_S

PROGRAM = "realtime-strategies"
#: As pip writes it.
_SCRIPT = """#!{python}
import sys
from compose.program import main
sys.exit(main())
"""
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG")


def build(folder: Path) -> Path:
    """Build a wheel in a folder as `./run wheel` does, and return it."""
    module("hatchling")
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=HANGS_S, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


class InstalledWheel(NamedTuple):
    """What a wheel holds, in a folder, with the dependencies of this Python; or a virtual environment."""

    folder: Path
    bin: Path
    pythonpath: Path | None = None

    @classmethod
    def unpack(cls, wheel: Path, folder: Path) -> "InstalledWheel":
        """Unpack a wheel, and write the program that pip would."""
        packages, programs = folder / "packages", folder / "bin"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
        programs.mkdir()
        script = programs / PROGRAM
        script.write_text(_SCRIPT.format(python=sys.executable))
        script.chmod(0o755)
        return cls(packages, programs, packages)

    @property
    def environment(self) -> dict[str, str]:
        """All that a process needs: nothing of it leads to the checkout."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        path = f"{self.bin}{os.pathsep}{kept.get('PATH', '')}"
        return kept | {"PATH": path} | ({"PYTHONPATH": str(self.pythonpath)} if self.pythonpath else {})

    @classmethod
    def install(cls, wheel: Path, venv: Path, extra: str, *more: str) -> "InstalledWheel":
        """Install a wheel with an extra, and more packages, from the package index into a new virtual environment."""
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=5 * HANGS_S)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, f"{wheel}[{extra}]", *more], check=True, timeout=10 * HANGS_S)
        return cls(venv, venv / "bin")

    def run(
        self,
        *arguments: str,
        cwd: Path,
        program: str = PROGRAM,
        hangs_s: float = HANGS_S,
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program until it ends; `more` is added to its environment."""
        own = self.environment | dict(more or {})
        found = shutil.which(program, path=own["PATH"]) or program
        return subprocess.run(
            [found, *arguments], cwd=cwd, env=own, capture_output=True, text=True, check=False, timeout=hangs_s
        )
