"""Runs a module as `python -m` does, and counts the CPU that each stage takes in it: `... metered ingest`.

The clock is the thread's own CPU, so waiting costs nothing. Reading it takes some 0.3 us, twice a call.
"""

import functools
import inspect
import os
import runpy
import sys
import time
import types
from collections.abc import Callable, Generator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench.counters import Counters

FOLDER = "BENCH_COSTS"
#: Where each stage begins and ends: a function, or a method, of a module. `deliver` holds `validate`.
INGEST = {
    "ingest.frame_handler:FrameHandler.deliver": "deliver",
    "tasks.frames.plausibility:FrameReader.read": "validate",
    "ingest.dispatch.sender:Sender._pump": "deliver",
    "ingest.dispatch.celery_publisher:CeleryPublisher.send": "enqueue",
}
WORKER = {
    "tasks.protocol.batches:unpack": "decode",
    "tasks.engine:BatchRun.finish": "strategies",
    "tasks.ledger:Ledger.begin": "commit",
    "tasks.ledger:Ledger.commit": "commit",
}
STAGES = ("deliver", "validate", "enqueue", "decode", "strategies", "commit")


class Meter:
    """Counts nanoseconds by stage, in a file of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.open()

    def open(self) -> None:
        """Count in a file of this process from now on."""
        self._counters = Counters(self._folder / str(os.getpid()), STAGES)

    def wrap(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """Return `call`, counted."""

        if inspect.iscoroutinefunction(call):
            return self._wrap_coroutine(call, stage)

        @functools.wraps(call)
        def counted(*arguments: Any, **options: Any) -> Any:
            began_ns = time.thread_time_ns()
            try:
                return call(*arguments, **options)
            finally:
                self._counters.add(stage, time.thread_time_ns() - began_ns)

        return counted

    def _wrap_coroutine(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """Yield a function whose coroutine is counted from one wait to the next."""

        @types.coroutine
        def stepped(coroutine: Any) -> Generator[Any, Any, Any]:
            step: Callable[[Any], Any] = coroutine.send
            given: Any = None
            while True:
                try:
                    waits_for = self.wrap(step, stage)(given)
                except StopIteration as end:
                    return end.value
                try:
                    step, given = coroutine.send, (yield waits_for)
                except BaseException as error:  # noqa: BLE001 it is the coroutine's
                    step, given = coroutine.throw, error

        @functools.wraps(call)
        async def counted(*arguments: Any, **options: Any) -> Any:
            return await stepped(call(*arguments, **options))

        return counted


def install(meter: Meter, targets: Mapping[str, str]) -> None:
    """Put the meter around each target."""
    for target, stage in targets.items():
        module, _, path = target.partition(":")
        owner: Any = import_module(module)
        *classes, name = path.split(".")
        for each in classes:
            owner = getattr(owner, each)
        setattr(owner, name, meter.wrap(getattr(owner, name), stage))


def read_ns(folder: Path) -> dict[str, int]:
    """Sum up what all processes have counted so far."""
    counted = [Counters(file, STAGES) for file in folder.iterdir()]
    return {stage: sum(each[stage] for each in counted) for stage in STAGES}


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    meter = Meter(Path(os.environ[FOLDER]))
    os.register_at_fork(after_in_child=meter.open)
    install(meter, INGEST if sys.argv[0] == "ingest" else WORKER)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
