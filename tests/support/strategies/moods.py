"""A strategy whose parameters say how it misbehaves, so that sets of one sweep differ in it."""

import ctypes
import os
import resource
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tasks.events import Trade
from tasks.strategy import Action, Params, Signal, State, Strategy


class MoodParams(Params):
    """What it does on the event with this id; with the same parameters, always the same."""

    mood: Annotated[
        str, Field(description="calm, raise, exit, hang, sleep, alarm, disarm, kill, eat or unsaveable")
    ] = "calm"
    at_id: Annotated[int, Field(description="the trade on which it does so")] = 30
    every: Annotated[int, Field(ge=1, description="buys and sells by turns, each so many trades")] = 10


class MoodState(State):
    """How many trades it has seen."""

    seen: int = 0
    last: object = None


class Moods(Strategy[MoodParams, MoodState]):
    """Trades by turns, and misbehaves as told."""

    name = "moods"

    def on_trade(self, trade: Trade, state: MoodState) -> Iterable[Signal]:
        state.seen += 1
        if trade.id == self.params.at_id:
            self._misbehave(state)
        if state.seen % self.params.every == 0:
            action: Action = "buy" if state.seen // self.params.every % 2 else "sell"
            yield Signal(action=action, confidence=0.9, price=trade.price, current_price=trade.price)

    def _misbehave(self, state: MoodState) -> None:
        match self.params.mood:
            case "raise":
                raise ArithmeticError("a bad mood")
            case "exit":
                raise SystemExit(1)
            case "hang":
                while True:
                    pass
            case "sleep":
                time.sleep(3_600)
            case "alarm" | "disarm":
                # As C code that is stuck: the kernel's timer ends the process, and nothing else; nor that timer, where
                # a library has disarmed it.
                _get_stuck(disarming=self.params.mood == "disarm")
            case "kill":
                os._exit(9)
            case "eat":
                _eat_all_memory()
            case "unsaveable":
                state.last = object()


def _get_stuck(*, disarming: bool) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGVTALRM})
    if disarming:
        signal.alarm(0)
    ctypes.PyDLL(None).sleep(3_600)


#: What is never given back.
_EATEN: list[bytearray] = []


def _eat_all_memory() -> None:
    """Take all that this process may have: 64 MiB more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (64 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    while True:
        _EATEN.append(bytearray(1 << 20))


class Gated(Strategy[Params, State]):
    """Waits at the first trade of one market until the gate is open: a file is there.

    So a sweep is in progress for as long as wanted, and what waits holds one process: the others go on with the rest.
    """

    name = "gated"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        while (trade.venue, trade.symbol) == ("spot", "BTCUSDT") and not Path(os.environ["GATE_FILE"]).exists():
            time.sleep(0.01)
        return ()
