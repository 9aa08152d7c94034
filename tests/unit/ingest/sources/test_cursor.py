"""What the cursor decides about one fact; `test_lossy_stream` has what comes of all of them."""

from datetime import UTC, datetime

import pytest

from ingest.sources.cursor import ConsumerStart, CursorStep, StreamCursor
from ingest.sources.pull import Pacing
from ingest.sources.resume import LastFrame, StreamSnapshot, StreamTail
from tasks.clients.nats_message import MessageMetadata
from tasks.events import Position

STREAM = StreamSnapshot("FRAMES", datetime(2026, 1, 1, tzinfo=UTC), first_seq=1, last_seq=100)
PACING = Pacing(batch=10, silence_s=3.0, pause_s=1.0, check_s=2.0)
#: When the consumer is opened.
OPENED_S = 50.0


def reading(after_seq: int = 10, stream: StreamSnapshot = STREAM) -> StreamCursor:
    """Return a cursor with a consumer that has not been asked for anything yet."""
    cursor = StreamCursor(PACING)
    cursor.note_stream(stream)
    cursor.resume(Position(stream.source, after_seq))
    pending = cursor.prepare_consumer(connection=0)
    assert cursor.locate(pending, stream, None)
    assert cursor.opened(pending, OPENED_S)
    return cursor


def take(cursor: StreamCursor, stream_seq: int, consumer_seq: int, now_s: float = OPENED_S) -> bool:
    return cursor.receive(MessageMetadata(stream_seq, consumer_seq, stream_seq * 10**9, 0), 0, now_s).deliver


def next_step(cursor: StreamCursor, now_s: float, connection: int = 0, *, has_room: bool = True) -> CursorStep | None:
    return cursor.next_step(now_s, connection, has_room=has_room)


def test_nothing_is_done_before_it_is_known_where_to_read():
    assert next_step(StreamCursor(PACING), 50.0) is None


def test_a_consumer_is_opened_checked_and_asked_while_there_is_room():
    cursor = StreamCursor(PACING)
    cursor.resume(Position(STREAM.source, 10))
    assert next_step(cursor, OPENED_S) == CursorStep("reopen", "a start")
    cursor = reading()
    assert next_step(cursor, OPENED_S) == CursorStep("check")
    assert next_step(cursor, OPENED_S) == CursorStep("request")
    assert next_step(cursor, OPENED_S, has_room=False) is None


@pytest.mark.parametrize(
    ("why", "headers"),
    [
        ("nobody answers for the consumer", {"Status": "503"}),
        ("409 Consumer Deleted", {"Status": "409", "Description": "Consumer Deleted"}),
    ],
)
def test_after_a_refusal_another_consumer_is_opened_a_pause_after_the_last(why: str, headers: dict[str, str]):
    cursor = reading()
    cursor.hear(headers, OPENED_S)
    assert next_step(cursor, OPENED_S + 1.0) is None
    assert next_step(cursor, OPENED_S + 1.1) == CursorStep("reopen", why)


def test_after_a_failure_to_open_the_next_attempt_is_a_pause_later():
    cursor = reading()
    cursor.prepare_consumer(connection=0)
    cursor.failed(now_s=60.0)
    assert next_step(cursor, 61.0) is None
    assert next_step(cursor, 61.1) == CursorStep("reopen", "a start")


def test_on_a_new_connection_a_consumer_is_opened_and_the_old_one_not_read():
    cursor = reading()
    assert not cursor.receive(MessageMetadata(11, 1, 1, 0), connection=1, now_s=OPENED_S).deliver
    assert next_step(cursor, OPENED_S, connection=1) == CursorStep("reopen", "a new connection")


def test_nothing_is_taken_after_a_gap_and_reading_goes_on_before_it():
    cursor = reading()
    assert [take(cursor, *numbers) for numbers in ((11, 1), (13, 3), (12, 2), (14, 4))] == [True, False, False, False]
    assert next_step(cursor, OPENED_S + 1.1) == CursorStep("reopen", "a gap")
    assert cursor.locate(cursor.prepare_consumer(0), STREAM, 11 * 10**9) == ConsumerStart(11, 0)


def test_a_consumer_whose_stream_goes_back_is_not_read():
    cursor = reading()
    assert take(cursor, 11, 1)
    assert not take(cursor, 11, 2)
    assert next_step(cursor, OPENED_S + 1.1) == CursorStep("reopen", "a gap")


def test_silence_and_what_never_came_have_another_consumer_opened():
    silent, incomplete, unknown = reading(), reading(), reading()
    silent.requested(10, OPENED_S)
    incomplete.checked(delivered=1)
    unknown.doubt("it is offline")
    steps = [next_step(cursor, OPENED_S + 3.1) for cursor in (silent, incomplete, unknown)]
    why = ["silence", "messages that never came", "the server can't tell about the consumer: it is offline"]
    assert steps == [CursorStep("reopen", each) for each in why]


def test_a_pending_consumer_is_outdated_once_reading_is_resumed_elsewhere():
    cursor = reading(after_seq=90)
    pending = cursor.prepare_consumer(connection=0)
    cursor.resume(Position(STREAM.source_after(1), 40))
    # The stream has lost what the consumer was to start after, which is not asked for any more.
    assert cursor.locate(pending, StreamSnapshot(STREAM.name, STREAM.created, 1, 50), None) is None
    assert not cursor.outdated
    assert not cursor.opened(pending, OPENED_S)
    assert next_step(cursor, OPENED_S) == CursorStep("reopen", "a start")


def test_of_a_stream_of_our_own_what_is_jumped_over_is_forgotten_at_once():
    cursor = reading()
    assert cursor.receive(MessageMetadata(15, 1, 1, 0), 0, OPENED_S).forgotten == 4


def test_of_a_shared_stream_only_what_is_before_its_first_is_forgotten():
    shared = StreamSnapshot(STREAM.name, STREAM.created, 1, 100, shared=True)
    cursor = reading(stream=shared)
    assert cursor.receive(MessageMetadata(15, 1, 1, 0), 0, OPENED_S).forgotten == 0
    assert next_step(cursor, OPENED_S) == CursorStep("compare")
    assert [cursor.count_forgotten(first_seq=13), cursor.count_forgotten(first_seq=13)] == [2, 0]


def test_the_frame_to_know_the_stream_by_is_the_furthest_of_the_source():
    cursor = reading(after_seq=98)
    assert take(cursor, 99, 1)
    assert take(cursor, 100, 2)
    furthest = LastFrame(STREAM.source, 100, 100 * 10**9)
    cursor.resume(Position(STREAM.source, 50))
    assert cursor.prepare_consumer(0).tail == StreamTail(50, furthest)
    cursor.resume(Position(STREAM.source_after(1), 50))
    assert cursor.prepare_consumer(0).tail == StreamTail(50, None)


def test_a_frame_of_an_earlier_process_is_known_until_one_is_read():
    cursor, stored = reading(), LastFrame(STREAM.source_after(3), 5, 1)
    cursor.restore_last_read(stored)
    assert cursor.read == stored
    assert take(cursor, 11, 1)
    cursor.restore_last_read(stored)
    assert cursor.read == LastFrame(STREAM.source, 11, 11 * 10**9)
