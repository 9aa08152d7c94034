"""An event that becomes a frame again is the same event behind the parser."""

from collections import Counter
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import frames
from tasks.events import AnyEvent, Depth, Trade
from tasks.frames import encoder
from tasks.frames.model import FrameMetadata
from tasks.frames.timestamps import FIRST_MS, LAST_MS
from tasks.history import recordings as recording_files
from tests.support.events import book, trade

_numbers = st.floats(1e-300, 1e15)
_symbols = st.one_of(
    st.sampled_from(["BTCUSDT", "1000SHIBUSDT", "ETHUSDT_220624", "币安人生USDT", "İUSDT"]),
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=1, max_size=40),
)
_common = {
    "venue": st.sampled_from(["spot", "usdm"]),
    "symbol": _symbols,
    "id": st.integers(0, 2**63 - 1),
    "time_ms": st.integers(FIRST_MS, LAST_MS),
    "seq": st.integers(1, 2**63 - 1),
    "ingested_at_ns": st.integers(0, 2**63 - 1),
}
_trades = st.builds(Trade, **_common, price=_numbers, quantity=_numbers, buyer_is_maker=st.booleans())


@st.composite
def _books(draw: st.DrawFn) -> Depth:
    prices = sorted(draw(st.lists(_numbers, min_size=2, max_size=40, unique=True)))
    cut = draw(st.integers(max(1, len(prices) - 20), min(20, len(prices) - 1)))
    sides = prices[:cut][::-1], prices[cut:]
    bids, asks = (tuple((price, draw(_numbers)) for price in side) for side in sides)
    return draw(st.builds(Depth, **_common, bids=st.just(bids), asks=st.just(asks)))


def parsed(raw: bytes, event: AnyEvent) -> object:
    """Parse as ingest does that gives the frame the event's number and moment of receipt."""
    return frames.parse(raw, FrameMetadata("binance.websocket.data", event.seq, event.ingested_at_ns))


@given(st.one_of(_trades, _books()))
def test_the_frame_of_an_event_is_that_event_again(event: AnyEvent):
    assert parsed(encoder.frame(event), event) == event


def test_the_frames_of_recorded_events_are_these_events_again(each_recording: Path):
    kinds = Counter[str]()
    # Every tenth: a tenth of the time.
    for line in islice(recording_files.read(each_recording), 0, None, 10):
        event = frames.parse(line.raw, FrameMetadata(f"binance.{line.stream}", 7, line.received_at_ns))
        assert isinstance(event, AnyEvent)
        raw = encoder.frame(event)
        assert parsed(raw, event) == event
        assert msgspec.json.decode(raw)["stream"] == line.stream.partition("@100ms")[0]
        kinds[event.kind] += 1
    assert set(kinds) == {"trade", "depth"}
    assert kinds.total() >= 1_500


def test_numbers_are_written_as_the_exchange_writes_them():
    raw = encoder.frame(trade(1e-5, 1e15, venue="usdm"))
    assert msgspec.json.decode(raw)["data"] | {"E": 0} == {
        "e": "trade",
        "E": 0,
        "s": "BTCUSDT",
        "t": 1,
        "p": "0.00001",
        "q": "1000000000000000.0",
        "m": False,
        "X": "MARKET",
    }


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        ("binance.>", "binance.btcusdt@depth20"),
        ("binance.*", "binance.btcusdt@depth20"),
        (">", "btcusdt@depth20"),
        (" a.*.b , binance.>", "a.btcusdt@depth20.b"),
        ("binance.websocket.data", "binance.websocket.data"),
    ],
)
def test_a_frame_goes_where_ingest_listens(subjects: str, expected: str):
    assert encoder.subject(subjects, encoder.stream(book())) == expected
