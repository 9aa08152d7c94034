"""The engine: what strategies that raise, and machines that fail, leave behind."""

import asyncio
import inspect

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tasks.engine import RunOptions
from tasks.engine.strategy_run import MAX_SIGNAL_BYTES, NewerStateError
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import MAX_KEPT_BYTES
from tests.support.events import trade
from tests.support.strategies import BAD, Echo, Grumpy, Hoarder, Moody, Raising, Version2, Worker, Wrong, bound, trades


def test_an_exception_drops_the_signals_of_that_event_and_strategy_only():
    worker = Worker(Grumpy.create({}), Echo.create({}))
    outcome = worker.run(trades(1, BAD, 1))
    spoken = [(signal["strategy"], signal["trigger"]["id"]) for signal in worker.spoken()]
    assert spoken == [("grumpy", 1), ("echo", 1), ("echo", 2), ("grumpy", 3), ("echo", 3)]
    assert outcome.counts.of("errors", "grumpy") == 1
    assert outcome.counts.of("applied") == 3


@given(st.lists(st.sampled_from([1.0, 2.5, BAD]), min_size=1, max_size=40))
def test_after_exceptions_a_state_is_what_it_would_be_without_those_events(quantities):
    grumpy, events = Grumpy.create({"min_signal_interval_s": 2}), trades(1.0, *quantities)
    with_bad, without = Worker(grumpy), Worker(grumpy)
    with_bad.run(events)
    without.run([event for event in events if event.quantity != BAD])
    assert with_bad.state(grumpy) == without.state(grumpy)
    assert with_bad.signals == without.signals
    assert len(with_bad.letters) == quantities.count(BAD)


def test_an_event_that_raised_counts_as_given_in_its_record():
    raised, fine = Worker(Grumpy.create({})), Worker(Grumpy.create({}))
    raised.run([trade(quantity=BAD)])
    fine.run([trade(quantity=1)])
    assert raised.held["record:spot:BTCUSDT:trade"] == fine.held["record:spot:BTCUSDT:trade"]


def test_the_dead_letter_names_pool_strategy_event_and_exception():
    worker = Worker(Grumpy.create({}))
    worker.run(trades(1, BAD))
    (letter,) = map(dead_letters.unpack, worker.letters)
    assert (letter.reason, letter.pool, letter.strategy) == ("strategy_error", "trade", "grumpy")
    assert letter.event == trades(1, BAD)[1]
    assert letter.detail.strip().endswith("ValueError: a bad trade")
    assert inspect.getfile(Grumpy) in letter.detail


@pytest.mark.parametrize("words", ["\ud800 no valid text", "much" * MAX_KEPT_BYTES], ids=["surrogate", "long"])
def test_no_words_of_an_exception_can_stop_the_lane(words):
    strategy = Raising.create({})
    strategy.error = ValueError(words)
    worker = Worker(strategy)
    worker.run(trades(BAD, 1))
    assert len(worker.signals) == 1
    assert len(dead_letters.unpack(worker.letters[0]).detail) <= MAX_KEPT_BYTES


@pytest.mark.parametrize(
    "said",
    [
        {"price": float("nan")},
        {"price": 0.0},
        {"price": -1.0},
        {"price": 1e-320},  # its quantity would be infinite
        {"current_price": float("inf")},
        {"confidence": 1.01},
        {"confidence": -0.01},
        {"confidence": float("nan")},
        {"stop_loss": 0.0},
        {"action": "panic"},
        {"indicators": {"x": float("inf")}},
        {"rationale": "\ud800"},
    ],
    ids=str,
)
def test_a_signal_that_breaks_the_contract_goes_to_the_dead_letters(said):
    wrong = Wrong.create({})
    wrong.said = said
    worker = Worker(wrong)
    worker.run(trades(1, BAD, 1))
    assert len(worker.letters) == 1
    assert [signal["trigger"]["id"] for signal in worker.spoken()] == [1, 3]
    assert worker.state(wrong)[3]["ids"] == [1, 3]


def test_a_strategy_that_returns_nothing_at_all_is_told_of():
    class Forgetful(Echo):
        def on_trade(self, *_):
            return None

    worker = Worker(Forgetful.create({}))
    worker.run(trades(1))
    assert "'NoneType' object is not iterable" in dead_letters.unpack(worker.letters[0]).detail


def test_a_state_that_cannot_be_saved_is_told_of_and_starts_from_empty():
    hoarder = Hoarder.create({})
    worker = Worker(hoarder)
    worker.run(trades(1, BAD))
    (letter,) = map(dead_letters.unpack, worker.letters)
    assert (letter.strategy, letter.event) == ("hoarder", None)
    assert worker.state(hoarder) == [1, 0, [{}, {}], {"total": 0.0, "ids": []}]
    worker.run(trades(1, start=3))
    assert worker.state(hoarder)[3]["ids"] == [3]


def test_a_state_that_cannot_be_saved_does_not_stop_a_rebuild():
    class HoarderAndGrump(Hoarder):
        def on_trade(self, trade, state):
            if trade.id == 2:
                raise ValueError
            yield from super().on_trade(trade, state)

    strategy = HoarderAndGrump.create({})
    worker = Worker(strategy)
    worker.run(trades(BAD, 1, 1))
    assert worker.state(strategy)[3]["ids"] == [3]


def test_a_strategy_without_rules_cannot_stop_the_lane():
    worker = Worker(Moody.create({}), Echo.create({}))
    outcome = worker.run(trades(1, BAD, 1, BAD, BAD, 1))
    assert outcome.counts.of("applied") == outcome.counts.of("signals", "echo") == 6
    assert outcome.counts.of("errors", "moody") == 3


ITS_OWN = [
    SystemExit(1),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    SoftTimeLimitExceeded(),
    MemoryError(),
    BaseException(),
]


@pytest.mark.parametrize("error", ITS_OWN, ids=lambda error: type(error).__name__)
def test_whatever_a_strategy_raises_is_its_own_error_on_the_event(error: BaseException):
    strategy = Raising.create({})
    strategy.error = error
    worker = Worker(strategy, Echo.create({}))
    outcome = worker.run(trades(1, BAD, 1))
    assert (
        dead_letters.unpack(worker.letters[0])
        .detail.splitlines()[-1]
        .rpartition(".")[2]
        .startswith(type(error).__name__)
    )
    assert (outcome.counts.of("applied"), outcome.counts.of("errors", "raising")) == (3, 1)
    assert (outcome.counts.of("signals", "raising"), outcome.counts.of("signals", "echo")) == (2, 3)


def test_an_exception_that_is_raised_again_and_again_does_not_grow():
    once = ValueError("made once, at import")

    class Frugal(Echo):
        name = "frugal"

        def on_trade(self, trade, state):  # noqa: ARG002 it raises whatever comes
            raise once

    worker = Worker(Frugal.create({}))
    worker.run(trades(1, 1, 1))
    assert once.__traceback__ is None
    first, *_, last = (dead_letters.unpack(letter).detail for letter in worker.letters)
    assert first == last


def test_a_generator_that_never_ends_is_its_strategys_error():
    class Endless(Echo):
        def on_trade(self, trade, state):
            while True:
                yield from super().on_trade(trade, state)

    worker = Worker(Endless.create({}))
    worker.run(trades(1, 1))
    assert "more than 10000 signals" in dead_letters.unpack(worker.letters[0]).detail


@pytest.mark.parametrize("field", ["indicators", "rationale"])
def test_a_signal_above_64_kib_is_its_strategys_error(field):
    class Verbose(Echo):
        name = "verbose"

        def on_trade(self, trade, state):
            for signal in super().on_trade(trade, state):
                most = MAX_SIGNAL_BYTES - 1_000 if trade.quantity != BAD else MAX_SIGNAL_BYTES
                much = {"indicators": {"x" * most: 1.0}, "rationale": "x" * most}[field]
                yield structs.replace(signal, **{field: much})

    worker = Worker(Verbose.create({}), Echo.create({}))
    outcome = worker.run(trades(1, BAD, 1))
    assert [signal["trigger"]["id"] for signal in worker.spoken()] == [1, 1, 2, 3, 3]
    assert (outcome.counts.of("errors", "verbose"), max(map(len, worker.signals)) <= MAX_SIGNAL_BYTES) == (1, True)
    [letter] = map(dead_letters.unpack, worker.letters)
    assert "more than 65536 are not taken" in letter.detail


def test_what_is_fatal_aborts_the_batch():
    strategy = Raising.create({})
    worker = Worker(strategy, options=RunOptions(is_fatal=lambda error: isinstance(error, ValueError)))
    with pytest.raises(ValueError, match=r"^$"):
        worker.run(trades(1, BAD))


def test_a_state_from_the_future_aborts_the_batch():
    worker = Worker(Version2.create({}))
    worker.run(trades(1))
    worker.strategies = bound(Echo.create({}))
    with pytest.raises(NewerStateError):
        worker.run(trades(1, start=2))
