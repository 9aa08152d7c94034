"""Which signals a delivery takes, and how fast."""

import pytest

from tasks.deliver.selection import Selection
from tasks.deliver.send_rate import SendRate
from tasks.deliver.signal_fields import decode
from tasks.ops.entry_filters import SignalFilter
from tests.support.servers.receiver import identified


def names(**only: str) -> SignalFilter:
    return SignalFilter(**{what: frozenset({name}) for what, name in only.items()})


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), True),
        (Selection(names(strategies="orderbook_skew", symbols="BTCUSDT", actions="buy")), True),
        (Selection(names(strategies="iceberg")), False),
        (Selection(names(symbols="ETHUSDT")), False),
        (Selection(names(actions="sell")), False),
        (Selection(min_confidence=0.951), True),
        (Selection(min_confidence=0.952), False),
    ],
)
def test_a_delivery_takes_what_its_filters_name(selection, expected):
    assert selection.takes(decode(identified(1))) == expected


def test_messages_are_spread_evenly_and_a_pause_saves_none_up():
    rate = SendRate(2)
    assert [rate.wait_s(now_s) for now_s in (10.0, 10.0, 10.25, 20.0, 20.0)] == [0.0, 0.5, 0.75, 0.0, 0.5]


def test_no_rate_is_no_limit():
    rate = SendRate(0)
    assert [rate.wait_s(1.0) for _ in range(3)] == [0.0, 0.0, 0.0]
