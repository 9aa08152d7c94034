"""The paper account inside the engine: fed with every event, whatever the strategies make of it."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tasks.configuration.bound_strategy import BoundStrategy, PaperBinding
from tasks.engine import MemoryLedger, paper_run
from tasks.events import AnyEvent
from tasks.paper import PaperTerms, state
from tasks.paper.fills import price_kind
from tasks.protocol import dead_letters
from tests.support.events import trade
from tests.support.strategies import BAD, Echo, Grumpy, trades
from tests.support.workers.quiet_strategies import Candles

TERMS = PaperTerms(0.0, 0.0, None, {})


def bound(strategy: Any, terms: PaperTerms | None = TERMS, kinds: Any = ("trade",)) -> BoundStrategy:
    return BoundStrategy.of(strategy, paper=PaperBinding(price_kind(kinds), terms, {}))


def run(*strategies: BoundStrategy, events: Sequence[AnyEvent], held: dict[str, bytes] | None = None) -> MemoryLedger:
    ledger = MemoryLedger("test")
    ledger.fields["trade"].update(held or {})
    ledger.run("trade", events, strategies, "v1")
    return ledger


def accounts(ledger: MemoryLedger) -> dict[str, state.PaperState]:
    return {name: state.unpack(packed) for _, name, packed in ledger.accounts()}


def test_a_signal_becomes_a_position_at_the_next_event_of_its_symbol():
    echo = bound(Echo.create({"min_signal_interval_s": 0}))
    ledger = run(echo, events=trades(1, 1))
    [(name, stored)] = accounts(ledger).items()
    assert name == "paper:spot:BTCUSDT:echo"
    account = stored.symbols["BTCUSDT"]
    assert account.position is not None
    assert account.position.signal_id == msgspec.json.decode(ledger.signals[0])["id"]
    assert [each.signal_id for each in account.orders] == [msgspec.json.decode(ledger.signals[1])["id"]]


def test_an_event_on_which_a_strategy_raises_still_moves_its_account():
    def seen(quantity: float) -> int | None:
        grumpy = bound(Grumpy.create({"min_signal_interval_s": 0}))
        account = accounts(run(grumpy, events=trades(1, quantity)))["paper:spot:BTCUSDT:grumpy"].symbols["BTCUSDT"]
        return account.position.opened_ms if account.position else None

    assert seen(BAD) == seen(1) is not None


def test_without_signals_and_without_an_account_nothing_is_stored():
    quiet = bound(Echo.create({}))
    assert accounts(run(quiet, events=[])) == {}
    assert accounts(run(BoundStrategy.of(Echo.create({})), events=trades(1, 1))) == {}
    assert accounts(run(bound(Echo.create({}), None), events=trades(1, 1))) == {}


def test_an_account_of_another_version_starts_from_nothing_and_is_told():
    name, newer = "paper:spot:BTCUSDT:echo", msgspec.msgpack.encode([99, {}])
    ledger = run(bound(Echo.create({})), events=trades(1, 1), held={name: newer})
    [letter] = map(dead_letters.unpack, ledger.letters)
    assert (letter.strategy, "version 99" in letter.detail) == ("echo", True)
    assert accounts(ledger)[name].symbols["BTCUSDT"].position is not None
    assert len(ledger.signals) == 2


def test_an_unusable_account_is_told_once_also_if_nothing_is_said():
    name = "paper:spot:BTCUSDT:candles"
    ledger = run(bound(Candles.create({})), events=trades(1), held={name: b"garbage"})
    ledger.run("trade", trades(1, 1, start=2), [bound(Candles.create({}))], "v1")
    assert len(ledger.letters) == 1
    assert accounts(ledger) == {name: state.PaperState()}


@pytest.mark.parametrize(
    ("strategy", "event", "reason"),
    [
        (bound(Echo.create({}), kinds=("mark_price",)), trade(), "no_price"),
        (bound(Echo.create({})), trade(venue="coinm"), "inverse"),
    ],
)
def test_a_signal_without_a_usable_price_is_counted_and_goes_out(strategy, event, reason):
    ledger = run(strategy, events=[event])
    assert ledger.counts.by_label("unfilled") == {reason: 1}
    assert len(ledger.signals) == 1
    assert accounts(ledger) == {}


def test_the_name_of_an_account_is_that_of_its_state():
    assert paper_run.field("kraken", "BTC/USD", Echo.create({})) == "paper:kraken:BTC%2FUSD:echo"
