"""The event of a signal of which only the id is known."""

import msgspec
import pytest

from tasks.engine import MemoryLedger
from tasks.protocol.routing import Pool
from tasks.why.id_search import IdSearch
from tests.support.events import trade
from tests.support.strategies import Chatty, Echo, bound, trades

TRADE, BASKET = Pool("trade", ("trade",)), Pool("basket", ("trade",), "all")
STRATEGIES = [(TRADE, "chatty"), (TRADE, "echo")]


def ids(ledger: MemoryLedger) -> list[str]:
    return [msgspec.json.decode(packed)["id"] for packed in ledger.signals]


def test_the_event_and_the_strategy_of_an_id_are_found():
    ledger, events = MemoryLedger("s"), trades(1, 1, 1)
    ledger.run("trade", events, bound(Chatty.create({}), Echo.create({})), "c1")
    signals = [msgspec.json.decode(packed) for packed in ledger.signals if b"OTHER" not in packed]
    assert {signal["action"] for signal in signals} == {"buy", "sell"}
    for signal in signals:
        search = IdSearch(signal["id"], STRATEGIES)
        [found] = [found for event in events if (found := search.match(event))]
        assert (found.strategy, found.event.id) == (signal["strategy"], signal["trigger"]["id"])


def test_a_signal_for_another_symbol_is_found_in_a_pool_keyed_by_all():
    events = [trade(symbol="OTHER"), trade(symbol="BTCUSDT")]
    ledger = MemoryLedger("s")
    ledger.run("basket", events[1:], bound(Chatty.create({})), "c1")
    [of_other] = [each["id"] for each in map(msgspec.json.decode, ledger.signals) if each["symbol"] == "OTHER"]
    search = IdSearch(of_other, [(BASKET, "chatty")])
    found = [search.match(event) for event in events]
    assert found[0] is None
    assert found[1] is not None


def test_an_id_of_nothing_is_not_found():
    search = IdSearch("5f0c7a0e-3c0b-5b7e-9a55-2f6f3f3f7c11", STRATEGIES)
    assert [search.match(event) for event in trades(1, 1)] == [None, None]


def test_what_is_no_uuid_is_refused():
    with pytest.raises(ValueError, match="hexadecimal"):
        IdSearch("latest", STRATEGIES)
