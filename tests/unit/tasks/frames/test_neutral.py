"""Venue-neutral frames: what anybody may publish, and the way back."""

import json
from itertools import islice
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs here
import msgspec
import pytest

from tasks.conformance import synthetic_market
from tasks.events import KINDS, NO_ID, Depth, Trade
from tasks.frames import encoder, neutral, parse
from tasks.frames.model import RefusedFrame, SkippedFrame
from tests.support.frames.wire import METADATA

ALL = msgspec.structs.replace(METADATA, kinds=frozenset(KINDS))
AT_MS = 1723161256322
TRADE: dict[str, Any] = {
    "schema": "market/1", "venue": "kraken", "kind": "trade", "symbol": "BTC/USD", "id": 7, "time": AT_MS,
    "price": 61800.3, "quantity": 0.006, "side": "buy",
}  # fmt: skip
BOOK: dict[str, Any] = {
    "schema": "market/1", "venue": "kraken", "kind": "depth", "symbol": "BTC/USD", "id": 7, "time": AT_MS,
    "bids": [[61800, 1], [61799, 2]], "asks": [["61801", "0.5"]],
}  # fmt: skip


def read(document: dict[str, Any], **changed: Any) -> Any:
    fields = {name: value for name, value in (document | changed).items() if value is not ...}
    return parse(json.dumps(fields).encode(), ALL)


def test_a_trade_of_any_venue_keeps_its_symbols_spelling():
    head = "kraken", "BTC/USD", 7, AT_MS, METADATA.seq, METADATA.ingested_at_ns
    assert read(TRADE) == Trade(*head, 61800.3, 0.006, buyer_is_maker=False)
    assert read(TRADE, side="sell", symbol="btc-usd:x").symbol == "btc-usd:x"


def test_a_book_of_any_venue_is_read():
    head = "kraken", "BTC/USD", 7, AT_MS, METADATA.seq, METADATA.ingested_at_ns
    assert read(BOOK) == Depth(*head, ((61800.0, 1.0), (61799.0, 2.0)), ((61801.0, 0.5),))


def test_an_event_without_id_is_numbered_by_its_time():
    found = read(TRADE, id=..., time="2024-08-08T23:54:16.322123Z")
    assert (found.exchange_id, found.id) == (None, NO_ID + 1723161256322123000)


def test_an_event_without_time_has_that_of_its_receipt():
    assert read(TRADE, time=..., received_at=1723161256322000000).time_ms == AT_MS
    assert read(TRADE, time=...).time_ms == METADATA.ingested_at_ns // 10**6


def test_without_time_and_id_a_recorded_receipt_makes_the_same_event():
    bare = {name: value for name, value in TRADE.items() if name not in {"id", "time"}}
    live = msgspec.structs.replace(ALL, stored_at_ns=AT_MS * 10**6 + 123_456)
    recorded = json.dumps(bare | {"received_at": live.stored_at_ns}).encode()
    assert parse(recorded, ALL) == parse(json.dumps(bare).encode(), live)


def test_a_frame_in_an_envelope_has_the_envelopes_time_of_receipt():
    bare = {name: value for name, value in TRADE.items() if name != "time"}
    raw = json.dumps({"stream": "BTC%2FUSD", "data": bare, "received_at": AT_MS * 10**6}).encode()
    assert parse(raw, ALL).time_ms == AT_MS  # type: ignore[union-attr]  # it is an event


@pytest.mark.parametrize(
    "event",
    list(islice(synthetic_market.market(("BTC/USD",), KINDS, 100), 70)),
    ids=lambda event: f"{event.kind} {event.seq}",
)
def test_a_frame_made_of_an_event_reads_back_as_the_event(event):
    document = json.loads(neutral.encode(event))
    jsonschema.validate(document, neutral.schema())
    metadata = msgspec.structs.replace(ALL, seq=event.seq, ingested_at_ns=0)
    assert parse(neutral.encode(event), metadata) == event
    assert parse(encoder.frame(event), metadata) == event


HEAD = {name: TRADE[name] for name in ("schema", "venue", "symbol", "time")}
OTHERS: list[dict[str, Any]] = [
    HEAD | {"kind": "agg_trade", "price": 1, "quantity": 1, "side": "buy", "first_id": 1, "last_id": 2},
    HEAD | {"kind": "book_ticker", "bid": 1, "bid_quantity": 1, "ask": 2, "ask_quantity": 1},
    HEAD | {
        "kind": "kline", "interval": "1m", "open_ms": 1, "close_ms": 2, "open": 1, "high": 1, "low": 1, "close": 1,
        "volume": 1, "quote_volume": 1, "trades": 1, "taker_buy_volume": 1,
    },
    HEAD | {"kind": "mark_price", "price": 1, "index_price": 1, "funding_rate": 1, "next_funding_ms": 1},
    HEAD | {"kind": "liquidation", "side": "buy", "price": 1, "average_price": 1, "quantity": 1, "filled_quantity": 1},
]  # fmt: skip
NUMBERS = [(frame, name) for frame in (TRADE, *OTHERS) for name, said in frame.items() if isinstance(said, int | float)]


@pytest.mark.parametrize("odd", [True, "1_0", 2**64, -(2**64)], ids=str)
@pytest.mark.parametrize(("frame", "name"), NUMBERS, ids=lambda said: said if isinstance(said, str) else said["kind"])
def test_no_number_of_any_kind_may_be_a_flag_or_beyond_what_records_hold(frame, name, odd):
    assert not isinstance(read(frame), RefusedFrame | SkippedFrame)
    assert isinstance(read(frame, **{name: odd}), RefusedFrame)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"schema": "market/2"}, "unknown_schema"),
        ({"venue": "Kraken"}, "malformed"),
        ({"venue": "a.b"}, "malformed"),
        ({"symbol": "BTC USD"}, "malformed"),
        ({"symbol": ""}, "malformed"),
        ({"symbol": "x" * 65}, "malformed"),
        ({"kind": "candle"}, "malformed"),
        ({"kind": ...}, "malformed"),
        ({"ident": 7}, "malformed"),
        ({"id": -1}, "out_of_range"),
        ({"id": "7"}, "malformed"),
        ({"price": 0}, "not_positive"),
        ({"price": True}, "not_a_number"),
        ({"quantity": "1_0"}, "not_a_number"),
        ({"side": "bid"}, "malformed"),
        ({"time": 5}, "bad_time"),
        ({"time": "yesterday"}, "bad_time"),
        ({"time": ..., "received_at": "yesterday"}, "bad_time"),
    ],
    ids=str,
)
def test_a_malformed_frame_is_refused_with_its_reason(changed, reason):
    outcome = read(TRADE, **changed)
    assert isinstance(outcome, RefusedFrame)
    assert outcome.reason == reason


def test_a_kind_that_no_pool_takes_is_skipped_under_its_name():
    raw = json.dumps(TRADE | {"kind": "kline"}).encode()
    assert parse(raw, METADATA) == SkippedFrame("kline")


def test_a_book_without_a_side_is_skipped_and_a_crossed_one_refused():
    assert read(BOOK, bids=[]) == SkippedFrame("one_sided_book")
    assert read(BOOK, asks=[[1, 1]]).reason == "crossed"


def test_the_subject_holds_the_symbol_as_one_token():
    assert neutral.subject("kraken", "trade", "BTC/USD.x") == "market.kraken.trade.BTC%2FUSD%2Ex"
    assert neutral.said_subject("kraken", "trade", "BTC/USD.x") == "market.kraken.trade.BTC%2FUSD%2Ex"


@pytest.mark.parametrize("said", [("a.b", "trade", "X"), ("kraken", "ticker", "X"), ("kraken", "trade", ""), (1, 2, 3)])
def test_what_says_no_venue_kind_and_symbol_has_no_subject(said):
    assert neutral.said_subject(*said) == ""
