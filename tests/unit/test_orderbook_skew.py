"""orderbook_skew: Σ qty of the best 5 bids over Σ qty of the best 5 asks."""

import pytest

from tasks.events import Depth
from tasks.strategies.orderbook_skew import OrderbookSkew
from tests.unit.examples import actions, book, play


def lopsided(bids: float, asks: float, best_ask: float = 2001.0) -> Depth:
    """A book of one level a side: quantities `bids` and `asks`; 1999/2001 is a spread of 2/2000 = 10 bps."""
    return book([(1999.0, bids)], [(best_ask, asks)])


BUY, SELL, EVEN, WIDE = lopsided(6, 4), lopsided(4, 8), lopsided(1, 1), lopsided(6, 4, best_ask=2001.5)


@pytest.mark.parametrize(
    ("bids", "asks", "action", "confidence"),
    [
        (6, 4, "buy", 0.75),  # 6/4 = 1.5; 0.60 + (1.5 - 1.2)/2 = 0.75
        (5, 4, "buy", 0.625),  # 1.25; 0.60 + 0.05/2
        (10, 4, "buy", 0.95),  # 2.5; 0.60 + 1.3/2 = 1.25, at most 0.95
        (4, 8, "sell", 0.75),  # 0.5; 0.60 + (0.8 - 0.5)/2
        (3, 4, "sell", 0.625),  # 0.75; 0.60 + 0.05/2
        (1, 1e9, "sell", 1.0),  # 1e-9; 0.60 + 0.8/2 = 1.0, at most 0.95
    ],
)
def test_a_lopsided_book_signals_with_a_confidence_that_grows_with_the_ratio(bids, asks, action, confidence):
    ((signal,),) = play(OrderbookSkew.create({}), [lopsided(bids, asks)])
    assert signal.action == action
    assert signal.confidence == pytest.approx(min(confidence, 0.95), abs=1e-8)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(EVEN, id="ratio 1"),
        pytest.param(lopsided(6, 5), id="ratio 6/5 = 1.2 exactly"),
        pytest.param(lopsided(8, 10), id="ratio 8/10 = 0.8 exactly"),
        pytest.param(WIDE, id="spread 2.5/2000.25 = 12.5 bps"),
    ],
)
def test_an_even_or_a_wide_book_says_nothing(event):
    assert actions(OrderbookSkew.create({}), [event]) == [""]


def test_only_the_best_five_levels_count():
    # bids 5 * 1 = 5 over asks 5 * 2 = 10: ratio 0.5, whatever hangs on the sixth bid.
    bids = [(1999.0 - level, 1.0) for level in range(5)] + [(1990.0, 1000.0)]
    asks = [(2001.0 + level, 2.0) for level in range(5)]
    assert actions(OrderbookSkew.create({}), [book(bids, asks)]) == ["sell"]
    assert actions(OrderbookSkew.create({"levels": 6}), [book(bids, asks)]) == ["buy"]


def test_it_buys_at_the_best_bid_and_sells_at_the_best_ask():
    (bought,), (sold,) = play(OrderbookSkew.create({}), [BUY, SELL])
    assert (bought.price, bought.current_price) == (1999.0, 2000.0)
    assert (sold.price, sold.current_price) == (2001.0, 2000.0)
    assert bought.indicators == {"ratio": 1.5, "spread_bps": 10.0}


def test_it_speaks_only_when_what_the_books_say_changes():
    books = [BUY, BUY, EVEN, BUY, SELL, SELL, WIDE, SELL]
    assert actions(OrderbookSkew.create({}), books) == ["buy", "", "", "buy", "sell", "", "", "sell"]
