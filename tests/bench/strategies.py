"""Strategies that only cost: CPU, or time."""

import time
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from tasks.events import Depth, Trade
from tasks.strategy import Params, Signal, State, Strategy


class BusyParams(Params):
    cpu_us: Annotated[float, Field(ge=0, le=1e6, description="CPU of each event, in microseconds.")] = 100.0


class WaitingParams(Params):
    wait_ms: Annotated[float, Field(ge=0, le=1e3, description="Wait of each event, in milliseconds.")] = 2.0


class Busy(Strategy[BusyParams, State]):
    """Works for a while on each event, and says nothing. What it asks is its own CPU, so others can't shorten it."""

    name = "busy"

    def on_depth(self, book: Depth, state: State) -> Iterable[Signal]:  # noqa: ARG002 any event costs the same
        return self._work()

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 any event costs the same
        return self._work()

    def _work(self) -> Iterable[Signal]:
        until_ns = time.thread_time_ns() + self.params.cpu_us * 1e3
        while time.thread_time_ns() < until_ns:
            pass
        return ()


class Waiting(Strategy[WaitingParams, State]):
    """Waits on each event, as if another machine's core worked on it, and says nothing."""

    name = "waiting"

    def on_depth(self, book: Depth, state: State) -> Iterable[Signal]:  # noqa: ARG002 any event costs the same
        return self._wait()

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 any event costs the same
        return self._wait()

    def _wait(self) -> Iterable[Signal]:
        time.sleep(self.params.wait_ms / 1e3)
        return ()
