"""A backtest of one strategy over one symbol's trades, and the same strategy on backtrader: same file, in turn.

Each runs in a process of its own. Ours also chains a hash of all events, and keeps what a restart would need.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tasks import configuration
from tasks.backtest import Backtest
from tasks.configuration import registry
from tasks.errors import RealtimeStrategiesError
from tasks.history import recordings
from tests.bench.mix import Mix, load
from tests.bench.noise import NoiseMeter, Say, undisturbed
from tests.bench.results import BacktestRun

EVENTS = 100_000
OURS, THEIRS = "backtest", "backtrader"
_STRATEGY = "price_velocity"
_PARAMS = {"min_signal_interval_s": 0.0, "window_s": 10, "threshold": 0.05, "min_change": 0.01}
_FILE = f"""
[pools.trade]
kinds = ["trade"]

[pools.trade.strategies.{_STRATEGY}]
{chr(10).join(f"{name} = {value}" for name, value in _PARAMS.items())}
"""


def compare(folder: Path, rounds: int, say: Say, events: int = EVENTS) -> Iterator[BacktestRun]:
    """Yield the runs of all rounds, who comes first in one is the second in the next.

    Raises RealtimeStrategiesError: they don't do the same.
    """
    trades = [each for each in load() if each.stream.endswith("@trade")]
    alone = [each for each in trades if (each.venue, each.stream) == (trades[0].venue, trades[0].stream)]
    file, strategies = Mix(1, alone).write(folder / "trades.jsonl", events), folder / "strategies.toml"
    strategies.write_text(_FILE, encoding="utf-8")
    both = {OURS: _ours, THEIRS: _theirs}

    def once(name: str, number: int) -> BacktestRun:
        meter = NoiseMeter()
        signals, cpu_s = _apart(both[name], file)
        return BacktestRun(name, number, cpu_s / events * 1e6, signals, meter.noise(0.0))

    for number in range(1, rounds + 1):
        runs = [
            undisturbed(partial(once, name, number), lambda each: each.noise, say)
            for name in (both if number % 2 else reversed(both))
        ]
        refuse_others(runs)
        yield from runs


def refuse_others(runs: Sequence[BacktestRun]) -> None:
    """Raise RealtimeStrategiesError where one gives other signals."""
    one, other = sorted(runs, key=lambda each: -each.signals)
    if one.signals != other.signals:
        raise RealtimeStrategiesError(f"{one.contender} gives {one.signals} signals, {other.contender} {other.signals}")


def _apart(run: Callable[[Path], tuple[int, float]], file: Path) -> tuple[int, float]:
    """Run it in a new process; return the number of signals, and the CPU seconds from the first frame to the last."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, (file,))


def _ours(file: Path) -> tuple[int, float]:
    backtest = Backtest(configuration.read(file.with_name("strategies.toml")))
    began_s = time.process_time()
    result = backtest.run(recordings.read(file))
    return sum(result.signals.values()), time.process_time() - began_s


def _theirs(file: Path) -> tuple[int, float]:
    # Installed with the contenders, and here alone.
    from tests.bench.contenders import backtrader_loop  # noqa: PLC0415

    strategy = registry.create(_STRATEGY, _PARAMS)
    began_s = time.process_time()
    return backtrader_loop.signals(file, strategy), time.process_time() - began_s
