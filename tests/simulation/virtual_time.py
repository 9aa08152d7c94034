"""Virtual time and seeded chance in the modules that everybody takes them from.

What runs in a simulation sees its process's clocks, sleeps without waiting, and draws what the seed gives.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from tests.simulation.scheduler import Scheduler, wait

#: 2026-01-01, where every simulation begins, unix seconds.
BEGIN_S = 1_767_225_600.0


@contextmanager
def virtual_time(scheduler: Scheduler) -> Iterator[None]:
    """Have `time.monotonic`, `time.time`, `time.time_ns`, `time.sleep` and `asyncio.sleep` follow a scheduler meanwhile."""

    def monotonic() -> float:
        return 1_000.0 + scheduler.now_s * scheduler.current.rate

    def wall() -> float:
        process = scheduler.current
        return BEGIN_S - 1_000.0 + (1_000.0 + scheduler.now_s * process.rate) + process.ahead_s

    def wall_ns() -> int:
        return int(wall() * 1e9)

    def sleep(seconds: float) -> None:
        wait(asyncio.sleep(seconds))

    with (
        mock.patch.object(time, "monotonic", monotonic),
        mock.patch.object(time, "time", wall),
        mock.patch.object(time, "time_ns", wall_ns),
        mock.patch.object(time, "sleep", sleep),
        mock.patch.object(asyncio, "sleep", scheduler.sleep),
        mock.patch.object(secrets, "token_hex", lambda size: scheduler.random.randbytes(size).hex()),
    ):
        state = random.getstate()
        random.seed(scheduler.random.random())
        try:
            yield
        finally:
            random.setstate(state)
