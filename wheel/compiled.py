"""COMPILED=1 puts libraries of what runs once an event into the wheel, beside the sources. For hatchling."""  # noqa: INP001 hatchling loads it by its path

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledHook(BuildHookInterface):  # type: ignore[misc]  # as mypy sees it where hatchling is not
    """Found by hatchling, because it is the only hook here."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Called before the wheel is built."""
        if os.environ.get("COMPILED", "") in {"", "0"}:
            return
        self._folder = Path(tempfile.mkdtemp())
        # A process of its own: setuptools changes what it is imported into.
        command = [sys.executable, f"{self.root}/wheel/compiler.py", str(self._folder)]
        if status := subprocess.run(command, check=False).returncode:
            shutil.rmtree(self._folder)
            sys.exit(status)
        found = self._folder.rglob("*.so")
        build_data["force_include"] = {str(path): str(path.relative_to(self._folder)) for path in found}
        build_data["pure_python"], build_data["infer_tag"] = False, True

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Called with the wheel that was built."""
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder)
