"""The contract suite: the built-in strategies pass it, and who breaks a promise fails that check and no other."""

import itertools
import random
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from tasks.bars import Bar
from tasks.cli.strategies.commands import app
from tasks.configuration import registry
from tasks.conformance import source_lint, synthetic_market
from tasks.conformance.suite import SuiteSize, check
from tasks.events import AnyEvent, Depth, Trade
from tasks.strategy import Params, Signal, State, Strategy, kinds_of
from tests.support.strategies.bars import BarEcho

#: Enough for each built-in strategy to speak, and quick.
SMALL = SuiteSize(events=2_400, day_step_s=14_400)
TINY = SuiteSize(events=700, day_step_s=43_200)


class Memory(State):
    """What the strategies below remember."""

    count: int = 0
    kept: list[int] = msgspec.field(default_factory=list)


class Good(Strategy[Params, Memory]):
    """Speaks on every tenth trade of a symbol."""

    name = "good"
    warmup = 20

    def on_trade(self, trade: Trade, state: Memory) -> Iterable[Signal]:
        state.count += 1
        if state.count % 10 == 0:
            yield self.say(trade, state.count)

    def say(self, trade: Trade, number: float) -> Signal:
        return Signal(
            action="buy",
            confidence=0.5,
            price=trade.price,
            current_price=trade.price,
            indicators={"number": float(number)},
        )


class Lucky(Good):
    """Speaks of what it drew."""

    def on_trade(self, trade: Trade, state: Memory) -> Iterable[Signal]:
        state.count += 1
        yield self.say(trade, DRAW.random())


class Hoarder(Good):
    """Forgets nothing."""

    def on_trade(self, trade: Trade, state: Memory) -> Iterable[Signal]:
        state.kept += [trade.time_ms] * 4
        yield self.say(trade, len(state.kept))


class Selfish(Good):
    """Remembers on itself instead of in the state."""

    count = 0

    def on_trade(self, trade: Trade, state: Memory) -> Iterable[Signal]:
        self.count += 1
        state.count = 0
        yield self.say(trade, self.count)


class Lenient(Good):
    """Takes any parameter."""

    @classmethod
    def create(cls, params: dict[str, Any]) -> "Lenient":
        return cls(Params(**{name: value for name, value in params.items() if name in Params.model_fields}))


class Fragile(Good):
    """Raises now and then."""

    def on_trade(self, trade: Trade, state: Memory) -> Iterable[Signal]:
        state.count += 1
        if state.count == 30:
            raise ValueError("thirty is too much")
        return [self.say(trade, state.count)]


class Eternal(Good):
    """Never warm."""

    warmup = 10**6


class Undecided(Good):
    """A warm-up that is no number of events."""

    warmup = 2.5  # type: ignore[assignment]  # what is tested


class Stubborn(Good):
    """Takes no time that is not later than all before."""

    def on_trade(self, trade: Trade, state: Memory) -> Iterable[Signal]:
        if not state.kept or trade.time_ms > state.kept[0]:
            state.kept = [trade.time_ms]
            yield self.say(trade, 1)


class GoodOnBars(Good):
    """Speaks on every second bar, of which it is given several of each kind."""

    bars = ("1m", "1h", "50tick", "50volume", "1000000dollar")

    def on_bar(self, bar: Bar, state: Memory) -> Iterable[Signal]:
        state.kept = [*state.kept, bar.trades][-20:]
        if sum(state.kept) % 2:
            yield Signal(action="sell", confidence=0.5, price=bar.close, current_price=bar.vwap)


class BarsOfMany(GoodOnBars):
    """One state for all symbols; their open bars are not its own size."""

    key = "all"


class SelfishOnBars(GoodOnBars):
    """Remembers bars on itself."""

    bar_count = 0

    def on_bar(self, bar: Bar, state: Memory) -> Iterable[Signal]:
        self.bar_count += 1
        yield from super().on_bar(bar, state)
        state.count = self.bar_count


class WrongBars(GoodOnBars):
    """Asks for bars that there are not."""

    bars = ("7s",)  # type: ignore[assignment]  # of another length


class Deaf(Strategy[Params, Memory]):
    """Overrides nothing."""

    name = "deaf"


#: Drawn from at every event, by a strategy that may not.
DRAW = random.Random(1)

REPLAY, CUT, REPEATED = (
    "replay is deterministic",
    "a cut and a restored state change nothing",
    "a repeated event yields nothing",
)
LINT = "no clock, I/O, randomness or Celery (lint)"


@pytest.mark.parametrize("name", registry.builtin_names())
def test_a_built_in_strategy_passes_and_speaks(name):
    report = check(registry.find(name), SMALL)
    assert report.passed, report.failed
    spoken = next(finding.detail for finding in report.findings if finding.name == "no event makes it raise")
    # Guards the suite against being true of silence.
    assert ", 0 signals" not in spoken


@pytest.mark.parametrize(
    ("strategy_type", "failed"),
    [
        (Good, set()),
        (Lucky, {REPLAY, CUT, REPEATED}),  # each of them compares two runs
        (Hoarder, {"the state stays bounded"}),
        (Selfish, {CUT}),
        (Lenient, {"unknown parameters are refused"}),
        (Fragile, {"no event makes it raise"}),
        (Eternal, {"no signal in warm-up"}),
        (Undecided, {"no signal in warm-up"}),
        (Stubborn, {"recovers from a clock that was ahead"}),
        (Deaf, {"no event makes it raise"}),
        (GoodOnBars, set()),
        (BarsOfMany, set()),
        (SelfishOnBars, {CUT}),
    ],
)
def test_a_strategy_fails_exactly_the_checks_of_the_promise_it_breaks(strategy_type, failed):
    # This module draws random numbers, which the lint finds in each of them.
    assert set(check(strategy_type, TINY).failed) == failed | {LINT}


def test_each_kind_of_bar_is_tried_whatever_its_size():
    for bars in GoodOnBars.bars:
        report = check(type("One", (GoodOnBars,), {"bars": (bars,), "__module__": __name__}), TINY)
        spoken = next(finding.detail for finding in report.findings if finding.name == "no event makes it raise")
        assert re.fullmatch(r"700 events and [1-9]\d+ bars, [1-9]\d+ signals", spoken), (bars, spoken)


def test_bars_that_there_are_not_are_told():
    details = {finding.name: finding.detail for finding in check(WrongBars, TINY).findings}
    assert details["no event makes it raise"] == "ValueError: '7s' is no bar: 7s does not divide a day"


def test_what_is_wrong_is_said_in_one_line():
    details = {finding.name: finding.detail for finding in check(Fragile, TINY).findings}
    assert details["no event makes it raise"].endswith(" events raised, the first: ValueError: thirty is too much")


def test_the_source_of_this_module_is_found_to_draw_random_numbers():
    faults = source_lint.faults(Good)
    assert any(fault.endswith(": random") for fault in faults)
    assert any(fault.endswith(": .random") for fault in faults)
    assert LINT in check(Good, TINY).failed


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("import time", "line 1: time"),
        ("import os.path", "line 1: os.path"),
        ("from celery import Celery", "line 1: celery"),
        ("open('/tmp/x')", "line 1: open"),
        ("import datetime; datetime.datetime.now()", "line 1: .now"),
        ("from msgspec.structs import force_setattr as change", "line 1: force_setattr"),
        ("from tasks.events import Trade; change = Trade.price.__set__", "line 1: .__set__"),
        ("from math import log; log(2)", None),
        ("from tasks.events import Trade", None),
    ],
)
def test_the_source_scan_names_what_a_strategy_must_not_use(line, fault, tmp_path, monkeypatch):
    name = f"scanned_{abs(hash(line))}"
    body = f"{line}\nfrom tasks.strategy import *\nclass S(Strategy[Params, State]):\n    name = 's'\n"
    (tmp_path / f"{name}.py").write_text(body.replace("open(", "lambda: open("))
    monkeypatch.setenv("STRATEGIES_PATH", str(tmp_path))
    assert source_lint.faults(registry.find(f"{name}:S")) == ([fault] if fault else [])


def test_the_suites_market_is_the_same_each_time_and_differs_by_seed():
    def events(seed: int) -> list[AnyEvent]:
        return list(islice(synthetic_market.market(synthetic_market.symbols(2), ("depth", "trade"), 100, seed), 50))

    assert events(1) == events(1) != events(2)


def test_every_book_of_the_suite_is_sorted_and_not_crossed():
    for book in islice(synthetic_market.market(synthetic_market.BASKET, ("depth",), 100), 3000):
        assert isinstance(book, Depth)
        assert book.bids[0][0] < book.asks[0][0]
        assert all(a[0] > b[0] for a, b in itertools.pairwise(book.bids))
        assert all(a[0] < b[0] for a, b in itertools.pairwise(book.asks))
        assert min(quantity for _, quantity in (*book.bids, *book.asks)) > 0


def test_kinds_are_those_of_the_hooks_that_a_strategy_overrides():
    assert kinds_of(Good) == ("trade",)
    assert kinds_of(Deaf) == ()
    assert kinds_of(BarEcho) == ("trade",)


def test_the_command_prints_a_table_and_ends_with_1_when_a_check_fails(monkeypatch):
    monkeypatch.setattr("tasks.cli.strategies.commands.checking.check", lambda found: check(found, TINY))
    good = CliRunner().invoke(app, ["check", "iceberg"])
    bad = CliRunner().invoke(app, ["check", f"{__name__}:Selfish"])
    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "passed" in good.stdout
    assert "failed" not in good.stdout
    assert "failed" in bad.stdout


@pytest.mark.parametrize("name", registry.builtin_names())
def test_the_command_describes_a_strategy_with_every_parameter(name):
    shown = CliRunner().invoke(app, ["describe", name])
    assert shown.exit_code == 0
    assert all(parameter in shown.stdout for parameter in registry.find(name).params_type.model_fields)


def test_the_command_describes_the_bars_of_a_strategy():
    shown = CliRunner().invoke(app, ["describe", f"{__name__}:GoodOnBars"]).stdout
    assert "bars: 1m, 1h, 50tick, 50volume, 1000000dollar" in shown
    wrong = CliRunner().invoke(app, ["describe", f"{__name__}:WrongBars"])
    assert (wrong.exit_code, "bars: '7s' is no bar: 7s does not divide a day" in wrong.stdout) == (0, True)
    assert "bars:" not in CliRunner().invoke(app, ["describe", f"{__name__}:Good"]).stdout


def test_the_command_lists_every_built_in_strategy():
    shown = CliRunner().invoke(app, ["list"])
    assert all(name in shown.stdout for name in registry.builtin_names())
