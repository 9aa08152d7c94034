"""Which fields of two signals differ."""

import msgspec

from tasks.engine import MemoryLedger
from tasks.protocol.digest import canonical
from tasks.why.comparison import Difference, differences, find, unpack_held
from tests.support.strategies import Chatty, bound, trades

OLD = {"id": "x", "price": 1.0, "indicators": {"ratio": 3.0, "mean": 1.0}, "stop_loss": 5.0}


def test_equal_bytes_differ_in_nothing():
    assert differences(canonical(OLD), canonical(OLD)) == []


def test_fields_that_differ_are_named_within_tables_too():
    new = {"id": "x", "price": 1.0, "indicators": {"ratio": 3.5, "mean": 1.0}, "take_profit": 9.0}
    assert differences(canonical(OLD), canonical(new)) == [
        Difference("indicators.ratio", 3.0, 3.5),
        Difference("stop_loss", 5.0, None),
        Difference("take_profit", None, 9.0),
    ]


def test_equal_values_in_other_bytes_are_no_equal_signals():
    [only] = differences(canonical(OLD), canonical(OLD).replace(b":", b": "))
    assert only.field == "bytes"


def test_a_signal_is_found_by_its_id_also_where_the_gate_held_it_back():
    outcome = MemoryLedger("s").run("p", trades(1, 1), bound(Chatty.create({"min_signal_interval_s": 60})), "c1")
    sent, held = outcome.signals[0], unpack_held(outcome.held[0])
    ids = [msgspec.json.decode(packed)["id"] for packed in (sent, held.packed)]
    found = [find(outcome, identity) for identity in (*ids, "another")]
    assert found[0] is not None
    assert (found[0].packed, found[0].held) == (sent, "")
    assert found[1] == held
    assert held.held == "cool_down"
    assert found[2] is None
