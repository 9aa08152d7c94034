"""The window of frames in flight: whatever a server does, the stream has each frame once, behind all before it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.transport.send_window import SendWindow


def numbers(window: SendWindow) -> list[int]:
    return [number for number, _, _ in window.take_due()]


def filled(count: int, in_flight: int = 4) -> SendWindow:
    window = SendWindow(in_flight)
    for _ in range(count):
        window.add(b"binance.x", b"12345")
    return window


def flowing(count: int, first_seq: int = 1) -> SendWindow:
    """Return a window of so many frames whose first is confirmed; as many as may be in flight were taken after it."""
    window = filled(count)
    window.take_due()
    window.confirm(1, first_seq)
    window.take_due()
    return window


def test_the_first_frame_of_a_session_goes_alone():
    window = filled(10)

    assert numbers(window) == [1]
    assert numbers(window) == []
    assert window.confirm(1, 7)
    assert numbers(window) == [2, 3, 4, 5]
    assert numbers(window) == []


def test_each_confirmation_makes_room_for_one_more():
    window = flowing(10)

    window.confirm(2, 2)
    window.confirm(3, 3)

    assert numbers(window) == [6, 7]
    assert (window.held, window.in_flight, window.held_bytes) == (7, 4, 35)


def test_what_failed_goes_again_from_the_first_alone_then_in_order():
    window = flowing(6)
    window.confirm(2, 2)

    window.go_back()

    assert numbers(window) == [3]
    assert window.confirm(3, 3)
    assert numbers(window) == [4, 5, 6]


def test_a_confirmation_behind_a_frame_that_failed_is_noticed():
    window = flowing(6)

    assert not window.confirm(3, 2)
    assert window.held == 5, "nothing is forgotten"


@pytest.mark.parametrize("number", [1, 9])
def test_a_confirmation_that_is_not_awaited_changes_nothing(number: int):
    window = filled(6)
    window.take_due()
    window.confirm(1, 1)

    assert window.confirm(number, 5)

    assert (window.held, window.misplaced) == (5, 0)


def test_a_frame_that_is_not_behind_the_one_before_is_misplaced():
    window = flowing(3, first_seq=8)

    window.confirm(2, 5)
    window.confirm(3, 6)

    assert window.misplaced == 1


class Trial:
    """A window and a server, which takes what it is sent in order, and drops what it has already."""

    def __init__(self) -> None:
        self.window = SendWindow(3)
        self.added = 0
        self.stored: list[int] = []
        #: Sent and not taken yet, one connection after the other: what a cut left behind may come late.
        self.sent: list[list[int]] = [[]]

    def add(self) -> None:
        self.added += 1
        self.window.add(b"binance.x", b"12345")

    def send(self) -> None:
        self.sent[-1] += numbers(self.window)

    def take(self) -> None:
        if self.sent[-1]:
            number = self._store(self.sent[-1])
            assert self.window.confirm(number, self.stored.index(number) + 1)

    def take_late(self) -> None:
        if self.sent[0] and self.sent[0] is not self.sent[-1]:
            self._store(self.sent[0])

    def cut(self) -> None:
        self.sent.append([])
        self.window.go_back()

    def lose(self) -> None:
        """What was not read is lost with the connection, its end first."""
        del self.sent[-1][1:]
        self.cut()

    def refuse(self) -> None:
        """A server has no stream from its start on, not in between."""
        if self.sent[-1] == [min(self.window._in_flight, default=(0,))[0]] and not self.window._open:
            self.sent[-1].clear()
            self.window.go_back()

    def time_out(self) -> None:
        self.window.go_back()

    def _store(self, line: list[int]) -> int:
        number = line.pop(0)
        if number not in self.stored:
            self.stored.append(number)
        return number


STEPS = ("add", "send", "take", "take_late", "cut", "lose", "refuse", "time_out")


@settings(max_examples=300)
@given(st.lists(st.sampled_from(STEPS), max_size=80))
def test_whatever_fails_frames_are_stored_once_and_in_order(steps: list[str]):
    trial = Trial()
    for step in steps:
        getattr(trial, step)()
    trial.lose()
    while trial.window.held:
        trial.send()
        trial.take()
    assert trial.stored == list(range(1, trial.added + 1))
    assert trial.window.misplaced == 0
