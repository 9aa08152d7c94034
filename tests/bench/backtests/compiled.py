"""A backtest of all strategies from the sources and in the compiled form, in turn: same file, each in its own process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from compose.local.processes import ROOT
from tasks.errors import RealtimeStrategiesError
from tests.bench.mix import Mix

EVENTS = 60_000
_RUN = """
import json, sys, time
from pathlib import Path
from tasks import configuration, version
from tasks.backtest import Backtest
from tasks.history import recordings

backtest = Backtest(configuration.read(Path(version.__file__).with_name("strategies.toml")))
began_s = time.process_time()
result = backtest.run(recordings.read(Path(sys.argv[1])))
print(json.dumps([version.COMPILED, time.process_time() - began_s, result.events, result.digest]))
"""


def ratios(mix: Mix, folder: Path, rounds: int, events: int = EVENTS) -> Iterator[float]:
    """Yield the CPU time from the sources over that of the compiled form, of each round.

    Raises RealtimeStrategiesError: it can't be compiled, or their signals differ.
    """
    tree = folder / "compiled"
    _compile(tree)
    file = mix.write(folder / "mix.jsonl", events)
    for _ in range(rounds):
        sources_s, said = _run(ROOT, file)
        compiled_s, other = _run(tree, file)
        if said[1:] != other[1:] or (said[0], other[0]) != (False, True):
            raise RealtimeStrategiesError(f"from the sources {said}, compiled {other}")
        yield sources_s / compiled_s


def _compile(tree: Path) -> None:
    for name in ("tasks", "ingest"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, str(ROOT / "wheel" / "compiler.py"), str(tree)]
    if subprocess.run(command, check=False).returncode:
        raise RealtimeStrategiesError("the compiled form can't be built, see above")


def _run(tree: Path, file: Path) -> tuple[float, tuple[bool, int, str]]:
    """Return CPU seconds; and whether it was compiled, the number of events and the digest."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    command = [sys.executable, "-c", _RUN, str(file)]
    ended = subprocess.run(command, cwd=file.parent, env=environment, check=True, capture_output=True, text=True)
    is_compiled, cpu_s, events, digest = json.loads(ended.stdout)
    return cpu_s, (is_compiled, events, digest)
