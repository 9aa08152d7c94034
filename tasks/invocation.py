"""How the project's programs are called where this process runs: for usage, examples and hints."""

import os
import re
import shlex
import sys
from pathlib import Path

#: `run` writes here how it was typed: ./run, or /path/to/run.
VARIABLE = "RUN_CALLED_AS"
_MODULES: dict[str, str] = {"tasks": "python -m tasks", "ingest": "python -m ingest", "celery": "celery"}
_CALL = re.compile(rf"\./run (?:({'|'.join(_MODULES)})\b|(?=(?:demo|bench)\b))")


def run() -> str:
    """Return how `run` was typed; ./run where it is not known."""
    return shlex.quote(os.environ.get(VARIABLE) or "./run")


def command(program: str) -> str:
    """Return how tasks, ingest or celery is called: as the program of this process was, or else by `run`.

    In an image there is no `run`, and a process that was started with `python -m` or as `celery` is no proof of one.
    """
    started_by_hand = VARIABLE not in os.environ and _started_as() in _MODULES
    return _MODULES[program] if started_by_hand else f"{run()} {program}"


def as_called(text: str) -> str:
    """Return a text that says `./run tasks ...` with the commands as they are called here."""
    return _CALL.sub(lambda call: command(call[1]) if call[1] else f"{run()} ", text)


def _started_as() -> str:
    """Return `tasks` or `ingest` for `python -m tasks` and its like, `celery` for Celery's program, else something else."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).name
