"""The time of an event: which clock it is by, in which unit, and how far ahead of its receipt it may be."""

import pytest

from tasks.events import AnyEvent, Depth
from tasks.frames import parse
from tasks.frames.model import FrameMetadata, RefusedFrame
from tests.support.frames.wire import INGESTED_MS, METADATA, SPOT_BOOK, SPOT_TRADE, USDM_BOOK, enveloped, metadata

# The five clocks: E, received_at, timestamp, stored, ingested.
STORED = metadata(stored_at_ns=1_790_000_000_000_000_000)


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
        pytest.param(SPOT_BOOK, {}, METADATA, INGESTED_MS, id="ingested"),
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
    event = parse(enveloped("btcusdt@depth20", SPOT_BOOK, **{field: value}), METADATA)
    assert isinstance(event, Depth)
    assert event.time_ms == (1764000000000 if value == 1764000000 else 1764000000123)


@pytest.mark.parametrize("stream", ["btcusdt@trade", "btcusdt@depth20"])
@pytest.mark.parametrize("factor", [1, 1000], ids=["ms", "µs"])
def test_an_exchange_time_may_be_in_microseconds(stream, factor):
    payload = SPOT_TRADE if stream == "btcusdt@trade" else USDM_BOOK
    event = parse(enveloped(stream, payload | {"E": 1764000000123 * factor, "T": 1764000000123 * factor}), METADATA)
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
    came = FrameMetadata("binance.x", 1, RECEIVED_NS + arrival_s * 10**9, None, LEAD_NS)
    stream, payload = ("btcusdt@depth20", SPOT_BOOK)
    if exchange_s is not None:
        stream, payload = "btcusdt@trade", SPOT_TRADE | {"E": RECEIVED_NS // 10**6 + exchange_s * 1000}
    outcome = parse(enveloped(stream, payload, **envelope), came)
    assert (outcome.reason if isinstance(outcome, RefusedFrame) else None) == reason


def test_a_receipt_that_is_no_time_holds_no_event_back():
    assert isinstance(parse(enveloped("btcusdt@trade", SPOT_TRADE), FrameMetadata("x", 1, 5, None, LEAD_NS)), AnyEvent)


def test_the_streams_clock_goes_before_that_of_ingest():
    late = FrameMetadata("binance.x", 1, RECEIVED_NS + 10**12, RECEIVED_NS, LEAD_NS)
    raw = enveloped("btcusdt@trade", SPOT_TRADE | {"E": RECEIVED_NS // 10**6 + 61_000})
    assert isinstance(outcome := parse(raw, late), RefusedFrame)
    assert "61 s ahead of its receipt" in outcome.detail


def refused_reason(raw: bytes) -> str | None:
    outcome = parse(raw, METADATA)
    return outcome.reason if isinstance(outcome, RefusedFrame) else None
