"""What the registry says of strategies of bars that can't run as they are configured: one line each."""

from collections.abc import Iterable
from typing import Any

import pytest

from tasks.configuration import Configuration, registry
from tasks.errors import SettingsError
from tasks.strategy import Params, Signal, State, Strategy
from tests.support.strategies.bars import BarEcho

HERE, SUPPORT = __name__, "tests.support.strategies.bars"
ECHO = f"{SUPPORT}:BarEcho"


class NoBars(BarEcho):
    bars = ()


class Unheard(Strategy[Params, State]):
    """Asks for bars and has no method for them."""

    name = "unheard"
    bars = ("1m",)

    def on_trade(self, *_: object) -> Iterable[Signal]:
        return ()


class Broken(BarEcho):
    @property
    def bars(self) -> tuple[str, ...]:
        raise KeyError("interval")


def build(name: str, kinds: tuple[str, ...] = ("trade",), **table: Any) -> None:
    pool = {"kinds": kinds, "strategies": {name: table}}
    registry.build(Configuration.model_validate({"pools": {"p": pool}}))


@pytest.mark.parametrize("kinds", [("trade",), ("agg_trade",), ("depth", "trade")])
def test_a_strategy_of_bars_runs_in_a_pool_of_trades(kinds: tuple[str, ...]):
    build(ECHO, kinds, bars=["1m", "1000tick"])


@pytest.mark.parametrize(
    ("name", "kinds", "table", "said"),
    [
        (
            ECHO,
            ("depth", "kline"),
            {},
            "asks for bars, which are built from trades: the pool's kinds (depth, kline) lack trade or agg_trade",
        ),
        (
            ECHO,
            ("trade", "agg_trade"),
            {},
            "asks for bars, and the pool takes both trade and agg_trade: each trade would count twice",
        ),
        (ECHO, ("trade",), {"bars": ["7s"]}, "'7s' is no bar: 7s does not divide a day"),
        (ECHO, ("trade",), {"symbols": {"A": {"bars": ["7s"]}}}, "'7s' is no bar: 7s does not divide a day"),
        (f"{HERE}:NoBars", ("trade",), {}, "has an on_bar, but asks for no bars: set `bars`"),
        (f"{HERE}:Unheard", ("trade",), {}, "asks for bars, but has no on_bar"),
        (f"{HERE}:Broken", ("trade",), {}, "its bars can't be read: KeyError: 'interval'"),
    ],
)
def test_a_strategy_of_bars_that_can_not_run_is_told_in_one_line(name, kinds, table, said):
    with pytest.raises(SettingsError) as refusal:
        build(name, kinds, **table)
    assert str(refusal.value) == f"the strategies can't be used: pool p: {name}: {said}"
