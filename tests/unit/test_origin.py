from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingest.origin import Stream, begin
from ingest.streams import covers
from tasks.events import Position

CREATED = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
FULL = Stream("FRAMES", CREATED, first_seq=11, last_seq=50)
EMPTY = Stream("FRAMES", CREATED, first_seq=0, last_seq=0)
CORE = Position("core-1.aa", 30)


def at(seq: int, stream: Stream = FULL) -> Position:
    return Position(stream.source, seq)


def test_the_first_start_ever_begins_at_the_end_or_with_the_first_message_as_told():
    assert begin(FULL, [], None, "new") == at(50)
    assert begin(FULL, [], None, "first") == at(10)
    assert begin(EMPTY, [], None, "new") == begin(EMPTY, [], None, "first") == at(0)


def test_a_later_start_goes_on_at_the_stored_frontier_whatever_is_told():
    assert begin(FULL, [at(20)], None, "new") == begin(FULL, [at(20)], None, "first") == at(20)


def test_of_several_frontiers_the_lowest_counts():
    assert begin(FULL, [at(40), at(20), CORE], None, "new") == at(20)


def test_after_redis_went_back_the_stored_one_counts_and_after_it_lost_all_its_own():
    assert begin(FULL, [at(20)], at(40), "new") == at(20)
    assert begin(FULL, [], at(40), "new") == at(40)


def test_positions_of_another_source_do_not_count():
    assert begin(FULL, [CORE], None, "new") == at(50)
    another = Stream("OTHER", CREATED, 1, 99)
    assert begin(FULL, [at(3, another)], None, "new") == at(50)


def test_a_stream_that_was_created_anew_is_read_from_its_first_message():
    before = Stream("FRAMES", CREATED - timedelta(microseconds=1), 1, 9_000)
    assert begin(FULL, [at(8_000, before)], None, "new") == at(10)
    assert begin(FULL, [], at(8_000, before), "new") == at(10)
    longer = Stream("FRAMES-2", CREATED, 1, 9)
    assert begin(FULL, [at(5, longer)], None, "new") == at(50)


def test_a_subject_is_covered_by_itself_and_by_wider_ones_only():
    for wider, subject in (
        ("a.b", "a.b"),
        ("a.*", "a.b"),
        ("a.>", "a.b"),
        ("a.>", "a.b.>"),
        (">", "a.*"),
        ("*.b", "*.b"),
    ):
        assert covers(wider, subject), (wider, subject)
    for wider, subject in (("a.b", "a.*"), ("a.*", "a.>"), ("a.>", "a"), ("a.*", "a.b.c"), ("a.b", "a"), ("*", ">")):
        assert not covers(wider, subject), (wider, subject)


TOKENS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3)


@given(TOKENS, st.sampled_from([[], [">"]]), st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4))
def test_what_covers_a_subject_without_wildcards_is_what_nats_matches(
    tokens: list[str], tail: list[str], subject: list[str]
):
    wider = [*tokens, *tail]
    fits = all(ours in {"*", theirs} for ours, theirs in zip(tokens, subject, strict=False))
    long_enough = len(subject) > len(tokens) if tail else len(subject) == len(tokens)
    assert covers(".".join(wider), ".".join(subject)) == (fits and long_enough)
