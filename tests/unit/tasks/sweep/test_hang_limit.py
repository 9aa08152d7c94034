"""The limit of a strategy that does not come to an end."""

import signal
import threading

import pytest

from tasks.sweep.hang_limit import HangError, no_hang


def hang() -> None:
    while True:
        pass


def test_what_hangs_is_ended_where_it_is():
    with pytest.raises(HangError), no_hang(0.01):
        hang()


def test_a_signal_in_transit_as_a_strategy_ends_is_nobodys_error(monkeypatch: pytest.MonkeyPatch):
    join = threading.Thread.join

    def late(thread: threading.Thread, timeout: float | None = None) -> None:
        signal.raise_signal(signal.SIGVTALRM)
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", late)
    with no_hang(60.0):
        pass
