"""One process that reads the same frames once: what the pipeline is compared with. It goes on where it stopped."""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.pool import AsyncResult, Pool
from pathlib import Path
from typing import NamedTuple

from tasks import configuration
from tasks.backtest import Backtest
from tests.soak.rounds import Rounds


class Expected(NamedTuple):
    """What comes of all frames so far."""

    frames: int
    #: Events, once for each pool that takes them.
    applied: int
    signals: int
    digest: str
    positions_digest: str


class Reference:
    """The backtest, which works through rounds in a process of its own."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def advance(self, first: int, count: int) -> "AsyncResult[Expected]":
        """Begin with further rounds; the answer is the result of all so far."""
        return self._pool.apply_async(_advance, (first, count))


@contextmanager
def reference(strategies: Path, recording: Path, lines: int) -> Iterator[Reference]:
    """Start the process; end it behind the block."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(1, _begin, (strategies, recording, lines)) as pool:
        yield Reference(pool)


_running: list[tuple[Backtest, Rounds]] = []


def _begin(strategies: Path, recording: Path, lines: int) -> None:
    # Ctrl-C is for who started us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _running.append((Backtest(configuration.read(strategies)), Rounds.read(recording, lines)))


def _advance(first: int, count: int) -> Expected:
    test, rounds = _running[0]
    test.work(rounds.lines(first, count))
    result = test.result(0)
    applied = test.ledger.counts.of("applied")
    return Expected(result.frames, applied, sum(result.signals.values()), result.digest, result.positions_digest)
