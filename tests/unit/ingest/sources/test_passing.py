"""Where messages of others are passed."""

from ingest.sources.cursor import StreamCursor
from ingest.sources.passing import Passing, StreamEndpoint
from tests.unit.ingest.sources.test_cursor import OPENED_S, reading, take

FIRST, SECOND = StreamEndpoint(100, 10**18), StreamEndpoint(120, 10**18 + 1)


def test_an_end_is_passed_at_the_second_check_at_which_nothing_waits():
    passing = Passing()
    assert passing.check(0, FIRST) is None
    assert passing.check(0, SECOND) == FIRST
    assert passing.check(0, SECOND) == SECOND


def test_what_waits_or_comes_or_is_not_told_begins_it_again():
    passing = Passing()
    for waiting, end in ((1, SECOND), (None, SECOND), (0, None)):
        passing.check(0, FIRST)
        passing.check(waiting, end)
        assert passing.check(0, FIRST) is None
    passing.clear()
    assert passing.check(0, FIRST) is None


def passed_to_100() -> StreamCursor:
    cursor = reading()
    assert take(cursor, 11, 1)
    assert not cursor.checked(1, 0, FIRST)
    assert cursor.checked(1, 0, SECOND)
    return cursor


def test_the_cursor_stands_at_the_end_that_it_passed_and_knows_its_message():
    cursor = passed_to_100()
    assert cursor.seq == 100
    assert cursor.read is not None
    assert (cursor.read.seq, cursor.read.stored_at_ns) == FIRST


def test_a_frame_that_was_not_said_to_wait_is_taken_all_the_same():
    cursor = passed_to_100()
    assert take(cursor, 60, 2)
    assert cursor.seq == 60
    assert not take(cursor, 60, 3)


def test_a_consumer_that_owes_messages_passes_nothing():
    cursor = reading()
    assert not cursor.checked(0, 0, FIRST)
    assert not cursor.checked(1, 0, SECOND)
    assert cursor.seq == 10
    assert cursor.next_step(OPENED_S + 1.1, 0, has_room=True)
