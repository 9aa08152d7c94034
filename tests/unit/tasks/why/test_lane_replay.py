"""One strategy over one lane: state, last changes and outcome of a decision are those of the engine."""

import pytest

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import MemoryLedger, RunOptions
from tasks.events import Trade
from tasks.protocol.strikes import ExcludedEvents
from tasks.strategy import Signal
from tasks.why.lane_replay import LOOKED_AT, RECENT, Decision, LaneReplay, fields
from tests.support.strategies import BAD, Echo, Grumpy, bound, trades


def replayed(strategy: BoundStrategy | None, events: list[Trade], *asked: int) -> list[Decision]:
    """Replay events; return the decisions on those of these numbers, from 0."""
    replay, decisions = LaneReplay("p", lambda _: strategy), []
    for number, event in enumerate(events):
        if number in asked:
            decisions.append(replay.decide(event, "c1"))
        else:
            replay.take(event, "c1")
    return decisions


def quantities(count: int) -> list[Trade]:
    return trades(*(float(number) for number in range(1, count + 1) if number != BAD))


@pytest.mark.parametrize("count", [1, 2, LOOKED_AT, LOOKED_AT + 1, LOOKED_AT + 1_300])
def test_the_signal_is_the_engines_wherever_it_stands(count):
    [strategy] = bound(Echo.create({}))
    events = quantities(count + 2)
    ledger = MemoryLedger("s")
    ledger.run("p", events, [strategy], "c1")
    [decision] = replayed(strategy, events, count)
    assert decision.outcome.signals == [ledger.signals[count]]
    assert decision.before is not None
    assert decision.before.seen == count


def test_one_replay_answers_for_several_events():
    [strategy] = bound(Echo.create({}))
    events = quantities(30)
    ledger = MemoryLedger("s")
    ledger.run("p", events, [strategy], "c1")
    decisions = replayed(strategy, events, 3, 4, 20)
    assert [each.outcome.signals for each in decisions] == [[ledger.signals[at]] for at in (3, 4, 20)]


def test_before_and_after_are_the_states_around_the_event():
    [strategy] = bound(Echo.create({}))
    [decision] = replayed(strategy, trades(1.0, 2.0, 4.0), 2)
    assert decision.before is not None
    assert decision.after is not None
    before, after = (fields(strategy, bytes(each.state)) for each in (decision.before, decision.after))
    assert (before, after) == ({"total": 3.0, "ids": [1, 2]}, {"total": 7.0, "ids": [1, 2, 3]})


def test_a_first_event_has_no_state_before_it():
    [strategy] = bound(Echo.create({}))
    [decision] = replayed(strategy, trades(1.0), 0)
    assert (decision.before, decision.recent) == (None, ())


def test_the_last_events_that_changed_the_state_are_told():
    [strategy] = bound(Echo.create({}))
    [decision] = replayed(strategy, quantities(30), 20)
    assert [step.event.id for step in decision.recent] == list(range(21 - RECENT, 21))
    assert decision.recent[0].changed["ids"] == (list(range(1, 21 - RECENT)), list(range(1, 22 - RECENT)))


class Barred(Echo):
    """Tells the volume of each bar of two trades, by the trade that closes it."""

    name = "barred"
    bars = ("2tick",)

    def on_trade(self, trade, state):
        state.ids.append(trade.id)
        return ()

    def on_bar(self, bar, state):
        state.total = bar.volume
        yield Signal(
            action="buy", confidence=0.5, price=bar.close, current_price=bar.close, indicators={"v": bar.volume}
        )


class Picky(Echo):
    """Changes its state on trades of one unit only."""

    name = "picky"

    def on_trade(self, trade, state):
        return super().on_trade(trade, state) if trade.quantity == 1.0 else ()


def test_events_that_changed_nothing_are_not_among_them():
    [strategy] = bound(Picky.create({}))
    [decision] = replayed(strategy, trades(1.0, 2.0, 1.0, 2.0, 2.0), 4)
    assert [step.event.id for step in decision.recent] == [1, 3]


def test_a_strategy_that_raises_leaves_its_dead_letter_and_no_signal():
    [strategy] = bound(Grumpy.create({}))
    [decision] = replayed(strategy, trades(1.0, BAD), 1)
    assert decision.outcome.signals == []
    assert len(decision.outcome.letters) == 1
    assert decision.before is not None
    assert decision.after is not None
    assert bytes(decision.before.state) == bytes(decision.after.state)


def test_events_under_a_configuration_without_the_strategy_do_not_reach_it():
    [strategy] = bound(Echo.create({}))
    replay = LaneReplay("p", lambda version: strategy if version == "on" else None)
    first, second, third = trades(1.0, 2.0, 4.0)
    replay.take(first, "on")
    replay.take(second, "off")
    decision = replay.decide(third, "on")
    assert decision.before is not None
    assert fields(strategy, bytes(decision.before.state)) == {"total": 1.0, "ids": [1]}


def test_an_event_that_was_not_given_to_the_strategy_is_not_in_its_state():
    [strategy] = bound(Echo.create({}))
    replay = LaneReplay("p", lambda _: strategy)
    first, second, third, last = trades(1.0, 2.0, 4.0, 8.0)
    replay.take(first, "c1")
    replay.exclude(second, "c1")
    replay.take(third, "c1")
    decision = replay.decide(last, "c1")
    assert decision.before is not None
    assert fields(strategy, bytes(decision.before.state)) == {"total": 5.0, "ids": [1, 3]}
    assert (decision.before.seen, replay.events, decision.outcome.letters) == (2, 4, [])


def test_a_trade_that_was_not_given_to_the_strategy_is_in_its_bars():
    """As live: bars are those of the market, whatever a strategy does."""
    [strategy] = bound(Barred.create({}))
    events = trades(1.0, 2.0, 4.0, 8.0)
    ledger = MemoryLedger("s", RunOptions(excluded=ExcludedEvents(events=frozenset({(strategy.name, events[1].seq)}))))
    ledger.run("p", events, [strategy], "c1")
    replay = LaneReplay("p", lambda _: strategy)
    replay.take(events[0], "c1")
    replay.exclude(events[1], "c1")
    replay.take(events[2], "c1")
    assert ledger.signals[-1:] == replay.decide(events[3], "c1").outcome.signals


def test_a_decision_of_a_strategy_that_is_off_has_neither_state_nor_signal():
    [decision] = replayed(None, trades(1.0), 0)
    assert (decision.bound, decision.before, decision.after, decision.outcome.signals) == (None, None, None, [])
