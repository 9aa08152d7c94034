"""Frames become events, or the reason why not: what is accepted, and with which symbol, venue and time."""

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tasks.events import KINDS, AnyEvent, Depth, Trade
from tasks.frames import parse
from tasks.frames.model import FrameMetadata, RefusedFrame, SkippedFrame
from tasks.history import recordings as recording_files
from tests.data import SPOT, USDM
from tests.support.frames.wire import (
    INGESTED_MS,
    METADATA,
    SPOT_BOOK,
    SPOT_TRADE,
    SUBJECT,
    USDM_BOOK,
    USDM_TRADE,
    enveloped,
    metadata,
    packed,
    petrosa,
)


# The four shapes.
def test_a_spot_book_takes_its_symbol_from_the_envelope():
    assert parse(enveloped("ethusdt@depth20@100ms", SPOT_BOOK), METADATA) == Depth(
        "spot",
        "ETHUSDT",
        160,
        INGESTED_MS,
        7,
        METADATA.ingested_at_ns,
        ((0.0024, 10.0), (0.0023, 5.0)),
        ((0.0026, 100.0),),
    )


def test_a_futures_book_has_symbol_and_time():
    assert parse(enveloped("btcusdt@depth20@100ms", USDM_BOOK), METADATA) == Depth(
        "usdm", "BTCUSDT", 390497878, 1571889248277, 7, METADATA.ingested_at_ns, ((7403.89, 0.002),), ((7405.96, 3.34),)
    )


def test_a_trade_with_x_is_of_the_futures_and_one_without_of_the_spot():
    assert parse(enveloped("btcusdt@trade", SPOT_TRADE), METADATA) == Trade(
        "spot", "BTCUSDT", 12345, 1672515782136, 7, METADATA.ingested_at_ns, 0.001, 100.0, buyer_is_maker=True
    )
    assert parse(enveloped("btcusdt@trade", USDM_TRADE), METADATA) == Trade(
        "usdm", "BTCUSDT", 5266583935, 1723161256322, 7, METADATA.ingested_at_ns, 61800.3, 0.006, buyer_is_maker=False
    )


@pytest.mark.parametrize("extra", [{"b": 20720542158, "a": 20720542592}, {"st": 1, "ps": "BTCUSDT"}, {"e2": None}])
def test_fields_that_other_years_know_are_ignored(extra):
    assert parse(packed(SPOT_TRADE | extra), METADATA) == parse(packed(SPOT_TRADE), METADATA)


@pytest.mark.parametrize("number", ["61800.30", 61800.3, "6.18003e4"])
def test_a_number_may_be_a_string_or_a_json_number(number):
    event = parse(packed(SPOT_TRADE | {"p": number}), METADATA)
    assert isinstance(event, Trade)
    assert event.price == 61800.3


def test_a_symbol_may_be_in_any_script():
    event = parse(packed(SPOT_TRADE | {"s": "币安人生USDT"}), METADATA)
    assert isinstance(event, Trade)
    assert event.symbol == "币安人生USDT"


@pytest.mark.parametrize("levels", [1, 20, 100])
def test_a_book_has_up_to_100_levels_a_side(levels):
    bids, asks = ([[f"{200 + step * number}", "1"] for number in range(1, levels + 1)] for step in (-1, 1))
    event = parse(enveloped("btcusdt@depth100@100ms", SPOT_BOOK | {"bids": bids, "asks": asks}), METADATA)
    assert isinstance(event, Depth)
    assert (len(event.bids), len(event.asks)) == (levels, levels)


# Where the symbol and the kind come from.
@pytest.mark.parametrize(
    "stream", ["ethusdt@depth20@100ms", "ethusdt@depth20", "ethusdt@depth10", "ETHUSDT@depth5@1000ms"]
)
def test_a_bare_spot_book_takes_its_symbol_from_the_subject(stream):
    event = parse(packed(SPOT_BOOK), metadata(f"binance.{stream}"))
    assert isinstance(event, Depth)
    assert event.symbol == "ETHUSDT"


def test_the_envelope_goes_before_the_subject():
    event = parse(enveloped("ethusdt@depth20", SPOT_BOOK), metadata("binance.btcusdt@depth20"))
    assert isinstance(event, Depth)
    assert event.symbol == "ETHUSDT"


def test_an_envelope_without_a_stream_leaves_it_to_the_subject():
    event = parse(packed({"data": SPOT_BOOK}), metadata("binance.ethusdt@depth20"))
    assert isinstance(event, Depth)
    assert event.symbol == "ETHUSDT"


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("binance.btcusdt@depth5", Depth),
        ("binance.btcusdt@depth10@500ms", Depth),
        ("binance.btcusdt@depth20@100ms", Depth),
        ("binance.btcusdt@depth", SkippedFrame),
        ("binance.btcusdt@depth@100ms", SkippedFrame),
        ("binance.btcusdt@depth50@100ms", Depth),
        ("binance.btcusdt@depth100", Depth),
        ("binance.btcusdt@depth30", SkippedFrame),
        ("binance.btcusdt@depth1000", SkippedFrame),
        (SUBJECT, SkippedFrame),
    ],
)
def test_a_futures_depth_update_is_a_book_only_when_its_stream_says_so(subject, kind):
    for raw in (packed(USDM_BOOK), enveloped(subject.rpartition(".")[2], USDM_BOOK)):
        outcome = parse(raw, metadata(subject))
        assert type(outcome) is kind
        assert kind is Depth or outcome == SkippedFrame("depthUpdate")


# petrosa-socket-client, unmodified.
@pytest.mark.parametrize("trace", [{}, {"_otel_trace_context": {"traceparent": "00-4bf9-00f0-01"}}])
@pytest.mark.parametrize("subject", ["binance.websocket.data", "binance.futures.websocket.data"])
def test_the_envelope_of_petrosa_is_read(subject, trace):
    event = parse(packed(petrosa("ethusdt@depth20@100ms", SPOT_BOOK) | trace), metadata(subject))
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
    event = parse(packed(petrosa(stream, payload)), METADATA)
    assert isinstance(event, AnyEvent)
    assert (event.venue, event.time_ms) == (venue, payload["E"])


# Real frames.
def test_every_recorded_frame_is_an_event_and_keeps_every_number(each_recording: Path):
    events = Counter[str]()
    for line in recording_files.read(each_recording):
        event = parse(line.raw, metadata())
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
    assert isinstance(event, Depth)
    return [number for level in event.bids + event.asks for number in level]


def texts_of(payload: dict[str, Any]) -> list[str]:
    if "t" in payload:
        return [payload["p"], payload["q"]]
    bids, asks = (payload["bids"], payload["asks"]) if "bids" in payload else (payload["b"], payload["a"])
    return [text for level in bids + asks for text in level]


# Counted by hand: 44 frames of other kinds, 7 that say nothing of the market, 1 trade that is none, 1 book without bids, 6 of ours.
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
    "coinm depth BTCUSD_PERP": 1,
    "coinm depth BTCUSD_220624": 1,
    "skipped one_sided_book": 1,
}


def outcomes(recordings: Path, metadata: FrameMetadata, named: Callable[[AnyEvent], str]) -> Counter[str]:
    """Count what becomes of the odd frames; `named` says what an event counts as."""
    counts = Counter[str]()
    for raw in (recordings / "odd-frames.jsonl").read_bytes().splitlines():
        match parse(raw, metadata):
            case SkippedFrame(kind):
                counts[f"skipped {kind}"] += 1
            case RefusedFrame(reason):
                counts[f"refused {reason}"] += 1
            case event:
                counts[named(event)] += 1
    return counts


def test_odd_frames_are_told_apart(recordings: Path):
    assert outcomes(recordings, METADATA, lambda event: f"{event.venue} {event.kind} {event.symbol}") == ODD


OPTIONAL = {f"skipped {name}" for name in ("aggTrade", "bookTicker", "kline", "markPriceUpdate")}
# The same frames when pools take every kind. Mark prices of all symbols come as an array; the candles were open.
ODD_OF_EVERY_KIND = {
    "coinm agg_trade": 2,
    "coinm book_ticker": 3,
    "coinm depth": 2,
    "coinm mark_price": 1,
    "spot agg_trade": 2,
    "spot book_ticker": 2,
    "spot depth": 1,
    "spot trade": 1,
    "usdm agg_trade": 2,
    "usdm book_ticker": 2,
    "usdm depth": 2,
    "usdm mark_price": 2,
    "skipped open_kline": 6,
    **{name: count for name, count in ODD.items() if name.startswith("skipped") and name not in OPTIONAL},
}


def test_odd_frames_of_asked_kinds_are_events_or_skipped(recordings: Path):
    metadata = msgspec.structs.replace(METADATA, kinds=frozenset(KINDS))
    assert outcomes(recordings, metadata, lambda event: f"{event.venue} {event.kind}") == ODD_OF_EVERY_KIND
