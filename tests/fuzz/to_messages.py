"""What comes over NATS, from the exchange and through the queue."""

import base64
import json
from contextlib import suppress
from functools import cache

import msgspec

from ingest.counters import Counters
from ingest.feeds import record
from ingest.feeds.link import TIMEOUTS, Link
from ingest.frame_handler import FrameHandler
from ingest.lanes import LaneLimits, Lanes
from ingest.refused_frames import RefusedFrames
from tasks.events import ALWAYS_READ, KINDS, AnyEvent, Depth, Position, Trade
from tasks.frames import encoder, parse
from tasks.frames.model import FrameMetadata, RefusedFrame, SkippedFrame, parse_stream
from tasks.history.recording_line import parse_line
from tasks.protocol import batches, dead_letters, ingest_status, queue_entry
from tasks.protocol.batches import pack_event, unpack_event
from tasks.protocol.notice import Notice
from tasks.protocol.queue_entry import RefusedEntry
from tasks.protocol.routing import Router, Shard
from tasks.telemetry import trace_context
from tests.fuzz.samples import BATCH, DEFAULT, FRAMES, NOW_NS, ROUTER, SOURCE
from tests.fuzz.targets import target
from tests.support.frames.two_readers import agree
from tests.support.workers import odd_entries


@cache
def _frame_handler() -> FrameHandler:
    lanes = Lanes(ROUTER, LaneLimits(1 << 20, 1 << 20))

    def offer(event: AnyEvent, _: str, __: int) -> None:
        assert unpack_event(pack_event(event)) == event
        again = parse(
            encoder.frame(event),
            FrameMetadata(encoder.subject("x.>", encoder.stream(event)), event.seq, event.ingested_at_ns),
        )
        assert isinstance(again, Depth | Trade), f"{event} came back as {again}"

    counters = Counters()
    return FrameHandler(lanes, counters, RefusedFrames(counters), offer, lambda _: None)


@target(*(b"%s\n%s" % (subject, raw) for raw in FRAMES for subject in (b"binance.btcusdt@depth20", b"x.y")))
def frames(raw: bytes) -> None:
    subject, _, frame = raw.partition(b"\n")
    name = subject.decode(errors="replace")
    _frame_handler().deliver(name, frame)
    trace = trace_context.of_frame(None, frame)
    assert not trace or trace_context.headers(trace)
    outcome = parse(frame, FrameMetadata(name, 1, NOW_NS, kinds=frozenset(KINDS)))
    if isinstance(outcome, AnyEvent):
        assert unpack_event(pack_event(outcome)) == outcome
    else:
        assert isinstance(outcome, SkippedFrame | RefusedFrame)
    assert agree(frame, FrameMetadata(name, 1, NOW_NS))
    line = record.line(name, frame, NOW_NS)
    assert line is None or parse_line(line).raw == line


async def _delivered(stream: str, raw: bytes) -> None:
    assert raw.endswith(b"}")
    parse(raw, FrameMetadata(stream, 1, NOW_NS))


@target(*FRAMES)
def exchange(raw: bytes) -> None:
    """What comes over the exchange's websocket."""
    with suppress(StopIteration):
        Link("wss://exchange", _delivered, TIMEOUTS)._take(raw).send(None)


@target(b"binance.btcusdt@depth20@100ms", b"binance.ETHUSDT_250926@trade", b"a.b.btcusdt@aggTrade", b"x@depth5")
def subjects(raw: bytes) -> None:
    name = raw.decode(errors="replace")
    stream = parse_stream(name.rpartition(".")[2])
    if stream is not None and stream.kind in ALWAYS_READ:
        assert Router(DEFAULT.routes(), Shard(0, 1)).lanes_of("spot", stream.symbol, stream.kind)
    dead_letters.unpack(dead_letters.pack(dead_letters.refused("no_symbol", "none", name, raw))).symbol.encode()


@target(batches.pack([BATCH]), batches.pack([BATCH, msgspec.structs.replace(BATCH, partition=1)]))
def payloads(raw: bytes) -> None:
    try:
        carried = batches.unpack(raw)
    except msgspec.MsgspecError:
        return
    assert batches.task_id(carried)
    assert all(batch.identity for batch in carried)
    again = batches.unpack(msgspec.msgpack.encode(carried))
    assert [batch.to for batch in again] == [batch.to for batch in carried]


@target(
    *(entry for _, entry in odd_entries.entries() if len(entry) < 8_192), json.dumps(odd_entries.envelope()).encode()
)
def queue_entries(raw: bytes) -> None:
    """What somebody puts into a queue: refused in a line, or such that Celery can decode it."""
    entry = queue_entry.admitted("trade", raw)
    if isinstance(entry, RefusedEntry):
        assert len(entry.why.splitlines()) == 1
        return
    message = json.loads(entry)
    [payload], _, embed = msgspec.msgpack.decode(base64.b64decode(message["body"]))
    assert isinstance(payload, bytes)
    assert not any(embed.values())
    assert not message["headers"].keys() & {"compression", "callbacks", "errbacks", "chain", "chord"}


@target(str(Notice(BATCH.lane, "1.a", Position(SOURCE, 3))).encode(), b"configuration")
def notices(raw: bytes) -> None:
    with suppress(ValueError):
        found = Notice.parse(raw.decode(errors="replace"))
        assert Notice.parse(str(found)) == found


@target(ingest_status.encode(ingest_status.IngestStatus(1, 2, 3)))
def answers(raw: bytes) -> None:
    """What somebody answers in the place of ingest."""
    with suppress(msgspec.DecodeError):
        ingest_status.decode(raw)
