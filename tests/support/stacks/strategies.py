"""Strategies that misbehave, for tests; named in a strategies file by their import path."""

import asyncio
import ctypes
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Iterable

from billiard.exceptions import SoftTimeLimitExceeded

from tasks.events import Depth, Trade
from tasks.strategy import Action, Params, Signal, State, Strategy

POISON_ID = 13


class Segfault(Strategy[Params, State]):
    """Ends its process on one event, as a fault in C code does."""

    name = "segfault"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        if trade.id == POISON_ID:
            ctypes.string_at(0)
        return ()


class DiesAsHelper(Strategy[Params, State]):
    """Ends each process that another one started to help it."""

    name = "dies_as_helper"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it needs neither
        if multiprocessing.parent_process():
            os._exit(1)
        return ()


class Endless(Strategy[Params, State]):
    """Never comes back from one event."""

    name = "endless"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        while trade.id == POISON_ID:
            pass
        return ()


#: How much address space an event may take, beside what its process has; and in what portions it takes it.
ROOM_BYTES, PORTION_BYTES = 128 << 20, 1 << 20
_kept: list[bytearray] = []


def _size_bytes() -> int:
    """Return the size of this process's address space."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 leaves less behind than a Path
        return int(file.read().split()[0]) * resource.getpagesize()


class Hungry(Strategy[Params, State]):
    """Takes memory without end on one event, under a limit, and keeps it; needs a little of it for every event."""

    name = "hungry"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        if trade.id == POISON_ID:
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (_size_bytes() + ROOM_BYTES, hard))
        while trade.id == POISON_ID:
            _kept.append(bytearray(PORTION_BYTES))
        bytearray(PORTION_BYTES)
        return ()


class Killed(Strategy[Params, State]):
    """Takes memory on one event until its process is killed, as the kernel does it: SIGKILL, in the middle of it."""

    name = "killed"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        begun_bytes = _size_bytes()
        while trade.id == POISON_ID:
            _kept.append(bytearray(PORTION_BYTES))
            if _size_bytes() - begun_bytes > ROOM_BYTES:
                os.kill(os.getpid(), signal.SIGKILL)
        return ()


class Raising(Strategy[Params, State]):
    """Raises on one event."""

    name = "raising"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        if trade.id == POISON_ID:
            raise ArithmeticError("thirteen")
        return ()


class Moody(Strategy[Params, State]):
    """Raises on some events, and says something on the others."""

    name = "moody"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        yield Signal(action="buy", confidence=0.5, price=trade.price, current_price=trade.price)
        if trade.id % 50 == 0:
            raise ArithmeticError("fifty")


_ERRORS: tuple[BaseException, ...] = (
    SystemExit(0), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit(), SoftTimeLimitExceeded(), MemoryError(),
)  # fmt: skip


class Unkind(Strategy[Params, State]):
    """Raises on every event, by turns, what is no Exception, and what others take for the machine's."""

    name = "unkind"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        raise _ERRORS[trade.id % len(_ERRORS)]


class Leaving(Strategy[Params, State]):
    """Ends its process on every event, with success."""

    name = "leaving"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        os._exit(0)


class Crashing(Strategy[Params, State]):
    """Ends its process on every event, as a fault in C code does."""

    name = "crashing"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        ctypes.string_at(0)
        return ()


class Hanging(Strategy[Params, State]):
    """Never comes back from any event."""

    name = "hanging"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        while True:
            pass


class Deaf(Strategy[Params, State]):
    """Never comes back from any event, and does not hear the timer."""

    name = "deaf"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        while True:
            time.sleep(60)


class Disarming(Strategy[Params, State]):
    """Never comes back from any event, and uses a library that sets alarms of its own: no timer is left."""

    name = "disarming"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        before = signal.signal(signal.SIGALRM, lambda *_: None)
        signal.alarm(60)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        while True:
            time.sleep(60)


class Alarming(Strategy[Params, State]):
    """Has an alarm end its process on every event, long before the limit of its run."""

    name = "alarming"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        while True:
            pass


class Witness(Strategy[Params, State]):
    """Signals on every event."""

    name = "witness"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        side: Action = "buy" if trade.id % 2 else "sell"
        yield Signal(action=side, confidence=0.5, price=trade.price, current_price=trade.price)


class Slow(Strategy[Params, State]):
    """Takes two milliseconds for every event, so that a worker carries a few hundred a second."""

    name = "slow"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        time.sleep(0.002)
        return ()

    def on_depth(self, book: Depth, state: State) -> Iterable[Signal]:  # noqa: ARG002 as above
        time.sleep(0.002)
        return ()
