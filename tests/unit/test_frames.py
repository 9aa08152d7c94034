"""Frames become events, or the reason why not: what is accepted, and with which symbol, venue and time."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tasks import recordings as recording_files
from tasks.events import AnyEvent, Depth, Trade
from tasks.frame_parts import Arrival, Refused, Skipped
from tasks.frames import parse
from tests.data import SPOT, USDM
from tests.unit.wire import (
    ARRIVAL,
    SPOT_BOOK,
    SPOT_TRADE,
    SUBJECT,
    USDM_BOOK,
    USDM_TRADE,
    arrival,
    enveloped,
    packed,
    petrosa,
)

INGESTED_MS = ARRIVAL.ingested_at_ns // 1_000_000


# The four shapes.
def test_a_spot_book_takes_its_symbol_from_the_envelope():
    assert parse(enveloped("ethusdt@depth20@100ms", SPOT_BOOK), ARRIVAL) == Depth(
        "spot",
        "ETHUSDT",
        160,
        INGESTED_MS,
        7,
        ARRIVAL.ingested_at_ns,
        ((0.0024, 10.0), (0.0023, 5.0)),
        ((0.0026, 100.0),),
    )


def test_a_futures_book_has_symbol_and_time():
    assert parse(enveloped("btcusdt@depth20@100ms", USDM_BOOK), ARRIVAL) == Depth(
        "usdm", "BTCUSDT", 390497878, 1571889248277, 7, ARRIVAL.ingested_at_ns, ((7403.89, 0.002),), ((7405.96, 3.34),)
    )


def test_a_trade_with_x_is_of_the_futures_and_one_without_of_the_spot_market():
    assert parse(enveloped("btcusdt@trade", SPOT_TRADE), ARRIVAL) == Trade(
        "spot", "BTCUSDT", 12345, 1672515782136, 7, ARRIVAL.ingested_at_ns, 0.001, 100.0, buyer_is_maker=True
    )
    assert parse(enveloped("btcusdt@trade", USDM_TRADE), ARRIVAL) == Trade(
        "usdm", "BTCUSDT", 5266583935, 1723161256322, 7, ARRIVAL.ingested_at_ns, 61800.3, 0.006, buyer_is_maker=False
    )


@pytest.mark.parametrize("extra", [{"b": 20720542158, "a": 20720542592}, {"st": 1, "ps": "BTCUSDT"}, {"e2": None}])
def test_fields_that_other_years_know_are_ignored(extra):
    assert parse(packed(SPOT_TRADE | extra), ARRIVAL) == parse(packed(SPOT_TRADE), ARRIVAL)


@pytest.mark.parametrize("number", ["61800.30", 61800.3, "6.18003e4"])
def test_a_number_may_be_a_string_or_a_json_number(number):
    event = parse(packed(SPOT_TRADE | {"p": number}), ARRIVAL)
    assert isinstance(event, Trade)
    assert event.price == 61800.3


def test_a_symbol_may_be_in_any_script():
    event = parse(packed(SPOT_TRADE | {"s": "币安人生USDT"}), ARRIVAL)
    assert isinstance(event, Trade)
    assert event.symbol == "币安人生USDT"


# Where the symbol and the kind come from.
@pytest.mark.parametrize(
    "stream", ["ethusdt@depth20@100ms", "ethusdt@depth20", "ethusdt@depth10", "ETHUSDT@depth5@1000ms"]
)
def test_a_bare_spot_book_takes_its_symbol_from_the_subject(stream):
    event = parse(packed(SPOT_BOOK), arrival(f"binance.{stream}"))
    assert isinstance(event, Depth)
    assert event.symbol == "ETHUSDT"


def test_the_envelope_goes_before_the_subject():
    event = parse(enveloped("ethusdt@depth20", SPOT_BOOK), arrival("binance.btcusdt@depth20"))
    assert isinstance(event, Depth)
    assert event.symbol == "ETHUSDT"


def test_an_envelope_without_a_stream_leaves_it_to_the_subject():
    event = parse(packed({"data": SPOT_BOOK}), arrival("binance.ethusdt@depth20"))
    assert isinstance(event, Depth)
    assert event.symbol == "ETHUSDT"


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("binance.btcusdt@depth5", Depth),
        ("binance.btcusdt@depth10@500ms", Depth),
        ("binance.btcusdt@depth20@100ms", Depth),
        ("binance.btcusdt@depth", Skipped),
        ("binance.btcusdt@depth@100ms", Skipped),
        ("binance.btcusdt@depth50", Skipped),
        (SUBJECT, Skipped),
    ],
)
def test_a_futures_depth_update_is_a_book_only_when_its_stream_says_so(subject, kind):
    for raw in (packed(USDM_BOOK), enveloped(subject.rpartition(".")[2], USDM_BOOK)):
        outcome = parse(raw, arrival(subject))
        assert type(outcome) is kind
        assert kind is Depth or outcome == Skipped("depthUpdate")


# petrosa-socket-client, unmodified.
@pytest.mark.parametrize("trace", [{}, {"_otel_trace_context": {"traceparent": "00-4bf9-00f0-01"}}])
@pytest.mark.parametrize("subject", ["binance.websocket.data", "binance.futures.websocket.data"])
def test_the_envelope_of_petrosa_is_read(subject, trace):
    event = parse(packed(petrosa("ethusdt@depth20@100ms", SPOT_BOOK) | trace), arrival(subject))
    assert isinstance(event, Depth)
    # 2026-11-22T06:30:09.781711Z is 1,795,329,009.781711 s after 1970.
    assert (event.venue, event.symbol, event.time_ms) == ("spot", "ETHUSDT", 1795329009781)


@pytest.mark.parametrize(
    ("stream", "payload", "venue"),
    [
        ("btcusdt@depth20@100ms", USDM_BOOK, "usdm"),
        ("btcusdt@trade", SPOT_TRADE, "spot"),
        ("btcusdt@trade", USDM_TRADE, "usdm"),
    ],
)
def test_the_other_shapes_of_petrosa_are_read_with_the_exchanges_time(stream, payload, venue):
    event = parse(packed(petrosa(stream, payload)), ARRIVAL)
    assert isinstance(event, AnyEvent)
    assert (event.venue, event.time_ms) == (venue, payload["E"])


# Time: E, received_at, timestamp, stored, ingested.
STORED = arrival(stored_at_ns=1_790_000_000_000_000_000)


@pytest.mark.parametrize(
    ("payload", "envelope", "came", "time_ms"),
    [
        pytest.param(
            SPOT_TRADE, {"received_at": 3_000_000_000, "timestamp": "2026-01-01"}, STORED, 1672515782136, id="E"
        ),
        pytest.param(
            SPOT_BOOK,
            {"received_at": 1_700_000_000_003_999_999, "timestamp": "2026-01-01"},
            STORED,
            1_700_000_000_003,
            id="received_at",
        ),
        pytest.param(SPOT_BOOK, {"timestamp": "2023-11-14T22:13:24.567Z"}, STORED, 1_700_000_004_567, id="timestamp"),
        pytest.param(SPOT_BOOK, {"received_at": None, "timestamp": None}, STORED, 1_790_000_000_000, id="stored"),
        pytest.param(SPOT_BOOK, {}, ARRIVAL, INGESTED_MS, id="ingested"),
    ],
)
def test_an_events_time_is_the_first_known_of_five(payload, envelope, came, time_ms):
    stream = "btcusdt@trade" if payload is SPOT_TRADE else "btcusdt@depth20"
    event = parse(enveloped(stream, payload, **envelope), came)
    assert isinstance(event, AnyEvent)
    assert event.time_ms == time_ms


@pytest.mark.parametrize("field", ["received_at", "timestamp"])
@pytest.mark.parametrize(
    "value", [1764000000, 1764000000.123, 1764000000123, 1764000000123456, 1764000000123456789, "1764000000123"]
)
def test_the_unit_of_a_receipt_is_told_by_its_size(field, value):
    event = parse(enveloped("btcusdt@depth20", SPOT_BOOK, **{field: value}), ARRIVAL)
    assert isinstance(event, Depth)
    assert event.time_ms == (1764000000000 if value == 1764000000 else 1764000000123)


@pytest.mark.parametrize("stream", ["btcusdt@trade", "btcusdt@depth20"])
@pytest.mark.parametrize("factor", [1, 1000], ids=["ms", "µs"])
def test_an_exchange_time_may_be_in_microseconds(stream, factor):
    payload = SPOT_TRADE if stream == "btcusdt@trade" else USDM_BOOK
    event = parse(enveloped(stream, payload | {"E": 1764000000123 * factor, "T": 1764000000123 * factor}), ARRIVAL)
    assert isinstance(event, AnyEvent)
    assert event.time_ms == 1764000000123


@pytest.mark.parametrize("value", [0, -1, 5, 3_999_999, 10**11, 2**63, 1.5, True, "5", "soon", []])
@pytest.mark.parametrize("stream", ["btcusdt@trade", "btcusdt@depth20"])
def test_a_received_at_that_is_no_time_is_refused(value, stream):
    payload = SPOT_TRADE if stream == "btcusdt@trade" else SPOT_BOOK
    assert refused_reason(enveloped(stream, payload, received_at=value)) == "bad_time"


@pytest.mark.parametrize("value", ["yesterday", "", 5, True, [], "1970-01-01T00:00:04Z", "9999-99-99"])
def test_a_timestamp_that_is_no_time_is_refused(value):
    assert refused_reason(enveloped("btcusdt@depth20", SPOT_BOOK, timestamp=value)) == "bad_time"


# How far ahead of its receipt.
RECEIVED_NS = 1_764_000_000_000_000_000
LEAD_NS = 60_000_000_000


@pytest.mark.parametrize(
    ("exchange_s", "envelope_s", "arrival_s", "reason"),
    [
        (60, 0, 0, None),
        (61, 0, 0, "time_ahead"),
        (61, None, 0, "time_ahead"),
        (3600, 3600, 0, "time_ahead"),  # the feed's clock is wrong too
        (3600, 0, 10**8, "time_ahead"),  # replayed years later
        (0, 0, 10**8, None),
        (0, 3600, 0, None),  # only the feed's clock is wrong, and it is not asked
        (None, 61, 0, "time_ahead"),
        (None, 60, 0, None),
        (None, 3600, 10**8, None),  # a recording has no other clock
        (-3600, 0, 0, None),
    ],
)
def test_an_event_far_ahead_of_its_receipt_is_refused(exchange_s, envelope_s, arrival_s, reason):
    envelope = {} if envelope_s is None else {"received_at": RECEIVED_NS + envelope_s * 10**9}
    came = Arrival("binance.x", 1, RECEIVED_NS + arrival_s * 10**9, None, LEAD_NS)
    stream, payload = ("btcusdt@depth20", SPOT_BOOK)
    if exchange_s is not None:
        stream, payload = "btcusdt@trade", SPOT_TRADE | {"E": RECEIVED_NS // 10**6 + exchange_s * 1000}
    outcome = parse(enveloped(stream, payload, **envelope), came)
    assert (outcome.reason if isinstance(outcome, Refused) else None) == reason


def test_a_receipt_that_is_no_time_holds_no_event_back():
    assert isinstance(parse(enveloped("btcusdt@trade", SPOT_TRADE), Arrival("x", 1, 5, None, LEAD_NS)), AnyEvent)


def test_the_streams_clock_goes_before_that_of_ingest():
    late = Arrival("binance.x", 1, RECEIVED_NS + 10**12, RECEIVED_NS, LEAD_NS)
    raw = enveloped("btcusdt@trade", SPOT_TRADE | {"E": RECEIVED_NS // 10**6 + 61_000})
    assert isinstance(outcome := parse(raw, late), Refused)
    assert "61 s ahead of its receipt" in outcome.detail


def refused_reason(raw: bytes) -> str | None:
    outcome = parse(raw, ARRIVAL)
    return outcome.reason if isinstance(outcome, Refused) else None


# Real frames.
def test_every_recorded_frame_is_an_event_and_keeps_every_number(each_recording: Path):
    events = Counter[str]()
    for line in recording_files.read(each_recording):
        event = parse(line.raw, arrival())
        assert isinstance(event, AnyEvent)
        events[f"{event.venue} {event.kind}"] += 1
        payload = json.loads(line.raw)["data"]
        assert [Decimal(repr(number)) for number in numbers_of(event)] == [Decimal(text) for text in texts_of(payload)]
    # As the data's README counts the real ones.
    counted = {
        SPOT: {"spot trade": 34_419, "spot depth": 11_743},
        USDM: {"usdm trade": 11_597, "usdm depth": 3_403},
    }
    assert events == counted.get(each_recording.name, events)
    assert events.total() >= 15_000


def numbers_of(event: AnyEvent) -> list[float]:
    if isinstance(event, Trade):
        return [event.price, event.quantity]
    return [number for level in event.bids + event.asks for number in level]


def texts_of(payload: dict[str, Any]) -> list[str]:
    if "t" in payload:
        return [payload["p"], payload["q"]]
    bids, asks = (payload["bids"], payload["asks"]) if "bids" in payload else (payload["b"], payload["a"])
    return [text for level in bids + asks for text in level]


# Counted by hand: 44 frames of other kinds, 7 that say nothing of the market, 1 trade that is none, 3 of COIN-M, 4 of ours.
ODD = {
    "skipped 24hrTicker": 5,
    "skipped aggTrade": 6,
    "skipped array": 7,
    "skipped bookTicker": 7,
    "skipped depthUpdate": 8,
    "skipped kline": 6,
    "skipped markPriceUpdate": 3,
    "skipped ticker_all": 1,
    "skipped trade_all": 1,
    "skipped ack": 1,
    "skipped error": 4,
    "skipped serverShutdown": 2,
    "skipped trade:INSURANCE_FUND": 1,
    "spot trade BTCUSDT": 1,
    "spot depth ETHUSDT": 1,
    "usdm depth ETHUSDT": 1,
    "usdm depth ETHUSDT_220624": 1,
    # COIN-M futures: the shape is that of USD-M. One is the depth5 of a dead market, without bids.
    "refused coinm": 3,
}


def test_odd_frames_are_told_apart(recordings: Path):
    counts = Counter[str]()
    for raw in (recordings / "odd-frames.jsonl").read_bytes().splitlines():
        match parse(raw, ARRIVAL):
            case Skipped(kind):
                counts[f"skipped {kind}"] += 1
            case Refused(reason):
                counts[f"refused {reason}"] += 1
            case event:
                counts[f"{event.venue} {event.kind} {event.symbol}"] += 1
    assert counts == ODD
