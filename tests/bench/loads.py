"""Pieces of the mix, one after the other, and what they have to come to."""

from pathlib import Path

from tasks import configuration
from tasks.backtest import Backtest
from tasks.history import recordings
from tasks.settings import load
from tests.bench.application import ContenderTotals, verdict
from tests.bench.mix import NATURAL_RATE, Mix
from tests.bench.runs import Load

WARM_UP = 400


class Loads:
    """Writes the next piece of the mix each time, so that ids rise, and follows in a backtest."""

    def __init__(self, mix: Mix, folder: Path, strategies: Path | None = None) -> None:
        self._mix, self._folder = mix, folder
        self._backtest = Backtest(configuration.read(strategies or load().strategies_file))
        self._written = 0

    def next(self, events: int, rate: float | None = None) -> Load:
        """Return the next so many events, at `rate` a second or as fast as they are taken."""
        file = self._mix.write(self._folder / f"frames{self._written}.jsonl", events, self._written)
        self._written += events
        before = self._decided
        self._backtest.work(recordings.read(file))
        speed = "max" if rate is None else str(rate / NATURAL_RATE)
        return Load(file, events, self._decided - before, speed)

    @property
    def _decided(self) -> int:
        counts = self._backtest.ledger.counts
        return counts.of("applied") + counts.of("repeats")

    @property
    def expected(self) -> ContenderTotals:
        """What all of it must come to."""
        ledger = self._backtest.ledger
        return verdict(ledger.signals, ledger.records())
