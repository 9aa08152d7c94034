"""Lines of several sources in one order."""

import heapq
from collections.abc import Callable, Iterator

from hypothesis import given
from hypothesis import strategies as st

from tasks.history.recording_line import RecordingLine
from tasks.history.time_order import Source, merged

TIMES = st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=4)


def lines(source: int, times: list[int]) -> list[RecordingLine]:
    return [RecordingLine(b"%d-%d" % (source, number), "a@trade", at) for number, at in enumerate(times)]


def opening(of: list[RecordingLine], opened: list[int], number: int) -> Callable[[], Iterator[RecordingLine]]:
    def start() -> Iterator[RecordingLine]:
        opened.append(number)
        return iter(of)

    return start


@given(times=TIMES, lead=st.integers(0, 3))
def test_lines_come_as_if_all_sources_were_open_from_the_start(times: list[list[int]], lead: int):
    every = [lines(number, each) for number, each in enumerate(times)]
    opened: list[int] = []
    sources = [
        Source(max(0, each[0].received_at_ns - lead) if each else 0, opening(each, opened, number))
        for number, each in enumerate(every)
    ]
    assert list(merged(sources)) == list(heapq.merge(*every, key=lambda line: line.received_at_ns))
    assert sorted(opened) == list(range(len(every)))


def test_a_source_is_opened_when_its_turn_comes():
    opened: list[int] = []
    every = [lines(number, [10 * number, 10 * number + 5]) for number in range(3)]
    sources = [Source(each[0].received_at_ns, opening(each, opened, number)) for number, each in enumerate(every)]
    seen = [(line.received_at_ns, list(opened)) for line in merged(sources[::-1])]
    assert seen == [(0, [0]), (5, [0]), (10, [0, 1]), (15, [0, 1]), (20, [0, 1, 2]), (25, [0, 1, 2])]
