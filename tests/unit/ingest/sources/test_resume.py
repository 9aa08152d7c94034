from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from nats.js.api import StreamConfig, StreamSource

from ingest.sources.resume import (
    SAME_NS,
    LastFrame,
    StoredOffsets,
    StreamSnapshot,
    StreamTail,
    begin,
    furthest,
    last_stored,
    tail_of,
    tails_before_losses,
)
from ingest.sources.stream_setup import covers, is_shared
from tasks.events import Position

CREATED = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
FULL = StreamSnapshot("FRAMES", CREATED, first_seq=11, last_seq=50)
EMPTY = StreamSnapshot("FRAMES", CREATED, first_seq=0, last_seq=0)
CORE = Position("core-1.aa", 30)


def at(seq: int, stream: StreamSnapshot = FULL) -> Position:
    return Position(stream.source, seq)


def test_the_first_start_begins_at_the_end_or_the_first_message_as_told():
    assert begin(FULL, [], "new") == at(50)
    assert begin(FULL, [], "first") == at(10)
    assert begin(EMPTY, [], "new") == begin(EMPTY, [], "first") == at(0)


def test_a_later_start_goes_on_at_the_stored_frontier_whatever_is_told():
    assert begin(FULL, [at(20)], "new") == begin(FULL, [at(20)], "first") == at(20)


def test_of_several_frontiers_the_lowest_counts():
    assert begin(FULL, [at(40), at(20), CORE], "new") == at(20)


def test_frames_of_a_shard_that_never_began_are_read_at_another_layout():
    assert begin(FULL, [at(40)], "first", has_unstarted=True) == at(10)
    assert begin(FULL, [at(40)], "new", has_unstarted=True) == at(40)
    assert begin(FULL, [at(5)], "first", has_unstarted=True) == at(5)


def test_after_a_rollback_of_redis_the_stored_position_counts():
    """After Redis lost everything, ingest's own position counts."""
    assert begin(FULL, [at(20), at(40)], "new") == at(20)
    assert begin(FULL, [at(40)], "new") == at(40)


def test_of_the_frames_that_were_read_the_one_stored_last_counts():
    earlier, later = LastFrame("s", 9, 1_000), LastFrame("s.1", 4, 2_000)
    assert last_stored([later, earlier]) == later
    assert last_stored([]) is None


def test_positions_of_another_source_do_not_count():
    assert begin(FULL, [CORE], "new") == at(50)
    another = StreamSnapshot("OTHER", CREATED, 1, 99)
    assert begin(FULL, [at(3, another)], "new") == at(50)


def test_a_stream_that_was_created_again_is_read_from_its_first_message():
    before = StreamSnapshot("FRAMES", CREATED - timedelta(microseconds=1), 1, 9_000)
    assert begin(FULL, [at(8_000, before)], "new") == at(10)
    longer = StreamSnapshot("FRAMES-2", CREATED, 1, 9)
    assert begin(FULL, [at(5, longer)], "new") == at(50)


def test_after_a_loss_another_source_begins_after_the_last_frame_kept():
    once, twice = (Position(FULL.source_after(losses), 30) for losses in (1, 2))
    assert begin(FULL, [at(40)], "new", kept_seq=30) == once
    assert begin(FULL, [once], "new", kept_seq=45) == twice
    assert len({at(30), once, twice}) == 3


def test_what_was_not_decided_before_a_loss_is_read_again():
    assert begin(FULL, [at(20)], "new", kept_seq=30) == Position(FULL.source_after(1), 20)


def test_a_start_after_a_loss_goes_on_under_the_source_that_was_begun_then():
    once = Position(FULL.source_after(1), 35)
    assert begin(FULL, [once], "first") == once
    assert begin(FULL, [once, at(40)], "new") == once, "a process that does not know that its claim came through"
    assert begin(FULL, [at(20), once], "new") == Position(once.source, 20), "Redis went back to before the loss"


def test_a_ledger_of_before_a_loss_has_the_tail_that_was_lost():
    once, read = Position(FULL.source_after(1), 45), LastFrame(FULL.source, 40, 10**18)
    assert tails_before_losses(FULL, StoredOffsets([at(35)], [at(40)], [read]), once) == [StreamTail(40, read)]
    # The lost numbers say nothing of the frames that have them now: these are read from where the loss began.
    assert begin(FULL, [at(35), once, Position(once.source, 30)], "new") == Position(once.source, 30)


def test_a_ledger_that_knows_of_the_loss_has_no_tail_before_it():
    once = Position(FULL.source_after(1), 45)
    assert tails_before_losses(FULL, StoredOffsets([once], [at(40), Position(once.source, 31)]), once) == []
    assert tails_before_losses(FULL, StoredOffsets([CORE]), once) == []
    assert tails_before_losses(FULL, StoredOffsets([at(40)]), at(45)) == []
    assert tails_before_losses(FULL, StoredOffsets([at(40)]), CORE) == []


def test_a_shard_that_has_not_noticed_a_loss_has_the_tail_that_was_lost():
    """Another one has, and a new layout begins where the lowest of both stood."""
    once, before = Position(FULL.source_after(1), 45), LastFrame(FULL.source, 38, 10**18)
    frames = [LastFrame(once.source, 45, 3 * 10**18), before, LastFrame(FULL.source, 30, 10**17)]
    assert tails_before_losses(FULL, StoredOffsets([at(40), once], [at(40)], frames), None) == [StreamTail(40, before)]


def test_the_furthest_position_is_one_of_the_latest_numbers():
    once = Position(FULL.source_after(1), 35)
    assert furthest(FULL, [at(20), at(40), CORE]) == at(40)
    assert furthest(FULL, [at(40), once, Position(once.source, 34)]) == once
    assert furthest(FULL, [CORE]) is None


def test_the_number_of_losses_is_read_only_from_the_streams_own_source():
    assert [FULL.losses(FULL.source_after(losses)) for losses in (0, 1, 12)] == [0, 1, 12]
    for foreign in (CORE.source, f"{FULL.source}1", f"{FULL.source}.", f"{FULL.source}.x", f"x{FULL.source}"):
        assert FULL.losses(foreign) is None, foreign


def test_a_tail_is_held_if_its_number_is_the_same_frame_or_was_forgotten():
    tail = StreamTail(40, LastFrame(FULL.source, 40, 10**18))
    assert tail.is_held(FULL, 10**18)
    assert tail.is_held(FULL, 10**18 + SAME_NS - 1), "times of a message differ by how the client gives them"
    assert tail.is_held(FULL, None)
    assert not tail.is_held(FULL, 10**18 + SAME_NS)
    assert StreamTail(50, None).is_held(FULL, None)


def test_a_tail_is_lost_if_the_stream_ends_before_it_or_before_its_frame():
    assert not StreamTail(51, None).is_held(FULL, None)
    assert not StreamTail(40, LastFrame(FULL.source, 51, 10**18)).is_held(FULL, None)


def test_the_frame_of_a_tail_is_one_of_its_own_source():
    once, read = Position(FULL.source_after(1), 35), LastFrame(FULL.source, 40, 10**18)
    assert tail_of(FULL, [at(20), at(40)], read) == StreamTail(40, read)
    assert tail_of(FULL, [at(40), once], read) == StreamTail(35, None)
    assert tail_of(FULL, [CORE], read) is None


def test_a_frame_that_was_read_is_stored_and_read_back():
    read = LastFrame(FULL.source_after(2), 7, 1_700_000_000_123_456_789)
    assert LastFrame.parse(str(read)) == read


def test_a_stream_is_shared_if_it_may_hold_messages_on_foreign_subjects():
    ours = ["a.>", "b"]
    for subjects in (["a.b", "b"], ["a.>"], ["b"]):
        assert not is_shared(StreamConfig(subjects=subjects), ours), subjects
    for subjects in ([">"], ["a.x", "c"], ["*"]):
        assert is_shared(StreamConfig(subjects=subjects), ours), subjects
    assert is_shared(StreamConfig(subjects=["b"], sources=[StreamSource("OTHER")]), ours)


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
