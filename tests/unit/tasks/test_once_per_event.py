"""once_per_event: what several compute alike is computed once for each event."""

import threading

import pytest

from tasks.events import Depth
from tasks.once_per_event import once_per_event
from tests.support.events import book


class Counted:
    """The best bid's quantity, times a number; it counts its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []
        self.of = once_per_event(self._of)

    def _of(self, event: Depth, times: int) -> float:
        self.calls.append((event.id, times))
        return event.bids[0][1] * times


def test_equal_arguments_are_computed_once_for_an_event():
    counted, event = Counted(), book([(1999.0, 2.0)])
    assert [counted.of(event, times) for times in (1, 2, 1, 2, 2)] == [2.0, 4.0, 2.0, 4.0, 4.0]
    assert counted.calls == [(1, 1), (1, 2)]


def test_another_event_is_computed_again_though_it_is_equal():
    """Identity is enough: events that are equal are not compared level by level."""
    counted = Counted()
    for event in (book(), book()):
        counted.of(event, 1)
    assert counted.calls == [(1, 1), (1, 1)]


def test_an_event_that_comes_back_after_another_is_right():
    counted, one, other = Counted(), book([(1999.0, 2.0)], id=1), book([(1999.0, 3.0)], id=2)
    assert [counted.of(event, 1) for event in (one, other, one)] == [2.0, 3.0, 2.0]


def test_what_raises_raises_each_time():
    def fail(_event: Depth, number: int) -> float:
        return 1 / number

    failing, event = once_per_event(fail), book()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            failing(event, 0)
    assert failing(event, 2) == 0.5


def test_a_thread_at_another_event_never_gives_its_result_to_this_one():
    """One is held up within its computation while another goes on to the next event."""
    entered, go_on = threading.Event(), threading.Event()

    def quantity(event: Depth, _: int) -> float:
        if event.id == 1:
            entered.set()
            assert go_on.wait(60)
        return event.bids[0][1]

    shared, one, other = once_per_event(quantity), book([(1999.0, 2.0)], id=1), book([(1999.0, 3.0)], id=2)
    thread = threading.Thread(target=shared, args=(one, 0))
    thread.start()
    assert entered.wait(60)
    assert shared(other, 1) == 3.0
    go_on.set()
    thread.join()
    assert (shared(other, 0), shared(one, 0)) == (3.0, 2.0)
