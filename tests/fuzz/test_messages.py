"""Whatever comes over NATS, through the queue or out of the ledger: refusals of the few kinds that callers expect."""

import gc
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from ingest.feeds import record
from ingest.feeds.link import TIMEOUTS, Link
from ingest.lanes.layout import Layout
from ingest.page.page_state import PageState
from tasks import engine
from tasks.cli import format_dead_letters
from tasks.configuration import Configuration
from tasks.engine import strategy_run
from tasks.errors import LedgerError
from tasks.events import KINDS, AnyEvent, Position
from tasks.frames import parse
from tasks.frames.model import FrameMetadata, RefusedFrame, SkippedFrame
from tasks.history.recording_line import parse_line
from tasks.ledger import heartbeats, read_position
from tasks.ledger.dead_letters import StoredLetter
from tasks.ops.doctor_probes import ask_port
from tasks.protocol import batches, dead_letters, ingest_status, records
from tasks.protocol.batches import Batch, Epoch, pack_event
from tasks.protocol.notice import Notice
from tasks.protocol.routing import Pool, Router, Shard
from tasks.strategy import AnyStrategy
from tests.fuzz.damage import JSONS, any_bytes, refused, thrown
from tests.fuzz.samples import NEUTRAL_TRADE
from tests.support.events import book, trade
from tests.support.frames.optional_kinds import FRAMES as OPTIONAL
from tests.support.frames.wire import SPOT_BOOK, SPOT_TRADE, USDM_BOOK, USDM_TRADE, enveloped, packed
from tests.support.market import configuration
from tests.support.strategies import Calm, Echo, bound
from tests.support.strategies.bars import BarEcho
from tests.support.waiting import HANGS_S

SOURCE = "core-1"
FRAMES = (
    *(packed(each) for each in (SPOT_TRADE, USDM_TRADE, USDM_BOOK)),
    enveloped("btcusdt@depth20@100ms", SPOT_BOOK, received_at=1723161254087896568),
    enveloped("btcusdt@trade", SPOT_TRADE, timestamp="2024-08-09T00:00:00Z"),
    *OPTIONAL.values(),
    packed(NEUTRAL_TRADE),
)
SUBJECTS = st.sampled_from(["binance.btcusdt@depth20@100ms", "binance.x", "", "."]) | st.text(max_size=80)


@thrown(raw=any_bytes(*FRAMES) | JSONS.map(packed), subject=SUBJECTS)
def test_a_frame_is_an_event_skipped_or_refused_and_its_recording_parses(raw: bytes, subject: str):
    outcome = parse(raw, FrameMetadata(subject, 1, 1_723_161_254_087_896_568, kinds=frozenset(KINDS)))
    assert isinstance(outcome, AnyEvent | SkippedFrame | RefusedFrame)
    assert not isinstance(outcome, AnyEvent) or batches.unpack_event(pack_event(outcome)) == outcome
    assert not isinstance(outcome, RefusedFrame) or outcome.reason.isidentifier()
    line = record.line(subject, raw, 1)
    assert line is None or b"\n" not in line
    assert line is None or parse_line(line).raw == line


BATCH = Batch(
    "trade", 0, 0, Epoch(1, "a"), Position(SOURCE, 1), Position(SOURCE, 3), "configuration",
    tuple(pack_event(each) for each in (trade(id=1, seq=2), book(id=2, seq=3))),
)  # fmt: skip


@thrown(payload=any_bytes(batches.pack([BATCH]), batches.pack([BATCH, BATCH])))
def test_a_tasks_payload_is_batches_or_refused_as_foreign(payload: bytes):
    refused(msgspec.MsgspecError, lambda: batches.task_id(batches.unpack(payload)))


def test_a_tasks_payload_that_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(msgspec.MsgspecError, match="larger than"):
        batches.unpack(b"\xc1" * (2 * batches.MAX_BATCH_BYTES + 1))


EVENT = trade(id=10, seq=10)
RECORD, STATE = records.field(EVENT), strategy_run.field(EVENT.venue, EVENT.symbol, Echo.create({}))


def worked(held: dict[str, bytes | None], strategy: AnyStrategy = Echo(Calm())) -> Any:  # noqa: B008 a constant
    run = engine.BatchRun("trade", SOURCE, bound(strategy), "configuration", held)
    return run.finish([EVENT])


STORED = worked({}).fields


@pytest.mark.parametrize("name", [RECORD, STATE])
def test_what_cant_be_read_starts_from_empty_and_is_told_in_a_dead_letter(name: str):
    outcome = worked({name: b"\xc1"})
    [letter] = map(dead_letters.unpack, outcome.letters)
    assert (letter.reason, letter.raw, letter.event) == ("unreadable", b"\xc1", EVENT)
    assert letter.detail.startswith(f"{name} can't be read and starts from empty: ")
    assert outcome.fields == STORED


@thrown(record_=any_bytes(STORED[RECORD]), state_=any_bytes(STORED[STATE]))
def test_a_lane_goes_on_whatever_the_ledger_holds_of_it(record_: bytes, state_: bytes):
    try:
        outcome = worked({RECORD: record_, STATE: state_})
    except strategy_run.NewerStateError:
        return
    assert outcome.fields.keys() <= STORED.keys()
    again = worked(dict(outcome.fields))
    assert "unreadable" not in {dead_letters.unpack(letter).reason for letter in again.letters}


OF_BARS = BarEcho.create({})
OPEN_BARS = strategy_run.field(EVENT.venue, EVENT.symbol, OF_BARS)


@thrown(state_=any_bytes(worked({}, OF_BARS).fields[OPEN_BARS]))
def test_a_lane_goes_on_whatever_the_ledger_holds_of_open_bars(state_: bytes):
    try:
        outcome = worked({OPEN_BARS: state_}, OF_BARS)
    except strategy_run.NewerStateError:
        return
    assert OPEN_BARS in outcome.fields
    again = worked({OPEN_BARS: outcome.fields[OPEN_BARS]}, OF_BARS)
    assert "unreadable" not in {dead_letters.unpack(letter).reason for letter in again.letters}


@thrown(raw=any_bytes(str(Position("jetstream-FRAMES-1", 42)).encode()))
def test_a_position_is_read_or_an_error_of_the_ledger(raw: bytes):
    refused(LedgerError, lambda: read_position(raw, "k f"))


@thrown(raw=any_bytes(str(Notice(BATCH.lane, "1.a", Position(SOURCE, 3))).encode()))
def test_a_notice_is_read_or_passed_over(raw: bytes):
    refused(ValueError, lambda: Notice.parse(raw.decode(errors="replace")))


ROUTER = Router((Pool("trade", ("trade",), "symbol", 8, frozenset()),), Shard(0, 1))


@thrown(raw=any_bytes(Layout(ROUTER).encode()))
def test_a_layout_is_read_or_an_error_of_the_ledger(raw: bytes):
    refused(LedgerError, lambda: Layout(ROUTER).other_shards(raw))


@thrown(raw=any_bytes(configuration().canonical()))
def test_a_configuration_is_read_or_an_error_of_the_ledger_in_one_line(raw: bytes):
    assert "\n" not in refused(LedgerError, lambda: Configuration.parse(raw).version)


ENTRY = b'{"clock_ms":1723161600000,"queues":["trade"],"processes":2,"version":"1","seen_s":1723161600.5}'


@thrown(name=any_bytes(b"celery@host"), entry=any_bytes(ENTRY))
def test_an_entry_of_a_worker_hides_no_other(name: bytes, entry: bytes):
    seen = heartbeats.alive({name: entry, b"ours@host": ENTRY}, 1_723_161_601.0)
    assert "ours@host" in {worker.name for worker in seen}


@thrown(raw=any_bytes(dead_letters.pack(dead_letters.raised(ValueError("x"), "trade", "echo", EVENT))))
def test_a_dead_letter_can_be_shown_whatever_it_is(raw: bytes):
    letter = dead_letters.read(raw)
    assert letter.reason
    assert isinstance(letter.symbol + letter.author, str)


@thrown(raw=any_bytes(ingest_status.encode(ingest_status.IngestStatus(1, 2, 3))))
def test_an_answer_of_ingest_is_read_or_none(raw: bytes):
    refused(msgspec.MsgspecError, lambda: ingest_status.decode(raw))


def junk(number: int) -> None:
    raw = b'{"stream":"s%d@trade","data":{"e":"trade","s":"S%d","t":%d}}' % (number, number, number)
    assert isinstance(parse(raw, FrameMetadata(f"binance.s{number}@trade", 1, 1)), RefusedFrame)


def test_a_flood_of_junk_under_ever_new_names_leaves_nothing_in_memory():
    tracemalloc.start()
    held_bytes = []
    for numbers in (range(15_000), range(15_000, 20_000)):
        for number in numbers:
            junk(number)
        gc.collect()
        held_bytes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # What remembers names is full after the first flood.
    assert held_bytes[1] - held_bytes[0] < 100_000


#: Deeper than any reader of JSON goes, in a field that nobody knows.
DEEP = b'{"stream":"btcusdt@trade","data":{},"a":' + b"[" * 100_000


def test_a_too_deeply_nested_answer_of_ingest_is_refused():
    with pytest.raises(msgspec.DecodeError, match="nested too deeply"):
        ingest_status.decode(DEEP)


def test_a_signal_that_is_nested_too_deeply_is_left_out_of_the_page():
    assert PageState._read(b"1-1", DEEP) is None


def test_a_dead_letter_of_a_too_deeply_nested_frame_is_shown_as_it_is():
    letter = StoredLetter("1-1", dead_letters.refused("not_json", "recursion", "binance.x", DEEP))
    assert "[" * 50_000 in "".join(format_dead_letters.whole(letter))


async def test_a_too_deeply_nested_frame_of_the_exchange_is_dropped_and_counted():
    delivered: list[bytes] = []

    async def deliver(stream: str, raw: bytes) -> None:
        delivered.append(raw)

    link = Link("wss://exchange", deliver, TIMEOUTS)
    await link._take(DEEP)
    assert (link.garbage, delivered) == (1, [])


@pytest.mark.parametrize(
    "said",
    [{"received_at": 2**63}, {"received_at": 2**64 - 1}, {"timestamp": "1960-01-01"}, {"timestamp": "9999-01-01"}],
)
def test_a_receipt_time_out_of_range_is_replaced_by_the_recorders_time(said: dict[str, Any]):
    line = record.line("binance.btcusdt@kline_1m", enveloped("btcusdt@kline_1m", {"e": "kline"}, **said), 42)
    assert line is not None
    assert parse_line(line).received_at_ns == 42


def test_the_doctor_takes_a_too_deeply_nested_answer_for_another_program():
    class Deep(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self.wfile.write(DEEP)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Deep) as server, ThreadPoolExecutor() as threads:
        answering = threads.submit(server.handle_request)
        facts = ask_port("HTTP_PORT", "127.0.0.1", server.server_port)
        answering.result(HANGS_S)
    assert facts.held_by == "other"


def test_terminal_escapes_in_a_refusal_do_not_reach_the_list():
    letter = StoredLetter("1-1", dead_letters.refused("\x1b[2Jgone", "x", "binance.x", b"{}"))
    assert format_dead_letters.line(letter).isprintable()


@pytest.mark.parametrize(
    "said", [{"timestamp": "4052-11-26"}, {"timestamp": "1970-01-01T00:00:00.0005"}, {"received_at": 500}]
)
def test_a_book_of_a_time_that_no_frame_can_carry_again_is_refused(said: dict[str, Any]):
    raw = enveloped("btcusdt@depth20", SPOT_BOOK, **said)
    outcome = parse(raw, FrameMetadata("binance.x", 1, 1))
    assert isinstance(outcome, RefusedFrame)
    assert outcome.reason == "bad_time"
