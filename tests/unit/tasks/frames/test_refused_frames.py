"""Frames that are no events: what is skipped, what is refused, and that no bytes whatever raise."""

import json
from math import isfinite
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.events import AnyEvent, Depth, Trade
from tasks.frames import model, parse
from tasks.frames.model import MAX_FRAME_BYTES, FrameMetadata, RefusedFrame, SkippedFrame
from tests.support.frames.wire import (
    METADATA,
    SPOT_BOOK,
    SPOT_TRADE,
    USDM_BOOK,
    USDM_TRADE,
    enveloped,
    metadata,
    packed,
    petrosa,
)

# What the options market sends: ids are texts, a seller's quantity is negative.
OPTION_TRADE = USDM_TRADE | {"s": "BTC-251226-100000-C", "t": "20461", "p": "1000", "q": "-2", "S": "-1"}
OPTION_BOOK = USDM_BOOK | {"e": "depth", "s": "BTC-251226-100000-C"}
BOOK_STREAM, TRADE_STREAM = "btcusdt@depth20@100ms", "btcusdt@trade"


# Skipped.
@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"result": None, "id": 1}, "ack"),
        ({"error": {"code": 2, "msg": "Invalid request"}, "id": None}, "error"),
        ({"code": -1121, "msg": "Invalid symbol.", "id": 3}, "error"),
        ({"e": "serverShutdown", "E": 1770123456789}, "serverShutdown"),
        ([], "array"),
        ({"stream": "!markPrice@arr", "data": [{"e": "markPriceUpdate"}]}, "array"),
        ({"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"}, "bookTicker"),
        ({"e": "bookTicker", "u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"}, "bookTicker"),
        ({"e": "kline", "k": {}}, "kline"),
        ({"e": "aggTrade", "p": "1"}, "aggTrade"),
        ({"e": "24hrTicker"}, "24hrTicker"),
        ({"e": "something new"}, "other"),
        ({"e": ["kline"]}, "other"),
        ({"e": 5}, "other"),
        ({}, "other"),
        (USDM_BOOK, "depthUpdate"),
        (USDM_TRADE | {"X": "INSURANCE_FUND"}, "trade:INSURANCE_FUND"),
        (USDM_TRADE | {"X": "NA", "p": "0", "q": "0"}, "trade:NA"),
        (USDM_TRADE | {"X": "something new"}, "trade:other"),
        (USDM_TRADE | {"X": ["MARKET"]}, "trade:other"),
        ({"stream": "newusdt@depth20", "data": SPOT_BOOK | {"asks": []}}, "one_sided_book"),
        ({"stream": "newusdt@depth20", "data": SPOT_BOOK | {"bids": [], "asks": []}}, "one_sided_book"),
        ({"stream": "btcusdt@depth20", "data": USDM_BOOK | {"b": []}}, "one_sided_book"),
        ({"stream": "btc-251226-100000-c@trade", "data": OPTION_TRADE}, "option"),
        ({"stream": "btc-251226-100000-c@depth10", "data": OPTION_BOOK}, "option"),
        ({"stream": "btc-251226-100000-c@depth10", "data": SPOT_BOOK}, "option"),
        (OPTION_TRADE | {"s": "DOGE-251226-0.15-P"}, "option"),
    ],
)
def test_frames_of_other_kinds_are_skipped_by_kind(document, kind):
    assert parse(packed(document), METADATA) == SkippedFrame(kind)


def test_a_retail_price_improvement_is_a_market_trade():
    assert isinstance(parse(packed(USDM_TRADE | {"X": "RPI"}), METADATA), AnyEvent)


# Refused: what a number may not be, in each place where a number stands.
BAD_NUMBERS = [
    ("NaN", "not_finite"),
    ("nan", "not_finite"),
    ("Infinity", "not_finite"),
    ("-inf", "not_finite"),
    (float("nan"), "not_finite"),  # the bare word NaN, which is no JSON
    (float("inf"), "not_finite"),
    ("-1", "not_positive"),
    ("0", "not_positive"),
    ("0.00000000", "not_positive"),
    (-0.5, "not_positive"),
    ("1e-400", "not_positive"),  # nearer to zero than any float
    ("1e16", "out_of_range"),
    (10**20, "out_of_range"),
    (10**400, "malformed"),
    ("", "not_a_number"),
    ("1,5", "not_a_number"),
    ("0x10", "not_a_number"),
    ("٣", "not_a_number"),
    ("1_000", "not_a_number"),
    (True, "not_a_number"),
    (None, "malformed"),
    ([1], "malformed"),
    ({}, "malformed"),
]


@pytest.mark.parametrize(("number", "reason"), BAD_NUMBERS, ids=str)
def test_a_price_or_quantity_that_is_no_positive_number_is_refused(number, reason):
    frames = [
        *(enveloped(TRADE_STREAM, SPOT_TRADE | {field: number}) for field in "pq"),
        *(enveloped(TRADE_STREAM, USDM_TRADE | {field: number}) for field in "pq"),
        *(enveloped(BOOK_STREAM, SPOT_BOOK | {side: [[number, "1"]]}) for side in ("bids", "asks")),
        *(enveloped(BOOK_STREAM, SPOT_BOOK | {side: [["0.0025", number]]}) for side in ("bids", "asks")),
        *(enveloped(BOOK_STREAM, USDM_BOOK | {side: [["7404", number]]}) for side in "ba"),
    ]
    outcomes = [parse(raw, METADATA) for raw in frames]
    assert [type(outcome) for outcome in outcomes] == [RefusedFrame] * len(frames)
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, RefusedFrame)} == {reason}


COIN_M = ("BTCUSD_PERP", "ETHUSD_240927")


def spot(**changes: Any) -> bytes:
    return enveloped(BOOK_STREAM, SPOT_BOOK | changes)


def usdm(**changes: Any) -> bytes:
    return enveloped(BOOK_STREAM, USDM_BOOK | changes)


def without(payload: dict[str, Any], name: str, stream: str) -> bytes:
    return enveloped(stream, {key: value for key, value in payload.items() if key != name})


def trade(**changes: Any) -> bytes:
    return enveloped(TRADE_STREAM, SPOT_TRADE | changes)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not_json"),
        (b"hello", "not_json"),
        (b'{"e":"trade"', "not_json"),
        (b'{"e":"\xff"}', "not_json"),
        (b'{"e":"\\ud800"}', "not_json"),  # half of a pair
        (b'{"e":"trade","t":' + b"9" * 6000 + b"}", "not_json"),  # more digits than an int may have
        (b"[" * 100_000, "not_json"),  # deeper than the parser goes
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "not_json"),
        (b"null", "not_an_object"),
        (b"5", "not_an_object"),
        (b'"trade"', "not_an_object"),
        (packed({"stream": TRADE_STREAM, "data": None}), "not_an_object"),
        (packed({"stream": TRADE_STREAM, "data": "text"}), "not_an_object"),
        (b" " * MAX_FRAME_BYTES + b"1", "too_large"),
        *((without(SPOT_TRADE, name, TRADE_STREAM), "missing_field") for name in "estpqmE"),
        *((without(USDM_BOOK, name, BOOK_STREAM), "missing_field") for name in "suabE"),
        *((without(SPOT_BOOK, name, BOOK_STREAM), "missing_field") for name in SPOT_BOOK),
        (spot(bids=[], asks=[["NaN", "1"]]), "not_finite"),
        (spot(bids=[["0.0023", "5"], ["0.0024", "10"]]), "unsorted"),
        (spot(bids=[["0.0024", "5"], ["0.0024", "10"]]), "unsorted"),  # a price twice
        (spot(asks=[["0.0027", "5"], ["0.0026", "10"]]), "unsorted"),
        (usdm(a=[["7406", "5"], ["7406.0", "10"]]), "unsorted"),
        (spot(bids=[["0.0027", "10"]]), "crossed"),
        (spot(bids=[["0.0026", "10"]]), "crossed"),  # locked
        (spot(asks=[[f"{number}", "1"] for number in range(1, 102)]), "out_of_range"),  # 101 levels
        (spot(bids=[["0.0024", "10", "x"]]), "out_of_range"),
        (spot(bids=[["0.0024"]]), "missing_field"),
        (spot(bids=["12"]), "malformed"),
        (spot(bids={"0.0024": "10"}), "malformed"),
        (spot(lastUpdateId="160"), "malformed"),
        (spot(lastUpdateId=-1), "out_of_range"),
        (spot(lastUpdateId=2**63), "out_of_range"),
        (trade(t=True), "malformed"),
        (trade(t=1.0), "malformed"),
        (trade(E=0), "bad_time"),
        (trade(E=-1), "bad_time"),
        (trade(E=10**14), "bad_time"),  # the year 5138 in milliseconds, 1973 in microseconds
        (trade(E=1764000000123.5), "malformed"),
        (trade(E="1764000000123"), "malformed"),
        (trade(m=1), "malformed"),
        (trade(s=""), "malformed"),
        (trade(s="BTC USDT"), "malformed"),
        (trade(s="BTCUSDT\n"), "malformed"),
        (trade(s="BTC.USDT"), "malformed"),  # would be two tokens of a subject
        (trade(s="X" * 41), "malformed"),
        (trade(s="ETHUSDT"), "symbol_mismatch"),
        (usdm(s="ETHUSDT"), "symbol_mismatch"),
        (enveloped(BOOK_STREAM, SPOT_TRADE), "kind_mismatch"),
        (enveloped(TRADE_STREAM, SPOT_BOOK), "kind_mismatch"),
        (enveloped("btcusdt@depth@100ms", SPOT_BOOK), "kind_mismatch"),
        (packed(SPOT_BOOK), "no_symbol"),
        (enveloped("!bookTicker", SPOT_BOOK), "no_symbol"),
        (enveloped("x" * 200_000 + "@depth20", SPOT_BOOK), "no_symbol"),
        (packed({"stream": 5, "data": SPOT_BOOK}), "no_symbol"),
        (enveloped(TRADE_STREAM, {"hello": 1}), "missing_field"),
    ],
    ids=lambda value: value[:70].decode("utf-8", "replace") if isinstance(value, bytes) else value,
)
def test_a_malformed_frame_is_refused_with_its_reason(raw, reason):
    outcome = parse(raw, METADATA)
    assert isinstance(outcome, RefusedFrame)
    assert outcome.reason == reason
    assert 0 < len(outcome.detail) <= 300


def test_a_key_that_comes_twice_counts_with_its_last_value():
    raw = packed(SPOT_TRADE).replace(b'"p": "0.001"', b'"p": "-5", "p": "0.002"')
    event = parse(raw, METADATA)
    assert isinstance(event, AnyEvent)
    assert event == parse(packed(SPOT_TRADE | {"p": "0.002"}), METADATA)


def test_a_frame_of_one_mebibyte_is_still_read():
    raw = packed(SPOT_TRADE)
    assert isinstance(parse(raw.ljust(MAX_FRAME_BYTES), METADATA), AnyEvent)
    assert isinstance(parse(raw.ljust(MAX_FRAME_BYTES + 1), METADATA), RefusedFrame)


def test_names_too_long_for_a_stream_are_not_remembered():
    model.parse_short_stream.cache_clear()
    parse(enveloped("x" * 1000, SPOT_TRADE), METADATA)
    assert model.parse_short_stream.cache_info().currsize == 0
    parse(enveloped(TRADE_STREAM, SPOT_TRADE), METADATA)
    assert model.parse_short_stream.cache_info().currsize == 1


# Fuzz.
jsons = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["1", "0.5", "NaN"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
subjects = st.sampled_from(["binance.websocket.data", f"binance.{BOOK_STREAM}", f"binance.{TRADE_STREAM}", "", "a.b"])
metadatas = st.builds(metadata, subjects, st.none() | st.integers(1, 2**63 - 1))
real = st.sampled_from([
    *(packed(payload) for payload in (SPOT_BOOK, USDM_BOOK, SPOT_TRADE, USDM_TRADE)),
    *(packed(petrosa(BOOK_STREAM, payload)) for payload in (SPOT_BOOK, USDM_BOOK)),
    *(packed(petrosa(TRADE_STREAM, payload)) for payload in (SPOT_TRADE, USDM_TRADE)),
])  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a real frame with a stretch of its bytes replaced."""
    raw = draw(real)
    start = draw(st.integers(0, len(raw)))
    return raw[:start] + draw(st.binary(max_size=4)) + raw[start + draw(st.integers(0, 4)) :]


@st.composite
def replaced(draw: st.DrawFn) -> bytes:
    """Draw a real frame with the value of one or two of its fields replaced by any JSON, at any depth."""
    document = json.loads(draw(real))
    for _ in range(draw(st.integers(1, 2))):
        node: Any = document
        while isinstance(node, dict | list) and node:
            key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
            if not isinstance(node[key], dict | list) or not draw(st.booleans()):
                node[key] = draw(jsons)
                break
            node = node[key]
    return json.dumps(document).encode()


@settings(max_examples=500)
@given(raw=st.one_of(st.binary(max_size=200), jsons.map(packed), damaged(), replaced()), came=metadatas)
def test_no_bytes_whatever_raise_and_every_event_is_sound(raw: bytes, came: FrameMetadata):
    outcome = parse(raw, came)
    assert isinstance(outcome, AnyEvent | SkippedFrame | RefusedFrame)
    if isinstance(outcome, AnyEvent):
        assert_sound(outcome)


def assert_sound(event: AnyEvent) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=AnyEvent) == event
    assert event.time_ms >= 0
    assert event.symbol == event.symbol.upper() != ""
    if isinstance(event, Depth):
        numbers = [number for level in event.bids + event.asks for number in level]
        bids, asks = [price for price, _ in event.bids], [price for price, _ in event.asks]
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert bids[0] < asks[0]
    else:
        assert isinstance(event, Trade)
        numbers = [event.price, event.quantity]
    assert all(isfinite(number) and 0 < number <= 1e15 for number in numbers)
