"""The quick reader takes what comes by the million, and never says anything else than the models of `parser`."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.events import Depth, Trade
from tasks.frames.model import RefusedFrame
from tasks.history import recordings as recording_files
from tests.fuzz.damage import JSONS, any_bytes
from tests.fuzz.samples import FRAMES
from tests.support.frames.two_readers import agree, carefully, quickly
from tests.support.frames.wire import SPOT_BOOK, SPOT_TRADE, USDM_BOOK, USDM_TRADE, enveloped, packed, petrosa

BOOK, TRADE = "btcusdt@depth20@100ms", "btcusdt@trade"
WHOLE = (
    *FRAMES,
    enveloped(BOOK, USDM_BOOK, received_at=1),
    enveloped(TRADE, USDM_TRADE),
    enveloped(TRADE, SPOT_TRADE),
    enveloped(BOOK, SPOT_BOOK, timestamp="2024-08-09T00:00:00"),
)


@pytest.mark.parametrize(
    ("stream", "payload"), [(BOOK, SPOT_BOOK), (BOOK, USDM_BOOK), (TRADE, SPOT_TRADE), (TRADE, USDM_TRADE)]
)
@pytest.mark.parametrize("wrap", [enveloped, lambda *frame: packed(petrosa(*frame))], ids=["exchange", "petrosa"])
def test_the_four_shapes_are_read_quickly(stream: str, payload: dict[str, Any], wrap: Any):
    raw = wrap(stream, payload)
    assert isinstance(quickly(raw), Depth | Trade)
    assert quickly(raw) == carefully(raw)


def test_every_recorded_event_is_read_quickly_and_both_agree(each_recording: Path):
    seen: Counter[tuple[str, bool]] = Counter()
    for line in recording_files.read(each_recording):
        said, right = quickly(line.raw), carefully(line.raw)
        seen[type(right).__name__, said is None] += 1
        assert said == right if isinstance(right, Depth | Trade) else said is None
    assert seen.keys() >= {("Depth", False), ("Trade", False)}
    assert ("Depth", True) not in seen
    assert ("Trade", True) not in seen


def test_both_agree_on_every_odd_frame(recordings: Path):
    odd = (recordings / "odd-frames.jsonl").read_bytes().splitlines()
    assert odd
    assert [raw for raw in odd if not agree(raw)] == []


@settings(max_examples=1_000)
@given(any_bytes(*WHOLE))
def test_both_agree_whatever_the_bytes_are(raw: bytes):
    assert agree(raw)


NUMBERS = st.sampled_from(
    ["1", "1.50", " 1", "1 ", "+1", ".5", "1.", "01", "1e3", "1E-3", "1e400", "1e-400", "-1", "0", "-0", "nan", "inf", "Infinity", "1_0", "0x1", "", "1e15", "1000000000000000.2", "9" * 30, "1" * 400]
) | st.decimals(allow_nan=False, allow_infinity=False, places=8).map(str) | st.floats().map(repr)  # fmt: skip
VALUES = JSONS | NUMBERS | st.integers(-1, 2**64) | st.lists(st.tuples(NUMBERS, NUMBERS), max_size=22) | st.sampled_from([True, False, 1, 0, 12.0, "btcusdt", "BTCUSDT", "\u017f", "MARKET", "RPI", "NA", "trade", "depthUpdate", 2**63, 2**63 - 1, 10**14, float("nan")])  # fmt: skip


@settings(max_examples=1_000)
@given(st.data())
def test_both_agree_whatever_stands_in_a_field(data: st.DataObject):
    whole = json.loads(data.draw(st.sampled_from([raw for raw in WHOLE if b'"data"' in raw])))
    inside = data.draw(st.booleans())
    fields = whole["data"] if inside else whole
    field = data.draw(st.sampled_from([*fields, "X", "timestamp", "received_at", "M", "else"]))
    fields[field] = data.draw(VALUES)
    if data.draw(st.booleans()):
        del fields[data.draw(st.sampled_from(sorted(fields)))]
    assert agree(packed(whole))


@settings(max_examples=500)
@given(st.decimals(min_value="0.00000001", max_value="1000000000", places=8))
def test_both_read_the_same_number_from_a_price(price: Any):
    raw = enveloped(TRADE, SPOT_TRADE | {"p": str(price)})
    assert isinstance(event := quickly(raw), Trade)
    assert event.price == float(str(price))


def test_a_wrong_time_is_refused_by_both():
    raw = enveloped(BOOK, SPOT_BOOK, received_at=5)
    assert isinstance(quickly(raw), RefusedFrame)
    assert quickly(raw) == carefully(raw)
