"""Any value anywhere in a frame of any kind: it becomes an event that can be sent on, is skipped, or is refused."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tasks.events import KINDS, AnyEvent
from tasks.frames import neutral, parse
from tasks.frames.model import RefusedFrame, SkippedFrame
from tests.support.frames.optional_kinds import FRAMES
from tests.support.frames.wire import METADATA, SPOT_BOOK, SPOT_TRADE, USDM_BOOK, USDM_TRADE, enveloped

ALL = msgspec.structs.replace(METADATA, kinds=frozenset(KINDS))
ODD: list[Any] = [
    None, True, False, 0, -1, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**64), 1.5, 1e308, 1e-320, -0.0, "", "0", "-1", "7",
    "nan", "inf", "1e5", "1_0", " 1", "0x1", "\u0663", "x" * 100, [], [1], [[]], {}, {"x": 1},
]  # fmt: skip
OF_BINANCE: dict[str, bytes] = {
    "spot trade": enveloped("btcusdt@trade", SPOT_TRADE, timestamp="2024-08-09T00:00:00Z"),
    "spot book": enveloped("btcusdt@depth20@100ms", SPOT_BOOK, received_at=METADATA.ingested_at_ns),
    "usdm trade": enveloped("btcusdt@trade", USDM_TRADE),
    "usdm book": enveloped("btcusdt@depth20@100ms", USDM_BOOK),
    **{str(kind): raw for kind, raw in FRAMES.items()},
}


def event_of(raw: bytes) -> AnyEvent:
    event = parse(raw, ALL)
    assert not isinstance(event, RefusedFrame | SkippedFrame), event
    return event


ALL_FRAMES = OF_BINANCE | {f"neutral {name}": neutral.encode(event_of(raw)) for name, raw in OF_BINANCE.items()}


def damaged(document: dict[str, Any], part: Any) -> Iterator[bytes]:
    """Yield the document with each odd value in each place of a part of it."""
    for key, said in list(part.items() if isinstance(part, dict) else enumerate(part)):
        for odd in ODD:
            part[key] = odd
            yield json.dumps(document).encode()
        part[key] = said
        if isinstance(said, dict | list):
            yield from damaged(document, said)


@pytest.mark.parametrize("name", ALL_FRAMES)
def test_with_any_value_anywhere_a_frame_is_an_event_skipped_or_refused(name: str):
    document = json.loads(ALL_FRAMES[name])
    events = 0
    for raw in damaged(document, document):
        outcome = parse(raw, ALL)
        if isinstance(outcome, RefusedFrame | SkippedFrame):
            continue
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(outcome), type=AnyEvent) == outcome, raw
        assert parse(neutral.encode(outcome), ALL) == outcome, raw
        events += 1
    assert events
