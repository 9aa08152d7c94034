"""Strategies that misbehave, for tests; named in a strategies file by their import path."""

import ctypes
import time
from collections.abc import Iterable

from tasks.events import Depth, Trade
from tasks.strategy import Params, Signal, State, Strategy

POISON_ID = 13


class Segfault(Strategy[Params, State]):
    """Ends its process on one event, as a fault in C code does."""

    name = "segfault"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        if trade.id == POISON_ID:
            ctypes.string_at(0)
        return ()


class Endless(Strategy[Params, State]):
    """Never comes back from one event."""

    name = "endless"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        while trade.id == POISON_ID:
            pass
        return ()


class Raising(Strategy[Params, State]):
    """Raises on one event."""

    name = "raising"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        if trade.id == POISON_ID:
            raise ArithmeticError("thirteen")
        return ()


class Slow(Strategy[Params, State]):
    """Takes two milliseconds for every event, so that a worker carries a few hundred a second."""

    name = "slow"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        time.sleep(0.002)
        return ()

    def on_depth(self, book: Depth, state: State) -> Iterable[Signal]:  # noqa: ARG002 as above
        time.sleep(0.002)
        return ()
