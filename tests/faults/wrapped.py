"""Runs a module as `python -m` does, with one fault built in: a precise window, from outside of the code under test.

    TEST_FAULT='{"kind": "die", "target": "tasks.ledger:Ledger.commit", "when": "after", "every": 20, "counters": "FILE"}'
    python -m tests.faults.wrapped celery -A tasks worker ...

A process dies (SIGKILL) at every so many calls of its life, just before or just after the call. Each fault adds a byte
to the counters, and when that is as long as `at_most`, no more come.
"""

import asyncio
import functools
import itertools
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong in the process."""

    #: die at a call, ignore a call, or let the wall clock step to and fro by an hour every two seconds.
    kind: Literal["die", "ignore", "clock"]
    #: module:Class.method
    target: str = ""
    when: Literal["before", "after"] = "before"
    every: int = 1
    at_most: int = 1_000_000
    counters: str = ""


STEP_S = 3600
STEP_EVERY_S = 2.0


def happens(fault: Fault, calls: "itertools.count[int]") -> bool:
    """Whether it happens at this call; then it is counted."""
    if next(calls) % fault.every or count(fault) >= fault.at_most:
        return False
    with Path(fault.counters).open("ab") as counters:
        counters.write(b"x")
    return True


def count(fault: Fault) -> int:
    """Return how often it happened."""
    counters = Path(fault.counters)
    return counters.stat().st_size if counters.exists() else 0


def patch(fault: Fault) -> None:
    """Put the fault into its target."""
    module, _, path = fault.target.partition(":")
    owner_name, _, method = path.partition(".")
    owner = getattr(import_module(module), owner_name)
    calls = itertools.count(1)
    setattr(owner, method, _faulty(getattr(owner, method), lambda: happens(fault, calls), fault))


def _faulty(call: Callable[..., Any], due: Callable[[], bool], fault: Fault) -> Callable[..., Any]:
    @functools.wraps(call)
    def plain(*arguments: Any, **options: Any) -> Any:
        happening = due()
        if happening and fault.kind == "ignore":
            return None
        if happening and fault.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **options)
        if happening:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    @functools.wraps(call)
    async def awaited(*arguments: Any, **options: Any) -> Any:
        happening = due()
        if happening and fault.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await call(*arguments, **options)
        if happening:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return awaited if asyncio.iscoroutinefunction(call) else plain


def unsteady_clock() -> None:
    """Let time.time and time.time_ns jump an hour ahead and an hour back, each for two seconds."""
    true_s, true_ns, start_s = time.time, time.time_ns, time.monotonic()

    def ahead_s() -> int:
        return (0, STEP_S, 0, -STEP_S)[int((time.monotonic() - start_s) / STEP_EVERY_S) % 4]

    time.time = lambda: true_s() + ahead_s()
    time.time_ns = lambda: true_ns() + ahead_s() * 1_000_000_000


def main() -> None:
    """Run the module that the first argument names."""
    fault = msgspec.json.decode(os.environ["TEST_FAULT"], type=Fault)
    unsteady_clock() if fault.kind == "clock" else patch(fault)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
