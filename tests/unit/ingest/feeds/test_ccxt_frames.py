"""What ccxt gives of trades and books becomes frames: each trade once, ids and times as the exchange has them."""

from typing import Any

import msgspec
import pytest

from ingest.feeds.ccxt_bridge import frames
from ingest.feeds.ccxt_bridge.frames import BookFrames, TradeFrames, venue_of
from tasks.events import AnyEvent, Depth, Event, Trade
from tasks.frames import parse
from tasks.frames.model import MAX_ID, FrameMetadata

AT_MS = 1_764_000_000_000
NOW_NS = (AT_MS + 40) * 10**6


def trade(id_: str | None = "7", ms: int | None = 0, **other: Any) -> dict[str, Any]:
    said = {
        "id": id_,
        "timestamp": None if ms is None else AT_MS + ms,
        "price": 61800.3,
        "amount": 0.006,
        "side": "buy",
    }
    return said | other


def book(nonce: int | None = 7, ms: int | None = 0, **other: Any) -> dict[str, Any]:
    sides = {"bids": [[3.0, 1.0], [2.0, 1.5, 9], [1.0, 1.0]], "asks": [[4.0, 0.5], [5.0, 1.0]]}
    return sides | {"nonce": nonce, "timestamp": None if ms is None else AT_MS + ms} | other


def events(raws: list[bytes]) -> list[AnyEvent]:
    read = [parse(raw, FrameMetadata("market.kraken.x", 1, NOW_NS)) for raw in raws]
    assert all(isinstance(each, Event) for each in read), read
    return read  # type: ignore[return-value]  # as it was just asserted


def made(trades: TradeFrames, *given: dict[str, Any]) -> list[AnyEvent]:
    return events(trades.frames(given, NOW_NS))


def shown(books: BookFrames, *given: dict[str, Any]) -> list[AnyEvent]:
    return events([raw for each in given if (raw := books.frame(each, NOW_NS))])


@pytest.fixture
def trades() -> TradeFrames:
    return TradeFrames("kraken", "BTC/USD")


@pytest.fixture
def books() -> BookFrames:
    return BookFrames("kraken", "BTC/USD", 2)


def test_a_trade_has_the_exchanges_id_and_time_and_the_takers_side(trades):
    [raw] = trades.frames([trade(side="sell")], NOW_NS)
    assert msgspec.json.decode(raw)["received_at"] == NOW_NS
    assert events([raw]) == [Trade("kraken", "BTC/USD", 7, AT_MS, 1, NOW_NS, 61800.3, 0.006, buyer_is_maker=True)]


@pytest.mark.parametrize("id_", [None, "", "2-ae", "1.5", "-7", "²", str(2**63)])
def test_an_id_that_is_no_number_is_left_out(trades, id_):
    [event] = made(trades, trade(id_))
    assert (event.exchange_id, event.time_ms) == (None, AT_MS)


def test_trades_that_come_again_after_a_new_connection_are_left_out(trades):
    assert [event.id for event in made(trades, trade("1"), trade("2", 1))] == [1, 2]
    assert [event.id for event in made(trades, trade("2", 1), trade("1"), trade("2", 1), trade("3", 2))] == [3]


def test_equal_trades_without_ids_are_several_only_if_they_come_together(trades):
    assert len(made(trades, trade(None), trade(None))) == 2
    assert made(trades, trade(None), trade(None)) == []
    assert len(made(trades, trade(None), trade(None), trade(None), trade(None, price=1))) == 2


def test_ids_that_are_no_numbers_tell_repeats_too(trades):
    assert len(made(trades, trade("a-1"), trade("a-2"))) == 2
    assert made(trades, trade("a-2"), trade("a-1")) == []


def test_trades_go_out_by_time_and_then_by_number(trades):
    given = trade("10", 5), trade("9", 5), trade("8", 1)
    assert [event.id for event in made(trades, *given)] == [8, 9, 10]


def test_a_trade_that_can_not_be_used_is_counted(trades):
    unusable = trade("1", side=None), trade("2", price=None), trade("3", amount=0)
    assert [event.id for event in made(trades, *unusable, trade("4"), trade("x", 1))] == [4]
    assert trades.unusable == 4


def test_a_trade_without_a_time_has_that_of_its_receipt(trades):
    assert made(trades, trade(None, None))[0].time_ms == NOW_NS // 10**6


def test_the_memory_of_trades_is_bounded(trades):
    made(trades, *(trade(str(number), number) for number in range(frames.REMEMBERED + 50)))
    assert len(trades._seen) == frames.REMEMBERED
    assert made(trades, *(trade(str(number), number) for number in range(100, frames.REMEMBERED))) == []


def test_a_book_has_the_best_levels_the_nonce_and_the_time(books):
    [event] = shown(books, book())
    assert event == Depth("kraken", "BTC/USD", 7, AT_MS, 1, NOW_NS, ((3.0, 1.0), (2.0, 1.5)), ((4.0, 0.5), (5.0, 1.0)))


def test_an_unchanged_book_and_one_without_a_side_do_not_go_out(books):
    assert [event.id for event in shown(books, book(), book(), book(8, bids=[]), book(9, asks=[]), book(10))] == [7, 10]


@pytest.mark.parametrize(
    ("nonces", "ids"),
    [
        ((None, None, None), [None, None, None]),
        ((None, 5, 6), [None, None, None]),
        ((7, None, 8, 9), [7, 8, 9, 10]),
        ((7, 3, 4, 3), [7, 8, 9, 10]),
        ((7, 3, 20), [7, 8, 25]),
        ((MAX_ID, 1), [MAX_ID, None]),
    ],
)
def test_ids_of_books_go_on_rising_where_nonces_fall_or_are_missing(books, nonces, ids):
    found = shown(books, *(book(each, at) for at, each in enumerate(nonces)))
    assert [event.exchange_id for event in found] == ids


def test_a_book_with_the_nonce_of_the_last_one_does_not_go_out_again(books):
    assert len(shown(books, book(7, 0), book(3, 1), book(3, 2))) == 2


def test_a_first_book_without_a_time_waits_for_one_that_has_it(books):
    found = shown(books, book(None, None), book(None, 5), book(None, None), book(None, 9))
    assert [event.time_ms - AT_MS for event in found] == [5, 9]


def test_books_of_an_exchange_that_tells_no_times_have_those_of_receipt(books):
    found = shown(books, book(None, None), book(None, None), book(None, None))
    assert [event.time_ms for event in found] == [NOW_NS // 10**6] * 2


@pytest.mark.parametrize(
    ("exchange", "venue"), [("kraken", "kraken"), ("Some Exchange_1", "some-exchange_1"), ("x" * 40, "x" * 32)]
)
def test_an_exchanges_name_makes_a_venue(exchange, venue):
    assert venue_of(exchange) == venue
