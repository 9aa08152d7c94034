"""Compiles what runs once an event, as it stands, with Cython: `python wheel/compiler.py FOLDER`.

FOLDER gets a library for each module, by the module's path. Beside the module's source, Python takes the library instead.
It computes the same: no type is declared, and none is taken from annotations.
"""  # noqa: INP001 a script

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Distribution, Extension

#: What an event passes through, from a frame to its signals. `tasks/version.py` tells which form runs.
MODULES = (
    "ingest/frame_handler.py",
    "ingest/lanes/*.py",
    "tasks/backtest/backtest.py",
    "tasks/backtest/symbol_shard.py",
    "tasks/bars/*.py",
    "tasks/engine/*.py",
    "tasks/events.py",
    "tasks/frames/*.py",
    "tasks/history/recordings.py",
    "tasks/once_per_event.py",
    "tasks/paper/*.py",
    "tasks/protocol/*.py",
    "tasks/scoring/prices.py",
    "tasks/strategies/*.py",
    "tasks/strategy.py",
    "tasks/version.py",
)
#: Annotations stay what they are to Python: a `float` may be an int, as everywhere.
_DIRECTIVES = {"language_level": 3, "annotation_typing": False, "binding": True}
_FLAGS = ["-O2", "-g0", "-w"]


def sources(root: Path) -> list[Path]:
    """Return the modules that are compiled, relative to `root`."""
    found = (path for pattern in MODULES for path in root.glob(pattern))
    return sorted(path.relative_to(root) for path in found if path.name != "__init__.py")


def compile_into(folder: Path, root: Path) -> None:
    """Write the libraries into `folder`. Raises what Cython, setuptools and the C compiler raise."""
    os.chdir(root)
    modules = [
        Extension(".".join(path.with_suffix("").parts), [str(path)], extra_compile_args=_FLAGS)
        for path in sources(root)
    ]
    at_once = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        generated = cythonize(modules, build_dir=scratch, nthreads=at_once, compiler_directives=_DIRECTIVES, quiet=True)
        command = Distribution({"ext_modules": generated}).get_command_obj("build_ext")
        command.build_lib, command.build_temp, command.parallel = str(folder), scratch, at_once
        command.ensure_finalized()
        command.run()


if __name__ == "__main__":
    name = os.environ.get("CC") or sysconfig.get_config_var("CC").split()[0]
    if not shutil.which(name.split()[0]):
        sys.exit(f"There is no C compiler, {name}: on Debian and Ubuntu, apt install gcc libc6-dev")
    compile_into(Path(sys.argv[1]).resolve(), Path(__file__).resolve().parents[1])
