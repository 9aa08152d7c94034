"""The byte-level fuzzer: `python -m tests.fuzz --seconds 600 frames letters`; without names every target, one by one.

It looks for inputs that take branches not taken before, and keeps them for the next time. An exception, a call that takes
more than 5 s, or 512 MiB of memory is a fault; the input is kept, and the status is 1.
"""

import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer

from compose.local.processes import ROOT
from tests.fuzz import targets


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Targets, or MODULE:TARGET.", show_default="all")] = None,
    *,
    seconds: Annotated[int, typer.Option(min=1, help="For each target.")] = 60,
    runs: Annotated[int, typer.Option(help="At most so many calls of each target; -1: no limit.")] = -1,
    seed: Annotated[int, typer.Option(help="0 takes another one each time.")] = 0,
    folder: Annotated[Path, typer.Option(help="For what is learnt and found.")] = ROOT / ".run" / "fuzz",
) -> None:
    """Throw bytes at whatever reads what others wrote."""
    try:
        import atheris  # noqa: PLC0415 not every machine can have it

        from tests.fuzz import driver  # noqa: PLC0415 the same
    except ImportError:
        sys.exit("the fuzzer, atheris, is not installed; it is there for Linux on x86-64 and Python 3.11 to 3.13")
    # So that the fuzzer sees which branches were taken.
    instrumented = atheris.instrument_imports(include=["tasks", "ingest", "tests.fuzz.planted"])
    try:
        with redirect_stderr(StringIO()), instrumented:
            chosen = {name: targets.find(name) for name in names or targets.names()}
    except ValueError as error:
        sys.exit(str(error))
    plan, faults = driver.Plan(folder, seconds, runs, seed), 0
    for name, target in chosen.items():
        found = driver.fuzz(name, target, plan)
        print(f"{name:<16}{found}", flush=True)
        if found.fault:
            faults += 1
            print(found.fault)
    sys.exit(min(1, faults))


if __name__ == "__main__":
    typer.run(main)
