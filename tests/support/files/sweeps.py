"""Sweeps for tests: a short recording, its dataset, and blocks of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tasks.configuration import Configuration
from tasks.configuration.model import check
from tasks.events import AnyEvent, Trade
from tasks.sweep.block import Block
from tasks.sweep.datasets.dataset import Dataset
from tasks.sweep.datasets.writer import prepare
from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.walk_forward import Window
from tasks.sweep.work_plan import WorkPlan
from tests.support.events import TIME_MS, trade
from tests.support.files.datasets import recorded

MOODS = "tests.support.strategies.moods:Moods"


def prices(count: int = 100, *, every_ms: int = 1_000, symbol: str = "BTCUSDT") -> list[AnyEvent]:
    """Return trades whose price goes up and down."""
    return [
        trade(100.0 + number % 17, id=number, seq=number, time_ms=TIME_MS + number * every_ms, symbol=symbol)
        for number in range(1, count + 1)
    ]


def dataset(directory: Path, events: Sequence[AnyEvent], name: str = "trades.jsonl") -> Dataset:
    """Return the dataset of a recording of these events, below `directory`."""
    return prepare(recorded(directory / name, events), directory=directory)


def configuration(strategy: str = MOODS, **params: Any) -> Configuration:
    """Return a configuration of one strategy of trades, with a paper account that fills at once."""
    pool = {"kinds": ["trade"], "strategies": {strategy: {"min_signal_interval_s": 0.0, **params}}}
    return check({"paper": {"latency_ms": 0}, "pools": {"trade": pool}}, "the test")


def moods(*moods: str, **parameters: Any) -> list[ParameterSet]:
    """Return a set for each mood."""
    return [ParameterSet(MOODS, {"mood": mood, **parameters}) for mood in moods]


def blocks(datasets: Sequence[Dataset], sets: Sequence[ParameterSet], windows: Iterable[Window] = ()) -> list[Block]:
    """Return the blocks of a sweep."""
    return WorkPlan(configuration(), datasets, sets, list(windows)).blocks({}, 1)


def priced(event: AnyEvent, factor: float) -> AnyEvent:
    """Return a trade at another price."""
    assert isinstance(event, Trade)
    return msgspec.structs.replace(event, price=event.price * factor)
