"""What fuzzing begins with: frames, events, a batch and a configuration as they really look."""

from pathlib import Path

from tasks import configuration
from tasks.events import AnyEvent, Depth, Position, Trade
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.protocol.batches import Batch, Epoch, pack_event
from tasks.protocol.routing import Router, Shard
from tasks.settings import Settings
from tests.support.frames.optional_kinds import FRAMES as OPTIONAL
from tests.support.frames.wire import SPOT_BOOK, SPOT_TRADE, USDM_BOOK, USDM_TRADE, enveloped, packed, petrosa

NEUTRAL_TRADE = {
    "schema": "market/1", "venue": "kraken", "kind": "trade", "symbol": "BTC/USD", "id": 7, "time": 1723161254087,
    "price": 61800.3, "quantity": 0.006, "side": "buy",
}  # fmt: skip
SOURCE, NOW_NS = "core-1", 1_723_161_254_087_896_568
FRAMES = (
    *(packed(each) for each in (SPOT_TRADE, USDM_TRADE, USDM_BOOK)),
    enveloped("btcusdt@depth20@100ms", SPOT_BOOK, received_at=NOW_NS),
    enveloped("btcusdt@trade", SPOT_TRADE, timestamp="2024-08-09T00:00:00Z"),
    packed(petrosa("btcusdt@depth20@100ms", SPOT_BOOK) | {"_otel_trace_context": {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}}),
    packed({"result": None, "id": 1}),
    *OPTIONAL.values(),
    packed(NEUTRAL_TRADE),
)  # fmt: skip
STRATEGIES_FILE: Path = Settings.model_fields["strategies_file"].default
DEFAULT = configuration.read(STRATEGIES_FILE)
ROUTER = Router(DEFAULT.routes(), Shard(0, 1))


def _event(number: int, frame: dict[str, object]) -> AnyEvent:
    stream = "btcusdt@depth20@100ms" if frame is SPOT_BOOK else "btcusdt@trade"
    ids = {name: number for name in ("t", "lastUpdateId") if name in frame}
    found = parse(enveloped(stream, frame | ids, received_at=NOW_NS), FrameMetadata("", number, NOW_NS))
    assert isinstance(found, Depth | Trade)
    return found


EVENTS = [_event(number, frame) for number, frame in enumerate([SPOT_TRADE, SPOT_BOOK] * 3, start=1)]
BATCH = Batch(
    "trade", 0, 0, Epoch(1, "a"), Position(SOURCE, 1), Position(SOURCE, 6), "abc", tuple(map(pack_event, EVENTS))
)  # fmt: skip
