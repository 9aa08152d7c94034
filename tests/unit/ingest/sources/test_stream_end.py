"""Whether a consumer is of use, by where its stream ends."""

from ingest.sources.stream_end import StreamEnd


def looked(end: StreamEnd, *looks: tuple[int, int], may_be_still: bool = False) -> list[str]:
    return [end.compare(*look, may_be_still=may_be_still) for look in looks]


def test_a_stream_that_ends_before_what_was_read_has_lost_it():
    assert looked(StreamEnd(), (100, 100), (100, 50)) == ["", "lost"]


def test_a_consumer_that_stands_still_before_the_end_is_given_up_once():
    end = StreamEnd()
    assert looked(end, (50, 55), (50, 55), (50, 55), (50, 60)) == ["", "still", "stuck", "stuck"]
    assert looked(end, (60, 60), (60, 70), (60, 70)) == ["", "", "still"]


def test_a_consumer_that_moves_or_need_not_send_is_of_use():
    assert looked(StreamEnd(), (50, 55), (55, 80), (80, 80), (80, 80)) == [""] * 4
    assert looked(StreamEnd(), (50, 55), (50, 55), (50, 99), may_be_still=True) == [""] * 3
