"""What the built-in strategies say of their decisions, whatever they have seen."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.configuration import registry
from tasks.events import AnyEvent, Depth
from tasks.strategy import AnyStrategy
from tasks.why.numbers import paired
from tests.support import events as drawn
from tests.support.events import TIME_MS, book, feed, kline, trade

BUILT_IN = registry.builtin_names()
QUICK = {"warmup_books": 0, "history": 2, "window": 2}


def made(name: str) -> AnyStrategy:
    known = registry.find(name).params_type.model_fields
    return registry.create(name, {key: value for key, value in QUICK.items() if key in known})


def after(strategy: AnyStrategy, events: Sequence[AnyEvent]) -> Any:
    """Return the state that events leave behind."""
    state = strategy.state_type()
    for event in events:
        feed(strategy, event, state)
    return state


@pytest.mark.parametrize("name", BUILT_IN)
@given(st.data())
def test_an_explanation_is_of_finite_numbers_whatever_was_seen(name, data):
    strategy = made(name)
    seen = data.draw(st.one_of(drawn.books(20), drawn.trades(20)).filter(bool))
    state = after(strategy, seen[:-1])
    explained = strategy.explain(seen[-1], state)
    assert all(isfinite(value) for value in explained.values())


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_event_of_a_kind_that_it_does_not_see_is_not_explained(name):
    strategy = made(name)
    other = kline()
    assert dict(strategy.explain(other, strategy.state_type())) == {}


@pytest.mark.parametrize("name", BUILT_IN)
@given(st.data())
def test_explaining_a_copy_leaves_the_decision_as_it_was(name, data):
    """The copy is made by the codec, as `why` makes it."""
    strategy = made(name)
    seen = data.draw(st.one_of(drawn.books(20), drawn.trades(20)).filter(bool))
    state = after(strategy, seen[:-1])
    packed = msgspec.msgpack.encode(state)
    strategy.explain(seen[-1], msgspec.msgpack.decode(packed, type=strategy.state_type))
    assert msgspec.msgpack.encode(state) == packed


def test_a_basket_explains_its_dominance_with_the_jump_that_signals():
    strategy = registry.create("market_dominance", {})
    first = [trade(100.0, symbol=symbol, id=1) for symbol in ("BTCUSDT", "ETHUSDT", "BNBUSDT")]
    rise = trade(120.0, symbol="BTCUSDT", id=2, time_ms=TIME_MS + 1000)
    state = after(strategy, first)
    numbers = paired(strategy.explain(rise, msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=type(state))))
    [signal] = feed(strategy, rise, state)
    compared = {each.name: (each.value, each.sign, each.threshold, each.met) for each in numbers}
    assert compared["change"] == (signal.indicators["change"], ">=", 5.0, True)
    assert compared["dominance"][0] == signal.indicators["dominance"]


def test_a_basket_in_which_a_symbol_has_not_traded_says_so():
    strategy = registry.create("market_dominance", {})
    [only] = paired(strategy.explain(trade(), strategy.state_type()))
    assert (only.name, only.value, only.threshold, only.met) == ("symbols_traded", 1, 3, False)


def test_a_book_without_a_signal_is_explained_too():
    strategy = registry.create("orderbook_skew", {})
    level = book(((1999.0, 1.0),), ((2001.0, 1.0),))
    assert isinstance(level, Depth)
    ratio, spread, held = paired(strategy.explain(level, strategy.state_type()))
    assert (ratio.value, ratio.sign, ratio.met) == (1.0, "<", False)
    assert (spread.name, held.name) == ("spread_bps", "held_s")
