"""orderbook_skew: quantity of the best 5 bids over that of the best 5 asks, for 2 s."""

from math import exp

import pytest

from tasks.events import Depth
from tasks.strategies.orderbook_skew import OrderbookSkew
from tests.support.events import TIME_MS, actions, book, play

#: Speaks at the first lopsided book.
AT_ONCE = {"hold_s": 0}


def lopsided(bids: float, asks: float, best_ask: float = 2001.0, at_s: float = 0.0) -> Depth:
    """A book of one level a side: quantities `bids` and `asks`; 1999/2001 is a spread of 2/2000 = 10 bps."""
    return book([(1999.0, bids)], [(best_ask, asks)], time_ms=TIME_MS + round(at_s * 1000))


BUY, SELL, EVEN, WIDE = lopsided(4, 1), lopsided(1, 4), lopsided(1, 1), lopsided(4, 1, best_ask=2001.5)


@pytest.mark.parametrize(
    ("bids", "asks", "action", "confidence"),
    [
        (3 * exp(0.5), 1, "buy", 0.70),  # 0.60 + ln(e^0.5)/5
        (3 * exp(1.5), 1, "buy", 0.90),  # 0.60 + 1.5/5
        (3 * exp(9), 1, "buy", 0.95),  # 0.60 + 9/5, at most 0.95
        (1, 3 * exp(0.5), "sell", 0.70),  # the mirror image
        (1, 3 * exp(9), "sell", 0.95),
    ],
)
def test_a_lopsided_book_signals_with_confidence_growing_by_the_logarithm(bids, asks, action, confidence):
    ((signal,),) = play(OrderbookSkew.create(AT_ONCE), [lopsided(bids, asks)])
    assert signal.action == action
    assert signal.confidence == pytest.approx(confidence)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(EVEN, id="ratio 1"),
        pytest.param(lopsided(3, 1), id="ratio 3 exactly"),
        pytest.param(lopsided(1, 3), id="ratio 1/3 exactly"),
        pytest.param(WIDE, id="spread 2.5/2000.25 = 12.5 bps"),
    ],
)
def test_an_even_or_a_wide_book_says_nothing(event):
    assert actions(OrderbookSkew.create(AT_ONCE), [event]) == [""]


def test_only_the_best_five_levels_count():
    # bids 5 * 1 = 5 over asks 5 * 4 = 20: ratio 0.25, whatever hangs on the sixth bid.
    bids = [(1999.0 - level, 1.0) for level in range(5)] + [(1990.0, 1000.0)]
    asks = [(2001.0 + level, 4.0) for level in range(5)]
    assert actions(OrderbookSkew.create(AT_ONCE), [book(bids, asks)]) == ["sell"]
    assert actions(OrderbookSkew.create(AT_ONCE | {"levels": 6}), [book(bids, asks)]) == ["buy"]


def test_it_buys_at_the_best_bid_and_sells_at_the_best_ask():
    (bought,), (sold,) = play(OrderbookSkew.create(AT_ONCE), [BUY, SELL])
    assert (bought.price, bought.current_price) == (1999.0, 2000.0)
    assert (sold.price, sold.current_price) == (2001.0, 2000.0)
    assert bought.indicators == {"ratio": 4.0, "spread_bps": 10.0}


def test_it_speaks_only_when_what_the_books_say_changes():
    books = [BUY, BUY, EVEN, BUY, SELL, SELL, WIDE, SELL]
    assert actions(OrderbookSkew.create(AT_ONCE), books) == ["buy", "", "", "buy", "sell", "", "", "sell"]


@pytest.mark.parametrize(
    ("books", "said"),
    [
        pytest.param([(4, 0), (4, 1), (4, 1.9), (4, 2), (4, 3)], ["", "", "", "buy", ""], id="2 s, and once"),
        pytest.param([(4, 0), (4, 1), (1, 1.5), (4, 2), (4, 3)], [""] * 5, id="a break restarts"),
        pytest.param([(4, 0), (4, 2.1), (4, 4), (4, 4.1)], ["", "", "", "buy"], id="a hole of 2.1 s restarts"),
        pytest.param([(4, 0), (4, 1), (4, 0.5), (4, 2)], ["", "", "", "buy"], id="a step back counts as none"),
        pytest.param([(4, 9), (4, 0), (4, 1), (4, 2)], ["", "", "", "buy"], id="a long step back restarts"),
    ],
)
def test_a_book_must_stay_lopsided_for_two_seconds(books, said):
    assert actions(OrderbookSkew.create({}), [lopsided(bids, 1, at_s=at_s) for bids, at_s in books]) == said
