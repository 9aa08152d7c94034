"""Binance's frames of kinds that are read where a pool takes them; the payloads are the exchange's examples."""

import json
from typing import Any

import msgspec
import pytest

from tasks.events import KINDS, NO_ID, AggTrade, AnyEvent, BookTicker, Kline, Liquidation, MarkPrice
from tasks.frames import parse
from tasks.frames.model import RefusedFrame, SkippedFrame
from tests.support.frames.optional_kinds import AGG_TRADE, FRAMES, KLINE, LIQUIDATION, MARK_PRICE, SPOT_TICKER
from tests.support.frames.wire import METADATA, enveloped

ALL = msgspec.structs.replace(METADATA, kinds=frozenset(KINDS))
SEQ, INGESTED_NS = METADATA.seq, METADATA.ingested_at_ns


def test_an_aggregate_trade_of_usdm_futures_is_read():
    assert parse(FRAMES["agg_trade"], ALL) == AggTrade(
        "usdm",
        "BTCUSDT",
        12345,
        1672515782136,
        SEQ,
        INGESTED_NS,
        0.001,
        100.0,
        buyer_is_maker=True,
        first_id=100,
        last_id=105,
    )


def test_the_venue_of_an_aggregate_trade_shows_in_its_fields_and_symbol():
    def venue(**more: Any) -> str:
        return parse(enveloped("", AGG_TRADE | more), ALL).venue  # type: ignore[union-attr]  # it is an event

    assert (venue(M=True), venue(), venue(s="BTCUSD_PERP")) == ("spot", "usdm", "coinm")


def test_a_spot_book_ticker_has_the_time_of_receipt():
    assert parse(FRAMES["book_ticker"], ALL) == BookTicker(
        "spot", "BNBUSDT", 400900217, 1672515782136, SEQ, INGESTED_NS, 25.35, 31.21, 25.37, 40.66
    )


def test_a_futures_book_ticker_has_the_exchanges_time():
    quote = parse(enveloped("", SPOT_TICKER | {"e": "bookTicker", "T": 1, "E": 1672515782136}), ALL)
    assert isinstance(quote, BookTicker)
    assert (quote.venue, quote.time_ms) == ("usdm", 1672515782136)


def test_a_closed_candle_is_read_and_ordered_by_its_close():
    assert parse(FRAMES["kline"], ALL) == Kline(
        "spot", "BTCUSDT", NO_ID + 1672515779999 * 10**6, 1672515782136, SEQ, INGESTED_NS, "1m", 1672515720000,
        1672515779999, 0.001, 0.0025, 0.0009, 0.002, 1000.0, 1.0, 100, 500.0,
    )  # fmt: skip


def test_a_candle_that_is_still_open_is_skipped():
    raw = enveloped("btcusdt@kline_1m", KLINE | {"k": KLINE["k"] | {"x": False}}, venue="spot")
    assert parse(raw, ALL) == SkippedFrame("open_kline")


def test_a_candle_of_coinm_futures_needs_no_venue():
    found = parse(enveloped("btcusd_perp@kline_1m", KLINE | {"s": "BTCUSD_PERP"}), ALL)
    assert isinstance(found, Kline)
    assert found.venue == "coinm"


def test_a_mark_price_has_its_funding():
    assert parse(FRAMES["mark_price"], ALL) == MarkPrice(
        "usdm", "BTCUSDT", NO_ID + 1562305380000 * 10**6, 1562305380000, SEQ, INGESTED_NS, 11794.15, 11784.62,
        0.00038167, 1562306400000,
    )  # fmt: skip


def test_a_contract_that_is_delivered_has_no_funding():
    found = parse(enveloped("", MARK_PRICE | {"r": "", "T": 0, "i": "0.0"}), ALL)
    assert isinstance(found, MarkPrice)
    assert (found.index_price, found.funding_rate, found.next_funding_ms) == (None, None, None)


def test_a_liquidation_is_read():
    assert parse(FRAMES["liquidation"], ALL) == Liquidation(
        "usdm", "BTCUSDT", NO_ID + 1568014460893 * 10**6, 1568014460893, SEQ, INGESTED_NS, "sell", 9910.0, 9911.0,
        0.014, 0.012,
    )  # fmt: skip


@pytest.mark.parametrize("kind", FRAMES)
def test_a_kind_that_no_pool_takes_is_skipped_under_the_exchanges_name(kind):
    named = {"agg_trade": "aggTrade", "book_ticker": "bookTicker", "kline": "kline", "mark_price": "markPriceUpdate"}
    assert parse(FRAMES[kind], METADATA) == SkippedFrame(named.get(kind, "forceOrder"))


@pytest.mark.parametrize("kind", FRAMES)
def test_an_event_of_each_kind_survives_its_codec(kind):
    event = parse(FRAMES[kind], ALL)
    assert type(event).__name__ != "RefusedFrame", event
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=AnyEvent) == event


def _with_huge_numbers() -> list[bytes]:
    """Return frames of all kinds, in each another whole number that no record can hold."""
    found = []
    for raw in FRAMES.values():
        envelope = json.loads(raw)
        for part in (envelope["data"], *(envelope["data"][name] for name in "ko" if name in envelope["data"])):
            for name, said in part.items():
                if type(said) is int:
                    part[name] = 2**64
                    found.append(json.dumps(envelope).encode())
                    part[name] = said
    return found


@pytest.mark.parametrize("raw", _with_huge_numbers(), ids=lambda raw: raw.decode()[:30])
def test_whatever_its_numbers_an_event_can_be_sent_to_workers(raw):
    outcome = parse(raw, ALL)
    assert isinstance(outcome, RefusedFrame) or msgspec.msgpack.decode(msgspec.msgpack.encode(outcome), type=AnyEvent)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (enveloped("btcusdt@kline_1m", KLINE), "no_venue"),
        (enveloped("btcusdt@kline_1m", KLINE, venue="kraken"), "no_venue"),
        (enveloped("btcusdt@kline_1m", KLINE, venue=["spot"]), "no_venue"),
        (enveloped("btcusdt@kline_1m", KLINE | {"k": KLINE["k"] | {"l": "0.0015"}}, venue="spot"), "out_of_range"),
        (enveloped("btcusdt@kline_1m", KLINE | {"k": {}}, venue="spot"), "missing_field"),
        (enveloped("ethusdt@aggTrade", AGG_TRADE), "symbol_mismatch"),
        (enveloped("btcusdt@trade", AGG_TRADE), "kind_mismatch"),
        (enveloped("btcusdt@aggTrade", AGG_TRADE | {"p": "0"}), "not_positive"),
        (enveloped("btcusdt@aggTrade", AGG_TRADE | {"q": "1_0"}), "not_a_number"),
        (enveloped("bnbusdt@bookTicker", SPOT_TICKER | {"b": "26"}), "crossed"),
        (enveloped("btcusdt@markPrice", MARK_PRICE | {"r": "2"}), "out_of_range"),
        (enveloped("btcusdt@markPrice", MARK_PRICE | {"E": 5}), "bad_time"),
        (enveloped("btcusdt@forceOrder", LIQUIDATION | {"o": {}}), "missing_field"),
    ],
)
def test_a_malformed_frame_of_an_asked_kind_is_refused(raw, reason):
    outcome = parse(raw, ALL)
    assert isinstance(outcome, RefusedFrame)
    assert outcome.reason == reason


def test_a_book_ticker_without_a_side_is_skipped():
    raw = enveloped("bnbusdt@bookTicker", SPOT_TICKER | {"b": "0.00", "B": "0.00"})
    assert parse(raw, ALL) == SkippedFrame("one_sided_quote")
