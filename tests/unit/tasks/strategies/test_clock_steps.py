"""A clock that runs ahead for a while and is set right silences no strategy for longer than its own window."""

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.configuration import registry
from tasks.conformance import synthetic_market
from tasks.engine import MemoryLedger
from tasks.events import AnyEvent
from tasks.protocol import batches
from tasks.strategy import AnyStrategy, kinds_of
from tests.support.strategies import bound

#: A second holds ten events of each symbol.
STEP_MS = 100
#: For so long a strategy's statistics may differ because of what it was told.
WINDOW_MS = 60_000
#: Parameters under which a strategy often speaks within minutes of the contract suite's market.
LIVELY: dict[str, dict[str, Any]] = {
    "orderbook_skew": {"max_spread_bps": 1000, "buy_ratio": 1.5, "sell_ratio": 0.67, "hold_s": 0.5},
    "spread_liquidity": {},
    "iceberg": {"level_interval_s": 10, "steady_s": 20},
    "trade_momentum": {},
    "price_velocity": {},
    "market_dominance": {"window_s": 60, "min_signal_interval_s": 10},
    "depth_pressure": {},
}


class TimedSignal(NamedTuple):
    """One signal."""

    time_ms: int
    about: str


class Clock(NamedTuple):
    """By how much it is ahead, and for which events."""

    ahead_ms: int
    first: int
    last: int

    def shown(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        """Return the events as they are dated by it."""
        return [
            msgspec.structs.replace(event, time_ms=event.time_ms + self.ahead_ms)
            if self.first <= number < self.last
            else event
            for number, event in enumerate(events)
        ]


def lively(name: str) -> AnyStrategy:
    return registry.find(name).create(LIVELY[name])


@cache
def market(name: str, seed: int) -> list[AnyEvent]:
    """Return three minutes of events."""
    strategy = lively(name)
    symbols = synthetic_market.symbols(3 if strategy.key == "all" else 1)
    wanted = kinds_of(type(strategy))
    return list(islice(synthetic_market.market(symbols, wanted, STEP_MS, seed), 2_000 * len(symbols) * len(wanted)))


def said(strategy: AnyStrategy, events: Sequence[AnyEvent]) -> list[TimedSignal]:
    """Return what a strategy says, gate included."""
    ledger, strategies = MemoryLedger("source"), bound(strategy)
    for batch in batches.split(events):
        ledger.run("pool", batch, strategies, "v")
    read = map(json.loads, ledger.signals)
    return [TimedSignal(signal["event_time_ms"], f"{signal['symbol']} {signal['action']}") for signal in read]


def times(signals: Sequence[TimedSignal], since_ms: int) -> defaultdict[str, list[int]]:
    """Return when each was said from a time on, by what it was about."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for each in signals:
        if each.time_ms >= since_ms:
            found[each.about].append(each.time_ms)
    return found


@pytest.mark.parametrize("name", LIVELY)
@settings(max_examples=5)
@given(
    seed=st.integers(1, 3),
    ahead_s=st.sampled_from([3, 20, 70, 600, 3_600, 90_000]),
    lasts=st.integers(1, 60),
    first=st.integers(0, 600),
)
def test_signals_come_again_after_a_clock_step(name: str, seed: int, ahead_s: int, lasts: int, first: int):
    """When a fresh start and an undisturbed run have each spoken twice, an interval and a window on, it has spoken too."""
    strategy = lively(name)
    events = market(name, seed)
    clock = Clock(ahead_s * 1000, first, first + lasts)
    back_ms, interval_ms = events[clock.last].time_ms, strategy.params.min_signal_interval_s * 1000
    fresh = times(said(strategy, events[clock.last :]), back_ms)
    undisturbed = times(said(strategy, events), back_ms)
    after = times(said(strategy, clock.shown(events)), back_ms)
    # What the past makes unlikely, an undisturbed run does not say either.
    for about in fresh.keys() & undisturbed.keys():
        due = [each[about][1] for each in (fresh, undisturbed) if len(each[about]) > 1]
        assert len(due) < 2 or min(after[about]) <= max(due) + interval_ms + WINDOW_MS


@pytest.mark.parametrize("name", LIVELY)
def test_each_strategy_speaks_often_enough_for_that(name: str):
    strategy = lively(name)
    abouts = [about for _, about in said(strategy, market(name, 1))]
    assert any(abouts.count(about) > 1 for about in abouts)


def test_every_strategy_that_ships_is_tried():
    assert {strategy.name for strategy in map(registry.find, registry.builtin_names())} == LIVELY.keys()
